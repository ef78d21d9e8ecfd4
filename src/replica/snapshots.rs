//! The snapshots that a replica takes, sends and receives.
//!
//! * **Taken**: when the log has grown, the replica hands out a copy of its state machine
//!   ([`Effect::SaveSnapshot`]) and goes on. The copy takes constant time. Once the copy is saved, the
//!   core compacts the log.
//! * **Sent**: a follower that lacks compacted entries gets a copy of the present state machine, not
//!   the snapshot that was saved. So a replica without a disk sends snapshots, too, and no read of a
//!   file delays a batch. The copy is encoded chunk by chunk, as the follower takes the chunks.
//! * **Received**: the chunks become a second state machine. It is saved like a snapshot that the
//!   replica takes itself, and then replaces the first one.

use std::collections::VecDeque;
use std::fmt;

use raft::SnapshotChunk;
use raft::types::{EntryId, Index};
use tracing::{info, warn};

use super::{Effect, Replica};
use crate::id::Id;
use crate::micros::Micros;
use crate::replication::Input;
use crate::state_machine::StateMachine;
use crate::state_machine::snapshot::{Decoder, Encoder, Malformed, Position};

/// The usual bound of a snapshot's part in one message: some 20 us of work, so that a put waits behind
/// few of them.
pub(super) const MAX_CHUNK_BYTES: usize = 16 << 10;

/// A state machine as it was after an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The entry.
    pub id: EntryId,
    /// The state.
    pub state: StateMachine,
}

/// A snapshot on its way to a follower.
pub(super) struct Outgoing {
    snapshot: EntryId,
    encoder: Encoder,
    next: u64,                     // the chunk at which the encoder stands
    first: u64,                    // the chunk that begins at the first of `positions`
    positions: VecDeque<Position>, // where the chunks begin that may be sent once more, and the next one
    start: Position,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({}, next {})", self.snapshot, self.next)
    }
}

impl Outgoing {
    fn new(snapshot: EntryId, state: StateMachine) -> Self {
        let encoder = Encoder::new(state);
        let start = encoder.position();
        Self { snapshot, encoder, next: 0, first: 0, positions: [start.clone()].into(), start }
    }

    /// A chunk, and whether it is the last one; `None` for a chunk whose place is unknown.
    fn read(&mut self, chunk: u64, max_bytes: usize) -> Option<(Vec<u8>, bool)> {
        if chunk == 0 {
            (self.first, self.positions) = (0, [self.start.clone()].into());
        }
        let at = usize::try_from(chunk.checked_sub(self.first)?).ok()?;
        let position = self.positions.get(at)?;
        if self.next != chunk {
            self.encoder.seek(position);
        }
        let data = self.encoder.next_chunk(max_bytes)?;
        self.next = chunk + 1;
        if at + 1 == self.positions.len() {
            self.positions.push_back(self.encoder.position());
        }
        Some((data, self.encoder.is_done()))
    }

    /// The follower has so many chunks. The last of them may be sent once more.
    fn received(&mut self, chunks: u64) {
        while self.first + 1 < chunks && self.positions.len() > 1 {
            self.positions.pop_front();
            self.first += 1;
        }
    }
}

/// A snapshot that arrives.
pub(super) struct Incoming {
    snapshot: EntryId,
    state: Reception,
}

enum Reception {
    Arriving(Box<Decoder>),
    /// All chunks have arrived, and the disk does not have the state so far.
    Saving(Box<StateMachine>),
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({})", self.snapshot)
    }
}

impl Replica {
    /// Hands out a copy of the state machine if the log has grown by enough since the last one.
    pub(super) fn take_snapshot(&mut self) {
        let (log, index) = (self.node.log(), self.node.commit_index());
        let bytes = log.bytes_after(self.snapshot_index) - log.bytes_after(index);
        if self.saving.is_some() || bytes < self.log_limits.snapshot_after_bytes {
            return;
        }
        let Ok(term) = log.term_at(index) else { return };
        let id = EntryId { index, term };
        self.saving = Some(id);
        self.out.push(Effect::SaveSnapshot(Snapshot { id, state: self.state_machine.clone() }.into()));
    }

    /// Takes the news that a snapshot is saved: it is on disk, whatever happens.
    pub fn snapshot_saved(&mut self, now: Micros, id: EntryId) {
        if self.saving == Some(id) {
            self.saving = None;
            self.snapshots_saved += 1;
            self.snapshot_index = id.index;
            self.node.step(now, Input::SnapshotTaken(id.index));
        } else {
            self.node.step(now, Input::SnapshotReceived(id));
        }
    }

