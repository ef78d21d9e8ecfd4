//! How a leader notices that it has lost its quorum (check-quorum; dissertation, 6.2). It probes
//! silent followers again, and steps down when the followers that it asked and that are silent
//! leave no quorum.

use super::node::{Node, Role};
use super::progress::Progress;
use super::settings::Settings;
use super::types::Command;
use crate::micros::Micros;

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
            if reprobe_at <= self.now && self.now < unreachable_at {
                progress.schedule_heartbeat();
            }
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
