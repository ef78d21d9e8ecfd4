//! Swarm testing: each seed draws which faults exist at all and how strong they are (Groce et al., *Swarm
//! Testing*, 2012). A run with everything in it at once hides what only a part of it would show.

use fastrand::Rng;

use super::plan::{Broken, Fault, FaultKind, Liveness, Network, Plan, Storage, Target, Trigger, Workload};
use crate::levers::{Levers, MAX_COALESCE_WINDOW_US, Reads, Topology};
use crate::raft::types::Micros;
use crate::replica::ELECTION_TIMEOUT_US;
use crate::transport::SEQPACKET_MAX_DATAGRAM;

const MS: Micros = 1_000;

/// The greatest drift of a clock where there are leases: with one replica that is so much fast and one that is so
/// much slow, a lease is just still shorter than the promise that it rests on.
const MAX_DRIFT_PPM: i64 = 10_000;

/// The greatest drift where there are none: then nothing but progress rests on clocks.
const WILD_DRIFT_PPM: i64 = 500_000;

/// A network in which a message takes up to a third of an election time-out, and ten times that if it is slow.
const WILD_DELAY_US: (Micros, Micros) = (MS, ELECTION_TIMEOUT_US / 3);

/// The plan of this seed.
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::with_seed(seed);
    let replicas = one_of(&mut rng, &[3, 3, 3, 4, 5, 5, 7]);
    let lifetime_us = rng.u64(3_000..16_000) * MS;
    let network = network(&mut rng);
    let storage = storage(&mut rng);
    let reads = if rng.u8(0..4) == 0 { Reads::ReadIndex } else { Reads::Lease };
    let levers = Levers { reads, ..Levers::DEFAULT };
    let most = if reads != Reads::Lease { WILD_DRIFT_PPM } else { MAX_DRIFT_PPM };
    let drift_ppm = if rng.u8(0..4) == 0 { 100 } else { most };
    let clock_ppm = (0..replicas).map(|_| drift(&mut rng, drift_ppm)).collect();
    let workload = workload(&mut rng, lifetime_us, &network);
    let mut faults = faults(&mut rng, replicas, lifetime_us);
    match rng.u8(0..7) {
        0 | 1 => depose_leaders(&mut rng, lifetime_us, &mut faults),
        2 => figure_8(&mut rng, lifetime_us, &mut faults),
        3 => late_answers(&mut rng, lifetime_us, &mut faults),
        4 => congest(&mut rng, lifetime_us, &mut faults),
        5 => outlive(&mut rng, replicas, &mut faults),
        _ => {}
    }
    if reads == Reads::Lease {
        // A lease rests on clocks that run at about the same rate.
        faults.retain(|fault| !matches!(fault.kind, FaultKind::SlowClock(_)));
    }
    if storage == Storage::Memory {
        // Who has no disk never comes back, and the plan must leave a majority.
        faults.retain(|fault| !matches!(fault.kind, FaultKind::Crash(_) | FaultKind::CrashOn(_)));
    }
    let liveness = Some(liveness(&mut rng, replicas));
    let topology = one_of(&mut rng, &[Topology::Star, Topology::Relay, Topology::Adaptive]);
    let window_us = rng.u64(1..=MAX_COALESCE_WINDOW_US);
    let coalesce_window_us = one_of(&mut rng, &[0, 0, 0, window_us]);
    let levers = Levers { topology, coalesce_window_us, ..levers };
    Plan { seed, replicas, lifetime_us, network, storage, clock_ppm, levers, workload, faults, liveness }
}

fn one_of<T: Copy>(rng: &mut Rng, choice: &[T]) -> T {
    choice[rng.usize(0..choice.len())]
}

/// Mostly at one of the ends, where margins show.
fn drift(rng: &mut Rng, most: i64) -> i64 {
    let between = rng.i64(-most..=most);
    one_of(rng, &[-most, most, between])
}

/// Zero for half of the seeds, else up to `most`.
fn sometimes(rng: &mut Rng, most: f64) -> f64 {
    if rng.bool() { 0.0 } else { rng.f64() * most }
}

fn network(rng: &mut Rng) -> Network {
    // One machine, one rack, one continent, and a network that can hold a message for as long as a lease.
    let delay_us = one_of(rng, &[(15, 60), (200, 1_000), (5 * MS, 40 * MS), WILD_DELAY_US]);
    Network {
        delay_us,
        uneven: if rng.bool() || delay_us == WILD_DELAY_US { 1 } else { 4 },
        slow: sometimes(rng, 0.1),
        loss: sometimes(rng, 0.3),
        duplicate: sometimes(rng, 0.2),
        wire: rng.u8(0..8) == 0,
        reorder: rng.bool(),
        max_datagram: if rng.bool() { 2_000 } else { SEQPACKET_MAX_DATAGRAM },
        // On a busy machine several batches may wait for the sender.
        stage_us: if rng.u8(0..4) == 0 { (2, 5 * MS) } else { (2, 40) },
    }
}

