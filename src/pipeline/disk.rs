//! The disk of a replica, as the consensus thread sees it: two more stages.
//!
//! * The **log writer** makes the changes of term, vote and log durable. It takes all that wait as
//!   one write and one sync, and reports the number of the last one. While the replica is idle it
//!   runs inline, after the messages of the batch have left: a hand-over would take as long as the
//!   sync. Under load, while a snapshot is saved, or when a sync has taken long, it is offloaded, and
//!   the consensus thread goes on meanwhile.
//! * The **snapshot writer** saves copies of the state machine. That takes seconds, so it is offloaded
//!   for each of them, and returns afterwards.
//!
//! The first error of either ends the pipeline: after a failed sync nobody knows the contents of a
//! file.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use raft::types::EntryId;

use super::StageFailed;
use super::counts::{Counts, DiskCounts};
use super::offload::{Capacity, Event, Offloadable, Port, Stage, Waited};
use crate::clock::BootTime;
use crate::micros::Micros;
use crate::replica::{Snapshot, memory_bytes};
use crate::replication::Persist;
use crate::state_machine::Remains;
use crate::state_machine::snapshot::Encoder;
use crate::storage::{self, Directory};
use crate::transport::Transport;
use crate::view::DiskView;

/// How many changes, and how many bytes of them, may wait for the log writer.
const MAX_WAITING_CHANGES: usize = 1_024;
const MAX_WAITING_BYTES: usize = 16 << 20;

/// How many bytes of changes may wait besides, before the replica takes in no more: its disk hangs,
/// and another one should lead.
const MAX_BACKLOG_BYTES: usize = 64 << 20;

/// A write that takes longer than this shows a slow disk: as long as many batches take.
const SLOW_US: Micros = 5_000;

/// How long the log writer stays offloaded after a slow write. A disk that hangs again and again so
/// stops the consensus thread once at most.
const OFFLOADED_US: Micros = 1_000_000;

/// How many bytes of a snapshot are encoded at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Between the steps in which a snapshot is freed: a million keys take two seconds.
const FREE_PAUSE: Duration = Duration::from_micros(200);

/// About how many bytes a change takes in memory besides its entries.
const PERSIST_BYTES: usize = 128;

/// A change for the log on disk.
#[derive(Debug)]
pub(super) enum Change {
    /// Make this durable.
    Persist(Persist),
    /// Free the space of the entries up to this one.
    Compact(EntryId),
}

impl Change {
    fn weight(&self) -> usize {
        match self {
            Self::Persist(persist) => PERSIST_BYTES + persist.entries.iter().map(memory_bytes).sum::<usize>(),
            Self::Compact(_) => 0,
        }
    }
}

/// News of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Every [`Persist`] up to this number is durable.
    Persisted(u64),
    /// This snapshot is durable.
    Saved(EntryId),
}

/// The stage that writes the log.
pub(super) struct LogWriter {
    log: storage::LogWriter<Directory>,
    waiting: Vec<Persist>,
    compact_to: Option<EntryId>, // after the changes that wait
}

impl LogWriter {
    pub(super) fn new(log: storage::LogWriter<Directory>) -> Self {
        Self { log, waiting: Vec::new(), compact_to: None }
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Persist(persist) => self.waiting.push(persist),
            Change::Compact(base) => self.compact_to = Some(base),
        }
    }

    /// Makes all changes that wait durable.
    fn write(&mut self) -> io::Result<Option<Written>> {
        let began = BootTime::now().as_micros();
        let number = self.waiting.last().map(|persist| persist.number);
        if number.is_some() {
            self.log.write(&self.waiting)?;
            self.waiting.clear();
        }
        if let Some(base) = self.compact_to.take() {
            self.log.compact(base.index)?;
        }
        let took_us = BootTime::now().as_micros() - began;
        if number.is_some() {
            self.log.counters().count_write(took_us);
        }
        Ok(number.map(|number| Written { number, is_slow: took_us > SLOW_US }))
    }
}

/// The end of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    number: u64, // of the last change that is durable
    is_slow: bool,
}

impl Stage for LogWriter {
    const NAME: &'static str = "log writer";

    const CAPACITY: Capacity = Capacity {
        inputs: MAX_WAITING_CHANGES,
        input_bytes: MAX_WAITING_BYTES,
        outputs: MAX_WAITING_CHANGES,
    };

