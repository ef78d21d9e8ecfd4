//! One table for each question.

use kvstore::micros::Micros;
use kvstore::sim::measure::{Experiment, LADDER, Latencies, Load, Measured};
use kvstore::tuning::{Reads, Topology, Tuning};
use serde_json::{Value, json};

use crate::output::{Report, Row};

/// A message takes this long where latency is told in one-way trips.
const TRIP_US: Micros = 1_000;

/// The losses of the scenarios.
const LOSSES: [f64; 4] = [0.0, 0.05, 0.15, 0.3];

/// How many clients ask one after the other.
const OUTSTANDING: [usize; 3] = [1, 8, 64];

/// All tables but that of the scenarios.
pub fn all(report: &mut Report, full: bool) {
    for replicas in [3, 5, 7, 9] {
        for loss in LOSSES.into_iter().filter(|&loss| full || loss == 0.0 || replicas == 5) {
            for outstanding in OUTSTANDING {
                ladder(report, replicas, loss, outstanding, full);
            }
        }
    }
    for replicas in [5, 7, 9] {
        open_loop(report, replicas, full);
        closed_loop(report, replicas);
    }
    stages(report);
    for replicas in [5, 9] {
        topologies(report, replicas, full);
    }
    windows(report);
    reads(report);
}

fn measure(experiment: &Experiment) -> Measured {
    let measured = experiment.run(1).unwrap_or_else(|violation| panic!("{violation}: {experiment:?}"));
    assert_eq!(measured.requests, experiment.requests, "some were never answered: {experiment:?}");
    measured
}

fn per_request(count: u64, measured: &Measured) -> Value {
    json!(count as f64 / measured.requests as f64)
}

fn trips(us: Micros) -> Value {
    json!(us as f64 / TRIP_US as f64)
}

/// The gain of each choice.
fn ladder(report: &mut Report, replicas: usize, loss: f64, outstanding: usize, full: bool) {
    let requests = if full { 10_000 } else { 2_000 };
    let row = |&(name, tuning): &(&'static str, Tuning)| {
        let experiment = Experiment {
            tuning,
            loss,
            delay_us: (TRIP_US, TRIP_US),
            requests,
            ..Experiment::new(replicas, Load::Closed(outstanding))
        };
        let puts = measure(&experiment);
        let gets = measure(&Experiment { gets: 1.0, ..experiment });
        vec![
            ("tuning", json!(name)),
            ("messages/put", per_request(puts.traffic.messages(), &puts)),
            ("datagrams/put", per_request(puts.traffic.datagrams, &puts)),
            ("bytes/put", per_request(puts.traffic.bytes, &puts)),
            ("entries/append", json!(puts.traffic.mean_batch())),
            ("p50 put", trips(puts.puts.p50_us)),
            ("p99 put", trips(puts.puts.p99_us)),
            ("datagrams/get", per_request(gets.traffic.datagrams, &gets)),
            ("bytes/get", per_request(gets.traffic.bytes, &gets)),
            ("p50 get", trips(gets.gets.p50_us)),
            ("p99 get", trips(gets.gets.p99_us)),
        ]
    };
    let mut rows: Vec<Row> = LADDER.iter().map(row).collect();
    let quorum = replicas / 2 + 1;
    rows.push(floor("(floor of a star)", 2 * (quorum - 1), 4, outstanding));
    rows.push(floor("(floor of a relay)", quorum, 2 + quorum, outstanding));
    let title = format!(
        "{replicas} replicas, {:.0} % loss, {outstanding} outstanding; latencies in one-way trips",
        loss * 100.0
    );
    let common =
        vec![("replicas", json!(replicas)), ("loss", json!(loss)), ("outstanding", json!(outstanding))];
    report.table("ladder", &title, &common, &rows);
}

/// The floor if so many messages carry all puts that clients wait for; see the head of
/// `messages.rs`.
fn floor(name: &'static str, messages: usize, trips: usize, outstanding: usize) -> Row {
    let (per_put, trips) = (json!(messages as f64 / outstanding as f64), json!(trips as f64));
    vec![
        ("tuning", json!(name)),
        ("messages/put", per_put.clone()),
        ("datagrams/put", per_put),
        ("bytes/put", Value::Null),
        ("entries/append", Value::Null),
        ("p50 put", trips.clone()),
        ("p99 put", trips),
        ("datagrams/get", json!(0.0)),
        ("bytes/get", json!(0.0)),
        ("p50 get", json!(2.0)),
        ("p99 get", json!(2.0)),
    ]
}

/// The cells of a run with puts.
fn puts(measured: &Measured) -> Row {
    let Latencies { p50_us, p99_us, .. } = measured.puts;
    vec![
        ("messages/put", per_request(measured.traffic.messages(), measured)),
        ("datagrams/put", json!(measured.datagrams_per_request())),
        ("bytes/put", per_request(measured.traffic.bytes, measured)),
        ("entries/append", json!(measured.traffic.mean_batch())),
        ("puts/s", json!((measured.requests as f64 * 1e6 / measured.span_us.max(1) as f64).round() as u64)),
        ("p50 (us)", json!(p50_us)),
        ("p99 (us)", json!(p99_us)),
    ]
}

fn with_puts(name: &'static str, value: Value, experiment: &Experiment) -> Row {
    std::iter::once((name, value)).chain(puts(&measure(experiment))).collect()
}

