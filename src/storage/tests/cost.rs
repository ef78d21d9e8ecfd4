//! The cost of the storage on the disk of this machine. Run with `cargo test --release --lib
//! storage::tests::cost -- --ignored --nocapture --test-threads 1`.

use std::time::{Duration, Instant};

use super::model::{entry, identity};
use crate::replication::Persist;
use crate::storage::{Directory, Settings, open};

/// Entries of a batch, and the bytes of their values.
const BATCH: u64 = 64;
const VALUE_BYTES: usize = 160;

fn batch(first_index: u64, entries: u64) -> Persist {
    let entries = (first_index..first_index + entries).map(|index| entry(index, 1, VALUE_BYTES)).collect();
    Persist { number: first_index, hard_state: Default::default(), base: None, first_index, entries }
}

fn at(sorted: &[Duration], share: f64) -> u128 {
    sorted[((sorted.len() - 1) as f64 * share) as usize].as_micros()
}

#[test]
#[ignore = "measures"]
fn write_and_sync_of_a_batch() {
    let directory = tempfile::tempdir_in(".").expect("a directory");
    let files = Directory::create(directory.path()).expect("writable");
    let mut log = open(&files, &identity(), &Settings::default(), &mut |_, _| {}).expect("ours").log;
    let mut times = Vec::new();
    let mut index = 1;
    for _ in 0..20_000 {
        let persist = batch(index, BATCH);
        index += BATCH;
        let start = Instant::now();
        log.write(&[persist]).expect("the disk works");
        times.push(start.elapsed());
        if index % (BATCH * 2_000) == 1 {
            log.compact(index - 1_000).expect("the disk works");
        }
    }
    times.sort_unstable();
    let counters = log.counters();
    println!(
        "{BATCH} entries: {} bytes per record, {} syncs, p50 {} us, p90 {} us, p99 {} us, p99.9 {} us, most {} us, \
         other bytes {}",
        counters.log_bytes() / counters.records(),
        counters.syncs(),
        at(&times, 0.5),
        at(&times, 0.9),
        at(&times, 0.99),
        at(&times, 0.999),
        at(&times, 1.0),
        counters.other_bytes(),
    );
}

#[test]
#[ignore = "measures"]
fn recovery_of_a_gigabyte() {
    let directory = tempfile::tempdir_in(".").expect("a directory");
    let files = Directory::create(directory.path()).expect("writable");
    let mut log = open(&files, &identity(), &Settings::default(), &mut |_, _| {}).expect("ours").log;
    let mut index = 1;
    while log.counters().log_bytes() < 1 << 30 {
        log.write(&[batch(index, 4_096)]).expect("the disk works");
        index += 4_096;
    }
    log.close().expect("the disk works");
    let start = Instant::now();
    let opened = open(&files, &identity(), &Settings::default(), &mut |_, _| {}).expect("ours");
    println!("{} entries, 1 GiB: {:.2} s", opened.state.entries.len(), start.elapsed().as_secs_f64());
}