    type Input = Change;

    type Output = Written;

    fn weight(change: &Change) -> usize {
        change.weight()
    }

    fn serve(&mut self, port: &mut Port<Self>) -> io::Result<()> {
        loop {
            if let Some(written) = self.write()?
                && !port.send(written)
            {
                return Ok(());
            }
            if port.take_inputs(None, |change| self.take(change)) == Waited::Recalled {
                return Ok(());
            }
        }
    }
}

/// The stage that saves snapshots.
pub(super) struct SnapshotWriter {
    snapshots: storage::Snapshots<Directory>,
    stops: Arc<AtomicBool>, // the replica ends, and needs no snapshot that is not saved yet
}

impl SnapshotWriter {
    pub(super) fn new(snapshots: storage::Snapshots<Directory>) -> Self {
        Self { snapshots, stops: Arc::default() }
    }

    /// Saves a snapshot, and returns its memory. `None` if the replica ended meanwhile.
    fn save(&mut self, Snapshot { id, state }: Snapshot) -> io::Result<Option<Remains>> {
        let mut encoder = Encoder::new(state);
        let mut unfinished = self.snapshots.begin(id)?;
        while let Some(chunk) = encoder.next_chunk(CHUNK_BYTES) {
            if self.stops.load(Ordering::Relaxed) {
                return Ok(None);
            }
            unfinished.push(&chunk)?;
        }
        self.snapshots.finish(unfinished)?;
        Ok(Some(encoder.into_state().into_remains()))
    }

    /// Frees the memory of a snapshot, so slowly that the other threads hardly wait for the
    /// allocator.
    fn free(&self, mut remains: Remains) {
        while remains.free_some() && !self.stops.load(Ordering::Relaxed) {
            thread::sleep(FREE_PAUSE);
        }
    }
}

impl Stage for SnapshotWriter {
    const NAME: &'static str = "snapshot writer";

    const CAPACITY: Capacity = Capacity { inputs: 1, input_bytes: usize::MAX, outputs: 1 };

    type Input = Box<Snapshot>;

    /// The last entry of a snapshot that is durable.
    type Output = EntryId;

    fn weight(_: &Box<Snapshot>) -> usize {
        0
    }

    fn serve(&mut self, port: &mut Port<Self>) -> io::Result<()> {
        let mut waiting = VecDeque::new();
        loop {
            if port.take_inputs(None, |snapshot| waiting.push_back(snapshot)) == Waited::Recalled {
                return Ok(());
            }
            for snapshot in waiting.drain(..) {
                let id = snapshot.id;
                let Some(remains) = self.save(*snapshot)? else { return Ok(()) };
                if !port.send(id) {
                    return Ok(());
                }
                self.free(remains);
            }
        }
    }
}

/// The two stages, and the work that they have not taken.
pub(super) struct Disk {
    log: Offloadable<LogWriter>,
    snapshots: Offloadable<SnapshotWriter>,
    transport: Arc<dyn Transport>, // an offloaded stage ends a wait for the network when it has news
    changes: VecDeque<Change>,
    changes_bytes: usize,
    unsaved: VecDeque<Box<Snapshot>>,
    stops: Arc<AtomicBool>, // shared with the snapshot writer
    counters: Arc<storage::Counters>,
    recall_at: Option<Micros>, // when the log writer may return after a slow write or a snapshot
}

impl Disk {
    pub(super) fn new(
        log: Offloadable<LogWriter>,
        snapshots: Offloadable<SnapshotWriter>,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let stops = snapshots.inline().map(|writer| Arc::clone(&writer.stops)).unwrap_or_default();
        let counters = log.inline().map(|writer| Arc::clone(writer.log.counters())).unwrap_or_default();
        let (changes, unsaved) = (VecDeque::new(), VecDeque::new());
        let (changes_bytes, recall_at) = (0, None);
        Self { log, snapshots, transport, changes, changes_bytes, unsaved, stops, counters, recall_at }
    }

    /// Takes over a change for the log.
    pub(super) fn change(&mut self, change: Change) {
        self.changes_bytes += change.weight();
        self.changes.push_back(change);
    }

    /// Takes over a snapshot to save.
    pub(super) fn save(&mut self, snapshot: Box<Snapshot>) {
        self.unsaved.push_back(snapshot);
    }

