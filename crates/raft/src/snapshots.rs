//! Snapshots stand for entries that were compacted away (paper, 7; dissertation, 5).
//!
//! **The log is cut** behind a snapshot that the driver has taken. The driver decides when; the core
//! decides how far. A tail of entries stays for slow followers, and so do the entries after a
//! snapshot that a follower receives right now, unless the log becomes too long.
//!
//! **A follower that needs a compacted entry gets a snapshot**, in chunks. The leader asks its driver
//! for each chunk. It first probes at the base of its log, because an append in flight may have
//! brought the follower further than the leader knows. The transfer delays no append to others: the
//! follower is a last resort for new entries, and few chunks are in flight.
//!
//! ```text
//! leader                                   follower
//!   AppendEntries prev=base     ------->
//!                               <-------   Conflict: it lacks the base
//!   InstallSnapshot 9@2, 0      ------->   ReceiveSnapshot 0
//!                               <-------   Receiving 9@2, has 1
//!   InstallSnapshot 9@2, 1 last ------->   ReceiveSnapshot 1
//!                               <-------   Receiving 9@2, has 2
//!                                          the driver makes the snapshot durable
//!                               <-------   Matched 9
//!   AppendEntries prev=9@2 ...  ------->
//! ```
//!
//! **A follower counts a snapshot only when its disk has it.** Only then it replaces the state
//! machine, and the log if that lacks the snapshot's last entry. Its answer acknowledges the entries
//! that the snapshot covers, like any other acknowledgement.

use super::action::{Action, SnapshotChunk};
use super::follower::Follower;
use super::message::{AppendEntriesResponse, AppendOutcome, Body, InstallSnapshot, Message};
use super::node::{Node, Role};
use super::types::{Command, EntryId, Index, Term};
use crate::id::Id;
use crate::micros::Micros;

/// A snapshot that a follower receives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reception {
    snapshot: EntryId,
    term: Term,        // of its leader; another leader may cut the same snapshot otherwise
    chunks: u64,       // those that were handed to the driver
    is_complete: bool, // whether the driver has all of them, and makes them durable
    sent_at: Micros,   // of the latest message that brought a chunk
}

impl<C: Command> Node<C> {
    /// The snapshot that this leader sends to a follower, and the number of chunks that the follower
    /// has.
    pub fn sends_snapshot(&self, to: Id) -> Option<(EntryId, u64)> {
        let Role::Leader(leader) = &self.role else { return None };
        leader.followers.get(&to)?.transfer()
    }

    /// The snapshot that this replica receives.
    pub fn receives_snapshot(&self) -> Option<EntryId> {
        self.reception.map(|reception| reception.snapshot)
    }

    /// The driver has taken a snapshot that covers the entries up to `index`: the log need not keep
    /// them.
    pub(super) fn compact(&mut self, index: Index) {
        let index = index.min(self.commit_index);
        let mut cut = self.log.start_of_tail(index, self.settings.tail_bytes);
        if let Role::Leader(leader) = &mut self.role {
            for progress in leader.followers.values_mut() {
                let Some((snapshot, _)) = progress.transfer() else { continue };
                // The snapshot of a follower that does not answer takes memory, perhaps for ever.
                let is_too_long = self.log.bytes_after(snapshot.index) > self.settings.max_log_bytes;
                if is_too_long || !progress.is_responsive() {
                    progress.end_transfer();
                } else {
                    cut = cut.min(snapshot.index);
                }
            }
        }
        if cut > self.log.base().index {
            self.log.compact(cut);
            self.actions.push(Action::Compact(self.log.base()));
        }
    }

    /// Asks the driver for the next chunks of the snapshots that followers receive.
    pub(super) fn read_snapshots(&mut self) {
        let index = self.commit_index;
        let Ok(term) = self.log.term_at(index) else { return };
        let Role::Leader(leader) = &mut self.role else { return };
        for (&to, progress) in &mut leader.followers {
            let chunk = progress.read_chunk(self.settings.max_in_flight, EntryId { index, term });
            if let Some((snapshot, chunk)) = chunk {
                self.actions.push(Action::ReadSnapshot { to, snapshot, chunk });
            }
        }
    }

