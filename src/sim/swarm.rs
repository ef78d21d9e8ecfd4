//! Swarm testing: each seed draws which faults exist at all and how strong they are (Groce et al.,
//! *Swarm Testing*, 2012). A run with all faults at once hides failures that only a part of them
//! shows.

mod disks;

use fastrand::Rng;

use super::operations::Operations;
use super::plan::{
    Bounds, Broken, ClockOrigin, Fault, FaultKind, Links, Liveness, Network, Plan, Shape, Storage, Target,
    Trigger, Workload,
};
use super::wall_clock::WallClock;
use crate::micros::Micros;
use crate::replica::{APPLIED_AT_ONCE, ELECTION_TIMEOUT_US};
use crate::transport::SEQPACKET_MAX_DATAGRAM;
use crate::tuning::{Detection, MAX_COALESCE_WINDOW_US, Reads, Topology, Tuning};

const MS: Micros = 1_000;

/// The greatest drift of a clock with leases. With one replica this much fast and one this much
/// slow, a lease is still just shorter than the vote lease that it depends on.
const MAX_DRIFT_PPM: i64 = 10_000;

/// The greatest drift without leases: then only progress depends on clocks.
const WILD_DRIFT_PPM: i64 = 500_000;

/// A network in which a message takes up to a third of an election time-out, and ten times that if
/// it is slow.
const WILD_DELAY_US: (Micros, Micros) = (MS, ELECTION_TIMEOUT_US / 3);

/// An echo comes up to several leaders later.
const LONGEST_ECHO_US: Micros = 6 * ELECTION_TIMEOUT_US;

/// The plan of this seed. Each part has its own generator, so a change of one part leaves the
/// others as they are.
pub fn plan(seed: u64) -> Plan {
    let mut root = Rng::with_seed(seed);
    let mut rng = root.fork();
    let size = size(&mut rng);
    let replicas = match size {
        Size::Small | Size::Busy => one_of(&mut rng, &[2, 3, 3, 3, 4, 5, 5, 6, 7]),
        Size::Large => rng.usize(8..=21),
    };
    let lifetime_us = if size == Size::Small { rng.u64(3_000..16_000) } else { rng.u64(3_000..8_000) } * MS;
    let mut network = network(&mut root.fork());
    let storage = storage(&mut root.fork());
    let mut tuning = tuning(&mut root.fork(), size);
    // If single entries overtake each other, a follower refuses most of them, and a backlog takes
    // for ever.
    network.reorder &= tuning.batch;
    let (clock_origin, clock_ppm) = clocks(&mut root.fork(), replicas, tuning.reads);
    let mut workload = workload(&mut root.fork(), size, lifetime_us, &network);
    let liveness = liveness(&mut root.fork(), replicas);
    let mut faults = faults(&mut root.fork(), replicas, lifetime_us);
    add_pattern(&mut root.fork(), replicas, lifetime_us, &mut faults);
    if tuning.reads == Reads::Lease {
        // A lease depends on clocks that run at about the same rate.
        faults.retain(|fault| !matches!(fault.kind, FaultKind::SlowClock(_)));
    }
    if storage == Storage::Memory {
        spare_majority(&mut root.fork(), replicas, &liveness, &mut faults);
    }
    let applied_at_once = applied_at_once(&mut root.fork(), size);
    let operations = operations(&mut root.fork());
    // Batches are long entries. If datagrams overtake each other, a backlog of thousands of them
    // takes for ever.
    if size != Size::Busy || !network.reorder {
        workload.operations = operations;
    }
    let wall_clocks = wall_clocks(&mut root.fork(), replicas, lifetime_us);
    let bounds = bounds(&mut root.fork(), &mut workload);
    let log = disks::log_bounds(&mut root.fork(), &network);
    add_pattern_of_disks(&mut root.fork(), replicas, lifetime_us, storage, &mut faults);
    if storage != Storage::Memory {
        disks::add_faults(&mut root.fork(), replicas, lifetime_us, &liveness, &mut faults);
    }
    add_transfers(&mut root.fork(), replicas, lifetime_us, &mut faults);
    let forwards = forwards(&mut root.fork(), &mut workload);
    if root.fork().u8(0..8) == 0 {
        tuning.detection = Detection::Combined;
    }
    let liveness = Some(liveness);
    Plan {
        seed,
        replicas,
        lifetime_us,
        network,
        links: Links::default(),
        storage,
        clock_ppm,
        clock_origin,
        wall_clocks,
        bounds,
        log,
        tuning,
        applied_at_once,
        forwards,
        workload,
        faults,
        liveness,
    }
}

