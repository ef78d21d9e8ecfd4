//! The operating system's files, and the thread that prepares segments.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::model::{Model, SEGMENT_BYTES, Script, identity, open_checked, perform, settings};
use crate::storage::{Directory, OpenError, Settings, open};

fn background() -> Settings {
    Settings { in_background: true, ..settings() }
}

#[test]
fn state_outlives_the_process() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("new").join("data");
    let mut model = Model::default();
    for life in 0..5 {
        let files = Directory::create(&path).expect("writable");
        let opened = open_checked(&files, &background()).expect("ours");
        model.compare(&opened.state).expect("the state of the life before");
        let mut script = Script::new(life, model);
        (0..60).for_each(|_| script.push_any());
        let mut opened = Some(opened);
        for step in &script.steps {
            perform(&mut opened, &files, &background(), step).expect("the disk works");
        }
        model = script.model;
        model.restart();
        let log = opened.expect("open").log;
        assert!(log.counters().syncs() > 0 && log.counters().records() > 0);
        if life % 2 == 0 {
            log.close().expect("the disk works");
        }
    }
    let log_bytes: u64 = fs::read_dir(&path)
        .expect("readable")
        .map(|entry| entry.expect("readable").metadata().expect("readable").len())
        .sum();
    assert!(log_bytes < 40 * SEGMENT_BYTES, "{log_bytes} bytes");
}

#[test]
fn lock_keeps_a_second_owner_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Directory::create(directory.path()).expect("writable");
    let opened = open_checked(&files, &background()).expect("ours");
    let second = open(&files, &identity(), &background(), &mut |_, _| {});
    let error = second.err().expect("refused").to_string();
    assert_eq!(error, format!("{} is in use by another process", directory.path().display()));
    drop(opened);
    open_checked(&files, &background()).expect("free");
}

#[test]
fn error_names_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("writable");
    let error = Directory::create(&file.join("data")).expect_err("a file is no directory").to_string();
    assert!(error.contains(&format!("cannot create the directory {}", file.display())), "{error}");
    let missing = Directory::open(&directory.path().join("missing")).expect_err("missing").to_string();
    assert!(missing.contains("missing"), "{missing}");
}

#[test]
fn directory_that_is_read_only_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Directory::create(directory.path()).expect("writable");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).expect("ours");
    if fs::write(directory.path().join("probe"), "").is_ok() {
        return; // root may write anywhere
    }
    let error = open(&files, &identity(), &background(), &mut |_, _| {}).err().expect("refused");
    assert!(matches!(error, OpenError::Io(_)), "{error}");
}
