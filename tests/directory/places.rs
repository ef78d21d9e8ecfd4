//! The place of the directory, as options and the environment name it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::mount::Mount;
use crate::{contents, ended, kvstore};

/// A replica in a working directory where no simulator listens. It opens its own directory first.
fn replica(working: &Path) -> Command {
    let mut command = kvstore();
    command.current_dir(working);
    command
}

const OWN: [&str; 3] = ["0000", "0001", "0002"];

/// The replica has opened its directory, and did not find the simulator then.
#[track_caller]
fn assert_opens(command: &mut Command, path: &Path) {
    let ended = ended(command.args(OWN));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("can't reach the simulator"), "{}", ended.stderr);
    assert!(path.join("identity").exists(), "{}", path.display());
}

/// The replica refuses its command line or the place of its directory, in one line.
#[track_caller]
fn assert_refuses(command: &mut Command, part: &str) {
    let ended = ended(command.args(OWN));
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{}", ended.stderr);
    assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
}

#[test]
fn path_may_be_relative_have_spaces_and_not_exist() {
    let working = tempfile::tempdir().expect("a directory");
    for path in ["relative", "in two/new places", "./-x ü", ".hidden/"] {
        let command = &mut replica(working.path());
        assert_opens(command.arg("--data-dir").arg(path), &working.path().join(path));
    }
    let own = working.path().join("own");
    fs::create_dir(&own).expect("writable");
    assert_opens(replica(&own).args(["--data-dir", "."]), &own);
}

#[test]
fn option_comes_before_the_environment() {
    let working = tempfile::tempdir().expect("a directory");
    let by_environment = working.path().join("environment");
    assert_opens(replica(working.path()).env("KVSTORE_DATA_DIR", &by_environment), &by_environment);
    let by_option = working.path().join("option");
    let other = working.path().join("other");
    let command = &mut replica(working.path());
    command.env("KVSTORE_DATA_DIR", &other).args(["--data-dir", "option"]);
    assert_opens(command, &by_option);
    assert!(!other.exists());
}

#[test]
fn empty_path_is_refused() {
    let working = tempfile::tempdir().expect("a directory");
    assert_refuses(replica(working.path()).args(["--data-dir", ""]), "--data-dir");
    assert_refuses(replica(working.path()).env("KVSTORE_DATA_DIR", ""), "--data-dir");
    assert!(contents(working.path()).is_empty());
}

#[test]
fn path_of_a_file_or_below_one_is_refused() {
    let working = tempfile::tempdir().expect("a directory");
    fs::write(working.path().join("file"), "contents").expect("writable");
    let before = contents(working.path());
    for path in ["file", "file/below", "file/far/below"] {
        let reason = format!("cannot create the directory {path}: ");
        assert_refuses(replica(working.path()).args(["--data-dir", path]), &reason);
    }
    assert!(contents(working.path()) == before);
}

/// The subcommands have no such directory, so they do not mind the variable.
#[test]
fn judge_of_histories_ignores_the_environment() {
    let working = tempfile::tempdir().expect("a directory");
    fs::write(working.path().join("none"), "").expect("writable");
    let command = &mut replica(working.path());
    let ended = ended(command.env("KVSTORE_DATA_DIR", "none/below").args(["check", "none"]));
    assert!(ended.stderr.contains("none"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("directory"), "{}", ended.stderr);
}

#[test]
fn name_of_a_cluster_that_is_too_long_is_refused_before_a_directory_is_made() {
    let working = tempfile::tempdir().expect("a directory");
    let command = &mut replica(working.path());
    command.args(["--data-dir", "new", "--cluster", &"x".repeat(256)]);
    assert_refuses(command, "the name of the cluster has more than 255 bytes");
    assert!(contents(working.path()).is_empty());
}

#[test]
fn directory_without_permission_is_refused() {
    let working = tempfile::tempdir().expect("a directory");
    let own = working.path().join("own");
    fs::create_dir(&own).expect("writable");
    fs::set_permissions(&own, Permissions::from_mode(0o555)).expect("it is our own");
    if fs::write(own.join("file"), "").is_ok() {
        eprintln!("not tested, for this user needs no permission");
        return;
    }
    for path in ["own", "own/new"] {
        assert_refuses(replica(working.path()).args(["--data-dir", path]), "Permission denied");
    }
    assert!(contents(&own).is_empty());
}

#[test]
fn directory_that_is_read_only_is_refused() {
    let Some(mount) = Mount::new(64 << 10) else { return };
    fs::create_dir(mount.path().join("own")).expect("writable");
    mount.make_read_only();
    for name in ["own", "new"] {
        let path = mount.path().join(name);
        assert_refuses(replica(mount.path()).arg("--data-dir").arg(&path), "Read-only file system");
    }
    assert_eq!(contents(&mount.path().join("own")).len(), 0);
}

/// A start that fills the disk leaves nothing that keeps the next one from success.
#[test]
fn full_disk_ends_the_first_start_and_room_mends_it() {
    let Some(mount) = Mount::new(48 << 20) else { return };
    let ballast = mount.path().join("ballast");
    fs::write(&ballast, vec![1; 40 << 20]).expect("room");
    let path = mount.path().join("own");
    let start = || {
        let command = &mut replica(mount.path());
        ended(command.arg("--data-dir").arg(&path).args(OWN))
    };
    for _ in 0..2 {
        let ended = start();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains("No space left on device"), "{}", ended.stderr);
        assert!(ended.stderr.contains("Make room and start again"), "{}", ended.stderr);
    }
    fs::remove_file(ballast).expect("there");
    assert!(start().stderr.contains("can't reach the simulator"));
}
