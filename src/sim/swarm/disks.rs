//! The bounds of logs, and the faults of disks.

use fastrand::Rng;

use super::{MS, one_of, target};
use crate::micros::Micros;
use crate::replica::ELECTION_TIMEOUT_US;
use crate::sim::plan::{Fault, FaultKind, Liveness, LogBounds, Network, Target};

/// About how many bytes of memory an entry takes.
const ENTRY_BYTES: u64 = 250;

/// Three seeds in four have logs of a few entries, so that followers that were away for a moment
/// need a snapshot. Its parts are so short that a transfer takes several, unless parts overtake each
/// other: then a follower takes few of them in each round trip.
pub(super) fn log_bounds(rng: &mut Rng, network: &Network) -> LogBounds {
    let entries = |rng: &mut Rng, least: u64, most: u64| rng.u64(least..=most) * ENTRY_BYTES;
    let bounds = LogBounds {
        snapshot_after: Some(one_of(rng, &[2, 3, 5, 20, 60]) * ENTRY_BYTES),
        tail: Some(if rng.bool() { 0 } else { entries(rng, 0, 20) }),
        most: rng.bool().then(|| entries(rng, 5, 100)),
        uncommitted: (rng.u8(0..6) == 0).then(|| entries(rng, 5, 50)),
        chunk: if network.reorder { None } else { one_of(rng, &[None, Some(30), Some(100), Some(400)]) },
    };
    if rng.u8(0..4) == 3 { LogBounds::default() } else { bounds }
}

/// One seed in three has faults of disks. A damaged disk is lost for good, so it hits only replicas
/// that the cluster can do without.
pub(super) fn add_faults(
    rng: &mut Rng,
    replicas: usize,
    lifetime_us: Micros,
    liveness: &Liveness,
    faults: &mut Vec<Fault>,
) {
    if rng.u8(0..3) > 0 {
        return;
    }
    let kinds: Vec<u8> = (0..KINDS).filter(|_| rng.bool()).collect();
    let others: Vec<usize> = (0..replicas).filter(|at| !liveness.majority.contains(at)).collect();
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..4 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us && !kinds.is_empty() {
        let kind = match one_of(rng, &kinds) {
            0 => FaultKind::FullDisk(target(rng, replicas)),
            1 => FaultKind::WriteError(target(rng, replicas)),
            2 => FaultKind::SyncError(target(rng, replicas)),
            3 => FaultKind::SlowDisk(target(rng, replicas), rng.u64(1..1_000) * MS),
            _ if others.is_empty() || rng.u8(0..4) > 0 => FaultKind::SyncError(target(rng, replicas)),
            _ => FaultKind::DamagedSector(one_of(rng, &others)),
        };
        faults.push(Fault { at_us, for_us: Some(rng.u64(1..2_000) * MS), kind });
        at_us += rng.u64(0..4 * ELECTION_TIMEOUT_US);
    }
}

/// Number of kinds in [`add_faults`].
const KINDS: u8 = 5;

/// All replicas stop at about the same time, again and again. Only the disks know then which writes
/// were acknowledged.
pub(super) fn restart_all(rng: &mut Rng, replicas: usize, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let mut at_us = rng.u64(2 * ELECTION_TIMEOUT_US..4 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let spread_us = one_of(rng, &[1, 50 * MS, ELECTION_TIMEOUT_US]);
        for at in 0..replicas {
            let at_us = at_us + rng.u64(0..spread_us);
            let for_us = Some(spread_us + rng.u64(1..200) * MS);
            faults.push(Fault { at_us, for_us, kind: FaultKind::Crash(Target::Replica(at)) });
        }
        at_us += rng.u64(4 * ELECTION_TIMEOUT_US..8 * ELECTION_TIMEOUT_US);
    }
}

/// A follower is away while the leader goes on, so that the leader has compacted the entries that the
/// follower needs next. The follower keeps its memory, or has entries that no other replica has: it
/// led just before.
pub(super) fn leave_behind(
    rng: &mut Rng,
    replicas: usize,
    lifetime_us: Micros,
    has_disk: bool,
    faults: &mut Vec<Fault>,
) {
    let mut at_us = rng.u64(2 * ELECTION_TIMEOUT_US..4 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let for_us = Some(rng.u64(ELECTION_TIMEOUT_US..6 * ELECTION_TIMEOUT_US));
        let kind = match rng.u8(0..5) {
            0 => FaultKind::Pause(target(rng, replicas)),
            1 if has_disk => FaultKind::Crash(Target::Follower),
            1 | 2 => FaultKind::Isolate(Target::Follower),
            3 if has_disk => FaultKind::SlowDisk(target(rng, replicas), 6 * ELECTION_TIMEOUT_US),
            _ => FaultKind::Isolate(Target::Leader),
        };
        faults.push(Fault { at_us, for_us, kind });
        at_us += rng.u64(2 * ELECTION_TIMEOUT_US..8 * ELECTION_TIMEOUT_US);
    }
}
