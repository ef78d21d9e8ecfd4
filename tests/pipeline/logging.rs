//! Replicas whose stderr takes nothing: each goes on, answers, and stops when a signal tells it to.

use std::fs::File;
use std::io::{Read, pipe};
use std::process::{Command, Stdio};
use std::time::Instant;

use assert_cmd::cargo::cargo_bin;

use crate::process::{Dialect, Process, Processes};

/// Enough malformed messages to fill each pipe with the log's lines about them.
const MALFORMED: usize = 5_000;

/// Warnings from one place in the code that may be shown per second.
const MAX_WARNINGS: u64 = 5;

fn full_device() -> Stdio {
    File::options().write(true).open("/dev/full").expect("every Linux has it").into()
}

/// The replica logs a line for each malformed message and still answers and stops.
fn assert_log_does_no_harm(stderr: Stdio) {
    let options = ["--log-level", "debug"];
    let mut replica = Process::start(Dialect::Seqpacket, 0, 3, &options, |command| {
        command.stderr(stderr);
    });
    for _ in 0..MALFORMED {
        replica.say(b"no message at all");
    }
    replica.assert_answers("after-the-flood");
    replica.signal("TERM");
    assert_eq!(replica.wait().code(), Some(0));
}

#[test]
fn replica_with_a_full_device_as_stderr_goes_on() {
    assert_log_does_no_harm(full_device());
}

#[test]
fn replica_with_an_unread_pipe_as_stderr_goes_on() {
    let (_unread, stderr) = pipe().expect("a pipe");
    assert_log_does_no_harm(stderr.into());
}

#[test]
fn replica_with_a_closed_pipe_as_stderr_goes_on() {
    let (reader, stderr) = pipe().expect("a pipe");
    drop(reader);
    assert_log_does_no_harm(stderr.into());
}

#[test]
fn usage_error_with_a_bad_stderr_or_an_endless_word_still_exits_with_2() {
    let (_unread, stuck) = pipe().expect("a pipe");
    let (reader, closed) = pipe().expect("a pipe");
    drop(reader);
    let endless = "x".repeat(100_000); // more than a pipe holds
    for (word, stderr) in [
        ("bogus", full_device()),
        (&endless, stuck.into()),
        ("bogus", closed.into()),
        ("bogus", Stdio::null()),
    ] {
        let mut command = Command::new(cargo_bin!("kvstore"));
        let status = command.arg(word).stderr(stderr).status().expect("it starts");
        assert_eq!(status.code(), Some(2));
    }
}

#[test]
fn help_that_cannot_be_written_is_an_error_with_one_line() {
    let mut command = Command::new(cargo_bin!("kvstore"));
    let output = command.arg("--help").stdout(full_device()).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("kvstore: can't write to stdout: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn oversized_puts_are_answered_and_warnings_about_them_limited() {
    const PUTS: usize = 300;
    let mut logs = Vec::new();
    let start = Instant::now();
    let mut cluster = Processes::start(Dialect::Seqpacket, 3, &[], |_, command| {
        let (reader, stderr) = pipe().expect("a pipe");
        logs.push(reader);
        command.stderr(stderr);
    });
    let huge = "v".repeat(20_000);
    for n in 0..PUTS {
        // The leader refuses it. The leader of a busy machine may change at any time.
        cluster.ask_until("fail", "put", &format!("huge-{n}"), "k", &huge, |_| true);
    }
    cluster.0.iter().for_each(|process| process.signal("TERM"));
    for process in &mut cluster.0 {
        assert_eq!(process.wait().code(), Some(0));
    }
    drop(cluster);
    let most = MAX_WARNINGS * (start.elapsed().as_secs() + 1);
    let warnings = logs.into_iter().map(|mut reader| {
        let mut log = String::new();
        reader.read_to_string(&mut log).expect("text");
        log.lines().filter(|line| line.contains("refused a request")).count() as u64
    });
    let warnings: Vec<u64> = warnings.collect();
    assert!(warnings.iter().all(|&count| count <= most), "{warnings:?} of at most {most} each");
    assert!(warnings.iter().any(|&count| count > 0), "{warnings:?}");
}
