//! Whether a follower needs a snapshot, and what the leader sends of it.

use super::Progress;
use super::transfer::Transfer;
use crate::micros::Micros;
use crate::types::EntryId;

/// A follower's need of a snapshot.
#[derive(Clone, Debug)]
pub(super) enum Need {
    /// The leader has not begun to send one.
    Waiting,
    /// It sends this one.
    Transfer(Transfer),
}

/// How many chunks of a snapshot may be in flight to one follower: 64 KB in the stream dialect, so
/// that the bytes of a transfer delay no append for long.
const CHUNKS_IN_FLIGHT: usize = 4;

impl Progress {
    /// The follower lacks an entry that the leader has compacted.
    pub fn need_snapshot(&mut self) {
        self.snapshot.get_or_insert(Need::Waiting);
    }

    /// The follower needs no snapshot, or its snapshot is gone.
    pub fn end_transfer(&mut self) {
        self.snapshot = None;
    }

    /// The snapshot that the leader sends, and how many chunks the follower has of it.
    pub fn transfer(&self) -> Option<(EntryId, u64)> {
        let Some(Need::Transfer(transfer)) = &self.snapshot else { return None };
        Some((transfer.snapshot(), transfer.received()))
    }

    /// Whether the leader is to send a chunk now.
    pub(super) fn wants_chunk(&self, max_in_flight: usize) -> bool {
        let has_unsent = match &self.snapshot {
            Some(Need::Transfer(transfer)) => transfer.has_unsent(),
            Some(Need::Waiting) => true,
            None => return false,
        };
        let window = if self.is_late() { 1 } else { max_in_flight.min(CHUNKS_IN_FLIGHT) };
        let has_room = self.replication.in_flight() < window;
        self.is_responsive() && (self.reachability.is_heartbeat_due() || (has_unsent && has_room))
    }

    /// The chunk that the driver is to read now, if the follower is to get one. A new transfer is of
    /// the snapshot `present`.
    pub fn read_chunk(&mut self, max_in_flight: usize, present: EntryId) -> Option<(EntryId, u64)> {
        if !self.wants_chunk(max_in_flight) {
            return None;
        }
        if let Some(need @ Need::Waiting) = &mut self.snapshot {
            *need = Need::Transfer(Transfer::new(present));
        }
        let Some(Need::Transfer(transfer)) = &self.snapshot else { return None };
        Some((transfer.snapshot(), transfer.chunk()))
    }

    /// The driver has read this chunk of a snapshot. Returns whether the leader sends it.
    pub fn send_chunk(&mut self, snapshot: EntryId, chunk: u64, is_last: bool, sent_at: Micros) -> bool {
        let Some(Need::Transfer(transfer)) = &mut self.snapshot else { return false };
        if (transfer.snapshot(), transfer.chunk()) != (snapshot, chunk) {
            return false;
        }
        transfer.sent(chunk, is_last, sent_at);
        self.replication.sent_chunk(sent_at);
        self.reachability.sent(sent_at);
        true
    }

    /// The follower has so many chunks of this snapshot, by its answer to the message of `sent_at`.
    pub fn received_chunks(&mut self, snapshot: EntryId, sent_at: Micros, chunks: u64) {
        if let Some(Need::Transfer(transfer)) = &mut self.snapshot
            && transfer.snapshot() == snapshot
        {
            transfer.answered(sent_at, chunks);
        }
    }
}
