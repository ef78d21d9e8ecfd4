//! The explorer as a user runs it.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;

/// Runs the explorer and returns its exit code, stdout and stderr.
fn explore(arguments: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let save = directory.path().join("failure.json");
    let mut command = Command::cargo_bin("explore").expect("it is built");
    let output = command.args(arguments).arg("--save").arg(save).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

#[test]
fn many_seeds_are_summed_up() {
    let (code, stdout, _) = explore(&["--seeds", "20"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.starts_with("20 seeds, "), "{stdout}");
    assert!(stdout.contains("Every rule holds in all 20 seeds."), "{stdout}");
    assert!(stdout.contains("refused pre votes"), "{stdout}");
}

#[test]
fn batch_with_the_last_seeds_of_all_ends() {
    let first = (u64::MAX - 3).to_string();
    let (code, stdout, _) = explore(&["--first", &first, "--seeds", "9", "--jobs", "4"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("Every rule holds in all 3 seeds."), "{stdout}");
}

#[test]
fn one_seed_has_one_transcript() {
    let trace = || explore(&["--seed", "3", "--trace"]);
    let (code, first, _) = trace();
    assert_eq!(code, 0);
    assert!(first.contains("AppendEntries"), "{first}");
    assert!(first == trace().1);
}

#[test]
fn scenario_is_played_and_its_figures_shown() {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/crash-4.json");
    let scenario = scenario.to_str().expect("UTF-8");
    let (code, stdout, _) = explore(&["--scenario", scenario, "--seeds", "3", "--jobs", "1"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("messages") && stdout.contains("minimum / median / maximum"), "{stdout}");
}

#[test]
fn bad_argument_is_refused_in_one_line() {
    let refused = |arguments: &[&str], reason: &str| {
        let (code, stdout, stderr) = explore(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(reason), "{stderr}");
    };
    refused(&["--scenario", "/no/such/file"], "can't be read");
    refused(&["--scenario", "Cargo.toml"], "neither a scenario");
    refused(&["--jobs", "0"], "0 is not in 1..=1024");
    refused(&["--forever", "--seed", "1"], "cannot be used with");
    refused(&["--bug", "no-such-bug"], "no such bug");
}

#[test]
fn known_bugs_are_listed_with_their_descriptions() {
    let (code, stdout, _) = explore(&["--bug", "list"]);
    assert_eq!(code, 0);
    assert!(stdout.lines().count() >= 21, "{stdout}");
    assert!(stdout.contains("votes-twice           A replica votes"), "{stdout}");
}

#[test]
fn failure_is_shown_with_its_seed_its_rule_and_a_command_that_repeats_it() {
    let (code, stdout, _) = explore(&["--bug", "stale-leader-ok", "--seeds", "50"]);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("no acknowledged write lost is broken"), "{stdout}");
    assert!(stdout.contains("replay: cargo run --release --bin explore -- --bug"), "{stdout}");
    assert!(stdout.contains("faults (found in"), "{stdout}");
}

/// Standard output and standard error are full.
#[test]
fn full_output_ends_the_explorer_without_a_panic() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("every Linux has it"));
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let run = |arguments: &[&str], stdout: Stdio, stderr: Stdio| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("explore"));
        let child = command.args(arguments).stdout(stdout).stderr(stderr).spawn().expect("it starts");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, stderr) = run(&["--bug", "list"], full(), Stdio::piped());
    assert_eq!((code, stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.starts_with("can't write to stdout: "), "{stderr}");
    assert_eq!(run(&["--bug", "list"], closed(), Stdio::piped()), (Some(2), String::new()));
    for stderr in [full(), closed()] {
        assert_eq!(run(&["--scenario", "/no/such/file"], Stdio::null(), stderr).0, Some(2));
    }
}
