//! The cost of a request in messages: whole clusters in virtual time. A seed gives the same counts
//! on every machine, and the bench checks every rule of `kvstore::sim::invariants` on the way.
//!
//! `cargo bench --bench messages [-- [--full] [--json FILE]]`
//!
//! `--full` measures more requests of each kind, and the losses for every number of replicas;
//! `--json` writes all figures, which `docs/plot.py` draws.
//!
//! # Method
//!
//! A run has puts only or gets only, so that all messages of the replicas belong to one of them.
//! Its first requests do not count: the cluster elects a leader, clients get to know it, and each
//! get needs a key that was put. Then the bench counts, per completed request:
//!
//! * *messages*: those that the cores of the replicas wanted sent
//! * *datagrams*: those that were left after merging and packing (`run.py` counts these)
//! * *bytes*: those of the datagrams as they are written on the wire
//!
//! Costs by the second and not by the request, as the upkeep of a lease, are in there too. Latency
//! is from the moment when a client wants something to the moment when it has it, redirects
//! included.
//!
//! # The floor
//!
//! The rows of the first tables turn one choice on after the other. A message takes 1,000 us there,
//! which makes latencies countable in one-way trips, and a stage of a replica 5 to 30 us. The last
//! rows are the floors that no star and no relay of n replicas can beat:
//!
//! * A put is stored by a quorum, of which the leader is one. So the leader must send it to half of
//!   the replicas, rounded down, and these must answer. That makes 2 floor(n / 2) messages for all
//!   puts that travel together, at best all that clients wait for. In a relay the last follower
//!   answers for all: floor(n / 2) + 1.
//! * A get under a lease needs no follower: 0.
//! * A put takes 4 trips: to the leader, to a follower, back, and back to the client. In a relay it
//!   takes the client's two, and one for each message between replicas. A get takes 2.
//!
//! With equal delays, clients that are answered together ask together, and batches hold together.
//! The clients that found the leader at once are one batch; those that were redirected to it are
//! another, a round trip later. That is nearly the best case for batching. The tables of load have
//! the delays of one machine, 30 to 90 us, which scatter them.
//!
//! With a rotation, a follower gets the entries that it lacks when its turn comes. So an append
//! carries more entries than the batch brought that caused it: twice as many where every other turn
//! is its own.
//!
//! A stage takes no longer for a large batch than for a small one here. The requests of an open
//! loop come evenly spaced, as `run.py` sends them. So `puts/s` is the rate that clients get with
//! these delays, not the limit of a machine.

#[path = "messages/output.rs"]
mod output;
#[path = "messages/scenarios.rs"]
mod scenarios;
#[path = "messages/tables.rs"]
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use kvstore::sim::measure::{Experiment, Load};
use kvstore::sim::{run, swarm};
use output::Report;

/// The options of the command line.
#[derive(Debug, Default)]
struct Options {
    full: bool,
    json: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--full" => options.full = true,
                "--json" => options.json = Some(arguments.next().ok_or("--json needs a file")?.into()),
                "--bench" => {} // cargo says so
                _ => return Err(format!("{argument:?} is neither --full nor --json FILE")),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(refusal) => {
            eprintln!("messages: {refusal}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::default();
    tables::all(&mut report, options.full);
    scenarios::table(&mut report);
    if let Some(path) = &options.json
        && let Err(error) = report.write(path)
    {
        eprintln!("messages: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    speed();
    ExitCode::SUCCESS
}

/// How fast virtual time goes by, the only thing here that depends on the machine.
fn speed() {
    let mut criterion = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    let mut group = criterion.benchmark_group("virtual time");
    group.throughput(Throughput::Elements(100));
    group.bench_function("runs of the explorer", |b| {
        b.iter(|| (0..100).for_each(|seed| drop(run(&swarm::plan(seed), None, false))));
    });
    let experiment = Experiment { requests: 5_000, ..Experiment::new(5, Load::Open(5_000)) };
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("requests, 5000 per virtual second", |b| b.iter(|| experiment.run(1)));
    group.finish();
}