/// In a quarter of the runs the replicas forward. Their clients often ask another replica than the
/// leader, since each of them answers.
fn forwards(rng: &mut Rng, workload: &mut Workload) -> bool {
    let forwards = rng.u8(0..4) == 0;
    if forwards {
        workload.wander = workload.wander.max(0.5);
    }
    forwards
}

/// The quantity that makes a run long: its requests or its replicas. Few seeds are long, or there
/// would be few seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Small,
    /// Thousands of requests.
    Busy,
    /// Up to 21 replicas.
    Large,
}

fn size(rng: &mut Rng) -> Size {
    match rng.u8(0..40) {
        0 => Size::Busy,
        1..4 => Size::Large,
        _ => Size::Small,
    }
}

/// Half of the seeds have the default tuning, with the choices that affect the schedule most drawn.
/// The other half draws all choices.
fn tuning(rng: &mut Rng, size: Size) -> Tuning {
    let reads = one_of(rng, &[Reads::Lease, Reads::Lease, Reads::Lease, Reads::ReadIndex]);
    let topology = one_of(rng, &[Topology::Star, Topology::Relay, Topology::Adaptive]);
    let window_us = rng.u64(1..=MAX_COALESCE_WINDOW_US);
    let coalesce_window_us = one_of(rng, &[0, 0, 0, window_us]);
    let usual = Tuning { reads, topology, coalesce_window_us, ..Tuning::DEFAULT };
    if rng.bool() || size == Size::Busy {
        return usual;
    }
    let coalesce = rng.u8(0..4) > 0;
    let thrifty = rng.bool();
    Tuning {
        batch: rng.u8(0..4) > 0,
        commit_notices: rng.bool(),
        coalesce,
        coalesce_window_us: if coalesce { coalesce_window_us } else { 0 },
        thrifty,
        topology: if thrifty { topology } else { Topology::Star },
        reads: one_of(rng, &[reads, reads, Reads::Log]),
        detection: one_of(rng, &[Detection::OnDemand, Detection::Heartbeats]),
    }
}

/// Small in a quarter of the small runs, so that replicas often know more committed entries than
/// they have applied.
fn applied_at_once(rng: &mut Rng, size: Size) -> usize {
    let few = rng.usize(1..=4);
    if size == Size::Small && rng.u8(0..4) == 0 { few } else { APPLIED_AT_ONCE }
}

fn clocks(rng: &mut Rng, replicas: usize, reads: Reads) -> (ClockOrigin, Vec<i64>) {
    let most = if reads != Reads::Lease { WILD_DRIFT_PPM } else { MAX_DRIFT_PPM };
    let drift_ppm = if rng.u8(0..4) == 0 { 100 } else { most };
    let origin = one_of(rng, &[ClockOrigin::Any, ClockOrigin::Zero, ClockOrigin::Running]);
    (origin, (0..replicas).map(|_| drift(rng, drift_ppm)).collect())
}

