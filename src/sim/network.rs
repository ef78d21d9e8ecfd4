//! The network: decides for each message whether and when it arrives. It moves no message itself.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::plan;
use crate::micros::Micros;
use crate::replica::ELECTION_TIMEOUT_US;

/// The factor by which a slow message takes longer.
const SLOW_FACTOR: Micros = 10;

/// The greatest delay of a healthy network.
const TIMELY_US: Micros = ELECTION_TIMEOUT_US / 24;

/// The greatest delay of a healthy stage.
const PROMPT_US: Micros = TIMELY_US / 20;

/// The network between the replicas, and between replicas and clients.
#[derive(Debug)]
pub struct Network {
    settings: plan::Network,
    rng: Rng,
    links: BTreeMap<(usize, usize), Link>, // from, to
    losses: Vec<f64>,                      // of the current faults
    delays: Vec<(usize, Micros)>,          // of the current faults: the sender, and its added delay
}

/// One direction between two replicas.
#[derive(Clone, Copy, Debug)]
struct Link {
    factor: Micros,       // multiplies the delay of the settings
    cuts: u32,            // faults that cut it
    holds: u32,           // faults that hold its messages
    last_arrival: Micros, // of the messages that keep their order
}

/// The fate of a message: the times at which it arrives, once or twice, or its loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at these times.
    Arrives(Vec<Micros>),
    /// It waits until its link is released.
    Waits,
    /// It is lost, by a cut or by chance.
    Lost {
        /// Whether a cut lost it.
        cut: bool,
    },
}

impl Network {
    /// A network of this many replicas, with the faults of the settings only.
    pub fn new(settings: plan::Network, replicas: usize, mut rng: Rng) -> Self {
        let pairs = (0..replicas).flat_map(|from| (0..replicas).map(move |to| (from, to)));
        let link = |pair| {
            let factor = rng.u64(1..=settings.uneven.max(1));
            (pair, Link { factor, cuts: 0, holds: 0, last_arrival: 0 })
        };
        Self {
            settings,
            links: pairs.map(link).collect(),
            losses: Vec::new(),
            delays: Vec::new(),
            rng: rng.fork(),
        }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        self.links.get_mut(&(from, to)).unwrap_or_else(|| unreachable!("{from} and {to} are replicas"))
    }

    /// The fate of a message between replicas that is sent now.
    pub fn route(&mut self, now: Micros, from: usize, to: usize) -> Fate {
        let link = *self.link(from, to);
        if link.cuts > 0 {
            return Fate::Lost { cut: true };
        }
        if link.holds > 0 {
            return Fate::Waits;
        }
        let loss = self.losses.iter().copied().fold(self.settings.loss, f64::max);
        if loss > 0.0 && self.rng.f64() < loss {
            return Fate::Lost { cut: false };
        }
        let twice = self.settings.duplicate > 0.0 && self.rng.f64() < self.settings.duplicate;
        let first = self.arrival(now, from, to);
        let second = twice.then(|| match self.settings.echo_us {
            0 => self.arrival(now, from, to),
            echo_us => first + self.rng.u64(0..=echo_us), // an echo comes out of order
        });
        Fate::Arrives([first].into_iter().chain(second).collect())
    }

    fn arrival(&mut self, now: Micros, from: usize, to: usize) -> Micros {
        let delay_us = self.delay_us();
        let reorder = self.settings.reorder;
        if let Some(by_us) = self.delays.iter().filter(|delay| delay.0 == from).map(|delay| delay.1).max() {
            return now + delay_us + by_us;
        }
        let link = self.link(from, to);
        let at = now + delay_us * link.factor;
        if reorder {
            return at;
        }
        link.last_arrival = link.last_arrival.max(at);
        link.last_arrival
    }

    /// Draws a delay within the settings.
    pub fn delay_us(&mut self) -> Micros {
        let (least, most) = self.settings.delay_us;
        let slow = self.settings.slow > 0.0 && self.rng.f64() < self.settings.slow;
        self.rng.u64(least..=most) * if slow { SLOW_FACTOR } else { 1 }
    }

    /// Draws the time that a stage of a pipeline takes to wake up and work.
    pub fn stage_us(&mut self) -> Micros {
        let (least, most) = self.settings.stage_us;
        self.rng.u64(least..=most)
    }

