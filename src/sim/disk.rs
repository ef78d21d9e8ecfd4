//! A disk, as far as a crash can tell. It has a log and a snapshot.
//!
//! A crash keeps every change of the log that was written and synced. Of the changes that were
//! written and not synced it keeps some prefix, perhaps none. Of a snapshot that is being saved it
//! keeps all or nothing ([`snapshots`]).
//!
//! A replica that starts merges both: a log that lacks the snapshot's last entry begins anew behind
//! the snapshot. It refuses to start if it can't read a part of either, or if entries between both
//! are missing.

mod snapshots;

use std::collections::VecDeque;
use std::fmt;

use fastrand::Rng;
use raft::types::{EntryId, HardState, Index, Term};

use crate::micros::Micros;
use crate::replica::{Saved, Snapshot};
use crate::replication::{Persist, PersistentState};

use snapshots::Snapshots;

/// One replica's disk.
#[derive(Debug, Default)]
pub struct Disk {
    log: PersistentState, // without the changes that a crash may lose
    snapshots: Snapshots,
    damaged: Option<Refusal>, // the part that can't be read, as the next start finds it
    written: VecDeque<Change>, // not synced yet, oldest first
    syncing: usize,           // how many of these the current sync covers
    syncs: u64,               // how many syncs were started
    troubles: Vec<Trouble>,   // of the current faults
    slowness_us: Vec<Micros>, // of the current faults
    skips_failed: bool,       // whether the disk goes on after a sync that failed
}

/// A change of the log.
#[derive(Debug)]
pub enum Change {
    /// Term, vote and entries.
    Persist(Persist),
    /// The log loses the entries up to this one, which a snapshot covers.
    Compact(EntryId),
}

/// A reason why an operation of a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The disk has no space: each write fails.
    Full,
    /// Each write fails.
    Write,
    /// Each sync fails, and the changes under it may be lost.
    Sync,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::Write => "a write has failed",
            Self::Sync => "a sync has failed",
        })
    }
}

/// The error of a write or a sync: the process must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub Trouble);

/// A reason why a replica does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A record of the log can't be read.
    DamagedEntry(Index),
    /// The snapshot can't be read.
    DamagedSnapshot(EntryId),
    /// The log begins after an entry that is behind the snapshot's last one.
    Gap {
        /// The last entry that the snapshot covers.
        snapshot: EntryId,
        /// The entry before the first one of the log.
        base: EntryId,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedEntry(index) => write!(f, "entry {index} of the log is damaged"),
            Self::DamagedSnapshot(id) => write!(f, "the snapshot {id} is damaged"),
            Self::Gap { snapshot, base } => {
                write!(f, "the snapshot ends with {snapshot} and the log begins after {base}")
            }
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changes lost: {}", self.lost)?;
        if self.torn {
            write!(f, ", one of them in part")?;
        }
        if self.lost_snapshot {
            write!(f, "; a snapshot lost")?;
        }
        Ok(())
    }
}

/// The damage that a crash did to a disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    /// The number of changes that were written and are lost.
    pub lost: usize,
    /// Whether one of them was cut in the middle.
    pub torn: bool,
    /// Whether a snapshot is lost that was being saved.
    pub lost_snapshot: bool,
}

/// The operations in progress that the end of a fault ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// The current sync of the log.
    pub sync: bool,
    /// The current stage of a snapshot.
    pub saving: bool,
}

impl Disk {
    /// Term and vote that every crash keeps.
    pub fn hard_state(&self) -> HardState {
        self.log.hard_state
    }

    /// The log that every crash keeps, before a start merges it with the snapshot.
    pub fn log(&self) -> &PersistentState {
        &self.log
    }

    /// The last entry of the snapshot that every crash keeps; 0@0 without one.
    pub fn snapshot(&self) -> EntryId {
        self.snapshots.kept()
    }

    /// Whether a start would begin the log anew behind the snapshot.
    fn is_log_replaced(&self) -> bool {
        self.snapshot().index > self.log.base.index && !self.log.contains(self.snapshot())
    }

