//! How a leader notices that it has lost its quorum (check-quorum; dissertation, 6.2). It probes
//! silent followers again, and steps down when the followers that it asked and that are silent
//! leave no quorum.

use super::node::{Node, Role, Settings};
use super::progress::Progress;
use super::round_trip::RoundTrip;
use super::types::Command;
use crate::micros::Micros;

/// The leader probes a silent follower so many times per check-quorum time-out, from when an answer
/// is due, if a quorum depends on it. A leader that writes nothing sends nothing else, and one lost
/// message in three would depose it time and again.
const PROBES_PER_TIMEOUT: Micros = 8;

/// A follower counts as unreachable when, at its measured answer rate, so many unanswered probes in
/// a row are less likely than this: three where no message is lost, seven at 30 % loss, sixteen at
/// 50 %.
const TOO_SILENT: f64 = 0.01;

impl<C: Command> Node<C> {
    /// Probes the silent followers without which there is no quorum: the append to them may have
    /// been lost, or its answer.
    pub(super) fn probe_silent_followers(&mut self) {
        if self.now < self.reprobe_deadline() {
            return;
        }
        let Settings { check_quorum_timeout_us, election_timeout_us, .. } = self.settings;
        let Role::Leader(leader) = &mut self.role else { return };
        for progress in leader.followers.values_mut() {
            let [reprobe_at, unreachable_at] = [Progress::reprobe_at, Progress::unreachable_at]
                .map(|at| at(progress, check_quorum_timeout_us, election_timeout_us));
            progress.heartbeat_due |= reprobe_at <= self.now && self.now < unreachable_at;
        }
    }

    /// When the leader must probe its silent followers, because without them it has no quorum;
    /// never after the [`quorum_deadline`](Self::quorum_deadline).
    pub(super) fn reprobe_deadline(&self) -> Micros {
        let Settings { check_quorum_timeout_us, election_timeout_us, .. } = self.settings;
        self.reached_by_quorum(Micros::MAX, |progress| {
            progress.reprobe_at(check_quorum_timeout_us, election_timeout_us)
        })
    }

    /// When the leader must step down unless it hears more: the followers that have been silent
    /// since it asked them leave no quorum. A leader that asks no follower need not hear one.
    pub(super) fn quorum_deadline(&self) -> Micros {
        let Settings { check_quorum_timeout_us, election_timeout_us, .. } = self.settings;
        self.reached_by_quorum(Micros::MAX, |progress| {
            progress.unreachable_at(check_quorum_timeout_us, election_timeout_us)
        })
    }
}

impl Progress {
    /// When a follower that has been asked and is silent counts as unreachable: after
    /// `check_quorum_timeout_us`, or later where round trips are long or messages are lost; after
    /// `first_us` if it never answered.
    pub fn unreachable_at(&self, check_quorum_timeout_us: Micros, first_us: Micros) -> Micros {
        self.silent_since
            .map_or(Micros::MAX, |since| since + self.unreachable_after_us(check_quorum_timeout_us, first_us))
    }

    /// When the leader is to probe a silent follower, because it may soon count as unreachable;
    /// after the last probe, when it is ([`unreachable_at`](Self::unreachable_at)).
    pub fn reprobe_at(&self, check_quorum_timeout_us: Micros, first_us: Micros) -> Micros {
        let Some(since) = self.silent_since else { return Micros::MAX };
        let spacing_us = probe_spacing_us(check_quorum_timeout_us);
        let first_at = since + spacing_us.max(self.answer_us().unwrap_or(0));
        let next_at = match self.last_sent_at.checked_sub(first_at) {
            Some(after_us) => first_at + (after_us / spacing_us + 1) * spacing_us,
            None => first_at,
        };
        next_at.min(self.unreachable_at(check_quorum_timeout_us, first_us))
    }

    /// How long a follower is silent until it counts as unreachable: long enough for so many probes
    /// that their loss is no accident, and for the answer to the last of them, but at most two of
    /// the election time-outs `first_us`.
    fn unreachable_after_us(&self, check_quorum_timeout_us: Micros, first_us: Micros) -> Micros {
        let Some(answer_us) = self.answer_us() else { return first_us };
        let silence = 1.0 - self.answer_rate();
        let probes = if silence > 0.0 { (TOO_SILENT.ln() / silence.ln()).ceil() as Micros } else { 1 };
        let spacing_us = probe_spacing_us(check_quorum_timeout_us);
        let probing_us = spacing_us.max(answer_us) + probes.saturating_sub(2).saturating_mul(spacing_us);
        check_quorum_timeout_us.max(2 * answer_us).max((probing_us + answer_us).min(2 * first_us))
    }

