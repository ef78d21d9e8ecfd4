//! `kvstore check` as a user starts it.

use std::io::Write;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;

const LINEARIZABLE: &str = r#"
{"id": "0", "client": "0010", "type": "put", "key": "k", "value": "a", "invoked": 1.0, "returned": 1.5, "outcome": "redirect"}
{"id": "1", "client": "0010", "type": "put", "key": "k", "value": "a", "invoked": 2.0, "returned": 2.5, "outcome": "ok"}
{"id": "2", "client": "0011", "type": "get", "key": "k", "value": "a", "invoked": 2.25, "returned": 3.0, "outcome": "ok"}
{"id": "3", "client": "0011", "type": "get", "key": "j", "value": "", "invoked": 4.0, "returned": 5.0, "outcome": "ok"}
{"id": "4", "client": "0011", "type": "get", "key": "j", "value": null, "invoked": 6.0, "returned": null, "outcome": "unknown"}
"#;

const STALE: &str = r#"
{"id": "5", "client": "0010", "type": "put", "key": "k", "value": "b", "invoked": 4.0, "returned": 4.5, "outcome": "ok"}
{"id": "6", "client": "0011", "type": "get", "key": "k", "value": "", "invoked": 5.0, "returned": 5.5, "outcome": "ok"}
"#;

/// When "y" takes effect, an "x" may have done so before or not, so the search has to follow both.
const AMBIGUOUS: &str = r#"
{"id": "1", "client": "1", "type": "put", "key": "k", "value": "x", "invoked": 1, "returned": 50, "outcome": "ok"}
{"id": "2", "client": "2", "type": "put", "key": "k", "value": "x", "invoked": 2, "returned": 60, "outcome": "ok"}
{"id": "3", "client": "3", "type": "get", "key": "k", "value": "x", "invoked": 3, "returned": 40, "outcome": "ok"}
{"id": "4", "client": "4", "type": "put", "key": "k", "value": "y", "invoked": 4, "returned": 10, "outcome": "ok"}
{"id": "5", "client": "5", "type": "get", "key": "k", "value": "x", "invoked": 20, "returned": 30, "outcome": "ok"}
"#;

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `kvstore` with these arguments and this standard input.
fn kvstore(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(cargo_bin!("kvstore"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A program that refuses its arguments reads nothing.
    let _broken_pipe = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn check(history: &str) -> Ended {
    kvstore(&["check", "-"], history.as_bytes())
}

#[test]
fn linearizable_history_passes_in_one_line() {
    let ended = check(LINEARIZABLE);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(
        ended.stdout.starts_with("linearizable: 2 answered gets and 2 puts on 2 keys, judged in "),
        "{}",
        ended.stdout
    );
    assert_eq!(ended.stdout.lines().count(), 1);
}

#[test]
fn file_is_read_as_standard_input_is() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(LINEARIZABLE.as_bytes()).expect("room");
    let ended = kvstore(&["check", file.path().to_str().expect("UTF-8")], b"");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn history_without_operations_is_no_pass() {
    let unanswered = LINEARIZABLE.lines().last().expect("a get without an answer");
    for history in ["", "\n\n", unanswered, "\u{feff}"] {
        let ended = check(history);
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{history}");
        let expected = "kvstore: can't read the history -: it has no puts and no answered gets\n";
        assert_eq!(ended.stderr, expected);
    }
}

#[test]
fn byte_order_mark_is_no_part_of_the_history() {
    assert_eq!(check(&format!("\u{feff}{LINEARIZABLE}")).code, Some(0));
    assert_eq!(check(&format!("\u{feff}{}", LINEARIZABLE.trim_start())).code, Some(0));
}

#[test]
fn full_output_costs_one_line_and_is_no_pass() {
    let full = std::fs::File::create("/dev/full").expect("a full device");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(LINEARIZABLE.as_bytes()).expect("room");
    let output = Command::new(cargo_bin!("kvstore"))
        .args(["check", file.path().to_str().expect("UTF-8")])
        .stdout(full)
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("kvstore: can't write the verdict: No space left"), "{stderr}");
}

#[test]
fn terminal_gets_no_control_characters_from_a_file_name() {
    let ended = kvstore(&["check", "missing\u{1b}]0;x\u{7}\n.jsonl"], b"");
    assert_eq!(ended.code, Some(2));
    let name = r"missing\u{1b}]0;x\u{7}\n.jsonl";
    assert!(
        ended.stderr.starts_with(&format!("kvstore: can't read the history {name}: ")),
        "{}",
        ended.stderr
    );
}

#[test]
fn contradiction_is_shown_as_a_diagram_and_a_sentence() {
    let ended = check(&format!("{LINEARIZABLE}{STALE}"));
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""));
    let expected = r#"not linearizable: 2 of 5 operations on key "k" contradict each other

  client  operation  time, not to scale         invoked  returned  id
  0010    put "b"    |-------|                  4.000    4.500     5
  0011    get → ""                   |-------|  5.000    5.500     6

get 6 returned "" although put 5 had put "b" before it was invoked.
"#;
    assert_eq!(ended.stdout, expected);
}

