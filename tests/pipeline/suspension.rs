//! A machine that was suspended: `CLOCK_MONOTONIC` of its processes has missed that time, and the
//! other clocks have not. The test stops a leader, elects another one meanwhile, hides the time
//! from the old leader's `CLOCK_MONOTONIC`, and lets it go on.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kvstore::clock::BootTime;
use tempfile::TempDir;

use crate::process::{Dialect, Processes};

/// The library that hides time from a process, and for each process a file with the hidden time.
struct HiddenTime(TempDir);

impl HiddenTime {
    fn new() -> Self {
        let hidden = Self(tempfile::tempdir().expect("a directory"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pipeline/hidden_time.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&hidden.library(), &source])
            .status()
            .expect("cargo needs a C compiler too");
        assert!(status.success());
        hidden
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("hidden_time.so")
    }

    fn file(&self, number: u16) -> PathBuf {
        self.0.path().join(number.to_string())
    }

    fn load_into(&self, number: u16, command: &mut Command) {
        self.hide_from(number, Duration::ZERO);
        command.env("LD_PRELOAD", self.library()).env("HIDDEN_TIME", self.file(number));
    }

    fn hide_from(&self, number: u16, span: Duration) {
        hide(&self.file(number), span);
    }
}

fn hide(file: &Path, span: Duration) {
    let nanos = i64::try_from(span.as_nanos()).expect("not centuries");
    // A process may have mapped the file, so it never becomes shorter.
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(file);
    file.and_then(|file| file.write_all_at(&nanos.to_ne_bytes(), 0)).expect("a file");
}

#[test]
fn leader_that_was_suspended_serves_no_stale_read() {
    for dialect in Dialect::ALL {
        suspend_leader_and_read_from_it(dialect);
    }
}

fn suspend_leader_and_read_from_it(dialect: Dialect) {
    let hidden = HiddenTime::new();
    let mut cluster = Processes::start(dialect, 3, &[], |own, command| hidden.load_into(own, command));
    let (leader, _) = cluster.ask_until_ok("put", "first", "k", "old", |_| true);
    cluster.get(leader).signal("STOP");
    let suspended = BootTime::now();
    cluster.ask_until_ok("put", "second", "k", "new", |id| id != leader);

    cluster.get(leader).ask("get", "late", "k", "");
    let missed = Duration::from_micros(BootTime::now().as_micros() - suspended.as_micros());
    hidden.hide_from(leader.number(), missed);
    cluster.get(leader).signal("CONT");
    let answer = loop {
        let (from, answer) = cluster.next_answer(|_, _| true);
        if from == leader && answer["MID"] == "late" {
            break answer;
        }
    };
    assert!(answer["type"] != "ok" || answer["value"] == "new", "{answer}");
}

#[test]
fn hidden_time_is_hidden_from_instant() {
    let hidden = HiddenTime::new();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "--nocapture", "suspension::hides_half_its_past_from_itself"]);
    hidden.load_into(0, &mut command);
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "the other half of hidden_time_is_hidden_from_instant"]
fn hides_half_its_past_from_itself() {
    let file = std::env::var_os("HIDDEN_TIME").expect("started by the other half");
    let (instant, boot_time) = (Instant::now(), BootTime::now());
    hide(Path::new(&file), Duration::from_micros(boot_time.as_micros() / 2));
    assert_eq!(Instant::now().checked_duration_since(instant), None, "half the past is missing");
    assert!(BootTime::now() >= boot_time);
}
