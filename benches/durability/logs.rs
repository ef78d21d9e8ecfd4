//! Directories of replicas that the bench writes itself, with the replica's own storage.

use std::path::Path;

use kvstore::replication::{Entry, Persist};
use kvstore::state_machine::snapshot::Encoder;
use kvstore::state_machine::{self, StateMachine};
use kvstore::storage::{self, Directory, Identity, Opened, Settings};
use raft::types::{EntryId, HardState};

use crate::clients::VALUE_BYTES;
use crate::network::{FIRST_CLIENT, REPLICAS};
use crate::testkit::{self, id, proposal};

/// How many entries share a record. Each record costs a sync.
const BATCH: u64 = 1_024;
/// The bytes of a snapshot's chunks.
const CHUNK_BYTES: usize = 256 << 10;
const TERM: u64 = 1;

/// The directory of replica 0000 of three.
fn open(path: &Path) -> Opened<Directory> {
    let directory = Directory::create(path).expect("a directory");
    let members = (0..REPLICAS).map(id).collect();
    let identity = Identity { cluster: "kvstore".to_owned(), own: id(0), members };
    storage::open(&directory, &identity, &Settings::default(), &mut |_, _| {}).expect("a new directory")
}

/// The put with this index, like those of the clients.
fn entry(index: u64) -> Entry {
    let (name, key) = (format!("{index:032X}"), format!("{index:032X}"));
    let client = id(FIRST_CLIENT + (index % 64) as u16);
    testkit::entry(index, TERM, proposal(client, name, key, "v".repeat(VALUE_BYTES)))
}

fn persist(number: u64, first_index: u64, entries: Vec<Entry>) -> Persist {
    let hard_state = HardState { current_term: TERM, voted_for: Some(id(0)) };
    Persist { number, hard_state, base: None, first_index, entries }
}

/// The bytes of a record with so many puts.
pub fn record_bytes(path: &Path, puts: u64) -> usize {
    let mut log = open(path).log;
    log.write(&[persist(1, 1, vec![entry(1)])]).expect("it is written"); // with term and vote
    let before = log.counters().log_bytes();
    log.write(&[persist(2, 2, (2..2 + puts).map(entry).collect())]).expect("it is written");
    (log.counters().log_bytes() - before) as usize
}

/// Writes a log of so many bytes of records, and returns its bytes and how many entries it has.
pub fn write_log(path: &Path, bytes: u64) -> (u64, u64) {
    let mut log = open(path).log;
    let (mut number, mut last) = (0, 0);
    while log.counters().log_bytes() < bytes {
        let entries = (last + 1..=last + BATCH).map(entry).collect();
        number += 1;
        log.write(&[persist(number, last + 1, entries)]).expect("it is written");
        last += BATCH;
    }
    let written = log.counters().log_bytes();
    log.close().expect("it is closed");
    (written, last)
}

/// Saves a snapshot of so many keys, with a log that begins behind it.
pub fn write_snapshot(path: &Path, keys: u64) {
    let Opened { mut log, mut snapshots, .. } = open(path);
    let mut state = StateMachine::new(state_machine::Settings::default());
    for index in 1..=keys {
        if let raft::types::Payload::Command(proposal) = entry(index).payload {
            state.apply(index, &proposal);
        }
    }
    let last = EntryId { index: keys, term: TERM };
    let mut encoder = Encoder::new(state);
    snapshots.save(last, || encoder.next_chunk(CHUNK_BYTES)).expect("it is saved");
    let begin = Persist { base: Some(last), ..persist(1, keys + 1, Vec::new()) };
    log.write(&[begin]).expect("it is written");
    log.close().expect("it is closed");
}