/// Faults that chance alone rarely combines.
fn add_pattern(rng: &mut Rng, replicas: usize, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    match rng.u8(0..10) {
        0 | 1 => depose_leaders(rng, lifetime_us, faults),
        2 => figure_8(rng, lifetime_us, faults),
        3 => late_answers(rng, lifetime_us, faults),
        4 => congest(rng, lifetime_us, faults),
        5 => constrain(rng, replicas, lifetime_us, faults),
        6 => outlive(rng, replicas, faults),
        7 => restart_under_promise(rng, replicas, lifetime_us, faults),
        _ => {}
    }
    faults.retain(|fault| fault.at_us < lifetime_us);
}

/// In one seed of four, leaders hand their leadership over, while all other faults go on.
fn add_transfers(rng: &mut Rng, replicas: usize, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let pace_us = one_of(rng, &[100, 500, 2_000]) * MS;
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    if rng.u8(0..4) > 0 {
        return;
    }
    while at_us < lifetime_us {
        faults.push(Fault { at_us, for_us: None, kind: FaultKind::Transfer(target(rng, replicas)) });
        at_us += rng.u64(1..2 * pace_us);
    }
}

/// The same for snapshots and disks. A replica without a disk can't restart.
fn add_pattern_of_disks(
    rng: &mut Rng,
    replicas: usize,
    lifetime_us: Micros,
    storage: Storage,
    faults: &mut Vec<Fault>,
) {
    match rng.u8(0..8) {
        0 if storage != Storage::Memory => disks::restart_all(rng, replicas, lifetime_us, faults),
        1..4 => disks::leave_behind(rng, replicas, lifetime_us, storage != Storage::Memory, faults),
        _ => {}
    }
    faults.retain(|fault| fault.at_us < lifetime_us);
}

/// A replica without a disk never comes back. Only replicas that the cluster can do without stop.
fn spare_majority(rng: &mut Rng, replicas: usize, liveness: &Liveness, faults: &mut Vec<Fault>) {
    let others: Vec<usize> = (0..replicas).filter(|at| !liveness.majority.contains(at)).collect();
    faults.retain(|fault| match fault.kind {
        FaultKind::Crash(_) => !others.is_empty(),
        FaultKind::CrashOn(_) => false,
        _ => true,
    });
    for fault in faults {
        if let FaultKind::Crash(target) = &mut fault.kind {
            *target = Target::Replica(one_of(rng, &others));
        }
    }
}

fn one_of<T: Copy>(rng: &mut Rng, choice: &[T]) -> T {
    choice[rng.usize(0..choice.len())]
}

/// Mostly at one of the ends, where errors in margins show.
fn drift(rng: &mut Rng, most: i64) -> i64 {
    let between = rng.i64(-most..=most);
    one_of(rng, &[-most, most, between])
}

/// Zero for half of the seeds, else up to `most`.
fn sometimes(rng: &mut Rng, most: f64) -> f64 {
    if rng.bool() { 0.0 } else { rng.f64() * most }
}

