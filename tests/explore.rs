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
    refused(&["--scenario", "Cargo.toml"], "must be JSON");
    refused(&["--jobs", "0"], "0 is not in 1..=1024");
    refused(&["--forever", "--seed", "1"], "cannot be used with");
    for of_one_seed in [&["--report", "run.html"][..], &["--trace-file", "run.trace"], &["--trace"]] {
        for of_many in [&["--seeds", "5"][..], &["--forever"]] {
            refused(&[of_many, of_one_seed].concat(), "cannot be used with");
        }
    }
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

/// The lines of a trace file that the explorer writes.
fn recorded(arguments: &[&str]) -> (i32, Vec<serde_json::Value>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.trace");
    let path = path.to_str().expect("UTF-8");
    let (code, _, stderr) = explore(&[arguments, &["--trace-file", path]].concat());
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    assert!(text.ends_with('\n'));
    (code, text.lines().map(|line| serde_json::from_str(line).expect(line)).collect())
}

#[test]
fn trace_file_has_each_message_with_its_fate_and_each_attempt_with_its_answer() {
    let crash = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/partition-4.json");
    let (code, lines) = recorded(&["--scenario", crash.to_str().expect("UTF-8"), "--seed", "1"]);
    let [heading, records @ .., end] = &lines[..] else { panic!("no records") };
    assert_eq!((code, &heading["kvstore_trace"], &heading["source"]), (0, &1.into(), &"explore".into()));
    assert_eq!((&heading["scenario"], &heading["seed"]), (&"partition-4".into(), &1.into()));
    assert_eq!(
        (&end["verdict"], &end["linearizability"]["verdict"]),
        (&"passed".into(), &"linearizable".into())
    );
    let of = |kind: &str| records.iter().filter(|record| record[0] == kind).collect::<Vec<_>>();
    let (messages, asked, answers) = (of("m"), of("q"), of("a"));
    assert!(messages.iter().enumerate().all(|(n, message)| message[2] == n), "messages count up from 0");
    assert!(
        messages.iter().all(|message| message[5]["src"] == message[3] && message[5]["dst"] == message[4])
    );
    let decided: std::collections::BTreeSet<_> =
        [of("d"), of("x")].concat().iter().map(|record| record[2].as_u64()).collect();
    assert!(decided.len() + 20 > messages.len(), "few messages are on their way at the end");
    let is_replica =
        |id: &serde_json::Value| heading["replicas"].as_array().is_some_and(|all| all.contains(id));
    let is_counted = |message: &serde_json::Value| {
        let kind = message[5]["type"].as_str().unwrap_or_default();
        is_replica(&message[3])
            && is_replica(&message[4])
            && kind != "forward"
            && !kind.starts_with("read_index")
    };
    let counted = messages.iter().filter(|message| is_counted(message)).count();
    assert_eq!(end["result"]["figures"]["messages"], counted);
    assert_eq!(asked.len(), answers.len(), "each attempt is answered in the end");
    let redirects = answers.iter().filter(|answer| answer[3] == "redirect").count();
    assert_eq!(end["result"]["figures"]["redirects"], redirects);
    assert_eq!(asked.iter().filter(|request| request[4]["before"].is_string()).count(), redirects);
    let events = of("e");
    let kinds: std::collections::BTreeSet<_> = events.iter().filter_map(|event| event[2].as_str()).collect();
    assert!(["heal", "leader", "note", "partition"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    assert!(of("o").iter().any(|line| line[4].as_str().is_some_and(|text| text.starts_with("leads term "))));
    assert!(of("x").iter().any(|lost| lost[3] == "partition"));
}

#[test]
fn trace_file_of_a_failure_names_the_rule_and_its_requests_or_replicas() {
    let fails = |bug: &str| {
        let mut runs =
            (0..100).map(|seed: u32| recorded(&["--bug", bug, "--seed", &seed.to_string(), "--no-minimise"]));
        runs.find(|(code, _)| *code == 1).expect("one of them fails").1
    };
    for (bug, rule, involved) in
        [("votes-twice", "vote once", "replicas"), ("reads-before-noop", "answers in order", "mids")]
    {
        let lines = fails(bug);
        let end = lines.last().expect("a last line");
        let name = format!("kvstore with {bug}");
        assert_eq!((&lines[0]["replica"], &end["verdict"]), (&name.into(), &"failed".into()));
        assert_eq!((&end["checks"][0]["name"], &end["checks"][0]["passed"]), (&rule.into(), &false.into()));
        let fault = lines.iter().find(|line| line[0] == "f").expect("a fault");
        assert!(fault[3][involved].as_array().is_some_and(|ids| !ids.is_empty()), "{fault}");
    }
}

#[test]
fn same_seed_has_the_same_trace_file() {
    let first = recorded(&["--seed", "5"]).1;
    assert!(first.len() > 500);
    assert!(first == recorded(&["--seed", "5"]).1);
}

#[test]
fn trace_file_that_cannot_be_written_is_refused() {
    let (code, stdout, stderr) = explore(&["--seed", "5", "--trace-file", "/no/such/file"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("/no/such/file: No such file"), "{stderr}");
}

/// The explorer in another place or with another environment.
fn explore_in(program: &Path, directory: &Path, path: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(program);
    let command = command.args(arguments).current_dir(directory).env("PATH", path).env("TMPDIR", directory);
    let output = command.output().expect("it runs");
    (output.status.code().expect("no signal"), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn report_is_a_page_of_the_run_and_leaves_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = std::env::var("PATH").expect("it is set");
    let program = assert_cmd::cargo::cargo_bin!("explore");
    let arguments = ["--seed", "5", "--report", "run.html"];
    let (code, stderr) = explore_in(program, directory.path(), &path, &arguments);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.starts_with("run.html: the picture of the run\nseed 5: every rule holds"), "{stderr}");
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
    let page = std::fs::read_to_string(directory.path().join("run.html")).expect("it is there");
    assert!(page.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype html>")));
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1, "no other file is left");
}

#[test]
fn run_that_breaks_a_rule_has_a_page_too() {
    let run = |seed: &str, more: &[&str]| {
        explore(&[&["--bug", "votes-twice", "--no-minimise", "--seed", seed], more].concat())
    };
    let seeds: Vec<String> = (0..100).map(|seed: u32| seed.to_string()).collect();
    let seed = seeds.iter().find(|seed| run(seed, &[]).0 == 1).expect("one of them fails");
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("run.html");
    let (code, stdout, stderr) = run(seed, &["--report", page.to_str().expect("UTF-8")]);
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(stdout.contains("vote once is broken"), "{stdout}");
    assert!(std::fs::metadata(page).expect("it is there").len() > 10_000);
}

#[test]
fn report_that_cannot_be_drawn_is_refused_before_the_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let refused = |program: &Path, path: &str, page: &str, reason: &str| {
        let arguments = ["--seed", "5", "--report", page];
        let (code, stderr) = explore_in(program, directory.path(), path, &arguments);
        assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
    };
    let path = std::env::var("PATH").expect("it is set");
    let program = assert_cmd::cargo::cargo_bin!("explore");
    refused(program, &path, "/no/such/file", "/no/such/file: No such file");
    refused(program, "", "run.html", "python3 is needed");
    let moved = directory.path().join("moved");
    std::fs::copy(program, &moved).expect("it can be copied");
    refused(&moved, &path, "run.html", "no run.py above the explorer");
    let (code, _, stderr) = explore(&["--report", "run.html"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--seed"), "{stderr}");
}

#[test]
fn unknown_event_is_refused_with_the_nearest_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("my.json");
    let scenario =
        r#"{"lifetime": 9, "replicas": 3, "requests": 9, "events": [{"type": "flop", "time": 1}]}"#;
    std::fs::write(&file, scenario).expect("written");
    let (code, stdout, stderr) = explore(&["--scenario", file.to_str().expect("UTF-8")]);
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
    let key = format!("explore: {}: events[0].type: \"flop\": must be one of kill_leader, ", file.display());
    assert!(stderr.starts_with(&key) && stderr.ends_with("; did you mean flap?\n"), "{stderr}");
}

#[test]
fn fault_whose_condition_is_never_met_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("my.json");
    let event = r#"{"type": "kill_leader", "when": {"on": "message_sent", "message": "unheard_of"}}"#;
    let scenario = format!(r#"{{"lifetime": 9, "replicas": 3, "requests": 9, "events": [{event}]}}"#);
    std::fs::write(&file, scenario).expect("written");
    let (code, lines) = recorded(&["--scenario", file.to_str().expect("UTF-8"), "--seed", "1"]);
    let never = "fault 0 never happened: when message_sent unheard_of: the leader is down";
    assert_eq!(code, 0);
    assert!(lines.iter().any(|line| line[2] == "note" && line[3]["text"] == never), "{lines:?}");
}

#[test]
fn trace_file_has_the_text_of_each_damaged_message_before_its_delivery() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("my.json");
    std::fs::write(&file, r#"{"lifetime": 9, "replicas": 3, "requests": 90, "corrupt": 0.3}"#)
        .expect("written");
    let (_, lines) = recorded(&["--scenario", file.to_str().expect("UTF-8"), "--seed", "1"]);
    let mut changed = 0;
    for pair in lines.windows(2).filter(|pair| pair[0][0] == "c") {
        changed += 1;
        assert_eq!((&pair[1][0], &pair[1][2]), (&"d".into(), &pair[0][2]), "{pair:?}");
        let sent = lines.iter().find(|line| line[0] == "m" && line[2] == pair[0][2]).expect("it was sent");
        assert_ne!(pair[0][3].as_str(), Some(sent[5].to_string().as_str()));
    }
    assert!(changed > 10, "{changed}");
}
