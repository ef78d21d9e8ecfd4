//! A run as data, before it starts. A seed makes a plan ([`swarm`](super::swarm)), and so does a
//! scenario file ([`scenario`](super::scenario)). A plan can be written to a file and read from
//! one, and a shorter plan is made by leaving out faults.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::operations::Operations;
use super::wall_clock::WallClock;
use crate::micros::Micros;
use crate::replica::{APPLIED_AT_ONCE, LogLimits};
use crate::state_machine::{SessionLimits, Settings};
use crate::tuning::Tuning;

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

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The least and the greatest delay; each message draws its own.
    pub delay_us: (Micros, Micros),
    /// The greatest ratio between the delays of two pairs. Each direction of a pair draws its own
    /// factor from 1 to this.
    pub uneven: u64,
    /// The probability that a message takes ten times as long.
    pub slow: f64,
    /// The probability that a message between replicas is lost.
    pub loss: f64,
    /// The probability that a message between replicas arrives twice.
    pub duplicate: f64,
    /// The greatest time from the first arrival to the second, in microseconds. With 0 each arrival
    /// draws its own delay.
    #[serde(default)]
    pub echo_us: Micros,
    /// Whether every datagram is encoded as JSON and decoded again, as in the pipeline.
    pub wire: bool,
    /// Whether messages of one pair may overtake each other.
    pub reorder: bool,
    /// The longest datagram, in bytes.
    pub max_datagram: usize,
    /// The least and the greatest time that a stage of the pipeline takes to wake up and work.
    pub stage_us: (Micros, Micros),
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

/// A fault, and its duration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The time of its begin.
    pub at_us: Micros,
    /// Its duration; none if it lasts for good.
    pub for_us: Option<Micros>,
    /// The kind of fault.
    pub kind: FaultKind,
}

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// A replica stops and loses all that is not on its disk. After the fault it restarts.
    Crash(Target),
    /// The next replica that pulls the trigger stops in the same moment.
    CrashOn(Trigger),
    /// A replica pauses, and its clock does not.
    Pause(Target),
    /// A replica hands its leadership over to another one, if it leads. No operator of a cluster calls
    /// this a fault, and it has no end.
    Transfer(Target),
    /// Each sync of a replica's disk takes at least this time, in microseconds. The end of the
    /// fault ends the current sync. With a time as long as the fault, the disk hangs. Without disks
    /// the fault has no effect.
    SlowDisk(Target, Micros),
    /// A replica's disk has no space. Its process ends at the first write, and starts again when the
    /// fault ends. Without disks the fault has no effect; the same is true of the other faults of
    /// disks.
    FullDisk(Target),
    /// Each write to a replica's disk fails. Its process ends at the first one, and starts again when
    /// the fault ends.
    WriteError(Target),
    /// Each sync of a replica's disk fails, and the changes under it may be lost. Its process ends at
    /// the first one, and starts again when the fault ends.
    SyncError(Target),
    /// A replica stops, and a sector of its log or of its snapshot goes bad. When the fault ends, the
    /// replica refuses to start. It never comes back.
    DamagedSector(usize),
    /// A replica's clock runs at a tenth of its rate. The fault is fair only without leases.
    SlowClock(Target),
    /// These replicas and the others do not hear each other.
    Partition(Vec<usize>),
    /// Just over half of the replicas and the others do not hear each other.
    Halve {
        /// Whether the leader is always on the larger side.
        with_leader: bool,
    },
    /// Only some pairs of replicas hear each other, in the order that is given.
    Partial(Shape, Vec<usize>),
    /// The second replica does not hear the first.
    Cut(usize, usize),
    /// A replica receives nothing, and no other replica receives its messages.
    Isolate(Target),
    /// A replica receives no messages from other replicas, and they receive its messages.
    Deaf(Target),
    /// A replica receives messages, and its own are lost.
    Mute(Target),
    /// Messages to a replica wait until the fault ends.
    Lag(Target),
    /// Messages from a replica to others take this much longer, and later ones overtake them.
    Delay(Target, Micros),
    /// Messages of a replica wait in its outbox until the fault ends, and are merged there.
    Clog(Target),
    /// Messages to and from a replica wait until the fault ends.
    Stall(Target),
    /// A greater share of the messages is lost.
    Loss(f64),
}