fn network(rng: &mut Rng) -> Network {
    // One machine, one rack, one continent, and a network that can hold a message for as long as a
    // lease.
    let delay_us = one_of(rng, &[(15, 60), (200, 1_000), (5 * MS, 40 * MS), WILD_DELAY_US]);
    Network {
        delay_us,
        uneven: if rng.bool() || delay_us == WILD_DELAY_US { 1 } else { 4 },
        slow: sometimes(rng, 0.1),
        loss: sometimes(rng, 0.3),
        duplicate: sometimes(rng, 0.2),
        echo_us: if rng.u8(0..4) == 0 { LONGEST_ECHO_US } else { 0 },
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

fn workload(rng: &mut Rng, size: Size, lifetime_us: Micros, network: &Network) -> Workload {
    // A shorter time-out would only cause a storm of repetitions.
    let timeout_us = rng.u64(100..1_500) * MS + 6 * network.delay_us.1;
    let usual = Workload {
        clients: rng.usize(1..6),
        requests: rng.usize(20..150),
        closed_loop: false,
        burst: if rng.bool() { 1 } else { 10 },
        start_us: 0,
        end_us: lifetime_us,
        gets: one_of(rng, &[0.2, 0.5, 0.8]),
        shared_keys: rng.usize(1..4),
        operations: Operations::default(),
        // A short datagram has room for four of the longer values. If datagrams overtake each
        // other, each round trip brings only the few that happen to arrive in order. Then a backlog
        // takes for ever.
        value_bytes: if rng.bool() || network.reorder { 0 } else { 300 },
        loss: sometimes(rng, 0.2),
        timeout_us: Some(timeout_us),
        wander: sometimes(rng, 0.7),
        asks_the_dead: false,
        read_back: rng.bool(),
        fresh_ids: rng.u8(0..4) == 0,
        poll_us: one_of(rng, &[0, 0, 0, 50 * MS]),
    };
    match size {
        Size::Small | Size::Large => usual,
        // A retry comes later than a thousand other requests of its client.
        Size::Busy => Workload {
            clients: 1,
            requests: rng.usize(1_500..4_000),
            gets: 0.1,
            value_bytes: 0,
            loss: 0.03,
            timeout_us: Some(rng.u64(1_000..5_000) * MS),
            wander: 0.0,
            read_back: false,
            ..usual
        },
    }
}

/// Four in ten seeds only put and get. The others have operations whose history is judged, or all
/// that there are, or locks, mixed with each other now and then.
fn operations(rng: &mut Rng) -> Operations {
    let judged = Operations {
        cas: rng.f64() * 0.4,
        increment: rng.f64() * 0.3,
        append: rng.f64() * 0.2,
        delete: 0.02 + rng.f64() * 0.08,
        deadlines: sometimes(rng, 1.0),
        transactions: sometimes(rng, 0.15),
        ..Operations::default()
    };
    let all = if rng.bool() { 1.0 } else { 0.5 };
    let locks = 0.3 + rng.f64() * 0.7;
    match rng.u8(0..10) {
        0..4 => Operations::default(),
        4..7 => judged,
        7 => Operations { all: 1.0, ..Operations::default() },
        8 => Operations { all: all - judged.transactions, ..judged },
        _ => Operations { locks: locks - judged.transactions, ..judged },
    }
}

/// The wall clocks of replicas that a time service keeps together, or that differ by seconds, or
/// that are set again in the run.
fn wall_clocks(rng: &mut Rng, replicas: usize, lifetime_us: Micros) -> Vec<WallClock> {
    let most_ms = one_of(rng, &[0, 5, 300, 3_000]);
    let most_ppm = one_of(rng, &[0, 100, 10_000]);
    let jump_ms = one_of(rng, &[0, 0, 200, 2_000]);
    let clock = |_| {
        let jumps = if jump_ms == 0 { 0 } else { rng.usize(0..4) };
        WallClock {
            offset_ms: drift(rng, most_ms),
            ppm: drift(rng, most_ppm),
            jumps: (0..jumps).map(|_| (rng.u64(0..lifetime_us), rng.i64(-jump_ms..=jump_ms))).collect(),
        }
    };
    (0..replicas).map(clock).collect()
}

/// One seed in five has fewer sessions than clients, so that sessions expire, and remembers few
/// replies and few deletions. One in two of them has a new client for each operation.
fn bounds(rng: &mut Rng, workload: &mut Workload) -> Bounds {
    if rng.u8(0..5) > 0 {
        return Bounds::default();
    }
    workload.fresh_ids |= rng.bool();
    workload.clients = workload.clients.max(rng.usize(2..6));
    Bounds {
        sessions: Some(rng.usize(1..=3)),
        reply_bytes: rng.bool().then(|| rng.usize(0..100)),
        deletions: rng.bool().then(|| rng.usize(0..3)),
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

/// One leader after the other is cut off or stopped about when it is elected. It comes back when
/// there is another leader. Most subtle rules of Raft concern the entries that such leaders leave
/// behind (paper, figure 8).
fn depose_leaders(rng: &mut Rng, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    // A replica that does not crash comes back with all its memory.
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

/// The paper's figure 8, with times left to chance. A leader is cut off with entries that it could
/// not commit, and its successor fails as soon as it leads. The first leader returns, leads again,
/// commits, and fails. Then the successor returns.
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
}

/// The answers of a leader's followers arrive late, when there is another leader. They prove the
/// state at an earlier time, not that it has not changed since.
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
}

/// A leader hears its followers late. Its messages wait so long that many are merged, so a repeated
/// append meets the answer to the first one.
fn congest(rng: &mut Rng, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let for_us = rng.u64(20 * MS..ELECTION_TIMEOUT_US / 2);
        let soon_us = at_us + rng.u64(0..for_us);
        faults.push(Fault { at_us, for_us: Some(for_us), kind: FaultKind::Lag(Target::Leader) });
        faults.push(Fault { at_us: soon_us, for_us: Some(for_us), kind: FaultKind::Clog(Target::Leader) });
        at_us += rng.u64(ELECTION_TIMEOUT_US / 2..2 * ELECTION_TIMEOUT_US);
    }
}

/// The leader is cut off, and the others are connected only in part. A replica that could win may
/// not be reachable, and a reachable replica may lack the last entry (the constrained election of
/// *Omni-Paxos*, 2023).
fn constrain(rng: &mut Rng, replicas: usize, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let for_us = Some(rng.u64(ELECTION_TIMEOUT_US..6 * ELECTION_TIMEOUT_US));
        faults.push(Fault { at_us, for_us, kind: partial(rng, replicas) });
        if rng.bool() {
            faults.push(Fault { at_us, for_us, kind: FaultKind::Isolate(Target::Leader) });
        }
        at_us += rng.u64(3 * ELECTION_TIMEOUT_US..9 * ELECTION_TIMEOUT_US);
    }
}

/// Followers restart one after the other within an election time-out, while some do not hear the
/// leader. The vote lease that each gave before its restart still holds.
fn restart_under_promise(rng: &mut Rng, replicas: usize, lifetime_us: Micros, faults: &mut Vec<Fault>) {
    let mut at_us = rng.u64(ELECTION_TIMEOUT_US..3 * ELECTION_TIMEOUT_US);
    while at_us < lifetime_us {
        let for_us = Some(rng.u64(ELECTION_TIMEOUT_US / 2..3 * ELECTION_TIMEOUT_US));
        let kind = match rng.u8(0..3) {
            0 => FaultKind::Mute(Target::Leader),
            1 => FaultKind::Isolate(Target::Leader),
            _ => FaultKind::Crash(Target::Leader),
        };
        faults.push(Fault { at_us, for_us, kind });
        for at in 0..replicas {
            let at_us = at_us + rng.u64(0..ELECTION_TIMEOUT_US / 2);
            let kind = FaultKind::Crash(Target::Replica(at));
            faults.push(Fault { at_us, for_us: Some(rng.u64(1..50) * MS), kind });
        }
        at_us += rng.u64(3 * ELECTION_TIMEOUT_US..6 * ELECTION_TIMEOUT_US);
    }
}

/// All replicas restart at once. Their clocks begin anew. Messages from just before the restart
/// arrive about when the clocks show the same times again. From then on no other replica hears the
/// new leader, and soon it hears none.
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

/// Number of kinds in [`draw_fault`].
const KINDS: u8 = 16;

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
        13 => partial(rng, replicas),
        14 => FaultKind::SlowDisk(target(rng, replicas), rng.u64(1..1_000) * MS),
        _ => FaultKind::Loss(rng.f64() * 0.7),
    }
}

fn partial(rng: &mut Rng, replicas: usize) -> FaultKind {
    let mut order: Vec<usize> = (0..replicas).collect();
    rng.shuffle(&mut order);
    FaultKind::Partial(one_of(rng, &[Shape::Hub, Shape::Ring, Shape::Chain, Shape::Bridge]), order)
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
