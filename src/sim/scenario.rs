//! A file becomes a plan: a scenario of `run.py`, which the same seed plays here in virtual time,
//! or a plan in a file.

mod partitions;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use self::partitions::Partitions;
use super::operations::Operations;
use super::plan::{
    Bounds, ClockOrigin, Fault, FaultKind, LogBounds, Network, Plan, Storage, Target, Trigger, Workload,
};
use super::wall_clock::WallClock;
use crate::micros::Micros;
use crate::replica::APPLIED_AT_ONCE;
use crate::transport::SEQPACKET_MAX_DATAGRAM;
use crate::tuning::Tuning;

/// The clients of `run.py`.
pub(super) const CLIENTS: usize = 8;

/// The time of a message between two processes of one machine, through the simulator.
pub(super) const DELAY_US: (Micros, Micros) = (30, 90);

/// The time that a stage of the pipeline takes to wake up and work.
pub(super) const STAGE_US: (Micros, Micros) = (5, 30);

/// The least and the greatest time of a sync with `persist`, as on a disk in good health.
const SYNC_US: (Micros, Micros) = (50, 500);

/// The reason why a file is no plan, in one line.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It can't be read.
    #[error("{0}: can't be read: {1}")]
    Unreadable(String, std::io::Error),
    /// It is neither a scenario nor a plan.
    #[error("{0}: neither a scenario ({1}) nor a plan ({2})")]
    Unknown(String, serde_json::Error, serde_json::Error),
    /// A value is out of its range.
    #[error("{0}: {1}")]
    OutOfRange(String, &'static str),
}

/// The part of a scenario of `run.py` that matters here; `run.py` checks the rest.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    lifetime: f64,
    replicas: usize,
    requests: usize,
    #[serde(default = "default_mix")]
    mix: f64,
    #[serde(default = "default_wait")]
    start_wait: f64,
    #[serde(default = "default_wait")]
    end_wait: f64,
    #[serde(default)]
    drops: f64,
    #[serde(default)]
    duplicate: f64,
    #[serde(default)]
    delay: Delay,
    #[serde(default)]
    reorder: bool,
    #[serde(default)]
    shared_keys: usize,
    #[serde(default)]
    operations: Shares,
    #[serde(default)]
    client_drops: f64,
    client_timeout: Option<f64>,
    #[serde(default)]
    read_back: bool,
    #[serde(default)]
    poll: f64,
    #[serde(default = "default_value_bytes")]
    value_bytes: usize,
    #[serde(default)]
    persist: bool,
    #[serde(default)]
    restarts: usize,
    #[serde(default)]
    events: Vec<TimedEvent>,
}

/// The seconds that the network adds to each message.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Delay {
    constant: f64,
    uniform: Option<(f64, f64)>,
}

impl Delay {
    /// The least and the greatest one.
    fn range(self) -> (f64, f64) {
        self.uniform.unwrap_or((self.constant, self.constant))
    }

    fn is_sane(self) -> bool {
        let (least, most) = self.range();
        0.0 <= least && least <= most && most <= MAX_DELAY && (self.uniform.is_none() || self.constant == 0.0)
    }
}

/// The shares of operations among the writes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Shares {
    cas: f64,
    increment: f64,
    append: f64,
    delete: f64,
}

impl From<Shares> for Operations {
    fn from(Shares { cas, increment, append, delete }: Shares) -> Self {
        Self { cas, increment, append, delete, ..Self::default() }
    }
}

#[derive(Clone, Debug, Deserialize)]
struct TimedEvent {
    r#type: EventType,
    time: f64,
    /// The length of a restart or a pause, in seconds.
    #[serde(default = "default_duration")]
    duration: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventType {
    KillLeader,
    KillLeaderOnAck,
    KillNonLeader,
    RestartLeader,
    RestartNonLeader,
    RestartAll,
    PauseLeader,
    PauseNonLeader,
    PartEasy,
    PartHard,
    PartOneWay,
    PartBridge,
    IsolateLeader,
    IsolateRandom,
    #[serde(alias = "heal")]
    PartEnd,
}

impl EventType {
    fn is_restart(self) -> bool {
        matches!(self, Self::RestartLeader | Self::RestartNonLeader | Self::RestartAll)
    }

    fn is_pause(self) -> bool {
        matches!(self, Self::PauseLeader | Self::PauseNonLeader)
    }