fn storage(rng: &mut Rng) -> Storage {
    match rng.u8(0..4) {
        0 => Storage::Memory,
        1 => Storage::Disk { sync_us: (10, 100) },
        2 => Storage::Disk { sync_us: (MS, 10 * MS) },
        _ => Storage::Disk { sync_us: (MS, ELECTION_TIMEOUT_US / 5) },
    }
}

fn workload(rng: &mut Rng, lifetime_us: Micros, network: &Network) -> Workload {
    Workload {
        clients: rng.usize(1..6),
        requests: rng.usize(20..150),
        closed_loop: false,
        burst: if rng.bool() { 1 } else { 10 },
        start_us: 0,
        end_us: lifetime_us,
        gets: one_of(rng, &[0.2, 0.5, 0.8]),
        shared_keys: rng.usize(1..4),
        // With the longer ones, a short datagram has room for four. Where those overtake each other, each
        // round trip brings only the few that happen to arrive in order, and a backlog takes for ever.
        value_bytes: if rng.bool() || network.reorder { 0 } else { 300 },
        loss: sometimes(rng, 0.2),
        // Less than a few round trips would only make a storm of repetitions.
        timeout_us: Some(rng.u64(100..1_500) * MS + 6 * network.delay_us.1),
        wander: sometimes(rng, 0.7),
        read_back: rng.bool(),
        poll_us: 0,
    }
}

/// A few kinds of fault, each several times.
fn faults(rng: &mut Rng, replicas: usize, lifetime_us: Micros) -> Vec<Fault> {
    let kinds: Vec<u8> = (0..KINDS).filter(|_| rng.u8(0..3) == 0).collect();
    let pace_us = one_of(rng, &[200, 500, 1_500]) * MS;
    let mut faults = Vec::new();
    let mut at_us = rng.u64(0..2 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us && !kinds.is_empty() {
        let kind = one_of(rng, &kinds);
        let kind = draw_fault(rng, replicas, kind);
        let longest = one_of(rng, &[100, 1_000, 3_000]);
        let for_us = rng.u64(1..longest) * MS;
        faults.push(Fault { at_us, for_us: Some(for_us), kind });
        at_us += rng.u64(0..2 * pace_us);
    }
    faults
}

/// One leader after the other is cut off or brought down about when it has been elected, and comes back when there
/// is another. Most of what is subtle in Raft is about what such leaders have left behind (paper, figure 8).
fn depose_leaders(rng: &mut Rng, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    // Who does not crash comes back with all that it has in memory.
    let kinds = if rng.bool() { 7 } else { 10 };
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let kind = match rng.u8(0..kinds) {
            0..3 => FaultKind::Isolate(Target::Leader),
            3 => FaultKind::Halve { with_leader: false },
            4 => FaultKind::Stall(Target::Leader),
            5 => FaultKind::Mute(Target::Leader),
            6 => FaultKind::Pause(Target::Leader),
            7 => FaultKind::Crash(Target::Leader),
            8 => FaultKind::CrashOn(Trigger::Lead),
            _ => FaultKind::CrashOn(Trigger::Commit),
        };
        let for_us = Some(rng.u64(ELECTION_TIMEOUT_US..4 * ELECTION_TIMEOUT_US));
        faults.push(Fault { at_us, for_us, kind });
        at_us += rng.u64(ELECTION_TIMEOUT_US / 2..5 * ELECTION_TIMEOUT_US / 2);
    }
}

/// The paper's figure 8, with times left to chance: a leader is cut off with what it could not commit; its successor
/// falls as soon as it leads; the first one comes back, leads again, commits, and falls; the successor returns.
fn figure_8(rng: &mut Rng, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let mut act = |after_us: Micros, least: Micros, kind: FaultKind| {
            let for_us = rng.u64(least * ELECTION_TIMEOUT_US..(least + 2) * ELECTION_TIMEOUT_US);
            faults.push(Fault { at_us: at_us + after_us, for_us: Some(for_us), kind });
        };
        act(0, 1, FaultKind::Isolate(Target::Leader));
        act(ELECTION_TIMEOUT_US / 2, 3, FaultKind::CrashOn(Trigger::Lead));
        act(3 * ELECTION_TIMEOUT_US, 2, FaultKind::CrashOn(Trigger::Commit));
        at_us += rng.u64(6 * ELECTION_TIMEOUT_US..9 * ELECTION_TIMEOUT_US);
    }
    faults.retain(|fault| fault.at_us < lifetime_us);
}

