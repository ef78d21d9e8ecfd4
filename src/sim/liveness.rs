//! After the safety phase a majority heals for good, and the other replicas stay broken, perhaps in
//! one direction only. The cluster must make progress then: a cluster that does nothing is safe,
//! too.

use raft::types::Term;

use super::cluster::Cluster;
use super::invariants::Violation;
use super::plan::{Broken, Liveness, Storage};
use super::trace::Place;
use crate::micros::Micros;
use crate::replica::ELECTION_TIMEOUT_US;

/// The longest time that the majority may acknowledge nothing, by the slowest clock. A client may
/// wait in vain for several broken replicas, two seconds each time, before it reaches a healthy
/// one. Only then does that replica suspect its leader.
const MAX_STALL_US: Micros = 18 * ELECTION_TIMEOUT_US;

/// How often the clients relieve an overload, in steps of the longest stall.
const RELIEFS: Micros = 24;

/// The time that the cluster gets to catch up before it is examined.
const CATCH_UP_US: Micros = ELECTION_TIMEOUT_US;

/// The time that the cluster has to answer all requests and to bring each member up to date.
const MAX_SETTLING_US: Micros = 6 * MAX_STALL_US;

/// The allowed growth of the term meanwhile: one election, and a few that end without a winner.
const MAX_TERM_GROWTH: Term = 6;

/// The allowed growth of the term once the cluster works. A campaign that began before may still
/// depose a leader. Clients that wander may not.
const MAX_TERM_GROWTH_AT_WORK: Term = 2;

/// Number of requests of a client that wanders.
const WANDERINGS: usize = 16;

/// The pause of that client after each request.
const PACE_US: Micros = ELECTION_TIMEOUT_US / 4;

/// The interval at which the cluster checks whether the probe was acknowledged, and the pace of a
/// client that wanders.
const STEP_US: Micros = 50_000;

const NAME: &str = "liveness";

/// Heals the majority, breaks the other replicas, and checks that the cluster makes progress.
pub(super) fn run(cluster: &mut Cluster, liveness: &Liveness) -> Result<(), Violation> {
    cluster.trace.say(cluster.now, Place::Network, || format!("from now on {liveness:?}"));
    heal(cluster, liveness)?;
    let term_before = highest_term(cluster);
    let up = cluster.up();
    let sending = cluster.clients.probe(cluster.now, &up);
    cluster.ask(sending);

    recover(cluster)?;
    let term_then = highest_term(cluster);
    wander(cluster)?;
    settle(cluster, &liveness.majority)?;
    check_terms(cluster, term_before, MAX_TERM_GROWTH)?;
    check_terms(cluster, term_then, MAX_TERM_GROWTH_AT_WORK)
}

/// Waits until the probe is acknowledged. A cluster that acknowledges nothing for too long stalls.
/// A cluster that acknowledges other puts meanwhile is overloaded: the clients repeat requests ever
/// less often, until the probe gets through.
fn recover(cluster: &mut Cluster) -> Result<(), Violation> {
    let began = cluster.now;
    let max_stall_us = by_the_slowest_clock(cluster, MAX_STALL_US);
    let (mut stored, mut progress_at, mut relief_at) = (0, began, began + max_stall_us);
    while !cluster.clients.is_probe_acknowledged() {
        if cluster.clients.stored() > stored {
            (stored, progress_at) = (cluster.clients.stored(), cluster.now);
        }
        if cluster.now >= progress_at + max_stall_us {
            let detail = format!("a healthy majority has acknowledged nothing for {max_stall_us} us");
            return Err(Violation::new(NAME, cluster.now, None, detail));
        }
        if cluster.now >= began + RELIEFS * max_stall_us {
            let detail =
                format!("one put has waited for {} us while others were acknowledged", cluster.now - began);
            return Err(Violation::new(NAME, cluster.now, None, detail));
        }
        if cluster.now >= relief_at {
            cluster.clients.back_off();
            cluster.coverage.overloads += u64::from(relief_at == began + max_stall_us);
            relief_at += max_stall_us;
        }
        cluster.run_until(cluster.now + STEP_US)?;
    }
    let true_us = cluster.now - began;
    cluster.recovery_us = (relief_at == began + max_stall_us).then(|| true_us * MAX_STALL_US / max_stall_us);
    Ok(())
}

/// A client asks one replica after the other, as clients without a known leader do. Each replica
/// may suspect its leader then and probe it, and do no more.
fn wander(cluster: &mut Cluster) -> Result<(), Violation> {
    for _ in 0..WANDERINGS {
        let up = cluster.up();
        let sending = cluster.clients.wander(cluster.now, &up);
        cluster.ask(sending);
        cluster.run_until(cluster.now + PACE_US)?;
    }
    Ok(())
}