    /// Whether so much waits for the disk that the replica should take in no more.
    pub(super) fn is_behind(&self) -> bool {
        self.changes_bytes >= MAX_BACKLOG_BYTES
    }

    /// Its work so far.
    pub(super) fn view(&self) -> DiskView {
        let counters = &self.counters;
        let DiskCounts { syncs, records, log_bytes, other_bytes } = DiskCounts::from(&**counters);
        let (writes, sync_times) = (counters.writes(), counters.sync_times());
        DiskView { syncs, writes, sync_times, records, log_bytes, other_bytes }
    }

    /// How many changes, and how many bytes of them, the log writer has not taken.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.changes.len(), self.changes_bytes)
    }

    /// Hands over what waits. An inline log writer makes its part durable before this returns, and
    /// the number of the last change is returned.
    pub(super) fn write(&mut self) -> Result<Option<u64>, StageFailed> {
        if self.snapshots.is_inline()
            && let Some(snapshot) = self.unsaved.pop_front()
        {
            self.snapshots.offload(Some(self.transport.waker()));
            self.unsaved.extend(self.snapshots.hand_over(snapshot).err());
            self.snapshots.recall();
            // Its syncs make those of the log slow, perhaps slower than a leader may be silent.
            self.offload_until(BootTime::now().as_micros());
        }
        if self.changes.is_empty() {
            return Ok(None);
        }
        let changes = &mut self.changes;
        let inline = self.log.run_inline(|log| {
            changes.drain(..).for_each(|change| log.take(change));
            log.write()
        });
        if let Some(written) = inline {
            self.changes_bytes = 0;
            return Ok(written?.map(|written| self.note_written(written)));
        }
        while let Some(change) = self.changes.pop_front() {
            let bytes = change.weight();
            if let Err(refused) = self.log.hand_over(change) {
                self.changes.push_front(refused);
                break;
            }
            self.changes_bytes -= bytes;
        }
        Ok(None)
    }

    /// Takes the next news that are there. A stage that has failed has none.
    pub(super) fn news(&mut self) -> Option<News> {
        if let Some(written) = next_output(&mut self.log) {
            return Some(News::Persisted(self.note_written(written)));
        }
        next_output(&mut self.snapshots).map(News::Saved)
    }

    /// After a slow write the log writer is offloaded for a while. Returns the number of the last
    /// change that is durable.
    fn note_written(&mut self, Written { number, is_slow }: Written) -> u64 {
        if is_slow {
            self.offload_until(BootTime::now().as_micros() + OFFLOADED_US);
        }
        number
    }

    fn offload_until(&mut self, recall_at: Micros) {
        self.offload();
        self.recall_at = self.recall_at.max(Some(recall_at));
    }

    /// When [`recall`](Self::recall) is due although the replica is idle.
    pub(super) fn due(&self) -> Option<Micros> {
        self.recall_at.filter(|_| self.snapshots.is_inline())
    }

    /// The log writer, to wait for it.
    pub(super) fn log(&self) -> &Offloadable<LogWriter> {
        &self.log
    }

    /// Moves the log writer to its own thread.
    pub(super) fn offload(&mut self) {
        if self.log.is_inline() {
            self.log.offload(Some(self.transport.waker()));
        }
    }

    /// Takes the log writer back, unless a write was slow a moment ago or a snapshot is being saved.
    pub(super) fn recall(&mut self, now: Micros) {
        if self.snapshots.is_inline() && self.recall_at.is_none_or(|at| at <= now) {
            self.recall_at = None;
            self.log.recall();
        }
    }

    /// Makes durable what waits, and closes the log. A snapshot that is not saved is dropped.
    pub(super) fn end(self, counts: &mut Counts) -> io::Result<()> {
        self.stops.store(true, Ordering::Relaxed);
        let Some(mut writer) = self.log.into_stage() else { return Ok(()) };
        self.changes.into_iter().for_each(|change| writer.take(change));
        writer.write()?;
        writer.log.close()?;
        counts.disk = DiskCounts::from(&*self.counters);
        Ok(())
    }
}

/// The next output of a stage that is not inline, if it is there already.
fn next_output<S: Stage>(stage: &mut Offloadable<S>) -> Option<S::Output> {
    while !stage.is_inline() {
        match stage.try_next() {
            Event::Output(output) => return Some(output),
            Event::Returned | Event::Ended => {}
            Event::Nothing | Event::Gone => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests;
