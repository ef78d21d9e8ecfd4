//! The snapshot of a disk, and the next ones. A snapshot is saved in two stages, each with a sync
//! at its end. First it is written to a temporary file. Then this file gets the name of the
//! snapshot, which replaces the earlier one, and the directory is synced.
//!
//! ```text
//! stage         a crash keeps
//! writing       the earlier snapshot
//! renamed       either one
//! saved         the new snapshot
//! ```

use std::collections::VecDeque;

use fastrand::Rng;
use raft::types::EntryId;

use crate::replica::Snapshot;
use crate::state_machine::StateMachine;

/// The snapshots of a disk.
#[derive(Debug, Default)]
pub struct Snapshots {
    kept: EntryId,               // the last entry of the one that every crash keeps; 0@0 without one
    state: Option<StateMachine>, // of that one; none for the memory of a replica without a disk
    waiting: VecDeque<Snapshot>, // the first one is being saved
    is_renamed: bool,            // whether the first one has the name of the snapshot
    stages: u64,                 // how many stages were started
}

impl Snapshots {
    pub(super) fn kept(&self) -> EntryId {
        self.kept
    }

    pub(super) fn state(&self) -> Option<&StateMachine> {
        self.state.as_ref()
    }

    /// The number of the current stage, or else of the last one.
    pub fn stage_number(&self) -> u64 {
        self.stages
    }

    /// The snapshot that is being saved, and whether it is renamed.
    pub fn current(&self) -> Option<(&Snapshot, bool)> {
        self.waiting.front().map(|snapshot| (snapshot, self.is_renamed))
    }

    /// Memory covers the entries up to this one.
    pub(super) fn cover(&mut self, id: EntryId) {
        if id.index > self.kept.index {
            self.kept = id;
        }
    }

    /// Adds a snapshot. Returns true if its first stage begins.
    pub(super) fn push(&mut self, snapshot: Snapshot) -> bool {
        self.waiting.push_back(snapshot);
        let begins = self.waiting.len() == 1;
        self.stages += u64::from(begins);
        begins
    }

    /// Gives the current stage another number. Returns whether there is one.
    pub(super) fn renumber(&mut self) -> bool {
        self.stages += u64::from(!self.waiting.is_empty());
        !self.waiting.is_empty()
    }

    /// The current stage has ended, and the next one begins, if a snapshot waits. Returns the
    /// snapshot that is saved now, if one is.
    pub(super) fn advance(&mut self) -> Option<EntryId> {
        self.stages += 1;
        self.is_renamed = !self.is_renamed;
        if self.is_renamed {
            return None;
        }
        let snapshot = self.waiting.pop_front()?;
        let id = snapshot.id;
        self.keep(snapshot);
        Some(id)
    }

    /// A snapshot that covers less than the present one does not replace it.
    fn keep(&mut self, snapshot: Snapshot) {
        if snapshot.id.index > self.kept.index {
            (self.kept, self.state) = (snapshot.id, Some(snapshot.state));
        }
    }

    /// The power fails. Returns whether a snapshot is lost.
    pub(super) fn crash(&mut self, rng: &mut Rng) -> bool {
        let survives = std::mem::take(&mut self.is_renamed) && rng.bool();
        let first = self.waiting.pop_front();
        self.waiting.clear();
        match first {
            Some(snapshot) if survives => self.keep(snapshot),
            first => return first.is_some(),
        }
        false
    }
}