    fn is_partition(self) -> bool {
        !self.is_restart()
            && !self.is_pause()
            && !matches!(self, Self::KillLeader | Self::KillNonLeader | Self::KillLeaderOnAck)
    }
}

fn default_mix() -> f64 {
    0.8
}

fn default_duration() -> f64 {
    1.0
}

fn default_wait() -> f64 {
    2.0
}

fn default_value_bytes() -> usize {
    32
}

/// The seed of a plan, if its file names one.
#[derive(Debug, Deserialize)]
struct OwnSeed {
    seed: Option<u64>,
}

/// The content of a file.
#[derive(Clone, Debug)]
pub enum Source {
    /// A scenario: a plan for each seed.
    Scenario(Box<Scenario>),
    /// A plan as it is.
    Plan {
        /// The plan.
        plan: Box<Plan>,
        /// Whether the file names its seed.
        has_seed: bool,
    },
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The reason why the file is of no use, with its name.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let name = || path.display().to_string();
        let text = std::fs::read(path).map_err(|error| ScenarioError::Unreadable(name(), error))?;
        let no_plan = match serde_json::from_slice::<Plan>(&text) {
            Ok(plan) => {
                check_plan(&plan).map_err(|rule| ScenarioError::OutOfRange(name(), rule))?;
                let has_seed = serde_json::from_slice(&text).is_ok_and(|own: OwnSeed| own.seed.is_some());
                return Ok(Self::Plan { plan: Box::new(plan), has_seed });
            }
            Err(error) => error,
        };
        match serde_json::from_slice::<Scenario>(&text) {
            Ok(scenario) => {
                scenario.check().map_err(|rule| ScenarioError::OutOfRange(name(), rule))?;
                Ok(Self::Scenario(Box::new(scenario)))
            }
            Err(no_scenario) => Err(ScenarioError::Unknown(name(), no_scenario, no_plan)),
        }
    }

    /// The plan for a seed; a plan whose file names its own seed keeps that seed.
    pub fn plan(&self, seed: u64) -> Plan {
        match self {
            Self::Scenario(scenario) => scenario.plan(seed),
            Self::Plan { plan, has_seed: true } => (**plan).clone(),
            Self::Plan { plan, has_seed: false } => Plan { seed, ..(**plan).clone() },
        }
    }
}

/// The longest values of a plan. Those of a scenario may be longer where processes run it.
const MAX_VALUE_BYTES: usize = 300;

/// The longest delay of a message that a scenario may have, in seconds.
const MAX_DELAY: f64 = 10.0;

/// The most restarts that a scenario may draw.
const MAX_RESTARTS: usize = 10_000;

/// The longest delay of a message that a fault may have.
const LONGEST_DELAY_US: Micros = 3_600_000_000;

