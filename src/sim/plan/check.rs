//! The rules for a plan that comes from a file.

use std::collections::BTreeSet;

use super::{Fault, FaultKind, Plan, Storage, Target};
use crate::micros::Micros;
use crate::sim::wall_clock::WallClock;

/// The longest values of a plan. Those of a scenario may be longer where processes run it.
pub const MAX_VALUE_BYTES: usize = 300;

/// The longest delay of a message that a fault may have.
const LONGEST_DELAY_US: Micros = 3_600_000_000;

/// The shortest period of a flap. Links that turn more often cost nothing but events.
pub const LEAST_PERIOD_US: Micros = 10_000;

/// Refuses a plan that no cluster can run.
///
/// # Errors
///
/// The rule that it breaks.
pub fn check(plan: &Plan) -> Result<(), &'static str> {
    let ranges = [plan.network.delay_us, plan.network.stage_us];
    let (network, workload) = (&plan.network, &plan.workload);
    let probabilities =
        [network.loss, network.slow, network.duplicate, workload.loss, workload.gets, workload.wander];
    let majority = plan.liveness.as_ref().map(|liveness| &liveness.majority);
    let majority_is_wrong = majority.is_some_and(|members| {
        let distinct: BTreeSet<usize> = members.iter().copied().collect();
        members.iter().any(|&at| at >= plan.replicas) || distinct.len() < plan.replicas / 2 + 1
    });
    let sync_is_wrong = matches!(plan.storage, Storage::Disk { sync_us: (least, most) } if least > most);
    match () {
        () if !(2..=21).contains(&plan.replicas) => Err("replicas must be 2 to 21"),
        () if plan.workload.clients == 0 || plan.workload.clients > 1_000 => Err("clients must be 1 to 1000"),
        () if ranges.iter().any(|(least, most)| least > most) || sync_is_wrong => {
            Err("a least time exceeds its greatest")
        }
        () if probabilities.iter().any(|p| !(0.0..=1.0).contains(p)) => Err("probabilities must be 0 to 1"),
        () if !plan.links.are_sane(plan.replicas) => Err(
            "links name a replica that is not there, or have a delay, a bandwidth or a chance out of range",
        ),
        () if plan.faults.iter().any(|fault| nests_or_never_begins(&fault.kind)) => {
            Err("a fault waits for one occurrence, whose count is at least 1")
        }
        () if plan.faults.iter().any(|fault| is_wrong(plan, fault)) => Err(
            "a fault names a replica that is not there or that must heal, no probability, or a delay above an hour",
        ),
        () if majority_is_wrong => Err("the majority must be more than half of the replicas"),
        () if !(1..=1_000).contains(&network.uneven) => Err("uneven must be 1 to 1000"),
        () if network.max_datagram < 2_000 || workload.value_bytes > MAX_VALUE_BYTES => {
            Err("max_datagram must be at least 2000, value_bytes at most 300")
        }
        () if workload.requests > 900_000 => Err("requests must be at most 900000"),
        () if workload.timeout_us.is_some_and(|timeout_us| timeout_us < 1_000) => {
            Err("timeout_us must be at least 1000")
        }
        () if workload.poll_us > 1_000_000 => Err("poll_us must be at most 1000000"),
        () if plan.applied_at_once == 0 => Err("applied_at_once must be at least 1"),
        () if plan.tuning.check().is_err() => Err("tuning contradicts itself or is out of range"),
        () if !plan.wall_clocks.iter().all(WallClock::is_sane) => {
            Err("wall_clocks must stay within a day, and their ppm within 500000")
        }
        () if !workload.operations.is_sane() => Err("shares of operations must add up to at most 1"),
        () if plan.bounds.sessions == Some(0) => Err("bounds must allow at least one session"),
        () if plan.clock_ppm.iter().any(|ppm| ppm.abs() > 500_000) => Err("clock_ppm must be within 500000"),
        () => Ok(()),
    }
}

/// A fault that waits for an occurrence holds one that does not, and the occurrence has a number.
fn nests_or_never_begins(kind: &FaultKind) -> bool {
    let FaultKind::When(when, kind) = kind else { return false };
    when.count == 0 || matches!(**kind, FaultKind::When(..))
}

/// Whether a fault names a replica that the plan lacks or needs, or has a number out of range.
fn is_wrong(plan: &Plan, fault: &Fault) -> bool {
    let named = |target: &Target| matches!(target, Target::Replica(at) if *at >= plan.replicas);
    let is_needed =
        |at: usize| plan.liveness.as_ref().is_some_and(|liveness| liveness.majority.contains(&at));
    match fault.kind.begins() {
        FaultKind::Crash(target) | FaultKind::Pause(target) | FaultKind::Isolate(target) => named(target),
        FaultKind::Deaf(target) | FaultKind::Mute(target) | FaultKind::Clog(target) => named(target),
        FaultKind::Lag(target) | FaultKind::Stall(target) | FaultKind::SlowClock(target) => named(target),
        FaultKind::SlowDisk(target, _) | FaultKind::FullDisk(target) => named(target),
        FaultKind::Transfer(target) => named(target),
        FaultKind::WriteError(target) | FaultKind::SyncError(target) => named(target),
        FaultKind::DamagedSector(at) => *at >= plan.replicas || is_needed(*at),
        FaultKind::Delay(target, by_us) => named(target) || *by_us > LONGEST_DELAY_US,
        FaultKind::Cut(from, to) => *from.max(to) >= plan.replicas,
        FaultKind::Partition(side) | FaultKind::Partial(_, side) => {
            side.iter().any(|&at| at >= plan.replicas)
        }
        FaultKind::Loss(probability) => !(0.0..=1.0).contains(probability),
        FaultKind::Flap(target, period_us) => named(target) || *period_us < LEAST_PERIOD_US,
        FaultKind::Slow(target, by_us) => named(target) || *by_us > LONGEST_DELAY_US,
        FaultKind::CrashOn(_)
        | FaultKind::Halve { .. }
        | FaultKind::OneWay
        | FaultKind::Bridge
        | FaultKind::EndPartitions
        | FaultKind::Heal => false,
        FaultKind::When(..) => unreachable!("a fault that waits for an occurrence is another one then"),
    }
}
