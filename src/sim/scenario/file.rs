//! A scenario file of `run.py`, and the plan that a seed makes of it.

use serde::Deserialize;

use super::delay::Delay;
use super::events::{self, Event, EventType};
use super::{CLIENTS, DELAY_US, STAGE_US};
use crate::micros::Micros;
use crate::replica::APPLIED_AT_ONCE;
use crate::sim::operations::Operations;
use crate::sim::plan::{
    Bounds, ClockOrigin, Fault, Links, LogBounds, MAX_VALUE_BYTES, Network, Plan, Storage, Workload,
};
use crate::transport::SEQPACKET_MAX_DATAGRAM;
use crate::tuning::Tuning;
use crate::wire::CHECKSUM_BYTES;

/// The least and the greatest time of a sync with `persist`, as on a disk in good health.
const SYNC_US: (Micros, Micros) = (50, 500);

/// The part of a scenario of `run.py` that matters here; `run.py` checks the rest.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    lifetime: f64,
    replicas: usize,
    requests: usize,
    #[serde(default = "default_mix")]
    mix: f64,
    #[serde(default = "default_wait", alias = "wait")]
    start_wait: f64,
    #[serde(default = "default_wait")]
    end_wait: f64,
    #[serde(default)]
    drops: f64,
    #[serde(default)]
    duplicate: f64,
    #[serde(default)]
    corrupt: f64,
    #[serde(default)]
    delay: Delay,
    bandwidth: Option<f64>,
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
    events: Vec<Event>,
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

fn default_mix() -> f64 {
    0.8
}

fn default_wait() -> f64 {
    2.0
}

fn default_value_bytes() -> usize {
    32
}

/// The most restarts that a scenario may draw.
const MAX_RESTARTS: usize = 10_000;

impl Scenario {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.delay.check()?;
        self.events.iter().try_for_each(|event| event.check(self.lifetime))?;
        match () {
            () if !(5.0..=1e6).contains(&self.lifetime) => Err("lifetime must be at least 5 seconds"),
            () if !(3..=21).contains(&self.replicas) => Err("replicas must be 3 to 21"),
            () if self.requests > 900_000 => Err("requests must be at most 900000"),
            () if [self.mix, self.drops, self.client_drops, self.duplicate, self.corrupt]
                .iter()
                .any(|p| !(0.0..=1.0).contains(p)) =>
            {
                Err("mix, drops, client_drops, duplicate and corrupt must be 0 to 1")
            }
            () if [self.start_wait, self.end_wait].iter().any(|t| !(0.0..=self.lifetime).contains(t)) => {
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
            () if self.reorder && !self.delay.delays() => {
                Err("reorder needs delay, because other messages do not overtake each other")
            }
            () if self.bandwidth.is_some_and(|bandwidth| !(1e3..=1e9).contains(&bandwidth)) => {
                Err("bandwidth must be 1000 to 1000000000 bytes per second")
            }
            () if self.restarts > MAX_RESTARTS => Err("restarts must be at most 10000"),
            () if self.client_timeout.is_some_and(|t| !(t > 0.0 && t.is_finite())) => {
                Err("client_timeout must be above 0")
            }
            () => Ok(()),
        }
    }

    fn has_restarts(&self) -> bool {
        self.restarts > 0 || self.events.iter().any(Event::is_restart)
    }

    pub(super) fn plan(&self, seed: u64) -> Plan {
        let (least, most) = self.delay.range_us();
        Plan {
            seed,
            replicas: self.replicas,
            lifetime_us: micros(self.lifetime),
            network: Network {
                delay_us: (DELAY_US.0 + least, DELAY_US.1 + most),
                uneven: 1,
                slow: 0.0,
                loss: self.drops,
                duplicate: self.duplicate,
                echo_us: 0,
                wire: false,
                reorder: self.reorder,
                max_datagram: SEQPACKET_MAX_DATAGRAM - CHECKSUM_BYTES,
                stage_us: STAGE_US,
            },
            links: Links {
                delays: self.delay.own(),
                bandwidth: self.bandwidth.map(|bandwidth| bandwidth.round() as u64),
                corrupt: self.corrupt,
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
            faults: events::faults(&self.events, self.start_wait, self.replicas)
                .into_iter()
                .chain(self.drawn_restarts(seed))
                .collect(),
            liveness: None,
        }
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
            events::kinds_of(r#type, self.replicas).into_iter().map(move |kind| Fault { at_us, for_us, kind })
        };
        (0..self.restarts).flat_map(faults).collect()
    }
}

/// Whole microseconds.
pub(super) fn micros(seconds: f64) -> Micros {
    (seconds * 1e6).round() as Micros
}
