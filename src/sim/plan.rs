//! A run as data, before it starts. A seed makes a plan ([`swarm`](super::swarm)), and so does a
//! scenario file ([`scenario`](super::scenario)). A plan can be written to a file and read from
//! one, and a shorter plan is made by leaving out faults.
//!
//! | file | job |
//! |---|---|
//! | `network` | the network: delays, losses, repetitions |
//! | `links` | further properties of its links: delays of their own, bandwidth, changed bytes |
//! | `faults` | the faults, and the replicas that they hit |
//! | `when` | the occurrence that a fault waits for |
//! | `check` | the rules for a plan that comes from a file |

mod check;
mod faults;
mod links;
mod network;
mod when;

use serde::{Deserialize, Serialize};

use super::operations::Operations;
use super::wall_clock::WallClock;
use crate::micros::Micros;
use crate::replica::{APPLIED_AT_ONCE, LogLimits};
use crate::state_machine::{SessionLimits, Settings};
use crate::tuning::Tuning;

pub(super) use check::{LEAST_PERIOD_US, MAX_VALUE_BYTES, check};
pub use faults::{Fault, FaultKind, Shape, Target, Trigger};
pub use links::{Distribution, End, LONGEST_DRAW_US, LinkDelay, Links};
pub use network::Network;
pub use when::{Condition, When};

/// A whole run. The same plan gives the same run, to the byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The source of every choice that the plan leaves to chance. A file without a seed is a plan
    /// for each seed.
    #[serde(default)]
    pub seed: u64,
    /// Number of replicas, 2 to 21.
    pub replicas: usize,
    /// The end of the run, or the begin of the liveness phase if there is one.
    pub lifetime_us: Micros,
    /// The network between replicas, and between replicas and clients.
    pub network: Network,
    /// Further properties of its links.
    #[serde(default)]
    pub links: Links,
    /// The storage of the replicas, which a crash may not erase.
    pub storage: Storage,
    /// The rate of each replica's clock, as the deviation from true time in millionths.
    pub clock_ppm: Vec<i64>,
    /// The time that each replica's clock shows when the replica starts.
    #[serde(default)]
    pub clock_origin: ClockOrigin,
    /// The wall clock of each replica; a replica without one has one that is right.
    #[serde(default)]
    pub wall_clocks: Vec<WallClock>,
    /// The bounds of the state machines.
    #[serde(default)]
    pub bounds: Bounds,
    /// The bounds of the logs.
    #[serde(default)]
    pub log: LogBounds,
    /// The tuning of the replicas.
    pub tuning: Tuning,
    /// Number of committed entries that a replica applies in one batch, at least 1.
    #[serde(default = "applied_at_once")]
    pub applied_at_once: usize,
    /// Whether the replicas forward writes to the leader and serve reads while they follow. Otherwise
    /// they redirect their clients.
    #[serde(default)]
    pub forwards: bool,
    /// The requests of the clients.
    pub workload: Workload,
    /// The faults, in any order.
    pub faults: Vec<Fault>,
    /// The liveness phase after the lifetime, if there is one.
    pub liveness: Option<Liveness>,
}

fn applied_at_once() -> usize {
    APPLIED_AT_ONCE
}

impl Plan {
    /// The rate of this replica's clock; the rate of true time if the plan has none.
    pub fn clock_rate(&self, replica: usize) -> i64 {
        self.clock_ppm.get(replica).copied().unwrap_or(0)
    }

    /// The wall clock of this replica.
    pub fn wall_clock(&self, replica: usize) -> WallClock {
        self.wall_clocks.get(replica).cloned().unwrap_or_default()
    }
}

/// The bounds of the state machines, if they are not those of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// The most sessions.
    pub sessions: Option<usize>,
    /// The most bytes of the replies that a session keeps.
    pub reply_bytes: Option<usize>,
    /// The number of deleted keys that have a revision of their own.
    pub deletions: Option<usize>,
}

impl Bounds {
    /// The settings of a state machine with these bounds.
    pub fn settings(&self) -> Settings {
        let usual = Settings::default();
        let sessions = SessionLimits {
            count: self.sessions.unwrap_or(usual.sessions.count),
            reply_bytes: self.reply_bytes.unwrap_or(usual.sessions.reply_bytes),
            ..usual.sessions
        };
        Settings { deletions: self.deletions.unwrap_or(usual.deletions), sessions, ..usual }
    }
}

