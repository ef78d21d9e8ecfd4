//! Directories that a replica refuses: it says why in one line, and changes nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use kvstore::storage::{Directory, Settings, open};
use raft::types::EntryId;

use crate::{CLUSTER, contents, ended, identity, kvstore, make};

/// Replica 0000 of the cluster of [`identity`] with this directory.
fn replica(path: &Path) -> Command {
    let mut command = kvstore();
    command.args(["--transport", "seqpacket", "--cluster", CLUSTER, "--data-dir"]).arg(path);
    command
}

/// Starts the replica in the place of all words. It must refuse the directory with this code and a
/// line with all these parts, and leave each file as it is.
#[track_caller]
fn assert_refusal(path: &Path, command: &mut Command, code: i32, parts: &[&str]) {
    let before = contents(path);
    let ended = ended(command);
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("kvstore: "), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
    }
    let after = contents(path);
    assert!(before.keys().eq(after.keys()), "{:?} became {:?}", before.keys(), after.keys());
    assert!(before == after, "a file has changed");
}

const OWN: [&str; 3] = ["0000", "0001", "0002"];

#[test]
fn directory_of_another_replica_or_cluster_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    make(path);
    let cases: [(&[&str], &str); 4] = [
        (&["0001", "0000", "0002"], "belongs to replica 0000, not to 0001"),
        (&["0000", "0001", "0002", "0003", "0004"], r#""test" of 0000 0001 0002, not to "test" of 0000"#),
        (&["0000", "0001", "0003"], "0000 0001 0002, not to \"test\" of 0000 0001 0003"),
        (&["0003", "0001", "0002"], "0000 0001 0002, not to \"test\" of 0001 0002 0003"),
    ];
    for (ids, part) in cases {
        assert_refusal(path, replica(path).args(ids), 2, &[part]);
    }
    let other = r#"belongs to cluster "test" of 0000 0001 0002, not to "other" of 0000 0001 0002"#;
    let by_option = &mut kvstore();
    by_option.args(["--cluster", "other"]).arg("--data-dir").arg(path).args(OWN);
    assert_refusal(path, by_option, 2, &[other]);
    let by_environment = &mut kvstore();
    by_environment.env("KVSTORE_CLUSTER", "other").env("KVSTORE_DATA_DIR", path).args(OWN);
    assert_refusal(path, by_environment, 2, &[other]);
}

#[test]
fn directory_in_use_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    make(path);
    let files = Directory::open(path).expect("readable");
    let opened = open(&files, &identity(), &Settings::default(), &mut |_, _| {}).expect("free");
    assert_refusal(path, replica(path).args(OWN), 2, &["is in use by another process"]);
    drop(opened);
}

/// Writes the version 2 at this place of a file, and the checksum of the first bytes behind them.
fn make_newer(path: &Path, at: usize, covered: usize) {
    let mut bytes = fs::read(path).expect("there");
    bytes[at] = 2;
    let checksum = crc32fast::hash(&bytes[..covered]).to_le_bytes();
    bytes[covered..covered + checksum.len()].copy_from_slice(&checksum);
    fs::write(path, bytes).expect("writable");
}

const SNAPSHOT: &str = "snapshot-2-7";

/// Makes the directory of a replica with a snapshot, too.
fn make_with_snapshot(path: &Path) {
    make(path);
    let files = Directory::open(path).expect("readable");
    let opened = open(&files, &identity(), &Settings::default(), &mut |_, _| {}).expect("free");
    let mut snapshots = opened.snapshots;
    let mut unfinished = snapshots.begin(EntryId { index: 2, term: 7 }).expect("writable");
    unfinished.push(b"state").expect("writable");
    snapshots.finish(unfinished).expect("writable");
    opened.log.close().expect("writable");
    assert!(path.join(SNAPSHOT).exists());
}

#[test]
fn newer_format_is_refused() {
    for (file, covered) in
        [("identity", None), ("log-0000000001", Some(8 + 4 + 8 + 8 + 8)), (SNAPSHOT, Some(8 + 4 + 8 + 8 + 8))]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        make_with_snapshot(path);
        let length = fs::metadata(path.join(file)).expect("there").len() as usize;
        make_newer(&path.join(file), 8, covered.unwrap_or(length - 4));
        let reason = format!("{file} has format 2, and this version of kvstore knows formats up to 1");
        assert_refusal(path, replica(path).args(OWN), 2, &[&reason]);
        let repair = &mut kvstore();
        assert_refusal(path, repair.args(["repair", "--yes", "--data-dir"]).arg(path), 2, &[&reason]);
    }
}

#[test]
fn damaged_file_is_refused_with_its_place_and_the_remedies() {
    for file in ["identity", "log-0000000001", SNAPSHOT] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        make_with_snapshot(path);
        let mut bytes = fs::read(path.join(file)).expect("there");
        bytes[20] ^= 1;
        fs::write(path.join(file), bytes).expect("writable");
        let place = format!("{file} is damaged at byte 0: its checksum does not fit.");
        let parts = [&*place, "Nothing was changed.", "kvstore repair"];
        assert_refusal(path, replica(path).args(OWN), 2, &parts);
    }
}

#[test]
fn missing_file_is_refused() {
    for (file, reason) in [
        ("identity", "identity is damaged at byte 0: it is missing, but there is a log or a snapshot."),
        ("log-0000000001", "log-0000000002 is damaged at byte 4096: it has no valid record"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        make(path);
        fs::remove_file(path.join(file)).expect("there");
        assert_refusal(path, replica(path).args(OWN), 2, &[reason]);
    }
}