    /// Reads a chunk for a follower.
    pub(super) fn read_snapshot(&mut self, now: Micros, to: Id, snapshot: EntryId, chunk: u64) {
        let is_new = self.outgoing.get(&to).is_none_or(|outgoing| outgoing.snapshot != snapshot);
        if is_new && chunk == 0 && snapshot.index == self.applied {
            info!(%to, %snapshot, "sends a snapshot");
            self.outgoing.insert(to, Outgoing::new(snapshot, self.state_machine.clone()));
        }
        let outgoing = self.outgoing.get_mut(&to).filter(|outgoing| outgoing.snapshot == snapshot);
        let max_bytes = self.limits.max_chunk_bytes().min(self.log_limits.max_chunk_bytes);
        let input = match outgoing.and_then(|outgoing| outgoing.read(chunk, max_bytes)) {
            Some((data, is_last)) => {
                Input::SnapshotChunk(SnapshotChunk { to, snapshot, chunk, is_last, data })
            }
            None => Input::SnapshotLost(to),
        };
        self.node.step(now, input);
    }

    /// Forgets what no follower needs any more.
    pub(super) fn forget_outgoing(&mut self) {
        for (to, mut outgoing) in std::mem::take(&mut self.outgoing) {
            match self.node.sends_snapshot(to) {
                Some((snapshot, chunks)) if snapshot == outgoing.snapshot => {
                    outgoing.received(chunks);
                    self.outgoing.insert(to, outgoing);
                }
                _ => self.state_machine.discard(outgoing.encoder.into_state()),
            }
        }
    }

    /// Takes a chunk from the leader.
    pub(super) fn receive_snapshot(
        &mut self,
        now: Micros,
        snapshot: EntryId,
        (chunk, is_last): (u64, bool),
        data: &[u8],
    ) {
        if chunk == 0 {
            self.forget_incoming(Index::MAX);
            let state = Reception::Arriving(Box::new(Decoder::new(self.state_machine.settings())));
            self.incoming = Some(Incoming { snapshot, state });
        }
        if let Err(malformed) = self.take_chunk(snapshot, is_last, data) {
            warn!(%snapshot, %malformed, "the leader's snapshot makes no sense");
            self.node.step(now, Input::SnapshotRefused(snapshot));
        }
    }

    fn take_chunk(&mut self, snapshot: EntryId, is_last: bool, data: &[u8]) -> Result<(), Malformed> {
        let Some(incoming) = self.incoming.take_if(|incoming| incoming.snapshot == snapshot) else {
            return Ok(());
        };
        let Reception::Arriving(mut decoder) = incoming.state else { return Ok(()) };
        decoder.push(data)?;
        let state = if is_last {
            let state = decoder.finish()?;
            self.out.push(Effect::SaveSnapshot(Snapshot { id: snapshot, state: state.clone() }.into()));
            Reception::Saving(Box::new(state))
        } else {
            Reception::Arriving(decoder)
        };
        self.incoming = Some(Incoming { snapshot, state });
        Ok(())
    }

    /// The snapshot that has arrived replaces the state machine.
    pub(super) fn install_snapshot(&mut self, now: Micros, snapshot: EntryId) {
        let incoming = self.incoming.take_if(|incoming| incoming.snapshot == snapshot);
        if let Some(Incoming { state: Reception::Saving(state), .. }) = incoming {
            info!(%snapshot, "installs a snapshot");
            let before = std::mem::replace(&mut self.state_machine, *state);
            self.state_machine.discard(before);
            self.applied = snapshot.index;
            self.snapshot_index = snapshot.index;
            self.installed = snapshot.index;
            self.snapshots_installed += 1;
            self.node.step(now, Input::SnapshotTaken(snapshot.index));
        }
    }

    /// Forgets a snapshot of the entries up to `index` or fewer that arrives: this replica has come as
    /// far meanwhile.
    pub(super) fn forget_incoming(&mut self, index: Index) {
        let incoming = self.incoming.take_if(|incoming| incoming.snapshot.index <= index);
        match incoming.map(|incoming| incoming.state) {
            Some(Reception::Arriving(decoder)) => self.state_machine.discard(decoder.give_up()),
            Some(Reception::Saving(state)) => self.state_machine.discard(*state),
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
