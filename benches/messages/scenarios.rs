//! The seventeen scenarios of `run.py`, from a hundred seeds each.

use std::path::{Path, PathBuf};

use kvstore::micros::Micros;
use kvstore::sim::plan::Plan;
use kvstore::sim::run;
use kvstore::sim::scenario::Source;
use serde_json::{Value, json};

use crate::output::{Report, Row};

/// Enough seeds to show how much is chance.
const SEEDS: u64 = 100;

/// How long the loop that sends requests may sleep at a time. The scenarios judge a replica
/// incorrect that sends too few messages, and it sends fewest where requests come in bursts.
const POLLS_US: [Micros; 3] = [0, 50_000, 100_000];

/// Messages beside the bounds of the scenario.
pub fn table(report: &mut Report) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let files = std::fs::read_dir(directory).expect("the scenarios are there").flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let rows: Vec<Row> = paths.iter().flat_map(|path| POLLS_US.map(|poll_us| row(path, poll_us))).collect();
    let title = format!("The scenarios, {SEEDS} seeds each: messages of the whole run");
    report.table("scenarios", &title, &Row::new(), &rows);
}

fn row(path: &Path, poll_us: Micros) -> Row {
    let source = Source::read(path).expect("a scenario");
    let mut failures = 0;
    let mut median_latencies = Vec::new();
    let mut messages: Vec<u64> = Vec::new();
    for seed in 1..=SEEDS {
        let mut plan = source.plan(seed);
        plan.workload.poll_us = poll_us;
        let outcome = run(&plan, None, false);
        assert_eq!(outcome.violation, None, "{} with seed {seed}", path.display());
        failures += outcome.figures.failures;
        median_latencies.push(outcome.figures.median_latency_us);
        messages.push(outcome.figures.messages);
    }
    messages.sort_unstable();
    median_latencies.sort_unstable();
    let median = messages[messages.len() / 2];
    let thresholds = thresholds(path);
    vec![
        ("scenario", json!(path.file_stem().map(|stem| stem.to_string_lossy()))),
        ("poll (s)", json!(poll_us as f64 / 1e6)),
        ("least allowed", json!(least_allowed(&source.plan(0)))),
        ("minimum", json!(messages[0])),
        ("median", json!(median)),
        ("maximum", json!(messages[messages.len() - 1])),
        ("bonus <", json!(thresholds[0])),
        ("passed <", json!(thresholds[1])),
        ("partial <", json!(thresholds[2])),
        ("tier of the median", json!(tier(median, thresholds))),
        ("failures", json!(failures)),
        ("median latency (us)", json!(median_latencies[median_latencies.len() / 2])),
    ]
}

/// The least number of messages that the scenarios' check of the replication allows.
fn least_allowed(plan: &Plan) -> f64 {
    let puts = plan.workload.requests as f64 * (1.0 - plan.workload.gets);
    (puts * plan.replicas as f64 * 0.5).round()
}

/// The bounds that `total_msgs` must stay below.
fn thresholds(path: &Path) -> [u64; 3] {
    let text = std::fs::read(path).expect("it was read before");
    let scenario: Value = serde_json::from_slice(&text).expect("JSON");
    let thresholds = &scenario["tests"]["benchmarks"]["total_msgs"];
    [0, 1, 2].map(|tier| thresholds[tier].as_u64().expect("three numbers"))
}

fn tier(messages: u64, thresholds: [u64; 3]) -> &'static str {
    match thresholds.iter().position(|&threshold| messages < threshold) {
        Some(0) => "Bonus!",
        Some(1) => "Passed",
        Some(_) => "Partial credit",
        None => "Failed",
    }
}
