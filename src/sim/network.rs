//! The network: decides for each message whether and when it arrives. It moves no message itself.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::delays;
use super::plan::{self, End, Links};
use crate::micros::Micros;
use crate::replica::ELECTION_TIMEOUT_US;

/// The factor by which a slow message takes longer.
const SLOW_FACTOR: Micros = 10;

/// The longest time that a message waits until its link has the bandwidth for it.
const LONGEST_WAIT_US: Micros = 10_000_000;

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
    slowed: Vec<(usize, Micros)>,          // of the current faults: a replica, and its added delay
    own: Links,                            // what links do besides the settings
    own_rng: Rng,                          // for that
}

/// One direction between two replicas.
#[derive(Clone, Copy, Debug)]
struct Link {
    factor: Micros,       // multiplies the delay of the settings
    cuts: u32,            // faults that cut it
    holds: u32,           // faults that hold its messages
    last_arrival: Micros, // of the messages that keep their order
    free_at: Micros,      // when all messages have left that wait for its bandwidth
}

/// The fate of a message: the times at which it arrives, once or twice, or its loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at these times.
    Arrives(Vec<Micros>),
    /// It waits until its link is released.
    Waits,
    /// It is lost.
    Lost(Loss),
}

/// The reason why a message is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A cut of its link.
    Cut,
    /// Chance.
    Chance,
    /// Too many messages wait for the bandwidth of its link.
    Overflow,
}

impl Loss {
    /// The reason as a trace has it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Cut => "partition",
            Self::Chance => "chance",
            Self::Overflow => "overflow",
        }
    }
}

impl Network {
    /// A network of this many replicas, with the faults of the settings only.
    pub fn new(settings: plan::Network, replicas: usize, mut rng: Rng) -> Self {
        let pairs = (0..replicas).flat_map(|from| (0..replicas).map(move |to| (from, to)));
        let link = |pair| {
            let factor = rng.u64(1..=settings.uneven.max(1));
            (pair, Link { factor, cuts: 0, holds: 0, last_arrival: 0, free_at: 0 })
        };
        Self {
            settings,
            links: pairs.map(link).collect(),
            losses: Vec::new(),
            delays: Vec::new(),
            slowed: Vec::new(),
            own: Links::default(),
            own_rng: Rng::with_seed(0),
            rng: rng.fork(),
        }
    }

    /// The same with links that have more to them, for which another generator draws.
    pub fn with_links(self, own: Links, own_rng: Rng) -> Self {
        Self { own, own_rng, ..self }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        self.links.get_mut(&(from, to)).unwrap_or_else(|| unreachable!("{from} and {to} are replicas"))
    }

    /// The fate of a message between replicas that is sent now and has so many bytes.
    pub fn route(&mut self, now: Micros, from: usize, to: usize, bytes: usize) -> Fate {
        let link = *self.link(from, to);
        if link.cuts > 0 {
            return Fate::Lost(Loss::Cut);
        }
        if link.holds > 0 {
            return Fate::Waits;
        }
        let loss = self.losses.iter().copied().fold(self.settings.loss, f64::max);
        if loss > 0.0 && self.rng.f64() < loss {
            return Fate::Lost(Loss::Chance);
        }
        let Some(now) = self.leaves(now, from, to, bytes) else { return Fate::Lost(Loss::Overflow) };
        let twice = self.settings.duplicate > 0.0 && self.rng.f64() < self.settings.duplicate;
        let first = self.arrival(now, from, to);
        let second = twice.then(|| match self.settings.echo_us {
            0 => self.arrival(now, from, to),
            echo_us => first + self.rng.u64(0..=echo_us), // an echo comes out of order
        });
        Fate::Arrives([first].into_iter().chain(second).collect())
    }

    /// When a message has left its sender, after those before it on its link; `None` if it would wait
    /// too long. A copy that the network makes takes no time of the link.
    fn leaves(&mut self, now: Micros, from: usize, to: usize, bytes: usize) -> Option<Micros> {
        let Some(bandwidth) = self.own.bandwidth else { return Some(now) };
        let link = self.link(from, to);
        let begins = link.free_at.max(now);
        if begins - now > LONGEST_WAIT_US {
            return None;
        }
        link.free_at = begins + (1_000_000 * bytes as u64).div_ceil(bandwidth);
        Some(link.free_at)
    }