/// The bounds of the logs, if they are not those of the program, in bytes of memory. An entry takes
/// some 200 bytes besides its texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogBounds {
    /// A replica takes a snapshot after so many bytes of entries.
    pub snapshot_after: Option<u64>,
    /// So many bytes of entries stay behind a snapshot.
    pub tail: Option<u64>,
    /// A follower that receives a snapshot keeps the log from shrinking up to this length.
    pub most: Option<u64>,
    /// A leader refuses writes while so many bytes are not committed.
    pub uncommitted: Option<u64>,
    /// The most bytes of a part of a snapshot.
    pub chunk: Option<usize>,
}

impl LogBounds {
    /// The limits of a log with these bounds.
    pub fn limits(&self) -> LogLimits {
        let usual = LogLimits::default();
        LogLimits {
            snapshot_after_bytes: self.snapshot_after.unwrap_or(usual.snapshot_after_bytes),
            tail_bytes: self.tail.unwrap_or(usual.tail_bytes),
            max_bytes: self.most.unwrap_or(usual.max_bytes),
            max_uncommitted_bytes: self.uncommitted.unwrap_or(usual.max_uncommitted_bytes),
            max_chunk_bytes: self.chunk.unwrap_or(usual.max_chunk_bytes),
        }
    }
}

/// The time that a clock shows when its replica starts or restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockOrigin {
    /// Zero in each life. Then timestamps of different lives are equal as often as possible.
    #[default]
    Zero,
    /// A random time in each life.
    Any,
    /// The time of a clock that never stopped, as on a machine that runs on.
    Running,
}

/// The storage of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Storage {
    /// Memory only, as in the program: a replica that crashes never comes back.
    Memory,
    /// A disk with a least and a greatest time of a sync.
    Disk {
        /// The least and the greatest time of a sync.
        sync_us: (Micros, Micros),
    },
}

/// The requests of clients; the rules are those of `run.py`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Number of clients.
    pub clients: usize,
    /// Number of requests of all clients, spread evenly from `start_us` to `end_us` whether answers
    /// come or not.
    pub requests: usize,
    /// Whether, instead, each client sends its first request at `start_us`, and each other one
    /// after an answer.
    #[serde(default)]
    pub closed_loop: bool,
    /// Number of requests that are made at the same time.
    pub burst: usize,
    /// The time of the first request.
    pub start_us: Micros,
    /// The latest time of the last request.
    pub end_us: Micros,
    /// The share of gets among the requests.
    pub gets: f64,
    /// Number of keys that all clients share; 0 if each client has its own. With operations, the
    /// number of keys of each kind; 0 stands for 3.
    pub shared_keys: usize,
    /// The operations beside puts and gets.
    #[serde(default)]
    pub operations: Operations,
    /// The least length of a value, in bytes.
    pub value_bytes: usize,
    /// The probability that a message to or from a client is lost.
    pub loss: f64,
    /// The time after which a client repeats a request at another replica; none if it never does.
    pub timeout_us: Option<Micros>,
    /// The probability that a client asks any replica instead of the leader that it knows.
    pub wander: f64,
    /// Whether each operation comes from a client ID of its own, which its attempts share. No such
    /// client knows a leader.
    #[serde(default)]
    pub fresh_ids: bool,
    /// Whether clients also send to replicas that are down. Such messages are lost. Otherwise the
    /// connection is refused, and the client asks another replica at once.
    #[serde(default)]
    pub asks_the_dead: bool,
    /// Whether a client reads its put from another replica as soon as the put is acknowledged.
    pub read_back: bool,
    /// The longest sleep of the loop that sends all requests, in microseconds, 0 to 1,000,000. A
    /// datagram from any replica wakes the loop. A request that is due during a sleep waits for its
    /// end. With 0 the loop never sleeps.
    #[serde(default)]
    pub poll_us: Micros,
}

/// After the safety phase: a majority heals for good, the other replicas never do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Liveness {
    /// The replicas that heal; more than half.
    pub majority: Vec<usize>,
    /// The fault of the other replicas, for good.
    pub others: Broken,
}

/// The ways in which a replica stays broken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// They are down.
    Down,
    /// They receive nothing, and no other replica receives their messages.
    Isolated,
    /// Their messages arrive, and they receive nothing.
    Deaf,
    /// They receive messages, and their own are lost.
    Mute,
}