/// The true time of a span that the slowest clock of the cluster measures.
fn by_the_slowest_clock(cluster: &Cluster, span_us: Micros) -> Micros {
    let slowest = cluster.plan.clock_ppm.iter().copied().min().unwrap_or(0).min(0);
    span_us * 1_000_000 / (1_000_000 + slowest).max(1) as Micros
}

/// Clients repeat their requests until they are answered. Then no replica owes an answer, and all
/// replicas have applied the same entries.
fn settle(cluster: &mut Cluster, majority: &[usize]) -> Result<(), Violation> {
    let (mut stored, mut deadline) = (cluster.clients.stored(), cluster.now + MAX_SETTLING_US);
    loop {
        cluster.run_until(cluster.now + CATCH_UP_US)?;
        let is_overloaded = cluster.clients.stored() > stored;
        match check_answers(cluster).and_then(|()| check_progress(cluster, majority)) {
            Err(_) if cluster.now >= deadline && is_overloaded => {
                cluster.clients.back_off();
                cluster.coverage.overloads += 1;
                (stored, deadline) = (cluster.clients.stored(), cluster.now + MAX_SETTLING_US);
            }
            Err(violation) if cluster.now >= deadline => return Err(violation),
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
    }
}

fn heal(cluster: &mut Cluster, liveness: &Liveness) -> Result<(), Violation> {
    cluster.faults.forget();
    cluster.network.heal();
    cluster.record_links();
    cluster.clients.heal();
    for at in 0..cluster.servers.len() {
        // The clocks of the other replicas heal, too: a deaf leader steps down only by its own
        // clock.
        cluster.set_clock_rate(at, cluster.plan.clock_rate(at));
        let freed = cluster.servers[at].disk.heal();
        cluster.end_now(at, freed);
        if liveness.majority.contains(&at) {
            cluster.restart(at)?;
            cluster.servers[at].paused = 1;
            cluster.resume(at);
            cluster.servers[at].clogged = 1;
            cluster.unclog(at);
        } else {
            break_for_good(cluster, at, liveness.others);
        }
    }
    // The held messages arrive now, however old they are.
    for from in 0..cluster.servers.len() {
        (0..cluster.servers.len()).for_each(|to| cluster.release(from, to));
    }
    Ok(())
}

fn break_for_good(cluster: &mut Cluster, at: usize, how: Broken) {
    if cluster.servers[at].paused > 0 {
        cluster.crash(at); // a pause for good is the same, except that clients would wait
        return;
    }
    let others = 0..cluster.servers.len();
    let incoming = others.clone().map(|other| (other, at));
    let outgoing = others.map(|other| (at, other));
    let cuts = match how {
        Broken::Down if cluster.plan.storage != Storage::Memory => {
            cluster.crash(at);
            return;
        }
        Broken::Down | Broken::Isolated => incoming.chain(outgoing).collect(),
        Broken::Deaf => incoming.collect(),
        Broken::Mute => outgoing.collect(),
    };
    cluster.cut(cuts);
}

fn highest_term(cluster: &Cluster) -> Term {
    let term = |server: &super::server::Server| server.replica().map(|r| r.node().hard_state().current_term);
    cluster.servers.iter().filter_map(term).max().unwrap_or(0)
}

fn check_terms(cluster: &Cluster, before: Term, most: Term) -> Result<(), Violation> {
    let growth = highest_term(cluster) - before;
    if growth > most {
        let detail = format!("the term grew by {growth} although a majority is healthy");
        return Err(Violation::new(NAME, cluster.now, None, detail));
    }
    Ok(())
}

/// No running replica owes an answer any more, healthy or not, because clients reach it.
fn check_answers(cluster: &Cluster) -> Result<(), Violation> {
    for (at, server) in cluster.servers.iter().enumerate().filter(|(_, server)| server.runs()) {
        let owes = server.replica().map_or(0, crate::replica::Replica::owes);
        if owes > 0 {
            let detail = format!("{} requests have been waiting there for too long", owes);
            return Err(Violation::new(NAME, cluster.now, at, detail));
        }
    }
    Ok(())
}

/// All members of the majority have applied the same log.
fn check_progress(cluster: &Cluster, majority: &[usize]) -> Result<(), Violation> {
    let replica = |at: usize| cluster.servers[at].replica();
    let applied = |at| replica(at).map(|replica| replica.node().commit_index());
    let state = |at| replica(at).map(crate::replica::Replica::state_machine);
    let first = majority[0];
    match majority.iter().find(|&&at| applied(at) != applied(first) || state(at) != state(first)) {
        Some(&at) => {
            let detail = format!("applied {:?}, replica {first} {:?}", applied(at), applied(first));
            Err(Violation::new("the same in the end", cluster.now, at, detail))
        }
        None => Ok(()),
    }
}