/// The pairs that hear each other in a partial partition, for replicas in an order. Replicas
/// outside the order hear no other replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The first replica and each other.
    Hub,
    /// Neighbours; the last one is the neighbour of the first.
    Ring,
    /// Neighbours.
    Chain,
    /// Two halves, each complete, with the middle replica in both.
    Bridge,
}

impl Shape {
    /// Whether the replicas at these two places hear each other, in an order of this length.
    pub fn joins(self, one: usize, other: usize, of: usize) -> bool {
        let (low, high) = (one.min(other), one.max(other));
        match self {
            Self::Hub => low == 0,
            Self::Ring => high - low == 1 || (low, high + 1) == (0, of),
            Self::Chain => high - low == 1,
            Self::Bridge => high <= of / 2 || low >= of / 2,
        }
    }
}

/// The action that stops the replica that performs it. Only the message about the action leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// It acknowledges a write: the client receives the acknowledgement, other replicas nothing.
    Ack,
    /// It votes for another replica, which receives the vote.
    Vote,
    /// It becomes leader: one of the other replicas may receive its append.
    Lead,
    /// It commits an entry as leader: no replica and no client receives a message.
    Commit,
}

/// The replica that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This one, counted from 0.
    Replica(usize),
    /// The leader of the latest term that has a leader, if any.
    Leader,
    /// Another replica than the leader.
    Follower,
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {:.6} s", self.kind, self.at_us as f64 / 1e6)?;
        match self.for_us {
            Some(for_us) => write!(f, " for {:.6} s", for_us as f64 / 1e6),
            None => write!(f, " for good"),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(target) => write!(f, "{target} is down"),
            Self::CrashOn(trigger) => write!(f, "the next replica that {trigger} is down"),
            Self::Pause(target) => write!(f, "{target} stands still"),
            Self::Transfer(target) => write!(f, "{target} hands its leadership over"),
            Self::SlowDisk(target, least_us) => {
                write!(f, "each sync of {target} takes at least {least_us} us")
            }
            Self::FullDisk(target) => write!(f, "the disk of {target} is full"),
            Self::WriteError(target) => write!(f, "writes of {target} fail"),
            Self::SyncError(target) => write!(f, "syncs of {target} fail"),
            Self::DamagedSector(at) => write!(f, "{at:04X} is down, and a sector of its disk is bad"),
            Self::SlowClock(target) => write!(f, "the clock of {target} runs at a tenth of its rate"),
            Self::Partition(side) => write!(f, "{side:?} and the others do not hear each other"),
            Self::Halve { with_leader: true } => write!(f, "half of the replicas is cut off, not the leader"),
            Self::Halve { with_leader: false } => write!(f, "half of the replicas is cut off"),
            Self::Partial(shape, order) => write!(f, "the replicas {order:?} are connected as a {shape:?}"),
            Self::Cut(from, to) => write!(f, "{to:04X} does not hear {from:04X}"),
            Self::Isolate(target) => write!(f, "{target} neither hears nor is heard"),
            Self::Deaf(target) => write!(f, "{target} hears nothing"),
            Self::Mute(target) => write!(f, "{target} is not heard"),
            Self::Lag(target) => write!(f, "messages to {target} wait"),
            Self::Clog(target) => write!(f, "messages wait in the outbox of {target}"),
            Self::Stall(target) => write!(f, "messages to and from {target} wait"),
            Self::Loss(probability) => write!(f, "{:.1} % of the messages are lost", probability * 100.0),
            Self::Delay(target, until_us) => write!(f, "messages from {target} take {until_us} us longer"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(at) => write!(f, "{at:04X}"),
            Self::Leader => write!(f, "the leader"),
            Self::Follower => write!(f, "a follower"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ack => "acknowledges a write",
            Self::Vote => "votes for another",
            Self::Lead => "begins to lead",
            Self::Commit => "commits as a leader",
        })
    }
}
