//! The main job, end to end and short: `run.py` starts five real replicas, plays the network and
//! the clients, and checks every answer.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs a scenario of `tests/scenarios` and returns what `run.py` says about it, with all correctness
/// checks passed.
fn simulate(scenario: &str, transport: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().expect("a directory");
    let result = directory.path().join("result.json");
    let output = Command::new("python3")
        .arg(root.join("run.py"))
        .arg(root.join("tests/scenarios").join(scenario).with_extension("json"))
        .args(["--replica", env!("CARGO_BIN_EXE_kvstore"), "--transport", transport])
        .arg("--json")
        .arg(&result)
        .output()
        .expect("python3 is there");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    assert!(said.contains("All correctness tests passed"), "{said}");
    serde_json::from_slice(&std::fs::read(&result).expect("the result")).expect("JSON")
}

fn figure(result: &Value, name: &str) -> u64 {
    result["figures"][name].as_u64().unwrap_or_else(|| panic!("no figure {name} in {result}"))
}

#[test]
fn every_request_is_answered_in_the_stream_dialect() {
    let result = simulate("calm", "seqpacket");
    assert_eq!(figure(&result, "failures"), 0);
    assert_eq!(figure(&result, "duplicates"), 0);
}

#[test]
fn every_request_is_answered_in_the_datagram_dialect() {
    let result = simulate("calm", "udp");
    assert_eq!(figure(&result, "failures"), 0);
    assert_eq!(figure(&result, "duplicates"), 0);
}

/// What a leader holds when it is killed is never answered, whatever a replica does; everything else is. At 15
/// requests a second that is nothing, or very little on a machine that is busy just then.
#[test]
fn answers_stay_right_under_loss_a_partition_and_a_killed_leader() {
    let result = simulate("rough", "seqpacket");
    assert!(figure(&result, "failures") <= 3, "{result}");
    assert_eq!(figure(&result, "duplicates"), 0);
}
