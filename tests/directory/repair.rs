//! `kvstore repair` as an operator starts it.

use std::fs;
use std::path::Path;

use kvstore::storage::{Directory, Settings, open};

use crate::{Ended, ended, identity, kvstore, make};

/// Damages the second entry.
fn damage(path: &Path) {
    let segment = path.join("log-0000000001");
    let mut bytes = fs::read(&segment).expect("there");
    // The last bytes of the log are those of the mark and of two records, each of 40 bytes at most.
    let end = bytes.iter().rposition(|&byte| byte != 0).expect("not empty");
    bytes[end - 50] ^= 1;
    fs::write(&segment, bytes).expect("writable");
}

fn repair(path: &Path, options: &[&str]) -> (Option<i32>, String, String) {
    let mut command = kvstore();
    let Ended { code, stdout, stderr } =
        ended(command.arg("repair").arg("--data-dir").arg(path).args(options));
    (code, stdout, stderr)
}

#[test]
fn directory_without_damage_is_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    make(directory.path());
    let (code, said, errors) = repair(directory.path(), &["--yes"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(said.contains("has no damage"), "{said}");
}

#[test]
fn damage_is_cut_off_only_when_the_operator_says_yes() {
    let directory = tempfile::tempdir().expect("a directory");
    make(directory.path());
    damage(directory.path());
    let files = Directory::open(directory.path()).expect("readable");
    let start = || open(&files, &identity(), &Settings::default(), &mut |_, _| {});
    let refusal = start().err().expect("damaged").to_string();
    assert!(refusal.contains("log-0000000001 is damaged at byte "), "{refusal}");
    assert!(refusal.contains("kvstore repair"), "{refusal}");

    let (code, said, errors) = repair(directory.path(), &[]);
    assert_eq!((code, errors.as_str()), (Some(1), ""));
    for part in
        ["log-0000000001 is damaged at byte ", "What a repair can lose: every write", "Nothing was changed"]
    {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(start().err().map(|error| error.to_string()), Some(refusal));

    let (code, said, errors) = repair(directory.path(), &["--yes"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(said.ends_with("Repaired.\n"), "{said}");
    assert!(directory.path().join("cut-log-0000000001").exists());
    let state = start().expect("repaired").state;
    assert!(state.entries.len() < 3, "{state:?}");
    assert_eq!(state.hard_state.current_term, 7);
}

#[test]
fn directory_of_no_replica_is_refused_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing");
    for (path, reason) in
        [(&*missing, "cannot read the directory"), (directory.path(), "is not the directory of a")]
    {
        let (code, said, errors) = repair(path, &[]);
        assert_eq!((code, said.as_str()), (Some(2), ""));
        assert!(errors.contains(reason) && errors.lines().count() == 1, "{errors}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0, "nothing was made");
}

#[test]
fn damage_without_a_state_before_it_is_not_repaired() {
    let directory = tempfile::tempdir().expect("a directory");
    make(directory.path());
    fs::remove_file(directory.path().join("identity")).expect("there");
    let (code, said, errors) = repair(directory.path(), &["--yes"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(
        errors.contains("identity is damaged at byte 0: it is missing. No cut can repair this."),
        "{errors}"
    );
}
