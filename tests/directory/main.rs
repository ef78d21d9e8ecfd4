//! The directory of a replica as an operator meets it: good and bad ones, and their repair.

#[path = "../testkit/mount.rs"]
mod mount;
mod places;
mod refusals;
mod repair;
mod restore;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use kvstore::replication::{Entry, Payload, Persist};
use kvstore::storage::{Directory, Identity, Settings, open};
use raft::id::Id;
use raft::types::HardState;

/// The name of the cluster of [`identity`].
const CLUSTER: &str = "test";

fn identity() -> Identity {
    let id = |number| Id::new(number).expect("not reserved");
    Identity { cluster: CLUSTER.into(), own: id(0), members: (0..3).map(id).collect() }
}

/// Makes the directory of a replica with three entries, each of its own batch.
fn make(path: &Path) {
    let files = Directory::create(path).expect("writable");
    let settings = Settings { segment_bytes: 1 << 16, ..Settings::default() };
    let mut log = open(&files, &identity(), &settings, &mut |_, _| {}).expect("empty").log;
    for index in 1..=3 {
        let hard_state = HardState { current_term: 7, voted_for: Id::new(2) };
        let entries = vec![Entry { index, term: 7, payload: Payload::Noop }];
        log.write(&[Persist { number: index, hard_state, base: None, first_index: index, entries }])
            .expect("writable");
    }
    log.close().expect("writable");
}

/// The program, without the directory and the cluster that the environment of the tests may name.
fn kvstore() -> Command {
    let mut command = Command::new(cargo_bin!("kvstore"));
    command.env_remove("KVSTORE_DATA_DIR").env_remove("KVSTORE_CLUSTER").stdin(Stdio::null());
    command
}

/// The end of a process.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The names and contents of all files of a directory.
fn contents(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).expect("readable").map(|entry| entry.expect("readable"));
    let content = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("UTF-8");
        (name, fs::read(entry.path()).expect("readable"))
    };
    entries.map(content).collect()
}