fn open_loop(report: &mut Report, replicas: usize, full: bool) {
    let row = |offered: usize| {
        let requests = if full { 2 * offered } else { (offered / 2).clamp(500, 10_000) };
        let experiment = Experiment { requests, ..Experiment::new(replicas, Load::Open(offered)) };
        with_puts("offered/s", json!(offered), &experiment)
    };
    let rows: Vec<Row> = [100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000].map(row).into();
    let title = format!("{replicas} replicas, open loop, trips of 30 to 90 us, stages of 5 to 30 us");
    report.table("open loop", &title, &vec![("replicas", json!(replicas))], &rows);
}

fn closed_loop(report: &mut Report, replicas: usize) {
    let row = |exponent: u32| {
        let outstanding = 1 << exponent;
        let requests = 2_000 + 20 * outstanding;
        let experiment = Experiment { requests, ..Experiment::new(replicas, Load::Closed(outstanding)) };
        with_puts("outstanding", json!(outstanding), &experiment)
    };
    let rows: Vec<Row> = (0..=9).map(row).collect();
    let title = format!("{replicas} replicas, closed loop, trips of 30 to 90 us, stages of 5 to 30 us");
    report.table("closed loop", &title, &vec![("replicas", json!(replicas))], &rows);
}

/// Requests that wait while a stage is at work are the next batch: the longer a stage takes, the
/// larger the batches.
fn stages(report: &mut Report) {
    let row = |stage_us: Micros| {
        let experiment = Experiment {
            stage_us: (stage_us, stage_us),
            requests: 10_000,
            ..Experiment::new(5, Load::Closed(64))
        };
        with_puts("stage (us)", json!(stage_us), &experiment)
    };
    let rows: Vec<Row> = [0, 5, 10, 20, 50, 100, 200, 500, 1_000].map(row).into();
    let title = "5 replicas, 64 outstanding, trips of 30 to 90 us, by how long a stage takes";
    report.table("stages", title, &Row::new(), &rows);
}

fn topologies(report: &mut Report, replicas: usize, full: bool) {
    for outstanding in [1, 64] {
        let row = |(topology, loss): (Topology, f64)| {
            let experiment = Experiment {
                tuning: Tuning { topology, ..Tuning::DEFAULT },
                loss,
                requests: if full { 20_000 } else { 5_000 },
                ..Experiment::new(replicas, Load::Closed(outstanding))
            };
            let name = json!(format!("{topology:?}").to_lowercase());
            let rest = with_puts("loss", json!(loss), &experiment);
            std::iter::once(("topology", name)).chain(rest).collect()
        };
        let losses = [0.0, 0.05, 0.1, 0.15, 0.3];
        let topologies = [Topology::Star, Topology::Relay, Topology::Adaptive];
        let all = losses.into_iter().flat_map(|loss| topologies.map(|topology| (topology, loss)));
        let rows: Vec<Row> = all.map(row).collect();
        let title =
            format!("{replicas} replicas, {outstanding} outstanding, trips of 30 to 90 us: star and relay");
        let common = vec![("replicas", json!(replicas)), ("outstanding", json!(outstanding))];
        report.table("topologies", &title, &common, &rows);
    }
}

fn windows(report: &mut Report) {
    for (name, load) in [
        ("1 outstanding", Load::Closed(1)),
        ("64 outstanding", Load::Closed(64)),
        ("5000 offered/s", Load::Open(5_000)),
        ("20000 offered/s", Load::Open(20_000)),
    ] {
        let row = |coalesce_window_us: Micros| {
            let tuning = Tuning { coalesce_window_us, ..Tuning::DEFAULT };
            let experiment = Experiment { tuning, requests: 5_000, ..Experiment::new(5, load) };
            with_puts("window (us)", json!(coalesce_window_us), &experiment)
        };
        let rows: Vec<Row> = [0, 50, 200, 1_000].map(row).into();
        let title =
            format!("5 replicas, {name}, trips of 30 to 90 us, by how long the sender waits for more");
        report.table("windows", &title, &vec![("load", json!(name))], &rows);
    }
}

/// How long a lease lasts is tied to the election time-out and no choice. Its worth shows in how
/// often clients ask.
fn reads(report: &mut Report) {
    let row = |(reads, offered): (Reads, usize)| {
        let tuning = Tuning { reads, ..Tuning::DEFAULT };
        let load = Load::Open(offered);
        let requests = (offered * 10).clamp(200, 5_000);
        let measured = measure(&Experiment { tuning, gets: 1.0, requests, ..Experiment::new(5, load) });
        vec![
            ("reads", json!(format!("{reads:?}").to_lowercase())),
            ("offered/s", json!(offered)),
            ("messages/get", per_request(measured.traffic.messages(), &measured)),
            ("datagrams/get", per_request(measured.traffic.datagrams, &measured)),
            ("bytes/get", per_request(measured.traffic.bytes, &measured)),
            ("p50 (us)", json!(measured.gets.p50_us)),
            ("p99 (us)", json!(measured.gets.p99_us)),
        ]
    };
    let kinds = [Reads::Log, Reads::ReadIndex, Reads::Lease];
    let all = kinds.into_iter().flat_map(|reads| [1, 10, 100, 1_000, 10_000].map(|offered| (reads, offered)));
    let rows: Vec<Row> = all.map(row).collect();
    let title = "5 replicas, gets only, trips of 30 to 90 us, by how often clients ask";
    report.table("reads", title, &Row::new(), &rows);
}
