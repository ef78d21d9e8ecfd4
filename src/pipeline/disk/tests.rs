//! The two stages on a real directory. A slow disk is played by the note of a slow write.

use std::thread::JoinHandle;
use std::time::Duration;

use raft::types::HardState;
use tempfile::TempDir;

use super::*;
use crate::pipeline::offload::Worker;
use crate::replication::{Entry, Payload, PersistentState};
use crate::state_machine::{Settings, StateMachine};
use crate::storage::{Identity, Opened};
use crate::testkit::id;
use crate::transport::{Hub, Received};

/// Only a test that fails waits so long.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A disk, and the threads of its stages.
struct Script {
    disk: Disk,
    threads: [JoinHandle<io::Result<()>>; 2],
    transport: Arc<dyn Transport>,
    directory: TempDir,
}

fn open(directory: &TempDir) -> Opened<Directory> {
    let identity = Identity { cluster: "test".into(), own: id(0), members: [id(0), id(1)].into() };
    let files = Directory::create(directory.path()).expect("a new directory");
    storage::open(&files, &identity, &storage::Settings::default(), &mut |_, _| ()).expect("it opens")
}

fn run<S: Stage>(worker: Worker<S>) -> JoinHandle<io::Result<()>> {
    std::thread::spawn(|| worker.run())
}

impl Script {
    fn start() -> Self {
        let directory = TempDir::new().expect("a directory");
        let transport: Arc<dyn Transport> = Hub::new(100).attach(id(0));
        let Opened { log, snapshots, .. } = open(&directory);
        let (log, log_worker) = Offloadable::new(LogWriter::new(log));
        let (snapshots, snapshots_worker) = Offloadable::new(SnapshotWriter::new(snapshots));
        let disk = Disk::new(log, snapshots, Arc::clone(&transport));
        Self { disk, threads: [run(log_worker), run(snapshots_worker)], transport, directory }
    }

    /// Waits as an idle consensus thread does, batch by batch, until the disk has news.
    fn next_news(&mut self) -> News {
        loop {
            if let Some(news) = self.disk.news() {
                return news;
            }
            assert_eq!(self.disk.write().expect("it works"), None, "nothing waits but snapshots");
            let until = BootTime::now() + TEST_TIMEOUT;
            assert_eq!(self.transport.receive(&mut [], Some(until)).expect("no error"), Received::Woken);
        }
    }

    /// Ends the disk, and returns the state that its directory has.
    fn end(self) -> PersistentState {
        self.end_with_counts().0
    }

    /// The same with the counts of the disk.
    fn end_with_counts(self) -> (PersistentState, DiskCounts) {
        let mut counts = Counts::default();
        self.disk.end(&mut counts).expect("the disk works");
        for thread in self.threads {
            thread.join().expect("no panic").expect("no failure");
        }
        (open(&self.directory).state, counts.disk)
    }
}

/// A change that adds entry `number` of term 1.
fn entry(number: u64) -> Change {
    let hard_state = HardState { current_term: 1, voted_for: None };
    let entries = vec![Entry { index: number, term: 1, payload: Payload::Noop }];
    Change::Persist(Persist { number, hard_state, base: None, first_index: number, entries })
}

#[test]
fn inline_log_writer_makes_all_changes_durable_before_it_returns() {
    let mut script = Script::start();
    assert_eq!(script.disk.write().expect("it works"), None);
    (1..=3).for_each(|number| script.disk.change(entry(number)));
    assert_eq!(script.disk.write().expect("it works"), Some(3));
    assert_eq!(script.disk.news(), None);
    assert_eq!(script.end().entries.len(), 3);
}

#[test]
fn changes_that_are_written_together_cost_one_record_and_one_sync() {
    let mut script = Script::start();
    (1..=9).for_each(|number| script.disk.change(entry(number)));
    assert_eq!(script.disk.write().expect("it works"), Some(9));
    let (_, counts) = script.end_with_counts();
    assert_eq!((counts.records, counts.syncs), (1, 1));
    assert!(counts.log_bytes > 0, "{counts:?}");
}

#[test]
fn offloaded_log_writer_reports_what_is_durable_and_wakes_the_consensus_thread() {
    let mut script = Script::start();
    script.disk.offload();
    for number in 1..=20 {
        script.disk.change(entry(number));
        assert_eq!(script.disk.write().expect("it works"), None);
    }
    while script.next_news() != News::Persisted(20) {}
    script.disk.recall(0);
    assert_eq!(script.end().entries.len(), 20);
}

#[test]
fn log_writer_is_offloaded_for_a_while_after_a_slow_write() {
    let mut script = Script::start();
    assert_eq!(script.disk.note_written(Written { number: 7, is_slow: false }), 7);
    assert!(script.disk.log.is_inline());
    assert_eq!(script.disk.note_written(Written { number: 8, is_slow: true }), 8);
    assert!(!script.disk.log.is_inline());
    let due = script.disk.due().expect("it may return");
    script.disk.recall(due - 1);
    assert!(!script.disk.log.is_recalled());
    script.disk.recall(due);
    assert!(script.disk.log.is_recalled() && script.disk.due().is_none());
    script.end();
}

#[test]
fn changes_that_wait_when_the_replica_stops_become_durable() {
    let mut script = Script::start();
    script.disk.offload();
    script.disk.change(entry(1));
    assert_eq!(script.disk.write().expect("it works"), None);
    script.disk.change(entry(2));
    assert_eq!(script.end().entries.len(), 2);
}

/// An empty state as a snapshot that ends with entry `index`.
fn snapshot(index: u64) -> Box<Snapshot> {
    let (id, state) = (EntryId { index, term: 1 }, StateMachine::new(Settings::default()));
    Box::new(Snapshot { id, state })
}

#[test]
fn log_writer_is_offloaded_while_a_snapshot_is_saved() {
    let mut script = Script::start();
    script.disk.save(snapshot(4));
    assert_eq!(script.disk.write().expect("it works"), None);
    assert!(!script.disk.log.is_inline() && script.disk.due().is_none());
    script.disk.recall(Micros::MAX);
    assert!(!script.disk.log.is_recalled(), "the snapshot is being saved");
    assert_eq!(script.next_news(), News::Saved(EntryId { index: 4, term: 1 }));
    while script.disk.due().is_none() {
        assert_eq!(script.disk.news(), None, "the snapshot writer returns");
    }
    script.disk.recall(Micros::MAX);
    assert!(script.disk.log.is_recalled());
    script.end();
}

#[test]
fn snapshots_are_saved_one_after_the_other_and_the_log_is_cut_behind_them() {
    let mut script = Script::start();
    (1..=9).for_each(|number| script.disk.change(entry(number)));
    assert_eq!(script.disk.write().expect("it works"), Some(9));
    for index in [4, 8] {
        script.disk.save(snapshot(index));
    }
    for index in [4, 8] {
        let id = EntryId { index, term: 1 };
        assert_eq!(script.next_news(), News::Saved(id));
        script.disk.change(Change::Compact(id));
        assert_eq!(script.disk.write().expect("it works"), None);
    }
    let state = script.end();
    assert_eq!(
        (state.snapshot, state.last()),
        (EntryId { index: 8, term: 1 }, EntryId { index: 9, term: 1 })
    );
}