    /// How long an answer takes at most, if the follower ever answered.
    fn answer_us(&self) -> Option<Micros> {
        let known = [self.round_trip, self.relay_round_trip].into_iter().flatten();
        known.map(RoundTrip::timeout_us).max()
    }
}

/// How long the leader waits between two probes of a silent follower.
fn probe_spacing_us(check_quorum_timeout_us: Micros) -> Micros {
    (check_quorum_timeout_us / PROBES_PER_TIMEOUT).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, ON_DEMAND, id, put};

    /// How long a leader of five leads on if it can't reach these followers, and if it `writes` an
    /// entry at once or not.
    fn leads_on(unreachable: &[u16], writes: bool) -> Micros {
        let mut cluster = Cluster::new(5, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        let links = unreachable.iter().flat_map(|&other| [(id(1), id(other)), (id(other), id(1))]);
        cluster.blocked = links.collect();
        let start = cluster.now;
        if writes {
            cluster.step(id(1), [put("k", "v")]);
            cluster.stabilize();
        }
        let is_over = |cluster: &Cluster| cluster.now >= start + ON_DEMAND.heartbeat_interval_us;
        while cluster.nodes[&id(1)].is_leader() && !is_over(&cluster) {
            cluster.elapse(10_000, true);
        }
        cluster.now - start
    }

    #[test]
    fn leader_steps_down_only_for_silent_followers_that_it_has_asked() {
        let (check_quorum_timeout_us, interval_us) =
            (ON_DEMAND.check_quorum_timeout_us, ON_DEMAND.heartbeat_interval_us);
        assert_eq!(leads_on(&[2, 3, 4, 5], false), interval_us, "it asks no follower");
        assert_eq!(leads_on(&[2, 3], true), interval_us, "the others are a quorum");
        let silent = leads_on(&[2, 3, 4], true);
        assert!((check_quorum_timeout_us..2 * check_quorum_timeout_us).contains(&silent), "{silent}");
    }

    /// How many messages a leader of five sends to `unreachable` from 50 ms after a write on, and
    /// whether it still leads after its check-quorum time-out, if it reaches them again after 100
    /// ms.
    fn asks_silent(unreachable: &[u16]) -> (usize, bool) {
        let mut cluster = Cluster::new(5, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.blocked = unreachable.iter().map(|&other| (id(1), id(other))).collect();
        cluster.step(id(1), [put("k", "v")]);
        cluster.elapse(50_000, true);
        cluster.take_transcript();
        cluster.elapse(50_000, true);
        cluster.blocked.clear();
        for _ in 0..ON_DEMAND.check_quorum_timeout_us / 10_000 {
            cluster.elapse(10_000, true);
            cluster.step(id(1), [Input::Tick]); // also where no timer is due
        }
        let transcript = cluster.take_transcript();
        let is_to = |line: &&str| unreachable.iter().any(|to| line.starts_with(&format!("1 → {to} ")));
        (transcript.lines().filter(is_to).count(), cluster.nodes[&id(1)].is_leader())
    }

    #[test]
    fn leader_probes_silent_followers_before_it_steps_down_if_a_quorum_needs_them() {
        // For each two probes that are lost and one that arrives, the entry for one of them, and
        // one more that is lost as a retransmission.
        assert_eq!(asks_silent(&[2, 3, 4]), (11, true));
        assert_eq!(asks_silent(&[2, 3]), (0, true));
    }

    #[test]
    fn silent_follower_is_probed_at_even_intervals_until_it_is_unreachable() {
        let mut progress = Progress::new(0);
        let reprobe_at = |progress: &Progress| progress.reprobe_at(800_000, 400_000);
        assert_eq!(reprobe_at(&progress), Micros::MAX);
        progress.sent(1, 1_000);
        for at in [101_000, 201_000, 301_000, 401_000] {
            assert_eq!(reprobe_at(&progress), at);
            progress.sent(1, at);
        }
        assert_eq!(reprobe_at(&progress), progress.unreachable_at(800_000, 400_000));
        let mut progress = Progress::new(0);
        progress.sent(1, 1_000);
        progress.sent(1, 51_000);
        assert_eq!(reprobe_at(&progress), 101_000, "the silence counts from the first message");
    }

    #[test]
    fn follower_that_is_asked_and_silent_becomes_unreachable_after_a_while() {
        const STALL_US: Micros = 240_000;
        const FIRST_US: Micros = 480_000;
        let unreachable_at = |progress: &Progress| progress.unreachable_at(STALL_US, FIRST_US);
        let mut progress = Progress::new(0);
        assert_eq!(unreachable_at(&progress), Micros::MAX, "the leader has not asked it");
        progress.sent(1, 1_000);
        progress.sent(2, 9_000);
        assert_eq!(unreachable_at(&progress), 1_000 + FIRST_US, "it never answered");
        progress.heard(9_000, 10_000);
        assert_eq!(unreachable_at(&progress), Micros::MAX, "it has answered");
        progress.sent(3, 20_000);
        progress.sent(4, 30_000);
        assert_eq!(unreachable_at(&progress), 20_000 + STALL_US);
        progress.heard(30_000, 530_000);
        progress.sent(5, 600_000);
        let timeout_us = progress.round_trip.expect("measured").timeout_us();
        assert!(2 * timeout_us > STALL_US);
        assert_eq!(unreachable_at(&progress), 600_000 + 2 * timeout_us, "it is slow");
        let mut relay = Progress::new(0);
        relay.heard(1_000, 1_500);
        relay.heard_on_relay(2_000, 202_000);
        relay.sent_on_relay(1, 300_000, 0);
        let timeout_us = relay.relay_round_trip.expect("measured").timeout_us();
        assert_eq!(unreachable_at(&relay), 300_000 + 2 * timeout_us, "the way through others is slow");
    }

    /// A follower that has answered one of so many messages, each after `round_trip_us`, and is
    /// asked again at 2,000 s.
    fn asked(answers_one_of: u64, round_trip_us: Micros) -> Progress {
        let mut progress = Progress::new(0);
        for n in 1..=1_000 {
            progress.sent(n, n * 1_000_000);
            if n % answers_one_of == 0 {
                progress.heard(n * 1_000_000, n * 1_000_000 + round_trip_us);
            }
        }
        progress.sent(1_001, 2_000_000_000);
        progress
    }

    #[test]
    fn silence_until_a_follower_is_unreachable_follows_its_losses_and_round_trips() {
        let patience = |progress: Progress| progress.unreachable_at(360_000, 480_000) - 2_000_000_000;
        assert_eq!(patience(asked(1, 100)), 360_000);
        assert_eq!(patience(asked(1, 240_000)), 480_000, "twice the round trip");
        let lossy = patience(asked(2, 80_000));
        assert!((360_000..500_000).contains(&lossy), "{lossy}");
        let lossier = patience(asked(4, 80_000));
        assert!((600_000..960_000).contains(&lossier), "{lossier}");
        assert_eq!(patience(asked(50, 80_000)), 960_000, "there is a limit");
    }

    #[test]
    fn isolated_leader_steps_down_in_time_although_an_old_answer_is_repeated() {
        let mut cluster = Cluster::new(3, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.step(id(1), [put("k", "v")]);
        cluster.deliver(0);
        let answer = cluster.network.back().expect("a follower answers").clone();
        cluster.stabilize();
        cluster.partition(&[vec![id(1)], vec![id(2), id(3)]]);
        cluster.step(id(1), [put("l", "w")]);
        let isolated_at = cluster.now;
        while cluster.nodes[&id(1)].is_leader()
            && cluster.now < isolated_at + 4 * ON_DEMAND.check_quorum_timeout_us
        {
            cluster.elapse(10_000, true);
            let (from, message) = (answer.from, answer.message.clone());
            cluster.step(id(1), [Input::Receive { from, message }]);
        }
        let held_on = cluster.now - isolated_at;
        assert!(
            (ON_DEMAND.check_quorum_timeout_us..2 * ON_DEMAND.check_quorum_timeout_us).contains(&held_on),
            "{held_on}"
        );
    }
}
