//! The transfer of a snapshot to a follower whose next entry the leader has compacted.
//!
//! The follower takes the chunks in their order, and each answer says how many it has. So the
//! leader learns from any answer where to go on: after a loss, and after a restart of the follower,
//! which begins anew.
//!
//! ```text
//!  chunks        0   1   2   3   4   5   6          the end is known once the last one was read
//!                x   x   f   f   .   .   .          x: received, f: in flight
//!                        ^       ^           ^
//!                 received       next        end
//! ```

use std::collections::VecDeque;

use crate::micros::Micros;
use crate::types::EntryId;

/// A snapshot on its way to one follower.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    snapshot: EntryId,
    received: u64,    // chunks that the follower has, as far as the leader knows; <= next
    next: u64,        // the next one to send
    end: Option<u64>, // how many there are
    sent: VecDeque<(Micros, u64)>, // chunks in flight, oldest first: `sent_at` and number
}

impl Transfer {
    pub(super) fn new(snapshot: EntryId) -> Self {
        Self { snapshot, received: 0, next: 0, end: None, sent: VecDeque::new() }
    }

    pub(super) fn snapshot(&self) -> EntryId {
        self.snapshot
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether a chunk was not sent that the follower lacks.
    pub(super) fn has_unsent(&self) -> bool {
        self.end.is_none_or(|end| self.next < end)
    }

    /// The chunk that the driver is to read. If all were sent, that is the last one once more: the
    /// follower's answer says whether it still has the others.
    pub(super) fn chunk(&self) -> u64 {
        self.end.map_or(self.next, |end| self.next.min(end - 1))
    }

    /// The leader sent a chunk.
    pub(super) fn sent(&mut self, chunk: u64, is_last: bool, sent_at: Micros) {
        self.next = self.next.max(chunk + 1);
        self.end = self.end.or(is_last.then_some(chunk + 1));
        self.sent.push_back((sent_at, chunk));
    }

    /// The follower answered the message of `sent_at`, and has so many chunks. If it did not take
    /// the chunk of this message, it lacks an earlier one and takes none of those in flight.
    pub(super) fn answered(&mut self, sent_at: Micros, chunks: u64) {
        let mut chunk = None;
        while let Some(&(_, number)) = self.sent.front().filter(|(at, _)| *at <= sent_at) {
            chunk = Some(number);
            self.sent.pop_front();
        }
        if chunks > self.next {
            return; // more than this leader has sent
        }
        if chunk.is_some_and(|chunk| chunks <= chunk) {
            self.sent.clear();
            (self.received, self.next) = (chunks, chunks);
        }
        self.received = self.received.max(chunks);
    }

    /// The leader gives up all messages in flight.
    pub(super) fn expire(&mut self) {
        self.sent.clear();
        self.next = self.received;
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let is_ordered = self.received <= self.next && self.end.is_none_or(|end| self.next <= end);
        if is_ordered { Ok(()) } else { Err(format!("a transfer out of order: {self:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: EntryId = EntryId { index: 9, term: 2 };

    /// A transfer of seven chunks whose first ones were sent at 10, 11 and so on.
    fn sent(chunks: u64) -> Transfer {
        let mut transfer = Transfer::new(SNAPSHOT);
        for chunk in 0..chunks {
            assert_eq!(transfer.chunk(), chunk);
            transfer.sent(chunk, chunk == 6, 10 + chunk);
        }
        transfer
    }

    fn state(transfer: &Transfer) -> (u64, u64) {
        assert_eq!(transfer.check(), Ok(()));
        (transfer.received, transfer.next)
    }

    #[test]
    fn answers_in_order_move_what_was_received() {
        let mut transfer = sent(3);
        transfer.answered(10, 1);
        assert_eq!(state(&transfer), (1, 3));
        transfer.answered(12, 3);
        assert_eq!(state(&transfer), (3, 3));
        transfer.answered(11, 2);
        assert_eq!(state(&transfer), (3, 3), "a late answer");
    }

    #[test]
    fn lost_chunk_is_sent_again_with_those_after_it_once() {
        let mut transfer = sent(4);
        transfer.answered(10, 1);
        transfer.answered(12, 1);
        assert_eq!(state(&transfer), (1, 1), "chunk 1 was lost");
        transfer.sent(1, false, 20);
        transfer.answered(13, 1);
        assert_eq!(state(&transfer), (1, 2), "chunk 3 was sent before chunk 1 was sent again");
    }

    #[test]
    fn transfer_goes_on_where_an_expired_one_stopped() {
        let mut transfer = sent(4);
        transfer.answered(11, 2);
        transfer.expire();
        assert_eq!((state(&transfer), transfer.chunk()), ((2, 2), 2));
    }

    #[test]
    fn follower_that_has_restarted_gets_all_chunks_again() {
        let mut transfer = sent(7);
        transfer.answered(16, 7);
        assert!(!transfer.has_unsent());
        assert_eq!(transfer.chunk(), 6, "the last one shows whether the follower has the others");
        transfer.sent(6, true, 30);
        transfer.answered(30, 0);
        assert_eq!((state(&transfer), transfer.has_unsent()), ((0, 0), true));
    }

    #[test]
    fn answer_that_claims_more_than_was_sent_counts_for_nothing() {
        let mut transfer = sent(2);
        transfer.answered(11, 5);
        assert_eq!(state(&transfer), (0, 2));
    }
}
