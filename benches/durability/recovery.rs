//! How long a replica takes to start from its disk.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use crate::clients::Clients;
use crate::logs;
use crate::network::Network;
use crate::place::{Place, size_of};
use crate::processes::{PROGRAM, Process, replica};

const LOG_BYTES: u64 = 500_000_000;
const KEYS: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(120);

pub fn print(place: &Place) {
    println!("\nStart from a disk, without help of the system's cache, until the replica answers");
    let directory = place.part("log");
    let (bytes, entries) = logs::write_log(&directory.join("data-0000"), LOG_BYTES);
    let took = start(&directory).as_secs_f64();
    let gb = bytes as f64 / 1e9;
    println!("log of {gb:.2} GB, {entries} puts: {took:.2} s, {:.2} s per GB", took / gb);
    std::fs::remove_dir_all(directory).expect("it is there");

    let directory = place.part("snapshot");
    let data = directory.join("data-0000");
    logs::write_snapshot(&data, KEYS);
    let mb = size_of(&data) as f64 / 1e6;
    let took = start(&directory).as_secs_f64();
    println!("snapshot of {KEYS} keys, {mb:.0} MB with the log's files: {took:.2} s");
}

/// Starts the replica of this directory, and returns how long it took until it answered a client.
fn start(directory: &Path) -> Duration {
    forget(&directory.join("data-0000"));
    let mut network = Network::default();
    let place = network.add_cluster();
    // No snapshot is taken meanwhile, however long the log is.
    let command = replica(Path::new(PROGRAM), 0, true, &["--snapshot-after", "1048576"]);
    let begun = Instant::now();
    let (_process, fd) = Process::start(command, directory, 0);
    network.connect(place, 0, Some(fd));
    let mut clients = Clients::new(place);
    clients.put_in_vain(&mut network);
    assert!(network.next_answer(PATIENCE).is_some(), "an answer");
    begun.elapsed()
}

/// Lets the system forget what it has read and written of these files.
fn forget(directory: &Path) {
    for file in std::fs::read_dir(directory).expect("it exists") {
        let file = std::fs::File::open(file.expect("readable").path()).expect("it opens");
        file.sync_all().expect("it is synced");
        fadvise(&file, 0, None, Advice::DontNeed).expect("the system takes advice");
    }
}
