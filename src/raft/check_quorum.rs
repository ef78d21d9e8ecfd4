//! How a leader notices that it has lost its quorum (check-quorum; dissertation, 6.2): it asks the silent again, and steps
//! down when those that it asked leave no quorum.

use super::node::{Node, Role, Settings};
use super::progress::Progress;
use super::types::Micros;
use crate::planted::Bug;

/// In how many parts the silence is divided after which a follower counts as lost. After each but the last it is asked
/// again if a quorum depends on it: a leader that writes nothing sends nothing else, and one lost message in three would
/// depose it time and again. At 30 % loss four questions in a row go unanswered in one of fifteen cases.
const SILENCE_PARTS: Micros = 4;

impl Node {
    /// Asks those again without whom there is no quorum: they may not have got the question, or the answer was lost.
    pub(super) fn ask_the_doubtful(&mut self) {
        if self.now < self.doubt_deadline() {
            return;
        }
        let Settings { stall_us, election_timeout_us, .. } = self.settings;
        let Role::Leader(leader) = &mut self.role else { return };
        for progress in leader.followers.values_mut() {
            let [doubtful_at, lost_at] = [Progress::doubtful_at, Progress::lost_at]
                .map(|at| at(progress, stall_us, election_timeout_us));
            progress.ping |= doubtful_at <= self.now && self.now < lost_at;
        }
    }

    /// When too few are left for a quorum but for those who are to be asked again; never after the
    /// [`quorum_deadline`](Self::quorum_deadline).
    pub(super) fn doubt_deadline(&self) -> Micros {
        let Settings { stall_us, election_timeout_us, .. } = self.settings;
        self.reached_by_quorum(Micros::MAX, |progress| progress.doubtful_at(stall_us, election_timeout_us))
    }

    /// When the leader must step down unless it hears more: those that have been silent since they were
    /// asked leave no quorum. One that asks nobody need not hear anybody.
    pub(super) fn quorum_deadline(&self) -> Micros {
        if self.planted(Bug::NeverStepsDown) {
            return Micros::MAX;
        }
        let Settings { stall_us, election_timeout_us, .. } = self.settings;
        self.reached_by_quorum(Micros::MAX, |progress| progress.lost_at(stall_us, election_timeout_us))
    }
}

impl Progress {
    /// When a follower that has been asked and says nothing no longer counts as one that can be reached: after
    /// `stall_us`, or twice the retransmission time if that is longer; after `first_us` if it was never heard.
    pub fn lost_at(&self, stall_us: Micros, first_us: Micros) -> Micros {
        self.silent_since.map_or(Micros::MAX, |since| since + self.patience_us(stall_us, first_us))
    }

    /// When a follower that has been asked and says nothing is to be asked again because it may soon count as lost; after
    /// the last question, when it is lost ([`lost_at`](Self::lost_at)).
    pub fn doubtful_at(&self, stall_us: Micros, first_us: Micros) -> Micros {
        let Some(since) = self.silent_since else { return Micros::MAX };
        let patience_us = self.patience_us(stall_us, first_us);
        let mut questions = (1..SILENCE_PARTS).map(|part| since + patience_us * part / SILENCE_PARTS);
        questions.find(|at| self.last_sent_at < *at).unwrap_or(since + patience_us)
    }

    /// How long its silence lasts until it counts as lost.
    fn patience_us(&self, stall_us: Micros, first_us: Micros) -> Micros {
        let known = [self.round_trip, self.relay_round_trip].into_iter().flatten();
        known.map(|known| stall_us.max(2 * known.timeout_us())).max().unwrap_or(first_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::action::Input;
    use crate::raft::harness::{Cluster, ON_DEMAND, id, put};

    /// How long a leader of five leads on that can't reach these, if it is to write something at once.
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
    fn a_leader_steps_down_when_those_that_it_asked_are_silent_and_not_for_those_that_it_did_not_ask() {
        let (stall_us, interval_us) = (ON_DEMAND.stall_us, ON_DEMAND.heartbeat_interval_us);
        assert_eq!(leads_on(&[2, 3, 4, 5], false), interval_us, "it asks nobody");
        assert_eq!(leads_on(&[2, 3], true), interval_us, "the others are a quorum");
        let silent = leads_on(&[2, 3, 4], true);
        assert!((stall_us..2 * stall_us).contains(&silent), "{silent}");
    }

    /// How many messages a leader of five sends to `unreachable` from 50 ms after a write on, and whether it still leads
    /// after its stall time, if it reaches them again after 100 ms.
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
        for _ in 0..ON_DEMAND.stall_us / 10_000 {
            cluster.elapse(10_000, true);
            cluster.step(id(1), [Input::Tick]); // whatever its timers are
        }
        let transcript = cluster.take_transcript();
        let is_to = |line: &&str| unreachable.iter().any(|to| line.starts_with(&format!("1 → {to} ")));
        (transcript.lines().filter(is_to).count(), cluster.nodes[&id(1)].is_leader())
    }

    #[test]
    fn a_leader_asks_the_silent_again_before_it_steps_down_if_there_is_no_quorum_without_them() {
        assert_eq!(asks_silent(&[2, 3, 4]), (3, true));
        assert_eq!(asks_silent(&[2, 3]), (0, true));
    }

    #[test]
    fn who_is_silent_is_asked_three_times_more_before_it_is_lost() {
        let mut progress = Progress::new(0, 0);
        let doubtful_at = |progress: &Progress| progress.doubtful_at(0, 400_000);
        assert_eq!(doubtful_at(&progress), Micros::MAX);
        progress.sent(1, 1_000);
        for at in [101_000, 201_000, 301_000, 401_000] {
            assert_eq!(doubtful_at(&progress), at);
            progress.sent(1, at);
        }
        assert_eq!(doubtful_at(&progress), progress.lost_at(0, 400_000));
        let mut progress = Progress::new(0, 0);
        progress.sent(1, 1_000);
        progress.sent(1, 51_000);
        assert_eq!(doubtful_at(&progress), 101_000, "the silence counts from the first message");
    }

    #[test]
    fn who_was_asked_and_says_nothing_is_lost_after_a_while() {
        const STALL_US: Micros = 240_000;
        const FIRST_US: Micros = 480_000;
        let lost_at = |progress: &Progress| progress.lost_at(STALL_US, FIRST_US);
        let mut progress = Progress::new(0, 0);
        assert_eq!(lost_at(&progress), Micros::MAX, "nobody has asked it");
        progress.sent(1, 1_000);
        progress.sent(2, 9_000);
        assert_eq!(lost_at(&progress), 1_000 + FIRST_US, "it was never heard");
        progress.heard(9_000, 10_000);
        assert_eq!(lost_at(&progress), Micros::MAX, "it has answered");
        progress.sent(3, 20_000);
        progress.sent(4, 30_000);
        assert_eq!(lost_at(&progress), 20_000 + STALL_US);
        progress.heard(30_000, 530_000);
        progress.sent(5, 600_000);
        let timeout_us = progress.round_trip.expect("measured").timeout_us();
        assert!(2 * timeout_us > STALL_US);
        assert_eq!(lost_at(&progress), 600_000 + 2 * timeout_us, "it is slow");
        let mut relay = Progress::new(0, 0);
        relay.heard(1_000, 1_500);
        relay.heard_on_relay(2_000, 202_000);
        relay.sent_on_relay(1, 300_000, 0);
        let timeout_us = relay.relay_round_trip.expect("measured").timeout_us();
        assert_eq!(lost_at(&relay), 300_000 + 2 * timeout_us, "the way through others is slow");
    }
}
