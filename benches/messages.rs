//! What a request costs: whole clusters in virtual time, so a seed gives the same counts on every machine,
//! and every rule of `kvstore::sim::invariants` is checked on the way.
//!
//! `cargo bench --bench messages [-- [--full] [--json FILE]]`
//!
//! `--full` measures more requests of each kind, and the losses for every number of replicas; `--json` writes
//! all that was measured, which `docs/plot.py` draws.
//!
//! # How it is measured
//!
//! A run has puts only or gets only, so that whatever replicas send belongs to one of them. Its first
//! requests do not count: a leader is elected, clients get to know it, and each get needs a key that was put.
//! Then *messages* are what the cores of the replicas wanted sent, *datagrams* what was left after merging
//! and packing (`run.py` counts these), *bytes* the datagrams as they are written on the wire, each divided
//! by the requests that were completed meanwhile. What is paid by the second and not by the request, as the
//! upkeep of a lease, is in there too. Latency is from when a client wants something to when it has it,
//! redirects included.
//!
//! # What is the least
//!
//! The rows of the first tables turn one choice on after the other; a message takes 1,000 us there, which
//! makes latencies countable in one-way trips, and a stage of a replica 5 to 30 us. The last rows are what no
//! star and no relay of n replicas can beat:
//!
//! * A put is stored by a quorum, of which the leader is one: floor(n / 2) followers must be sent it and must
//!   answer, 2 floor(n / 2) messages for all puts that travel together, at best all that clients wait for. In
//!   a relay the last one answers for all: floor(n / 2) + 1.
//! * A get under a lease needs nobody: 0.
//! * A put takes 4 trips: to the leader, to a follower, back, and back to the client; in a relay as many between
//!   replicas as there are messages, and the client's two. A get takes 2.
//!
//! With equal delays, clients that are answered together ask together, and batches hold together: those who
//! found the leader at once are one, those who were sent to it another, a round trip later. That is nearly
//! the best case for batching. The tables of load have the delays of one machine, 30 to 90 us, which scatter
//! them.
//!
//! With a rotation, a follower gets what it has missed when its turn comes. So an append carries more entries
//! than the batch brought that caused it: twice as many where every other turn is its own.
//!
//! A stage takes no longer for a large batch than for a small one here, and the requests of an open loop come
//! evenly spaced, as `run.py` sends them. So `puts/s` is what the clients get out of these delays, not what a
//! machine can do.

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

/// What the command line asks for.
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
