//! Exact numbers of messages between replicas: a change that costs or saves messages shows in the
//! diff of `messages.golden`. `UPDATE_GOLDENFILES=1 cargo test --test messages` writes the file
//! anew. Commit it only when every changed line is understood.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use kvstore::sim::measure::{Experiment, LADDER, Load, Measured};
use kvstore::sim::run;
use kvstore::sim::scenario::Source;

/// The runs of each scenario.
const SEEDS: [u64; 3] = [1, 2, 3];

/// Each with the default tuning: replicas, closed-loop clients, and loss.
const LOADS: [(usize, usize, f64); 5] = [(3, 1, 0.0), (5, 1, 0.0), (5, 64, 0.0), (5, 8, 0.15), (9, 8, 0.0)];

#[test]
fn numbers_of_messages_are_those_of_the_golden_file() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages.golden");
    let now = format!("{}\n{}", scenarios(), ladder());
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&golden, &now).expect("it can be written");
    }
    let before = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(before == now, "UPDATE_GOLDENFILES=1 accepts this:\n{}", differences(&before, &now));
}

/// Each line that has changed, in its old and its new form.
fn differences(before: &str, now: &str) -> String {
    let (mut old, mut new) = (before.lines(), now.lines());
    let mut text = String::new();
    for number in 1..=before.lines().count().max(now.lines().count()) {
        let (old, new) = (old.next().unwrap_or_default(), new.next().unwrap_or_default());
        if old != new {
            writeln!(text, "line {number}\n  - {old}\n  + {new}").expect("a string takes everything");
        }
    }
    text
}

/// The messages of whole runs of the seventeen scenarios.
fn scenarios() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let files = std::fs::read_dir(directory).expect("the scenarios are there").flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    assert_eq!(paths.len(), 17);
    let mut text = format!("messages in total, by seed {SEEDS:?}\n");
    for path in paths {
        let source = Source::read(&path).expect("a scenario");
        let messages = SEEDS.map(|seed| run(&source.plan(seed), None, false).figures.messages);
        let name = path.file_stem().expect("a name").to_string_lossy();
        writeln!(text, "{name:<14}{}", columns(&messages)).expect("a string takes everything");
    }
    text
}

/// Datagrams and bytes for 500 puts and for 500 gets. Each row adds one choice.
fn ladder() -> String {
    let mut text = String::new();
    for (replicas, outstanding, loss) in LOADS {
        writeln!(text, "{replicas} replicas, {outstanding} outstanding, {loss} lost, 500 puts and 500 gets:")
            .expect("a string takes everything");
        writeln!(text, "{:<24}{:>10}{:>10}{:>10}{:>10}", "", "datagrams", "bytes", "datagrams", "bytes")
            .expect("a string takes everything");
        for (name, tuning) in LADDER {
            let puts = Experiment {
                tuning,
                loss,
                requests: 500,
                ..Experiment::new(replicas, Load::Closed(outstanding))
            };
            let gets = Experiment { gets: 1.0, ..puts };
            let sent = [puts, gets].map(|experiment| experiment.run(1).expect("no rule is broken"));
            let counts = sent.iter().flat_map(|Measured { traffic, .. }| [traffic.datagrams, traffic.bytes]);
            let counts: Vec<u64> = counts.collect();
            writeln!(text, "{name:<24}{}", columns(&counts)).expect("a string takes everything");
        }
    }
    text
}

fn columns(counts: &[u64]) -> String {
    counts.iter().map(|count| format!("{count:>10}")).collect()
}
