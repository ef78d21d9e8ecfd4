//! The board on which a pipeline shows its replica.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kvstore::dialect::Dialect;
use kvstore::pipeline::{self, Counts, Setup, StageFailed};
use kvstore::replica::Options;
use kvstore::storage::{self, Directory, Identity};
use kvstore::transport::{Hub, MemoryTransport, SEQPACKET_MAX_DATAGRAM, Transport};
use kvstore::view::{Board, View};
use tempfile::TempDir;

use crate::cluster::PATIENCE;
use crate::testkit::id;

/// A cluster of one with a directory, which shows itself.
struct Shown {
    hub: Hub,
    transport: Arc<MemoryTransport>,
    board: Board,
    thread: JoinHandle<Result<Counts, StageFailed>>,
    _directory: TempDir,
}

impl Shown {
    fn start() -> Self {
        let (hub, board, own) = (Hub::new(SEQPACKET_MAX_DATAGRAM), Board::default(), id(0));
        let transport = hub.attach(own);
        let directory = TempDir::new().expect("a directory");
        let identity = Identity { cluster: "test".into(), own, members: [own].into() };
        let files = Directory::create(directory.path()).expect("a new directory");
        let opened = storage::open(&files, &identity, &storage::Settings::default(), &mut |_, _| ());
        let setup = Setup {
            dialect: Dialect::of_simulators(own, &[]),
            transport: Arc::clone(&transport) as _,
            files: Some(opened.expect("it opens")),
            board: Some(board.clone()),
        };
        let thread = thread::spawn(move || pipeline::run_in(setup, &Options::new(own, Vec::new(), 1)));
        Self { hub, transport, board, thread, _directory: directory }
    }

    /// Waits until the board shows this.
    fn wait_for(&self, shows: impl Fn(&View) -> bool) -> Arc<View> {
        let began = Instant::now();
        loop {
            let view = self.board.view();
            if shows(&view) {
                return view;
            }
            assert!(began.elapsed() < PATIENCE, "{view:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn end(self) -> Counts {
        self.transport.stop();
        self.thread.join().expect("no panic").expect("no failure")
    }
}

#[test]
fn board_shows_the_replica_its_disk_and_what_it_has_rejected() {
    let shown = Shown::start();
    shown.wait_for(|view| view.leads && view.applied == 1);
    let put = r#"{"src":"0015","dst":"0000","leader":"FFFF","type":"put","MID":"m","key":"k","value":"v"}"#;
    assert!(shown.hub.deliver(id(0), put.as_bytes().to_vec()));
    assert!(shown.hub.deliver(id(0), b"garbage".to_vec()));
    let view = shown.wait_for(|view| view.keys == 1 && view.queues.rejected == 1);
    let disk = view.disk.clone().expect("it has a disk");
    assert!(disk.syncs > 0 && disk.records > 0 && disk.log_bytes > 0, "{disk:?}");
    assert!(disk.writes.total() > 0 && disk.writes.total() <= disk.records, "{disk:?}");
    assert_eq!((view.leader, view.elections_won, view.leader_changes), (Some(id(0)), 1, 1));
    let counts = shown.end();
    assert!(counts.disk.syncs >= disk.syncs);
}

#[test]
fn idle_replica_is_shown_again_and_again() {
    let shown = Shown::start();
    let first = shown.wait_for(|view| view.leads && view.applied == 1);
    let second = shown.wait_for(|view| view.at >= first.at + 500_000);
    assert_eq!(second.term, first.term);
    shown.end();
}