fn check_plan(plan: &Plan) -> Result<(), &'static str> {
    let named = |target: &Target| matches!(target, Target::Replica(at) if *at >= plan.replicas);
    let is_needed =
        |at: usize| plan.liveness.as_ref().is_some_and(|liveness| liveness.majority.contains(&at));
    let fault_is_wrong = |fault: &Fault| match &fault.kind {
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
        FaultKind::CrashOn(_) | FaultKind::Halve { .. } => false,
    };
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
        () if plan.faults.iter().any(fault_is_wrong) => Err(
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

impl Scenario {
    fn check(&self) -> Result<(), &'static str> {
        let times = self.events.iter().flat_map(|event| [event.time, event.duration]);
        match () {
            () if !(5.0..=1e6).contains(&self.lifetime) => Err("lifetime must be at least 5 seconds"),
            () if !(3..=21).contains(&self.replicas) => Err("replicas must be 3 to 21"),
            () if self.requests > 900_000 => Err("requests must be at most 900000"),
            () if [self.mix, self.drops, self.client_drops, self.duplicate]
                .iter()
                .any(|p| !(0.0..=1.0).contains(p)) =>
            {
                Err("mix, drops, client_drops and duplicate must be 0 to 1")
            }
            () if times
                .chain([self.start_wait, self.end_wait])
                .any(|t| !(0.0..=self.lifetime).contains(&t)) =>
            {
                Err("times must be 0 to lifetime")
            }
            () if self.start_wait + self.end_wait > self.lifetime => {
                Err("start_wait + end_wait must be at most lifetime")
            }
            () if !Operations::from(self.operations).is_sane() => {
                Err("the shares of operations must be 0 to 1 and add up to at most 1")
            }
            () if !(0.0..=1.0).contains(&self.poll) => Err("poll must be 0 to 1 second"),
            () if !self.persist && self.has_restarts() => Err("a restart needs persist"),
            () if !self.delay.is_sane() => Err("delay must be 0 to 10 seconds, the lesser one first"),
            () if self.restarts > MAX_RESTARTS => Err("restarts must be at most 10000"),
            () if self.client_timeout.is_some_and(|t| !(t > 0.0 && t.is_finite())) => {
                Err("client_timeout must be above 0")
            }
            () => Ok(()),
        }
    }

    fn has_restarts(&self) -> bool {
        self.restarts > 0 || self.events.iter().any(|event| event.r#type.is_restart())
    }

    fn plan(&self, seed: u64) -> Plan {
        let (least, most) = self.delay.range();
        Plan {
            seed,
            replicas: self.replicas,
            lifetime_us: micros(self.lifetime),
            network: Network {
                delay_us: (DELAY_US.0 + micros(least), DELAY_US.1 + micros(most)),
                uneven: 1,
                slow: 0.0,
                loss: self.drops,
                duplicate: self.duplicate,
                echo_us: 0,
                wire: false,
                reorder: self.reorder,
                max_datagram: SEQPACKET_MAX_DATAGRAM,
                stage_us: STAGE_US,
            },
            storage: if self.persist { Storage::Disk { sync_us: SYNC_US } } else { Storage::Memory },
            clock_ppm: vec![0; self.replicas],
            clock_origin: ClockOrigin::Zero,
            wall_clocks: Vec::new(),
            bounds: Bounds::default(),
            log: LogBounds::default(),
            applied_at_once: APPLIED_AT_ONCE,
            forwards: false,
            tuning: Tuning::DEFAULT,
            workload: Workload {
                clients: CLIENTS,
                requests: self.requests,
                closed_loop: false,
                burst: 1,
                start_us: micros(self.start_wait),
                end_us: micros(self.lifetime - self.end_wait),
                gets: self.mix,
                shared_keys: self.shared_keys,
                operations: self.operations.into(),
                value_bytes: self.value_bytes.min(MAX_VALUE_BYTES),
                loss: self.client_drops,
                wander: 0.0,
                timeout_us: self.client_timeout.map(micros),
                fresh_ids: false,
                asks_the_dead: false,
                read_back: self.read_back,
                poll_us: micros(self.poll),
            },
            faults: self.faults(seed).into_iter().chain(self.drawn_restarts(seed)).collect(),
            liveness: None,
        }
    }

    /// A restart and a pause last as long as they say, a partition until the next event that makes
    /// or ends one.
    fn faults(&self, seed: u64) -> Vec<Fault> {
        let mut partitions = Partitions::new(seed, self.replicas);
        let mut events = self.events.clone();
        events.sort_by(|a, b| a.time.total_cmp(&b.time));
        let faults = |(number, event): (usize, &TimedEvent)| {
            let r#type = event.r#type;
            let for_us = if r#type.is_restart() || r#type.is_pause() {
                Some(micros(event.duration))
            } else {
                let end = events[number + 1..].iter().find(|other| other.r#type.is_partition());
                end.filter(|_| r#type.is_partition()).map(|end| micros(end.time - event.time))
            };
            let at_us = micros(self.start_wait + event.time);
            let kinds = partitions.draw(r#type).unwrap_or_else(|| self.kinds(r#type));
            kinds.into_iter().map(move |kind| Fault { at_us, for_us, kind })
        };
        events.iter().enumerate().flat_map(faults).collect()
    }

    /// The restarts that the seed draws: each has a part of the time, begins in the first half of it
    /// and ends within it.
    fn drawn_restarts(&self, seed: u64) -> Vec<Fault> {
        const TYPES: [EventType; 3] =
            [EventType::RestartLeader, EventType::RestartNonLeader, EventType::RestartAll];
        let mut rng = fastrand::Rng::with_seed(seed);
        let half = (self.lifetime - self.end_wait - self.start_wait) / (2 * self.restarts.max(1)) as f64;
        let faults = |number: usize| {
            let r#type = TYPES[rng.usize(..TYPES.len())];
            let at_us = micros(self.start_wait + half * ((2 * number) as f64 + rng.f64()));
            let for_us = Some(micros(half * rng.f64().powi(2)));
            self.kinds(r#type).into_iter().map(move |kind| Fault { at_us, for_us, kind })
        };
        (0..self.restarts).flat_map(faults).collect()
    }

    fn kinds(&self, event: EventType) -> Vec<FaultKind> {
        let kind = match event {
            EventType::KillLeader | EventType::RestartLeader => FaultKind::Crash(Target::Leader),
            EventType::KillNonLeader | EventType::RestartNonLeader => FaultKind::Crash(Target::Follower),
            EventType::KillLeaderOnAck => FaultKind::CrashOn(Trigger::Ack),
            EventType::PauseLeader => FaultKind::Pause(Target::Leader),
            EventType::PauseNonLeader => FaultKind::Pause(Target::Follower),
            EventType::PartEasy => FaultKind::Halve { with_leader: true },
            EventType::PartHard => FaultKind::Halve { with_leader: false },
            EventType::RestartAll => {
                return (0..self.replicas).map(|at| FaultKind::Crash(Target::Replica(at))).collect();
            }
            // The others are drawn.
            EventType::PartEnd
            | EventType::PartOneWay
            | EventType::PartBridge
            | EventType::IsolateLeader
            | EventType::IsolateRandom => return Vec::new(),
        };
        vec![kind]
    }
}

fn micros(seconds: f64) -> Micros {
    (seconds * 1e6).round() as Micros
}