    /// No message passes from one replica to the other until each cut is mended.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.link(from, to).cuts += 1;
    }

    /// Whether a cut stops all messages from one replica to the other.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links.get(&(from, to)).is_some_and(|link| link.cuts > 0)
    }

    /// Takes back one cut.
    pub fn mend(&mut self, from: usize, to: usize) {
        let cuts = &mut self.link(from, to).cuts;
        *cuts = cuts.saturating_sub(1);
    }

    /// Messages from one replica to the other wait.
    pub fn hold(&mut self, from: usize, to: usize) {
        self.link(from, to).holds += 1;
    }

    /// Takes back one hold. Returns true if no hold is left.
    pub fn release(&mut self, from: usize, to: usize) -> bool {
        let holds = &mut self.link(from, to).holds;
        *holds = holds.saturating_sub(1);
        *holds == 0
    }

    /// A fault begins that loses messages.
    pub fn begin_loss(&mut self, probability: f64) {
        self.losses.push(probability);
    }

    /// The fault ends.
    pub fn end_loss(&mut self, probability: f64) {
        if let Some(position) = self.losses.iter().position(|&loss| loss == probability) {
            self.losses.remove(position);
        }
    }

    /// A fault begins that delays the messages of a replica to others.
    pub fn begin_delay(&mut self, from: usize, by_us: Micros) {
        self.delays.push((from, by_us));
    }

    /// The fault ends.
    pub fn end_delay(&mut self, from: usize, by_us: Micros) {
        if let Some(position) = self.delays.iter().position(|&delay| delay == (from, by_us)) {
            self.delays.remove(position);
        }
    }

    /// Ends all cuts, holds, losses and slow messages: progress needs messages that are much faster
    /// than an election time-out (paper, 5.6).
    pub fn heal(&mut self) {
        let (least, most) = self.settings.delay_us;
        self.settings.delay_us = (least.min(TIMELY_US), most.min(TIMELY_US));
        let (least, most) = self.settings.stage_us;
        self.settings.stage_us = (least.min(PROMPT_US), most.min(PROMPT_US));
        // Later messages do not wait for earlier ones that are still on their way, as on new
        // connections.
        let healthy = Link { factor: 1, cuts: 0, holds: 0, last_arrival: 0 };
        self.links.values_mut().for_each(|link| *link = healthy);
        self.losses.clear();
        self.delays.clear();
        (self.settings.loss, self.settings.slow) = (0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(change: impl Fn(&mut plan::Network)) -> Network {
        let mut settings = plan::Network {
            delay_us: (100, 200),
            uneven: 1,
            slow: 0.0,
            loss: 0.0,
            duplicate: 0.0,
            echo_us: 0,
            wire: false,
            reorder: false,
            max_datagram: 16_384,
            stage_us: (1, 1),
        };
        change(&mut settings);
        Network::new(settings, 2, Rng::with_seed(1))
    }

    fn arrivals(network: &mut Network) -> Vec<Micros> {
        let arrivals = |fate| if let Fate::Arrives(at) = fate { at } else { Vec::new() };
        (0..1_000).flat_map(|now| arrivals(network.route(now, 0, 1))).collect()
    }

    #[test]
    fn messages_of_a_pair_keep_their_order_unless_they_may_overtake() {
        assert!(arrivals(&mut network(|_| {})).is_sorted());
        assert!(!arrivals(&mut network(|settings| settings.reorder = true)).is_sorted());
    }

    #[test]
    fn each_direction_of_a_pair_has_its_own_delay() {
        let mut network = network(|settings| settings.uneven = 50);
        let first = |fate| if let Fate::Arrives(at) = fate { at[0] } else { 0 };
        let (there, back) = (first(network.route(0, 0, 1)), first(network.route(0, 1, 0)));
        assert!(there > 2 * back || back > 2 * there, "{there} {back}");
    }

    #[test]
    fn delayed_message_is_overtaken_by_later_ones_and_delays_none_of_them() {
        let mut network = network(|_| {});
        network.begin_delay(0, 5_000);
        let Fate::Arrives(late) = network.route(0, 0, 1) else { panic!("nothing is lost") };
        assert!((5_100..=5_200).contains(&late[0]), "{late:?}");
        let Fate::Arrives(other) = network.route(0, 1, 0) else { panic!("nothing is lost") };
        assert!((100..=200).contains(&other[0]), "only one replica's messages are delayed: {other:?}");
        network.end_delay(0, 5_000);
        let Fate::Arrives(next) = network.route(1_000, 0, 1) else { panic!("nothing is lost") };
        assert!((1_100..=1_200).contains(&next[0]), "{next:?}");
    }

    #[test]
    fn losses_and_repetitions_come_at_the_rates_of_the_settings() {
        let lost = 1_000 - arrivals(&mut network(|settings| settings.loss = 0.3)).len();
        assert!((250..350).contains(&lost), "{lost}");
        let more = arrivals(&mut network(|settings| settings.duplicate = 0.2)).len() - 1_000;
        assert!((150..250).contains(&more), "{more}");
    }

    #[test]
    fn cut_is_one_way_and_needs_as_many_mends_as_cuts() {
        let mut network = network(|_| {});
        network.cut(0, 1);
        network.cut(0, 1);
        assert_eq!(network.route(0, 0, 1), Fate::Lost { cut: true });
        assert!(matches!(network.route(0, 1, 0), Fate::Arrives(_)));
        network.mend(0, 1);
        assert_eq!(network.route(0, 0, 1), Fate::Lost { cut: true });
        network.mend(0, 1);
        assert!(matches!(network.route(0, 0, 1), Fate::Arrives(_)));
    }

    #[test]
    fn strongest_of_several_losses_counts_while_it_lasts() {
        let mut network = network(|_| {});
        network.begin_loss(1.0);
        network.begin_loss(0.1);
        assert_eq!(network.route(0, 0, 1), Fate::Lost { cut: false });
        network.end_loss(1.0);
        network.end_loss(0.1);
        assert!(matches!(network.route(0, 0, 1), Fate::Arrives(_)));
    }
}