    /// The term of the entry at `index` in the log that a start would find after any crash.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let is_replaced = self.is_log_replaced();
        let base = if is_replaced { self.snapshot() } else { self.log.base };
        if index == base.index {
            return Some(base.term);
        }
        self.log.get(index).filter(|_| !is_replaced).map(|entry| entry.term)
    }

    /// Whether a snapshot that every crash keeps covers the entry at `index`.
    pub fn covers(&self, index: Index) -> bool {
        index <= self.snapshot().index
    }

    /// The state with which a replica starts. The merged log is on disk before the replica runs.
    ///
    /// # Errors
    ///
    /// The reason why the replica must not start.
    pub fn recover(&mut self) -> Result<Saved, Refusal> {
        let (snapshot, base) = (self.snapshot(), self.log.base);
        if let Some(refusal) = self.damaged {
            return Err(refusal);
        }
        if base.index > snapshot.index {
            return Err(Refusal::Gap { snapshot, base });
        }
        self.log.install(snapshot);
        Ok(Saved { persistent: self.log.clone(), state_machine: self.snapshots.state().cloned() })
    }

    /// The memory of a replica without a disk has this state: the log begins after `base`.
    pub fn mirror(&mut self, persist: Option<Persist>, base: EntryId) {
        if let Some(persist) = persist {
            self.syncs = persist.number;
            persist.apply_to(&mut self.log);
        }
        self.snapshots.cover(base);
    }

    /// The memory of a replica without a disk keeps the entries after `base` only.
    pub fn forget_up_to(&mut self, base: EntryId) {
        self.log.compact(base);
    }

    /// Takes a change. Returns true if a sync must be started for it. Otherwise a sync is in
    /// progress, and the next one covers the change.
    ///
    /// # Errors
    ///
    /// The write failed. A part of it may be on the disk.
    pub fn write(&mut self, change: Change) -> Result<bool, Failed> {
        self.written.push_back(change);
        self.check_write()?;
        Ok(self.start_sync())
    }

    /// Takes a snapshot that is to be saved after those that wait. Returns true if its first stage
    /// begins.
    ///
    /// # Errors
    ///
    /// The write failed.
    pub fn save(&mut self, snapshot: Snapshot) -> Result<bool, Failed> {
        self.check_write()?;
        Ok(self.snapshots.push(snapshot))
    }

    fn check_write(&self) -> Result<(), Failed> {
        let fails = |trouble: &&Trouble| **trouble != Trouble::Sync;
        self.troubles.iter().find(fails).map_or(Ok(()), |&trouble| Err(Failed(trouble)))
    }

    fn check_sync(&self) -> Result<(), Failed> {
        if self.troubles.contains(&Trouble::Sync) { Err(Failed(Trouble::Sync)) } else { Ok(()) }
    }

    /// The number of the current sync, or else of the last one.
    pub fn sync_number(&self) -> u64 {
        self.syncs
    }

    /// The snapshots, and how far they are.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// The least time of a sync, in microseconds.
    pub fn slowness_us(&self) -> Micros {
        self.slowness_us.iter().copied().max().unwrap_or(0)
    }

    /// A fault begins that makes each sync take at least so many microseconds.
    pub fn slow_down(&mut self, least_us: Micros) {
        self.slowness_us.push(least_us);
    }

    /// The fault ends. The operations that it may have slowed down end, too, and have other numbers
    /// from now on.
    pub fn speed_up(&mut self, least_us: Micros) -> Freed {
        if let Some(position) = self.slowness_us.iter().position(|&slow| slow == least_us) {
            self.slowness_us.swap_remove(position);
        }
        if self.slowness_us.is_empty() { self.free() } else { Freed::default() }
    }

    /// A fault begins that lets operations fail.
    pub fn begin_trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }

    /// The fault ends.
    pub fn end_trouble(&mut self, trouble: Trouble) {
        if let Some(position) = self.troubles.iter().position(|&other| other == trouble) {
            self.troubles.swap_remove(position);
        }
    }

    /// Every fault ends, as in [`speed_up`](Self::speed_up). Damage stays.
    pub fn heal(&mut self) -> Freed {
        let was_slow = !self.slowness_us.is_empty();
        self.slowness_us.clear();
        self.troubles.clear();
        if was_slow { self.free() } else { Freed::default() }
    }

    fn free(&mut self) -> Freed {
        let sync = self.syncing > 0;
        self.syncs += u64::from(sync);
        Freed { sync, saving: self.snapshots.renumber() }
    }

    fn start_sync(&mut self) -> bool {
        let starts = self.syncing == 0 && !self.written.is_empty();
        if starts {
            self.syncing = self.written.len();
            self.syncs += 1;
        }
        starts
    }

    /// A sync has ended. Returns the number of the last change that it covered, if it covered one
    /// that has a number, and whether another sync starts.
    ///
    /// # Errors
    ///
    /// The sync failed. Any part of the changes that it covers may be lost.
    pub fn synced(&mut self) -> Result<(Option<u64>, bool), Failed> {
        self.check_sync()?;
        let number = self.end_sync();
        Ok((number, self.start_sync()))
    }

    fn end_sync(&mut self) -> Option<u64> {
        let mut number = None;
        for change in self.written.drain(..std::mem::take(&mut self.syncing)) {
            number = change.number().or(number);
            if !self.skips_failed {
                change.apply_to(&mut self.log);
            }
        }
        number
    }

    /// For a bug that takes a failed sync for a good one: the changes under it, and all after them,
    /// are lost in the next crash. Returns as [`synced`](Self::synced).
    pub fn ignore_failed_sync(&mut self) -> (Option<u64>, bool) {
        self.skips_failed = true;
        let number = self.end_sync();
        (number, self.start_sync())
    }

    /// The current stage of a snapshot has ended. Returns the snapshot that is saved now, if one is.
    ///
    /// # Errors
    ///
    /// A write or a sync failed.
    pub fn advance_snapshot(&mut self) -> Result<Option<EntryId>, Failed> {
        self.check_write().and_then(|()| self.check_sync())?;
        Ok(self.snapshots.advance())
    }

    /// The power fails. The disk has processed some prefix of its writes, in their order. A change
    /// consists of its term and vote, then its cut of the log, then one entry after the other.
    pub fn crash(&mut self, rng: &mut Rng) -> Damage {
        self.syncing = 0;
        let keeps = !std::mem::take(&mut self.skips_failed);
        let survive = rng.usize(0..=if keeps { self.written.len() } else { 0 });
        for change in self.written.drain(..survive) {
            change.apply_to(&mut self.log);
        }
        let torn = rng.bool() && keeps && !self.written.is_empty();
        if let Some(change) = self.written.pop_front().filter(|_| torn) {
            change.tear(&mut self.log, rng);
        }
        let lost = self.written.len() + usize::from(torn);
        self.written.clear();
        Damage { lost, torn, lost_snapshot: self.snapshots.crash(rng) }
    }

    /// A sector of the disk goes bad while the replica is down. Without a log and a snapshot there
    /// is no damage.
    pub fn damage(&mut self, rng: &mut Rng) {
        let (base, last) = (self.log.base.index, self.log.last().index);
        let entry = rng.u64(base..=last);
        let is_snapshot = self.snapshot().index > 0 && rng.bool();
        if is_snapshot {
            self.damaged = Some(Refusal::DamagedSnapshot(self.snapshot()));
        } else if last > base {
            self.damaged = Some(Refusal::DamagedEntry(entry.max(base + 1)));
        }
    }
}

impl Change {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Persist(persist) => Some(persist.number),
            Self::Compact(_) => None,
        }
    }

    fn apply_to(self, log: &mut PersistentState) {
        match self {
            Self::Persist(persist) => persist.apply_to(log),
            Self::Compact(base) => log.compact(base),
        }
    }

    /// A part of the change reaches the disk.
    fn tear(self, log: &mut PersistentState, rng: &mut Rng) {
        let Self::Persist(mut persist) = self else { return };
        log.hard_state = persist.hard_state;
        if rng.bool() {
            persist.entries.truncate(rng.usize(0..=persist.entries.len()));
            persist.apply_to(log);
        }
    }
}

#[cfg(test)]
mod tests;
