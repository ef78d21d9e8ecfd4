//! The leader's side of reads that followers serve (`follower_reads.rs`): it takes a follower's
//! request for a read of its own, and answers with the index at which it would serve that read.

use raft::ReadId;
use raft::types::Index;

use super::follower_reads::MAX_ROUNDS;
use super::{Effect, Replica};
use crate::exchange::{Outbound, ReadIndex, Round};
use crate::id::Id;
use crate::micros::Micros;
use crate::replication::Input;

/// A follower's request that waits for proof of leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexRequest {
    from: Id,
    round: Round,
    applied: Index, // by the follower when it asked
}

impl Replica {
    /// A follower asks. A replica that does not lead says nothing, nor does one that hands its
    /// leadership over: the follower asks again when it knows the leader.
    pub(super) fn receive_index_request(&mut self, now: Micros, from: Id, round: Round, applied: Index) {
        let request = IndexRequest { from, round, applied };
        let is_repeated = self.index_requests.values().any(|known| *known == request);
        if !self.node.is_leader() || self.node.is_transferring() || is_repeated {
            return;
        }
        // A follower has so many rounds at once, so it has given up an earlier one.
        let mut earlier = self.index_requests.iter().filter(|(_, known)| known.from == from);
        let oldest = earlier.next().map(|(read, _)| *read).filter(|_| earlier.count() + 1 >= MAX_ROUNDS);
        oldest.map(|read| self.index_requests.remove(&read));
        self.index_requests.insert(self.next_read, request);
        self.node.step(now, Input::Read(self.next_read));
        self.next_read += 1;
    }

    /// This leader may serve a read now. If it is a follower's, the follower gets the index, and the
    /// entries up to there unless it has them. Returns false for a read of another kind.
    ///
    /// While a key has expired behind entries, those have to come first, as for a read of this
    /// leader's own clients.
    pub(super) fn grant(&mut self, now: Micros, read: ReadId) -> bool {
        let Some(IndexRequest { from, round, applied }) = self.index_requests.remove(&read) else {
            return false;
        };
        let is_behind_entries = self.expired_behind_entries(now);
        let index = if is_behind_entries { self.node.log().last_index() } else { self.applied };
        let message = ReadIndex::Response { round, index, time: self.unix_time(now) };
        self.out.push(Effect::Send(Outbound::ReadIndex { to: from, message }));
        if applied < index {
            self.node.step(now, Input::BringUpToDate(from));
        }
        true
    }
}