    /// When a message arrives that leaves now.
    fn arrival(&mut self, now: Micros, from: usize, to: usize) -> Micros {
        let now = now + self.own_delay_us(End::Replica(from), End::Replica(to));
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

    /// Draws the delay of a client's message to a replica.
    pub fn delay_from_client_us(&mut self, to: usize) -> Micros {
        self.own_delay_us(End::Clients, End::Replica(to)) + self.delay_us()
    }

    /// Draws the delay of a replica's message to a client.
    pub fn delay_to_client_us(&mut self, from: usize) -> Micros {
        self.own_delay_us(End::Replica(from), End::Clients) + self.delay_us()
    }

    /// The delay on top of that of the settings.
    fn own_delay_us(&mut self, from: End, to: End) -> Micros {
        let draw = self.own.delays.iter().find(|delay| delay.has(from, to)).map(|delay| delay.draw);
        let drawn = draw.map_or(0, |draw| delays::draw(draw, &mut self.own_rng));
        let slowness_us = |end| if let End::Replica(at) = end { self.slowness_us(at) } else { 0 };
        drawn + slowness_us(from) + slowness_us(to)
    }

    /// How much longer the messages from and to a replica take by the current faults.
    pub fn slowness_us(&self, at: usize) -> Micros {
        self.slowed.iter().filter(|slowed| slowed.0 == at).map(|slowed| slowed.1).sum()
    }

    /// A fault begins that delays all messages from and to a replica.
    pub fn begin_slow(&mut self, at: usize, by_us: Micros) {
        self.slowed.push((at, by_us));
    }

    /// The fault ends.
    pub fn end_slow(&mut self, at: usize, by_us: Micros) {
        if let Some(position) = self.slowed.iter().position(|&slowed| slowed == (at, by_us)) {
            self.slowed.remove(position);
        }
    }

    /// Whether the next message that arrives does so with a changed byte.
    pub fn damages(&mut self) -> bool {
        self.own.corrupt > 0.0 && self.own_rng.f64() < self.own.corrupt
    }

    /// Changes one byte of a text.
    pub fn change(&mut self, text: &mut [u8]) {
        let at = self.own_rng.usize(..text.len());
        text[at] ^= self.own_rng.u8(1..);
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
        let healthy = Link { factor: 1, cuts: 0, holds: 0, last_arrival: 0, free_at: 0 };
        self.links.values_mut().for_each(|link| *link = healthy);
        self.losses.clear();
        self.delays.clear();
        self.slowed.clear();
        self.own = Links::default();
        (self.settings.loss, self.settings.slow) = (0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plan::{Distribution, LinkDelay};

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
        (0..1_000).flat_map(|now| arrivals(network.route(now, 0, 1, 0))).collect()
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
        let (there, back) = (first(network.route(0, 0, 1, 0)), first(network.route(0, 1, 0, 0)));
        assert!(there > 2 * back || back > 2 * there, "{there} {back}");
    }

    #[test]
    fn delayed_message_is_overtaken_by_later_ones_and_delays_none_of_them() {
        let mut network = network(|_| {});
        network.begin_delay(0, 5_000);
        let Fate::Arrives(late) = network.route(0, 0, 1, 0) else { panic!("nothing is lost") };
        assert!((5_100..=5_200).contains(&late[0]), "{late:?}");
        let Fate::Arrives(other) = network.route(0, 1, 0, 0) else { panic!("nothing is lost") };
        assert!((100..=200).contains(&other[0]), "only one replica's messages are delayed: {other:?}");
        network.end_delay(0, 5_000);
        let Fate::Arrives(next) = network.route(1_000, 0, 1, 0) else { panic!("nothing is lost") };
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
        assert_eq!(network.route(0, 0, 1, 0), Fate::Lost(Loss::Cut));
        assert!(matches!(network.route(0, 1, 0, 0), Fate::Arrives(_)));
        network.mend(0, 1);
        assert_eq!(network.route(0, 0, 1, 0), Fate::Lost(Loss::Cut));
        network.mend(0, 1);
        assert!(matches!(network.route(0, 0, 1, 0), Fate::Arrives(_)));
    }

    #[test]
    fn strongest_of_several_losses_counts_while_it_lasts() {
        let mut network = network(|_| {});
        network.begin_loss(1.0);
        network.begin_loss(0.1);
        assert_eq!(network.route(0, 0, 1, 0), Fate::Lost(Loss::Chance));
        network.end_loss(1.0);
        network.end_loss(0.1);
        assert!(matches!(network.route(0, 0, 1, 0), Fate::Arrives(_)));
    }

    fn with_links(own: Links) -> Network {
        network(|settings| settings.delay_us = (0, 0)).with_links(own, Rng::with_seed(2))
    }

    fn first_arrival(network: &mut Network, now: Micros, (from, to): (usize, usize), bytes: usize) -> Micros {
        match network.route(now, from, to, bytes) {
            Fate::Arrives(times) => times[0],
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn first_delay_that_has_the_link_of_a_message_is_added() {
        let only = |ends: &[End]| Some(ends.to_vec());
        let delay = |from, to, us| LinkDelay { from, to, draw: Distribution::Constant(us) };
        let delays = vec![
            delay(only(&[End::Replica(0)]), only(&[End::Replica(1)]), 100),
            delay(only(&[End::Clients]), None, 200),
            delay(None, None, 300),
        ];
        let mut network = with_links(Links { delays, ..Links::default() });
        assert_eq!(first_arrival(&mut network, 0, (0, 1), 0), 100);
        assert_eq!(first_arrival(&mut network, 0, (1, 0), 0), 300);
        assert_eq!((network.delay_from_client_us(1), network.delay_to_client_us(1)), (200, 300));
    }

    #[test]
    fn message_leaves_after_those_before_it_on_its_link() {
        let mut network = with_links(Links { bandwidth: Some(1_000_000), ..Links::default() });
        assert_eq!(first_arrival(&mut network, 0, (0, 1), 500), 500);
        assert_eq!(first_arrival(&mut network, 100, (0, 1), 500), 1_000);
        assert_eq!(first_arrival(&mut network, 100, (1, 0), 500), 600, "the other way has its own");
        assert_eq!(first_arrival(&mut network, 5_000, (0, 1), 1), 5_001);
    }

    #[test]
    fn message_that_would_wait_longer_than_ten_seconds_is_lost() {
        let mut network = with_links(Links { bandwidth: Some(1_000), ..Links::default() });
        assert_eq!(first_arrival(&mut network, 0, (0, 1), 10_001), 10_001_000);
        assert_eq!(network.route(999, 0, 1, 1), Fate::Lost(Loss::Overflow));
        assert_eq!(first_arrival(&mut network, 1_000, (0, 1), 1), 10_002_000);
    }

    #[test]
    fn messages_from_and_to_a_slow_replica_take_longer_by_the_sum_of_its_faults() {
        let mut network = with_links(Links::default());
        network.begin_slow(0, 50);
        network.begin_slow(0, 7);
        let times = |network: &mut Network| {
            let between = [(0, 1), (1, 0)].map(|link| first_arrival(network, 1_000, link, 0) - 1_000);
            (
                between,
                network.delay_from_client_us(0),
                network.delay_to_client_us(0),
                network.delay_to_client_us(1),
            )
        };
        assert_eq!(times(&mut network), ([57, 57], 57, 57, 0));
        network.end_slow(0, 50);
        network.end_slow(0, 7);
        assert_eq!(network.slowness_us(0), 0);
        assert_eq!(network.delay_from_client_us(0), 0);
    }

    #[test]
    fn one_byte_of_a_damaged_message_changes() {
        let mut network = with_links(Links { corrupt: 0.3, ..Links::default() });
        let damaged = (0..1_000).filter(|_| network.damages()).count();
        assert!((250..350).contains(&damaged), "{damaged}");
        for _ in 0..1_000 {
            let mut text = [0; 20];
            network.change(&mut text);
            assert_eq!(text.iter().filter(|&&byte| byte != 0).count(), 1, "{text:?}");
        }
        assert!(!with_links(Links::default()).damages());
    }
}
