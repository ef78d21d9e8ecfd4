//! How a follower that lacks much is caught up.
//!
//! **A follower that is far behind does not delay new entries.** It has no turn in the rotation.
//! The leader sends it the whole log beside the new entries, also where no client writes, and
//! counts it as asked again when little is left.
//!
//! **A late answer does not end the transfer.** The leader goes on from the last entry that the
//! follower has acknowledged, with one message until an answer comes. Only a follower that no
//! longer answers at all ends it.
//!
//! **A silent follower gets no entries.** The leader probes it with an empty append. When it
//! answers, it gets entries if the leader chooses it for a new entry, or with the next heartbeat.
//!
//! **A follower that serves reads does not wait for its turn.** The driver knows that it lacks
//! something, and the leader sends that at once, with the commit index.

use super::node::{Node, Role};
use super::types::Command;
use crate::id::Id;

impl<C: Command> Node<C> {
    /// Sends followers that are far behind the whole log, beside the new entries, which do not wait
    /// for it.
    pub(super) fn catch_up_followers(&mut self) {
        let last_index = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else { return };
        leader.followers.values_mut().for_each(|progress| progress.catch_up(last_index));
    }

    /// The next drain sends this follower all that is committed, and the commit index.
    pub(super) fn bring_up_to_date(&mut self, follower: Id) {
        let last_index = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(progress) = leader.followers.get_mut(&follower) {
            progress.choose_up_to(last_index);
            progress.schedule_heartbeat();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::action::Input;
    use crate::harness::{Cluster, ON_DEMAND, Put, SETTINGS, id, put};
    use crate::message::Body;
    use crate::types::Index;

    /// So many missing entries make a follower far behind: ten fit into an append here.
    const MANY: usize = 1_000;

    /// 1 leads three replicas; 3 is cut off, has missed [`MANY`] puts and counts as silent.
    fn with_3_far_behind() -> Cluster {
        with_3_behind(MANY)
    }

    /// 1 leads three replicas; 3 is cut off and has missed so many puts.
    fn with_3_behind(puts: usize) -> Cluster {
        let mut cluster = Cluster::new(3, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.blocked = [(id(1), id(3)), (id(3), id(1))].into();
        for _ in 0..puts / 10 {
            cluster.step(id(1), (0..10).map(|_| put("k", "v")));
            cluster.stabilize();
            cluster.elapse(10_000, true);
        }
        cluster.take_transcript();
        cluster
    }

    /// How many entries each append to 3 has that waits in the network.
    fn entries_to_3(cluster: &Cluster) -> Vec<usize> {
        let to_3 = cluster.network.iter().filter(|envelope| envelope.to == id(3));
        let entries = |body: &Body<Put>| {
            if let Body::AppendEntries(append) = body { Some(append.entries.len()) } else { None }
        };
        to_3.filter_map(|envelope| entries(&envelope.message.body)).collect()
    }

    fn lacks(cluster: &Cluster) -> Index {
        let last_index = |number| cluster.nodes[&id(number)].log().last_index();
        last_index(1) - last_index(3)
    }

    /// Lets 3 be heard again, up to the first append with entries that it gets.
    fn heal(cluster: &mut Cluster) {
        cluster.blocked.clear();
        while entries_to_3(cluster).iter().all(|&entries| entries == 0) {
            if cluster.network.is_empty() { cluster.timeout(id(1)) } else { cluster.deliver(0) }
        }
    }

    #[test]
    fn silent_follower_is_probed_with_empty_appends_and_gets_entries_when_it_answers() {
        let mut cluster = with_3_far_behind();
        cluster.elapse(20 * ON_DEMAND.heartbeat_interval_us, true);
        let transcript = cluster.take_transcript();
        let probes = transcript.lines().filter(|line| line.starts_with("1 → 3 ")).collect::<Vec<_>>();
        assert!(probes.len() >= 19 && probes.iter().all(|line| line.ends_with("[] (lost)")), "{probes:?}");
        heal(&mut cluster);
        assert_eq!(entries_to_3(&cluster), [10; ON_DEMAND.max_in_flight]);
    }

    #[test]
    fn follower_that_was_silent_and_lacks_little_gets_entries_with_the_heartbeat_after_its_answer() {
        let mut cluster = with_3_behind(100);
        cluster.elapse(20 * ON_DEMAND.heartbeat_interval_us, true);
        cluster.blocked.clear();
        cluster.elapse(ON_DEMAND.heartbeat_interval_us, true);
        assert!(lacks(&cluster) >= 100, "all of it is committed, and no put needs this follower");
        cluster.elapse(ON_DEMAND.heartbeat_interval_us, true);
        assert_eq!(lacks(&cluster), 0);
    }

    #[test]
    fn follower_that_is_brought_up_to_date_gets_entries_and_the_commit_index_with_one_append() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.step(id(1), [put("k", "v")]);
        let behind = if cluster.network[0].to == id(2) { id(3) } else { id(2) };
        cluster.stabilize();
        let commit_index = cluster.nodes[&id(1)].commit_index();
        assert!(cluster.nodes[&behind].log().last_index() < commit_index, "it was not its turn");
        cluster.step(id(1), [Input::BringUpToDate(behind)]);
        assert_eq!(cluster.network.len(), 1);
        cluster.deliver(0);
        assert_eq!(cluster.nodes[&behind].commit_index(), commit_index);
        cluster.stabilize();
        cluster.step(behind, [Input::BringUpToDate(id(1))]);
        assert!(cluster.network.is_empty(), "only a leader sends appends");
    }

    #[test]
    fn put_does_not_wait_for_a_follower_that_is_far_behind() {
        let mut cluster = with_3_far_behind();
        heal(&mut cluster);
        cluster.deliver(0); // now the leader knows that 3 needs more than one window
        cluster.deliver(cluster.network.len() - 1);
        cluster.step(id(1), [put("k", "w")]);
        assert!(lacks(&cluster) > 300);
        let last = cluster.network.back().expect("the put");
        assert_eq!(last.to, id(2));
        cluster.deliver(cluster.network.len() - 1);
        cluster.deliver(cluster.network.len() - 1);
        let leader = &cluster.nodes[&id(1)];
        assert_eq!(leader.commit_index(), leader.log().last_index());
    }

    #[test]
    fn bulk_transfer_goes_on_after_late_answers_without_a_heartbeat() {
        let mut cluster = with_3_far_behind();
        heal(&mut cluster);
        let healed_at = cluster.now;
        while lacks(&cluster) > 0 {
            cluster.elapse(30_000, false); // each answer is late
            cluster.stabilize();
        }
        assert!(cluster.now - healed_at < ON_DEMAND.heartbeat_interval_us, "{}", cluster.now - healed_at);
    }

    #[test]
    fn late_answer_in_a_bulk_transfer_is_followed_by_one_message_until_the_next_answer() {
        let mut cluster = with_3_far_behind();
        heal(&mut cluster);
        cluster.deliver(0);
        cluster.deliver(cluster.network.len() - 1);
        cluster.network.clear();
        cluster.timeout(id(1));
        assert_eq!(entries_to_3(&cluster), [10]);
        cluster.deliver(0);
        cluster.deliver(0);
        assert_eq!(entries_to_3(&cluster), [10; ON_DEMAND.max_in_flight]);
    }
}
