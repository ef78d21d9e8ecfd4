//! A plan becomes an outcome.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bugs::Bug;
use super::cluster::Cluster;
use super::coverage::Coverage;
use super::invariants::Violation;
use super::measure::Latencies;
use super::plan::{Fault, FaultKind, Plan};
use super::recorder::Heading;
use super::traffic::Traffic;
use crate::micros::Micros;
use crate::reply::Reply;
use crate::request::Outcome as Answer;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first rule that was broken, if any.
    pub violation: Option<Violation>,
    /// Counts of the situations that the run reached.
    pub coverage: Coverage,
    /// The figures that `run.py` would report.
    pub figures: Figures,
    /// The time that a healthy majority took to acknowledge a put, by the slowest clock. `None`
    /// without a liveness phase, and after an overload.
    pub recovery_us: Option<Micros>,
    /// The faults whose condition was never met, in words.
    pub unmet: Vec<String>,
    /// Virtual time that has passed.
    pub virtual_us: Micros,
    /// The transcript, if it was wanted.
    pub trace: String,
}

/// The figures by which scenarios are judged; `run.py` has the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Datagrams between replicas, arrived or not.
    pub messages: u64,
    /// Requests that failed or were never answered.
    pub failures: usize,
    /// Second answers to requests that were sent once.
    pub duplicates: usize,
    /// Requests that were redirected.
    pub redirects: usize,
    /// Gets that returned a value before its put was acknowledged: incorrect for other simulators
    /// of the family.
    pub early_reads: usize,
    /// The median time from a request to its answer, of any kind.
    pub median_latency_us: Micros,
    /// The time within which 99 % of the answers came.
    pub p99_latency_us: Micros,
    /// The time until puts were acknowledged, redirects included.
    pub puts: Latencies,
    /// The time until gets returned their values, redirects included.
    pub gets: Latencies,
    /// The longest time from a fault to the next election, if there was one.
    pub election_us: Micros,
    /// The longest time from a fault to the acknowledgement of a put that was first asked after it.
    pub recovery_us: Micros,
    /// The messages between replicas.
    pub traffic: Traffic,
}

/// Runs a plan, with a bug around each replica if one is given, and with a transcript if it is
/// wanted. The same plan always has the same outcome.
pub fn run(plan: &Plan, bug: Option<Bug>, traced: bool) -> Outcome {
    run_cluster(&mut Cluster::new(plan.clone(), bug, traced))
}

/// Runs a plan as [`run`] does, with a transcript, and writes its trace to a file meanwhile. Returns
/// whether the whole trace is written, too.
pub fn record(
    plan: &Plan,
    bug: Option<Bug>,
    heading: &Heading,
    file: Box<dyn io::Write>,
) -> (Outcome, io::Result<()>) {
    let mut cluster = Cluster::new(plan.clone(), bug, true);
    cluster.record(bug, heading, file);
    let outcome = run_cluster(&mut cluster);
    let recorder = cluster.trace.recorder.take();
    let written = recorder.map_or(Ok(()), |recorder| recorder.end(&cluster.clients, &outcome));
    (outcome, written)
}

fn run_cluster(cluster: &mut Cluster) -> Outcome {
    // A bug may break an assertion before it breaks a rule.
    let ended = catch_unwind(AssertUnwindSafe(|| cluster.run()));
    let violation = match ended {
        Ok(result) => result.err(),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(Violation::new("no panic", cluster.now(), None, message.unwrap_or_default()))
        }
    };
    Outcome {
        violation,
        coverage: cluster.coverage().clone(),
        figures: figures(cluster),
        recovery_us: cluster.recovery_us(),
        unmet: cluster.unmet.clone(),
        virtual_us: cluster.now(),
        trace: cluster.trace().text().to_owned(),
    }
}

fn figures(cluster: &Cluster) -> Figures {
    let clients = cluster.clients();
    let outcomes = clients.all().iter().map(|asked| &asked.outcome);
    let failures = outcomes
        .filter(|outcome| matches!(outcome, None | Some(Answer::Fail | Answer::Done(Reply::Error(_)))))
        .count();
    let latency = |asked: &super::clients::Asked| asked.returned.map(|at| at - asked.invoked);
    let mut latencies: Vec<Micros> = clients.all().iter().filter_map(latency).collect();
    latencies.sort_unstable();
    Figures {
        messages: cluster.traffic().datagrams,
        failures,
        duplicates: clients.duplicates(),
        redirects: clients.redirects(),
        early_reads: clients.early_reads(),
        median_latency_us: latencies.get(latencies.len() / 2).copied().unwrap_or(0),
        p99_latency_us: latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(0),
        puts: Latencies::of_puts(clients.all(), 0),
        gets: Latencies::of_gets(clients.all(), 0),
        election_us: longest(&cluster.plan, |at| {
            cluster.elected_at.iter().copied().find(|&elected| elected > at)
        }),
        recovery_us: longest(&cluster.plan, |at| Some(recovered_at(cluster, at))),
        traffic: cluster.traffic().clone(),
    }
}

/// The longest time from a fault to the event that ends its effect. The time of a fault that waits for
/// an occurrence is not known, and one that ends others has no effect of its own.
fn longest(plan: &Plan, ends_at: impl Fn(Micros) -> Option<Micros>) -> Micros {
    let counts = |fault: &&Fault| {
        !matches!(fault.kind, FaultKind::When(..) | FaultKind::EndPartitions | FaultKind::Heal)
    };
    plan.faults
        .iter()
        .filter(counts)
        .filter_map(|fault| Some(ends_at(fault.at_us)? - fault.at_us))
        .max()
        .unwrap_or(0)
}

/// The time of the first acknowledgement of a put that was first asked after `fault_at`; the end of
/// the run if there is none.
fn recovered_at(cluster: &Cluster, fault_at: Micros) -> Micros {
    let is_stored = |asked: &&super::clients::Asked| asked.is_stored();
    let stored = cluster.clients().all().iter().filter(|asked| asked.wanted >= fault_at).filter(is_stored);
    stored.filter_map(|asked| asked.returned).min().unwrap_or(cluster.now().max(fault_at))
}
