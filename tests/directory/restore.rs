//! New clusters from backups, and from what is left of a cluster.

use std::path::Path;

use kvstore::storage::{Backup, Directory, Identity, Settings, identity_of, open};
use raft::id::Id;
use raft::types::EntryId;

use super::{Ended, ended, identity, kvstore, make};
use kvstore::state_machine::StateMachine;
use kvstore::state_machine::snapshot::Encoder;

/// A backup of an empty state after entry 7 of term 3.
fn make_backup(path: &Path) {
    let mut backup = Backup::new(EntryId { index: 7, term: 3 });
    let mut encoder = Encoder::new(StateMachine::default());
    let mut bytes = Vec::new();
    while let Some(chunk) = encoder.next_chunk(1 << 10) {
        bytes.extend(backup.push(&chunk));
    }
    bytes.extend(backup.end());
    std::fs::write(path, bytes).expect("writable");
}

fn new_identity() -> Identity {
    let id = |number| Id::new(number).expect("not reserved");
    Identity { cluster: "new".into(), own: id(0xA), members: [id(0xA), id(0xB), id(0xC)].into() }
}

/// Runs a command for the new replica of [`new_identity`].
fn run(words: &[&str], directory: &Path) -> Ended {
    let mut command = kvstore();
    command.args(words).arg("--data-dir").arg(directory);
    ended(command.args(["--id", "000A", "--members", "000A,000B,000C"]))
}

fn restore(backup: &Path, directory: &Path) -> Ended {
    run(&["restore", &backup.display().to_string(), "--cluster", "new"], directory)
}

#[test]
fn replica_of_a_new_cluster_begins_behind_the_backup() {
    let place = tempfile::tempdir().expect("a directory");
    let (backup, directory) = (place.path().join("backup"), place.path().join("new"));
    make_backup(&backup);
    let done = restore(&backup, &directory);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(
        done.stdout.ends_with("is the directory of replica 000A: 0 keys, up to entry 7.\n"),
        "{}",
        done.stdout
    );
    let files = Directory::open(&directory).expect("it exists");
    let state = open(&files, &new_identity(), &Settings::default(), &mut |_, _| {}).expect("complete").state;
    assert_eq!(state.snapshot, EntryId { index: 7, term: 3 });
    drop(state);
    let again = restore(&backup, &directory);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
}

#[test]
fn damaged_backup_is_refused_and_leaves_no_directory() {
    let place = tempfile::tempdir().expect("a directory");
    let (backup, directory) = (place.path().join("backup"), place.path().join("new"));
    make_backup(&backup);
    let mut bytes = std::fs::read(&backup).expect("it exists");
    bytes[60] ^= 1;
    std::fs::write(&backup, bytes).expect("writable");
    let refused = restore(&backup, &directory);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("is damaged at byte 40"), "{}", refused.stderr);
    assert_eq!(refused.stderr.lines().count(), 1);
    assert!(!directory.exists());
}

#[test]
fn recovery_says_what_may_be_lost_and_needs_to_be_told() {
    let place = tempfile::tempdir().expect("a directory");
    let (old, new) = (place.path().join("old"), place.path().join("new"));
    make(&old);
    let from = old.display().to_string();
    let words = ["recover", "--from", &from, "--cluster", "new"];
    let told = run(&words, &new);
    assert_eq!((told.code, told.stderr.as_str()), (Some(1), ""));
    assert!(told.stdout.contains("the log up to entry 3 of term 7"), "{}", told.stdout);
    assert!(told.stdout.contains("can lose: every write"), "{}", told.stdout);
    assert!(!new.exists());

    let done = run(&[&words[..], &["--force-new-cluster"]].concat(), &new);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let files = Directory::open(&new).expect("it exists");
    let state = open(&files, &new_identity(), &Settings::default(), &mut |_, _| {}).expect("complete").state;
    assert_eq!((state.last(), state.hard_state.voted_for), (EntryId { index: 3, term: 7 }, None));
    let old = Directory::open(&old).expect("it exists");
    assert_eq!(identity_of(&old).expect("as it was"), identity());
}

#[test]
fn recovery_under_the_old_name_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let (old, new) = (place.path().join("old"), place.path().join("new"));
    make(&old);
    let from = old.display().to_string();
    let refused =
        run(&["recover", "--from", &from, "--cluster", super::CLUSTER, "--force-new-cluster"], &new);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("needs another name"), "{}", refused.stderr);
    assert!(!new.exists());
}