/// A leader's followers answer it, the answers are late, and by then there is another leader: whatever the
/// answers prove, they do not prove that nothing has happened since.
fn late_answers(rng: &mut Rng, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let for_us = Some(rng.u64(ELECTION_TIMEOUT_US / 2..5 * ELECTION_TIMEOUT_US / 2));
        let soon_us = at_us + rng.u64(0..ELECTION_TIMEOUT_US / 2);
        faults.push(Fault { at_us, for_us, kind: FaultKind::Lag(Target::Leader) });
        faults.push(Fault { at_us, for_us, kind: FaultKind::SlowClock(Target::Leader) });
        faults.push(Fault { at_us: soon_us, for_us, kind: FaultKind::Mute(Target::Leader) });
        at_us += rng.u64(3 * ELECTION_TIMEOUT_US..5 * ELECTION_TIMEOUT_US);
    }
    faults.retain(|fault| fault.at_us < lifetime_us);
}

/// A leader hears its followers late, and what it says waits for so long that much of it becomes one: what was sent
/// again meets the answer to what was sent before.
fn congest(rng: &mut Rng, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let for_us = rng.u64(20 * MS..ELECTION_TIMEOUT_US / 2);
        let soon_us = at_us + rng.u64(0..for_us);
        faults.push(Fault { at_us, for_us: Some(for_us), kind: FaultKind::Lag(Target::Leader) });
        faults.push(Fault { at_us: soon_us, for_us: Some(for_us), kind: FaultKind::Clog(Target::Leader) });
        at_us += rng.u64(ELECTION_TIMEOUT_US / 2..2 * ELECTION_TIMEOUT_US);
    }
    faults.retain(|fault| fault.at_us < lifetime_us);
}

/// All replicas restart at once, and what they sent shortly before arrives about when their clocks, which begin anew,
/// show again what they showed then. The leader of the new lives is heard by no other replica from that moment on, and
/// soon hears none.
fn outlive(rng: &mut Rng, replicas: usize, faults: &mut Vec<Fault>) {
    let age_us = rng.u64(2 * ELECTION_TIMEOUT_US..5 * ELECTION_TIMEOUT_US);
    let stop_us = age_us + ELECTION_TIMEOUT_US;
    let next_life_us = stop_us + rng.u64(MS..100 * MS);
    let by_us = next_life_us + rng.u64(0..ELECTION_TIMEOUT_US / 2);
    let deaf_us = next_life_us + age_us + rng.u64(ELECTION_TIMEOUT_US / 2..ELECTION_TIMEOUT_US);
    let mut act = |at_us: Micros, for_us: Micros, kind: FaultKind| {
        faults.push(Fault { at_us, for_us: Some(for_us), kind });
    };
    for at in (0..replicas).map(Target::Replica) {
        act(age_us, ELECTION_TIMEOUT_US, FaultKind::Delay(at, by_us));
        act(stop_us, next_life_us - stop_us, FaultKind::Crash(at));
    }
    act(next_life_us + age_us, 3 * ELECTION_TIMEOUT_US, FaultKind::Mute(Target::Leader));
    act(deaf_us, 3 * ELECTION_TIMEOUT_US, FaultKind::Deaf(Target::Leader));
}

/// How many kinds there are in [`draw_fault`].
const KINDS: u8 = 14;

const TRIGGERS: [Trigger; 4] = [Trigger::Ack, Trigger::Vote, Trigger::Lead, Trigger::Commit];

fn draw_fault(rng: &mut Rng, replicas: usize, kind: u8) -> FaultKind {
    match kind {
        0 => FaultKind::Crash(target(rng, replicas)),
        1 => FaultKind::CrashOn(one_of(rng, &TRIGGERS)),
        2 => FaultKind::Pause(target(rng, replicas)),
        3 => FaultKind::Partition((0..replicas).filter(|_| rng.bool()).collect()),
        4 => FaultKind::Halve { with_leader: rng.bool() },
        5 => FaultKind::Deaf(target(rng, replicas)),
        6 => FaultKind::Mute(target(rng, replicas)),
        7 => FaultKind::Isolate(target(rng, replicas)),
        8 => FaultKind::Stall(target(rng, replicas)),
        9 => FaultKind::SlowClock(target(rng, replicas)),
        10 => FaultKind::Cut(rng.usize(0..replicas), rng.usize(0..replicas)),
        11 => FaultKind::Lag(target(rng, replicas)),
        12 => FaultKind::Clog(target(rng, replicas)),
        _ => FaultKind::Loss(rng.f64() * 0.7),
    }
}

fn target(rng: &mut Rng, replicas: usize) -> Target {
    let anybody = Target::Replica(rng.usize(0..replicas));
    one_of(rng, &[Target::Leader, Target::Leader, Target::Follower, anybody])
}

fn liveness(rng: &mut Rng, replicas: usize) -> Liveness {
    let mut majority: Vec<usize> = (0..replicas).collect();
    rng.shuffle(&mut majority);
    majority.truncate(replicas / 2 + 1);
    majority.sort_unstable();
    let others = one_of(rng, &[Broken::Down, Broken::Isolated, Broken::Deaf, Broken::Mute]);
    Liveness { majority, others }
}