    /// The driver has read a chunk for a follower.
    pub(super) fn send_chunk(&mut self, chunk: SnapshotChunk) {
        let SnapshotChunk { to, snapshot, chunk, is_last, data } = chunk;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.followers.get_mut(&to) else { return };
        let sent_at = leader.send_times.next(self.now);
        if !progress.send_chunk(snapshot, chunk, is_last, sent_at) {
            return;
        }
        let body = Body::InstallSnapshot(InstallSnapshot { sent_at, snapshot, chunk, is_last, data });
        let message = Message { term: self.hard_state.current_term, body };
        self.actions.push(Action::Send { to, message });
    }

    /// The driver can't read the snapshot for this follower: the next one is another.
    pub(super) fn lose_snapshot(&mut self, to: Id) {
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(progress) = leader.followers.get_mut(&to) {
            progress.end_transfer();
        }
    }

    /// The leader of the current term sends a chunk.
    pub(super) fn receive_install_snapshot(&mut self, from: Id, install: InstallSnapshot) {
        if !self.follow_leader(from) {
            return;
        }
        let sent_at = install.sent_at;
        let outcome = self.receive_chunk(install);
        self.send(from, Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome }));
    }

    fn receive_chunk(&mut self, install: InstallSnapshot) -> AppendOutcome {
        let InstallSnapshot { sent_at, snapshot, chunk, is_last, data } = install;
        if snapshot.index <= self.commit_index {
            // All that is committed here is equal to the leader's (leader completeness; 5.4.3).
            return AppendOutcome::Matched { match_index: snapshot.index };
        }
        let term = self.hard_state.current_term;
        let is_other = |reception: &Reception| (reception.term, reception.snapshot) != (term, snapshot);
        if self.reception.as_ref().is_none_or(is_other) {
            let is_busy = self.reception.is_some_and(|reception| reception.is_complete);
            if is_busy || chunk > 0 {
                return AppendOutcome::Receiving { snapshot, chunks: 0 };
            }
            self.reception = Some(Reception { snapshot, term, chunks: 0, is_complete: false, sent_at });
        }
        let Some(reception) = &mut self.reception else { unreachable!("there is one now") };
        reception.sent_at = reception.sent_at.max(sent_at);
        if chunk == reception.chunks && !reception.is_complete {
            reception.chunks += 1;
            reception.is_complete = is_last;
            self.actions.push(Action::ReceiveSnapshot { snapshot, chunk, is_last, data });
        }
        AppendOutcome::Receiving { snapshot, chunks: reception.chunks }
    }

    /// The snapshot that this replica has received is on its disk: it replaces the state machine,
    /// unless the replica has come further meanwhile.
    pub(super) fn install_snapshot(&mut self, snapshot: EntryId) {
        let reception = self.reception.take_if(|reception| reception.snapshot == snapshot);
        if snapshot.index <= self.commit_index || self.is_leader() {
            return;
        }
        self.log.install(snapshot);
        self.commit_index = snapshot.index;
        self.known_committed = self.known_committed.max(snapshot.index);
        self.actions.push(Action::InstallSnapshot(snapshot));
        let leader = match &self.role {
            Role::Follower(Follower { leader, .. }) => *leader,
            Role::Candidate(_) | Role::Leader(_) => None,
        };
        let term = self.hard_state.current_term;
        if let (Some(leader), Some(reception)) =
            (leader, reception.filter(|reception| reception.term == term))
        {
            let (sent_at, match_index) = (reception.sent_at, snapshot.index);
            let outcome = AppendOutcome::Matched { match_index };
            self.send(leader, Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome }));
        }
    }

    /// The chunks that this replica has received are no snapshot: the leader must begin again.
    pub(super) fn refuse_snapshot(&mut self, snapshot: EntryId) {
        self.reception.take_if(|reception| reception.snapshot == snapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, SETTINGS, id, put};
    use crate::message::AppendEntries;
    use crate::settings::Settings;
    use crate::types::{Entry, Payload};

    /// 1 leads three replicas and has begun to send a snapshot to 3, which is behind.
    fn transferring(settings: crate::harness::Settings) -> Cluster {
        let mut cluster = Cluster::new(3, 1, settings);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.partition(&[vec![id(1), id(2)], vec![id(3)]]);
        put_some(&mut cluster, 20);
        cluster.take_snapshot(id(1));
        cluster.blocked.clear();
        while cluster.nodes[&id(1)].sends_snapshot(id(3)).is_none() {
            if cluster.network.is_empty() { cluster.timeout(id(1)) } else { cluster.deliver(0) }
        }
        cluster
    }

    /// The leader commits so many puts with the help of 2; 3 hears nothing.
    fn put_some(cluster: &mut Cluster, puts: usize) {
        for _ in 0..puts {
            put_one(cluster);
            cluster.elapse(20_000, false);
        }
    }

    fn put_one(cluster: &mut Cluster) {
        cluster.step(id(1), [put("k", "v")]);
        let to_others = |cluster: &Cluster| cluster.network.iter().position(|envelope| envelope.to != id(3));
        while let Some(position) = to_others(cluster) {
            cluster.deliver(position);
        }
    }

    fn base(cluster: &Cluster) -> Index {
        cluster.nodes[&id(1)].log().base().index
    }

    #[test]
    fn leader_keeps_the_entries_behind_a_snapshot_that_a_follower_receives() {
        let mut cluster = transferring(SETTINGS);
        let (snapshot, _) = cluster.nodes[&id(1)].sends_snapshot(id(3)).expect("it sends one");
        (0..10).for_each(|_| put_one(&mut cluster));
        cluster.take_snapshot(id(1));
        assert_eq!(base(&cluster), snapshot.index, "the tail alone would be three entries");
        assert!(cluster.nodes[&id(1)].sends_snapshot(id(3)).is_some());
    }

    #[test]
    fn leader_gives_up_a_transfer_rather_than_keep_too_many_entries_for_it() {
        let mut cluster = transferring(Settings { max_log_bytes: 0, ..SETTINGS });
        put_some(&mut cluster, 1);
        cluster.take_snapshot(id(1));
        assert!(cluster.nodes[&id(1)].sends_snapshot(id(3)).is_none());
    }

    #[test]
    fn transfer_to_a_follower_that_does_not_answer_ends_with_the_next_snapshot() {
        let mut cluster = transferring(SETTINGS);
        cluster.partition(&[vec![id(1), id(2)], vec![id(3)]]);
        put_some(&mut cluster, 60);
        assert!(cluster.nodes[&id(1)].sends_snapshot(id(3)).is_some());
        cluster.take_snapshot(id(1));
        assert!(cluster.nodes[&id(1)].sends_snapshot(id(3)).is_none());
        assert!(base(&cluster) > 50);
    }

    #[test]
    fn chunks_of_another_leader_do_not_continue_a_snapshot() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        let mut answer = |from: u16, term: Term, chunk: u64| {
            let snapshot = EntryId { index: 9, term: 1 };
            let install =
                InstallSnapshot { sent_at: 1, snapshot, chunk, is_last: false, data: vec![chunk as u8] };
            let message = Message { term, body: Body::InstallSnapshot(install) };
            cluster.step(id(2), [Input::Receive { from: id(from), message }]);
            match cluster.network.pop_back().map(|envelope| envelope.message.body) {
                Some(Body::AppendEntriesResponse(AppendEntriesResponse { outcome, .. })) => outcome,
                other => panic!("{other:?}"),
            }
        };
        let receiving = |chunks| AppendOutcome::Receiving { snapshot: EntryId { index: 9, term: 1 }, chunks };
        assert_eq!([answer(1, 1, 0), answer(1, 1, 1)], [receiving(1), receiving(2)]);
        assert_eq!(answer(1, 1, 3), receiving(2), "a chunk was lost");
        assert_eq!(answer(3, 2, 2), receiving(0));
        assert_eq!(answer(3, 2, 0), receiving(1));
    }

    #[test]
    fn append_that_begins_before_the_base_is_acknowledged_as_far_as_it_goes() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        put_some(&mut cluster, 9);
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        cluster.take_snapshot(id(2));
        let base = cluster.nodes[&id(2)].log().base().index;
        assert!(base > 5);
        let entries = (2..=4).map(|index| Entry { index, term: 1, payload: Payload::Noop }).collect();
        let append =
            AppendEntries { prev_log_index: 1, prev_log_term: 1, leader_commit: 9, sent_at: 1, entries };
        let message = Message { term: 1, body: Body::AppendEntries(append) };
        let before = cluster.nodes[&id(2)].log().entries().to_vec();
        cluster.step(id(2), [Input::Receive { from: id(1), message }]);
        let answer = cluster.network.pop_back().expect("an answer").message;
        let outcome = AppendOutcome::Matched { match_index: 4 };
        let response = AppendEntriesResponse { sent_at: 1, outcome };
        assert_eq!(answer.body, Body::AppendEntriesResponse(response));
        assert_eq!(cluster.nodes[&id(2)].log().entries(), before);
    }
}