/// Each kind of command, and a get of what the transaction left.
const COMMANDS: &str = r#"
{"id":"1","client":"a","type":"cas","key":"x","from":null,"to":"1","done":true,"invoked":1,"returned":2,"outcome":"ok"}
{"id":"2","client":"a","type":"increment","key":"x","by":4,"result":5,"invoked":3,"returned":4,"outcome":"ok"}
{"id":"3","client":"b","type":"put","key":"lock","value":"b","if":"absent","ttl_ms":500,"done":true,"invoked":3,"returned":3.1,"outcome":"ok"}
{"id":"4","client":"c","type":"put","key":"lock","value":"c","if":"absent","done":true,"invoked":3.7,"returned":3.8,"outcome":"ok"}
{"id":"5","client":"b","type":"transaction","watched":[{"key":"x","value":"5"}],"ops":[{"type":"delete","key":"x","done":true},{"type":"append","key":"y","value":"ab","result":2}],"invoked":5,"returned":6,"outcome":"ok"}
{"id":"6","client":"a","type":"get","key":"y","value":"ab","invoked":7,"returned":8,"outcome":"ok"}
"#;

#[test]
fn history_of_commands_is_judged_with_their_results() {
    let ended = check(COMMANDS);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(ended.stdout.starts_with("linearizable: 6 operations on 3 keys, judged in "), "{}", ended.stdout);
    for (from, to) in
        [(r#""result":5"#, r#""result":4"#), (r#""done":true,"invoked":1"#, r#""done":false,"invoked":1"#)]
    {
        assert_eq!(check(&COMMANDS.replacen(from, to, 1)).code, Some(1), "{to}");
    }
}

#[test]
fn contradiction_of_commands_shows_the_end_of_a_time_to_live() {
    let early = COMMANDS.replace(r#""invoked":3.7,"returned":3.8"#, r#""invoked":3.2,"returned":3.3"#);
    let ended = check(&early);
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""));
    let expected = r#"not linearizable: 2 of 2 operations on key "lock" contradict each other

  client   operation                           time, not to scale     invoked  returned  id
  b        put "b" if absent for 500ms → done  |---|                  3.000    3.100     3
  c        put "c" if absent → done                    |---|          3.200    3.300     4
  (clock)  end                                                 |---|  3.490    3.610     ttl of 3

No order of these 2 operations lets 4 end as it did (put "c" if absent → done). This order explains the others until then: 3.
"#;
    assert_eq!(ended.stdout, expected);
    let apart = kvstore(&["check", "--clock-difference", "200", "-"], early.as_bytes());
    assert_eq!(apart.code, Some(0), "{}", apart.stdout);
}

#[test]
fn command_without_its_result_is_refused_in_one_line() {
    let ended = check(&COMMANDS.replace(r#","result":2}"#, "}"));
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""));
    assert_eq!(ended.stderr, "kvstore: can't read the history -: line 6: `ops[1]`: no `result`\n");
}

/// The second put repeats the first one, which takes effect after a later put: the later one is
/// lost.
const DECLINED_PUT_COMES_LATE: &str = r#"
{"id":"1","client":"0015","type":"put","key":"k","value":"a","invoked":1.0,"returned":1.1,"outcome":"redirect"}
{"id":"2","client":"0015","type":"put","key":"k","value":"a","invoked":1.2,"returned":1.3,"outcome":"ok","retry_of":"1"}
{"id":"3","client":"0015","type":"put","key":"k","value":"b","invoked":2.0,"returned":2.1,"outcome":"ok"}
{"id":"4","client":"0015","type":"get","key":"k","value":"a","invoked":9.0,"returned":9.1,"outcome":"ok"}
"#;

#[test]
fn declined_put_that_comes_after_its_acknowledged_retry_is_refused() {
    assert_eq!(check(DECLINED_PUT_COMES_LATE).code, Some(1));
    let unrelated = DECLINED_PUT_COMES_LATE.replace(r#","retry_of":"1""#, "");
    assert_eq!(check(&unrelated).code, Some(0));
    let ended = check(&DECLINED_PUT_COMES_LATE.replace(r#""retry_of":"1""#, r#""retry_of":"9""#));
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""));
    assert_eq!(
        ended.stderr,
        "kvstore: can't read the history -: line 3: `retry_of` names \"9\", which no line has\n"
    );
}

#[test]
fn exhausted_budget_has_an_exit_code_of_its_own() {
    assert_eq!(check(AMBIGUOUS).code, Some(0));
    let ended = kvstore(&["check", "--budget", "0", "-"], AMBIGUOUS.as_bytes());
    assert_eq!((ended.code, &*ended.stderr), (Some(3), ""));
    assert!(
        ended
            .stdout
            .starts_with("undecided: a budget of 0 MB is too small for the 5 operations on key \"k\"")
    );
}

#[test]
fn file_that_is_no_history_is_refused_in_one_line() {
    for (line, about) in [
        ("{", "line 2: EOF while parsing"),
        ("[]", "line 2: not a JSON object"),
        ("{}", "line 2: missing field `id`"),
        (r#"{"id": "\ud800"}"#, "line 2: "),
        (LINEARIZABLE.lines().nth(1).expect("a line"), "line 3: id \"0\" is given twice"),
    ] {
        let ended = check(&format!("\n{line}\n{line}\n"));
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{line}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        let start = format!("kvstore: can't read the history -: {about}");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
    }
}

#[test]
fn file_that_cannot_be_read_is_refused_in_one_line() {
    for (path, about) in [("missing.jsonl", "No such file"), (".", "Is a directory")] {
        let ended = kvstore(&["check", path], b"");
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{path}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(path) && ended.stderr.contains(about), "{}", ended.stderr);
    }
}

#[test]
fn bad_command_line_is_refused_in_one_line() {
    for (line, about) in [
        ("check", "<HISTORY>"),
        ("check a b", "'b'"),
        ("check --budget many -", "'many'"),
        ("check --seed 1 -", "'--seed'"),
        ("--seed 1 check -", "\"check\" is neither"),
        ("0000 check", "\"check\" is not an ID"),
    ] {
        let ended = kvstore(&line.split(' ').collect::<Vec<_>>(), b"");
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{line}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{line}: {}", ended.stderr);
        assert!(ended.stderr.contains(about), "{line}: {}", ended.stderr);
    }
}

#[test]
fn help_tells_the_format_and_the_exit_codes() {
    let ended = kvstore(&["check", "--help"], b"");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    for part in [
        "kvstore check [OPTIONS] <HISTORY>",
        "--budget <MEGABYTES>",
        "invoked, returned",
        "Exit codes:",
        "Examples:",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in\n{}", ended.stdout);
    }
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 100), "{}", ended.stdout);
}
