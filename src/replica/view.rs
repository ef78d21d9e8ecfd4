//! A replica as it shows itself on a board.

use raft::types::EntryId;

use super::{Replica, Snapshot};
use crate::id::Id;
use crate::micros::Micros;
use crate::view::{FollowerView, View};

impl Replica {
    /// The replica as it is now. The caller adds the state of the disk and of the queues.
    pub fn view(&self, now: Micros) -> View {
        let (node, log) = (&self.node, self.node.log());
        let statistics = node.statistics();
        View {
            at: now,
            term: node.hard_state().current_term,
            leads: node.is_leader(),
            leader: node.leader(),
            leader_contact: node.last_leader_contact().filter(|_| !node.is_leader()),
            first_index: log.base().index + 1,
            last_index: log.last_index(),
            commit_index: node.commit_index(),
            applied: self.applied,
            snapshot_index: self.snapshot_index,
            keys: self.state_machine.len() as u64,
            data_bytes: self.state_machine.data_bytes() as u64,
            max_data_bytes: self.max_data_bytes.map(|most| most as u64),
            sessions: self.state_machine.sessions().0 as u64,
            pending: self.pending.len() as u64,
            follower_reads: self.follower_reads.served,
            lost_leads: self.lost_leads,
            leader_changes: self.leader_changes,
            elections_started: statistics.elections_started,
            elections_won: statistics.elections_won,
            given_up: statistics.given_up.clone(),
            snapshots_saved: self.snapshots_saved,
            snapshots_installed: self.snapshots_installed,
            followers: self.follower_views(),
            ..View::default()
        }
    }

    /// A copy of the state machine, for a backup. `None` if the term of its last entry is not known any
    /// more.
    pub fn copy(&self) -> Option<Snapshot> {
        let term = self.node.log().term_at(self.applied).ok()?;
        let id = EntryId { index: self.applied, term };
        Some(Snapshot { id, state: self.state_machine.clone() })
    }

    /// Term, role and leader: a change of these is news for those that operate the replica.
    pub fn leadership(&self) -> (u64, bool, Option<Id>) {
        (self.node.hard_state().current_term, self.node.is_leader(), self.node.leader())
    }

    fn follower_views(&self) -> Vec<FollowerView> {
        let contact =
            |id| self.node.contacts().find_map(|(follower, contact)| (follower == id).then_some(contact));
        let view = |(id, match_index)| FollowerView { id, match_index, contact: contact(id) };
        self.node.match_indexes().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Inbound;
    use crate::replica::{ELECTION_TIMEOUT_US, LogLimits};
    use crate::testkit::cluster::Cluster;
    use crate::testkit::{self, CLIENT};

    fn put(cluster: &mut Cluster, at: Id, number: u32) {
        let request = testkit::put(CLIENT, format!("m{number}"), format!("k{number}"), "v".repeat(100));
        cluster.batch(at, vec![Inbound::Client(request)]);
    }

    fn view(cluster: &Cluster, id: Id) -> View {
        cluster.replicas[&id].view(cluster.now)
    }

    #[test]
    fn view_of_a_leader_shows_its_log_its_keys_and_its_followers() {
        let mut cluster = Cluster::new(3);
        cluster.run(3 * ELECTION_TIMEOUT_US);
        let leader = cluster.leader();
        (0..4).for_each(|number| put(&mut cluster, leader, number));
        cluster.run(3 * ELECTION_TIMEOUT_US);
        let shown = view(&cluster, leader);
        assert_eq!((shown.leads, shown.leader, shown.leader_contact), (true, Some(leader), None));
        assert_eq!((shown.first_index, shown.last_index), (1, 5));
        assert_eq!((shown.commit_index, shown.applied, shown.keys, shown.sessions), (5, 5, 4, 1));
        assert_eq!((shown.elections_started, shown.elections_won, shown.leader_changes), (1, 1, 1));
        assert_eq!((shown.pending, shown.lost_leads, shown.at), (0, 0, cluster.now));
        assert_eq!(shown.followers.len(), 2);
        assert!(shown.followers.iter().all(|follower| follower.contact.is_some()));
        assert!(shown.followers.iter().any(|follower| follower.match_index == 5));
    }

    #[test]
    fn view_of_a_follower_names_the_leader_and_when_it_was_heard() {
        let mut cluster = Cluster::new(3);
        cluster.run(3 * ELECTION_TIMEOUT_US);
        let (leader, follower) = (cluster.leader(), cluster.follower());
        let shown = view(&cluster, follower);
        assert_eq!((shown.leads, shown.leader), (false, Some(leader)));
        assert_eq!(shown.leader_contact, cluster.replicas[&follower].node().last_leader_contact());
        assert_eq!((shown.elections_won, shown.followers), (0, vec![]));
        assert_eq!(shown.term, view(&cluster, leader).term);
    }

    #[test]
    fn leader_that_was_deposed_shows_another_leader_and_a_lost_lead() {
        let mut cluster = Cluster::new(3);
        cluster.run(3 * ELECTION_TIMEOUT_US);
        let before = cluster.leader();
        cluster.blocked.insert(before);
        put(&mut cluster, before, 1);
        assert_eq!(view(&cluster, before).pending, 1);
        cluster.run(20 * ELECTION_TIMEOUT_US);
        cluster.blocked.clear();
        cluster.run(20 * ELECTION_TIMEOUT_US);
        let shown = view(&cluster, before);
        assert_eq!((shown.lost_leads > 0, shown.pending), (true, 0));
        assert!(shown.given_up.values().any(|times| *times > 0), "the followers did not answer");
        let leader = cluster.leader();
        let changes = if leader == before { 1 } else { 2 };
        assert!(shown.leader_changes >= changes, "{shown:?}");
        assert_eq!(shown.leader, Some(leader));
    }

    #[test]
    fn snapshots_that_were_saved_and_installed_are_counted() {
        let log = LogLimits { snapshot_after_bytes: 2_000, tail_bytes: 0, ..LogLimits::default() };
        let mut cluster = Cluster::with_log(3, log);
        cluster.run(3 * ELECTION_TIMEOUT_US);
        let (leader, away) = (cluster.leader(), cluster.follower());
        cluster.blocked.insert(away);
        (0..40).for_each(|number| put(&mut cluster, leader, number));
        cluster.blocked.clear();
        cluster.run(20 * ELECTION_TIMEOUT_US);
        let shown = view(&cluster, leader);
        assert!(shown.snapshots_saved > 0 && shown.first_index > 1, "{shown:?}");
        assert!(shown.snapshot_index + 1 >= shown.first_index);
        assert_eq!(view(&cluster, away).snapshots_installed, 1);
        assert_eq!(view(&cluster, away).keys, 40);
    }
}
