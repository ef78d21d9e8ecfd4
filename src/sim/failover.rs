//! The time that a cluster is without a leader, in virtual time, on schedules where it was once too
//! long. Each schedule has a bound for the median over its seeds, or for the worst seed.

use super::cluster::Cluster;
use super::plan::{Fault, FaultKind, Plan, Shape, Target};
use super::run;
use super::{Figures, measure};
use crate::micros::Micros;
use crate::tuning::{Detection, Tuning};

const SECOND: Micros = 1_000_000;

/// The number of seeds of each schedule.
const SEEDS: u64 = 10;

/// Clients of five healthy replicas that send so many requests per second, from second 2 to 12 of
/// 16. A fault at second 6 leaves twice the time that the slowest schedule may take.
fn steady(seed: u64, per_second: usize) -> Plan {
    let mut plan = measure::Experiment::new(5, measure::Load::Open(per_second)).plan(seed);
    plan.lifetime_us = 16 * SECOND;
    plan.workload.requests = 10 * per_second;
    (plan.workload.start_us, plan.workload.end_us) = (2 * SECOND, 12 * SECOND);
    plan
}

/// A time near second 6 that differs between seeds.
fn soon(seed: u64) -> Micros {
    6 * SECOND + seed * 37_000
}

fn for_good(at_us: Micros, kind: FaultKind) -> Fault {
    Fault { at_us, for_us: None, kind }
}

fn kill_leader(plan: Plan) -> Plan {
    let faults = vec![for_good(soon(plan.seed), FaultKind::Crash(Target::Leader))];
    Plan { faults, ..plan }
}

/// The figure of each seed, in rising order.
fn figures(plan: impl Fn(u64) -> Plan, of: impl Fn(&Figures) -> u64) -> Vec<u64> {
    let figure = |seed| {
        let outcome = run(&plan(seed), None, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        let figure = of(&outcome.figures);
        assert!(figure > 0, "seed {seed}: no replica was elected after the fault");
        figure
    };
    let mut figures: Vec<u64> = (0..SEEDS).map(figure).collect();
    figures.sort_unstable();
    figures
}

/// Returns the median and the greatest figure, and prints them.
fn over_seeds(name: &str, plan: impl Fn(u64) -> Plan, of: impl Fn(&Figures) -> u64) -> (u64, u64) {
    let figures = figures(plan, of);
    let (median, most) = (figures[figures.len() / 2], figures[figures.len() - 1]);
    println!("{name}: median {median}, at most {most}");
    (median, most)
}

/// Every client has the same single address: that of the leader, which is killed.
fn one_address(seed: u64, idle: bool) -> Plan {
    let mut plan = kill_leader(steady(seed, 20));
    (plan.workload.gets, plan.workload.asks_the_dead) = (0.8, true);
    plan.workload.end_us = 14 * SECOND;
    if idle {
        plan.workload.requests = 20;
        (plan.workload.start_us, plan.workload.end_us) = (SECOND, 2 * SECOND);
    }
    plan
}

#[test]
fn dead_leader_is_found_out_when_clients_ask_no_other_replica() {
    let busy =
        over_seeds("one address, busy", |seed| one_address(seed, false), |figures| figures.election_us);
    let idle = over_seeds("one address, idle", |seed| one_address(seed, true), |figures| figures.election_us);
    assert!(busy.1.max(idle.1) < 3 * SECOND, "{busy:?} {idle:?}");
}

/// Each request comes from a client of its own. That client asks any replica, follows one redirect,
/// and waits for ever.
fn fresh_clients(seed: u64) -> Plan {
    let mut plan = kill_leader(steady(seed, 20));
    (plan.workload.fresh_ids, plan.workload.wander, plan.workload.asks_the_dead) = (true, 1.0, true);
    plan
}

/// One client sends one request after the other. After `timeout_us` without an answer it asks
/// another replica.
fn lone_client(seed: u64, timeout_us: Micros) -> Plan {
    let mut plan = kill_leader(steady(seed, 20));
    (plan.workload.clients, plan.workload.closed_loop, plan.workload.requests) = (1, true, 1_000);
    (plan.workload.timeout_us, plan.workload.asks_the_dead) = (Some(timeout_us), true);
    plan.workload.start_us = soon(seed) - SECOND / 20; // a closed loop sends thousands of requests in a second
    plan
}

#[test]
fn failover_does_not_wait_for_a_client_to_come_back_under_the_same_id() {
    let fresh = over_seeds("fresh IDs", fresh_clients, |figures| figures.recovery_us);
    for timeout_us in [SECOND, 3 * SECOND] {
        let plan = |seed| lone_client(seed, timeout_us);
        let lone = over_seeds("one client", plan, |figures| figures.election_us);
        assert!(lone.0 < timeout_us + SECOND / 4, "{lone:?}");
    }
    assert!(fresh.0 < 6 * SECOND / 5, "{fresh:?}");
}

/// A leader is killed while this share of the messages is lost.
fn lossy(seed: u64, loss: f64) -> Plan {
    let mut plan = kill_leader(steady(seed, 40));
    (plan.network.loss, plan.workload.gets) = (loss, 0.2);
    plan
}

#[test]
fn service_is_back_soon_although_many_messages_are_lost() {
    let recovery =
        |loss| over_seeds(&format!("{loss} lost"), |seed| lossy(seed, loss), |figures| figures.recovery_us);
    let [none, some, many, half] = [0.0, 0.1, 0.3, 0.5].map(recovery);
    assert!(none.0 < SECOND && some.0 < SECOND && many.0 < SECOND, "{none:?} {some:?} {many:?}");
    assert!(half.0 < 2 * SECOND, "{half:?}");
}

/// The leader is cut off, and the others are connected through one of them only.
fn hub(seed: u64, per_second: usize, detection: Detection) -> Plan {
    let mut plan = steady(seed, per_second);
    plan.tuning = Tuning { detection, ..plan.tuning };
    let at_us = soon(seed);
    let mut before = Cluster::new(plan.clone(), None, false);
    before.run_until(at_us).expect("no rule is broken");
    let leader = before.leader().expect("a leader");
    let order = (0..plan.replicas).cycle().skip(seed as usize % plan.replicas).take(plan.replicas);
    let order = order.filter(|&at| at != leader).collect();
    plan.faults = vec![for_good(at_us, FaultKind::Partial(Shape::Hub, order))];
    plan
}

#[test]
fn hub_that_lacks_the_last_entries_becomes_leader_all_the_same() {
    for detection in [Detection::OnDemand, Detection::Heartbeats] {
        for per_second in [50, 100] {
            let plan = |seed| hub(seed, per_second, detection);
            let name = format!("hub, {detection:?}, {per_second} per second");
            let recovery = over_seeds(&name, plan, |figures| figures.recovery_us);
            assert!(recovery.1 < 4 * SECOND, "{recovery:?}");
        }
    }
}

/// Of 21 replicas, each hears only the first one from the start.
fn star(seed: u64) -> Plan {
    let mut plan = steady(seed, 20);
    plan.replicas = 21;
    plan.faults = vec![for_good(0, FaultKind::Partial(Shape::Hub, (0..21).collect()))];
    plan.workload.start_us = 0;
    plan
}

#[test]
fn hub_of_a_star_is_elected_although_all_others_ask_it_for_votes() {
    let election = over_seeds("star of 21", star, |figures| figures.election_us);
    assert!(election.1 < 4 * SECOND, "{election:?}");
}
