//! The main job, end to end and short: `run.py` starts five real replicas, plays the network and
//! the clients, and checks every answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

const OURS: &str = env!("CARGO_BIN_EXE_kvstore");
const TRANSPORTS: [&str; 3] = ["seqpacket", "stream", "udp"];

/// Longer than any replica takes to join on the busiest machine. Only a test that hangs waits so
/// long.
const JOIN_SECONDS: &str = "300";

/// Longer than any scenario lasts: no replica is silent for so long, even on a slow machine.
const NEVER_SILENT: &str = "1000";

/// `run.py` with a scenario, named by its path without the suffix.
fn run_py(scenario: &str, replica: &Path, transport: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("python3");
    command.arg(root.join("run.py")).arg(root.join(scenario).with_extension("json"));
    command.arg("--replica").arg(replica).args(["--checker", OURS, "--transport", transport]);
    command.args(["--join-seconds", JOIN_SECONDS]);
    command
}

/// Runs a scenario. Returns the output of `run.py` and its report.
fn run(scenario: &str, replica: &Path, flaw: &str, transport: &str) -> (Output, Value) {
    finish(run_py(scenario, replica, transport).env("FLAW", flaw))
}

fn finish(command: &mut Command) -> (Output, Value) {
    let directory = tempfile::tempdir().expect("a directory");
    let result = directory.path().join("result.json");
    let output = command.arg("--json").arg(&result).output().expect("python3 is there");
    let written = std::fs::read(&result).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output, serde_json::from_slice(&written).expect("JSON"))
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).join("\n")
}

/// Runs a scenario that must pass, and returns the report of `run.py`.
fn pass(scenario: &str, replica: &Path, transport: &str) -> Value {
    let (output, result) = run(scenario, replica, "", transport);
    assert!(output.status.success(), "{transport}: {}\n{}", output.status, said(&output));
    assert!(said(&output).contains("All correctness tests passed"), "{}", said(&output));
    assert_eq!(result["linearizable"], Value::Bool(true), "{}", said(&output));
    result
}

fn simulate(scenario: &str, transport: &str) -> Value {
    pass(&format!("tests/scenarios/{scenario}"), Path::new(OURS), transport)
}

fn figure(result: &Value, name: &str) -> u64 {
    result["figures"][name].as_u64().unwrap_or_else(|| panic!("no figure {name} in {result}"))
}

#[test]
fn replicas_answer_every_request_in_each_dialect() {
    thread::scope(|scope| {
        for transport in TRANSPORTS {
            scope.spawn(move || {
                let result = simulate("calm", transport);
                assert_eq!(figure(&result, "failures"), 0, "{transport}");
                assert_eq!(figure(&result, "duplicates"), 0, "{transport}");
            });
        }
    });
}

/// A put and a get cost sixteen messages, instead of four and none. On a busy machine one
/// acknowledgement or commit notice may stand for several requests. So only the entry for each of
/// four followers is certain.
#[test]
fn tuning_of_the_replica_can_be_tried() {
    let naive = "--no-batching --commit-notices --no-coalescing --no-thrift --topology star --reads log";
    let mut command = run_py("tests/scenarios/calm", Path::new(OURS), "seqpacket");
    let (output, result) = finish(command.arg(format!("--replica-options={naive}")));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(figure(&result, "failures"), 0);
    let requests = figure(&result, "gets") + figure(&result, "puts");
    assert!(figure(&result, "total_messages") >= 4 * requests, "{result}");
}

#[test]
fn tuning_that_the_replica_refuses_is_bad_usage() {
    for transport in TRANSPORTS {
        let mut command = run_py("tests/scenarios/calm", Path::new(OURS), transport);
        let output = command.arg("--replica-options=--reads never").output().expect("python3 is there");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = stderr.lines().last().expect("a line");
        assert!(line.starts_with("--replica-options: --reads never: refused by the replica: "), "{stderr}");
        assert!(line.contains("possible values: lease, read-index, log"), "{stderr}");
    }
}

/// The leader holds requests when it is killed. Their clients repeat them and get answers.
#[test]
fn answers_stay_right_under_loss_a_partition_and_a_killed_leader() {
    let result = simulate("rough", "seqpacket");
    assert_eq!(figure(&result, "failures"), 0, "{result}");
    assert_eq!(figure(&result, "duplicates"), 0, "{result}");
}

/// Clients share a few keys, so that the order of their operations matters. The judge finds one
/// that was done twice or not at all.
#[test]
fn operations_with_replies_are_done_once_although_their_leader_is_killed() {
    let result = simulate("operations", "seqpacket");
    assert_eq!(figure(&result, "failures"), 0, "{result}");
    for operation in ["cas", "increment", "append", "delete"] {
        let count = &result["figures"]["operations"][operation];
        assert!(count["done"].as_u64() > Some(0), "{operation}: {result}");
        assert_eq!(count["refused"], Value::from(0), "{operation}: {result}");
    }
}

/// The replica of the simulator's tests, with the flaw that its argument names.
fn flawed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("simulator/tests/unsafe_replica.py")
}

/// Both flaws pass without faults and are found under faults, where our replica passes. The runs
/// take place at the same time, because each takes long and does hardly any work. Each dialect sees
/// at least one of the flawed runs.
#[test]
fn replica_with_a_hidden_flaw_is_caught_under_faults() {
    let caught = |flaw, transport| {
        let (output, result) = run("configs/beyond/catch-unsafe", &flawed(), flaw, transport);
        assert_eq!(output.status.code(), Some(1), "{flaw} {transport}:\n{}", said(&output));
        assert_eq!(result["linearizable"], Value::Bool(false), "{}", said(&output));
    };
    let calm = |flaw, transport| {
        let mut command = run_py("tests/scenarios/calm", &flawed(), transport);
        let (output, result) = finish(command.env("FLAW", flaw).env("SILENCE_SECONDS", NEVER_SILENT));
        assert!(output.status.success(), "{flaw} {transport}:\n{}", said(&output));
        assert_eq!(result["linearizable"], Value::Bool(true), "{}", said(&output));
    };
    thread::scope(|scope| {
        for transport in TRANSPORTS {
            scope.spawn(move || pass("configs/beyond/catch-unsafe", Path::new(OURS), transport));
        }
        scope.spawn(|| calm("acknowledges_early", "seqpacket"));
        scope.spawn(|| calm("reads_locally", "udp"));
        scope.spawn(|| caught("acknowledges_early", "stream"));
        scope.spawn(|| caught("reads_locally", "seqpacket"));
    });
}
