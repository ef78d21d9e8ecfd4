//! What a run will do: everything that is decided before it starts. A plan is data: a seed makes one
//! ([`swarm`](super::swarm)), a scenario file makes one ([`scenario`](super::scenario)), it can be written to a file and
//! read from one, and a shorter one can be made by leaving out faults.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::micros::Micros;
use crate::replica::APPLIED_AT_ONCE;
use crate::tuning::Tuning;

/// A whole run. The same plan gives the same run, to the byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Decides everything that the plan leaves to chance while it runs. A file without it is a plan for each seed.
    #[serde(default)]
    pub seed: u64,
    /// How many replicas there are, 2 to 21.
    pub replicas: usize,
    /// When the run ends, or, if there is a liveness phase, when that begins.
    pub lifetime_us: Micros,
    /// What lies between replicas, and between them and the clients.
    pub network: Network,
    /// What the replicas keep when they crash.
    pub storage: Storage,
    /// How fast each replica's clock runs, in millionths more or less than true time.
    pub clock_ppm: Vec<i64>,
    /// What each replica's clock shows when the replica starts.
    #[serde(default)]
    pub clock_origin: ClockOrigin,
    /// What the replicas trade messages and latency by.
    pub tuning: Tuning,
    /// How many committed entries a batch of a replica applies, at least 1.
    #[serde(default = "applied_at_once")]
    pub applied_at_once: usize,
    /// What the clients do.
    pub workload: Workload,
    /// What goes wrong, in any order.
    pub faults: Vec<Fault>,
    /// How the run goes on after its lifetime, if it does.
    pub liveness: Option<Liveness>,
}

fn applied_at_once() -> usize {
    APPLIED_AT_ONCE
}

impl Plan {
    /// How fast this replica's clock runs; at the rate of true time unless something else is said.
    pub fn clock_rate(&self, replica: usize) -> i64 {
        self.clock_ppm.get(replica).copied().unwrap_or(0)
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The least and the greatest delay; each message draws its own.
    pub delay_us: (Micros, Micros),
    /// How many times as long it may be between two replicas as between two others; each pair draws
    /// its own factor from 1 to this, once for each direction.
    pub uneven: u64,
    /// How often a message takes ten times as long.
    pub slow: f64,
    /// How often a message between replicas is lost.
    pub loss: f64,
    /// How often a message between replicas arrives twice.
    pub duplicate: f64,
    /// How much later than the first one the second arrives at most, in microseconds. With 0 each draws its own delay.
    #[serde(default)]
    pub echo_us: Micros,
    /// Whether every datagram is written out as JSON and read back, as the pipeline does.
    pub wire: bool,
    /// Whether messages of one pair may overtake each other.
    pub reorder: bool,
    /// The longest datagram, in bytes.
    pub max_datagram: usize,
    /// The least and the greatest time that a stage of the pipeline takes to wake up and work.
    pub stage_us: (Micros, Micros),
}

/// What a clock shows when its replica starts or starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockOrigin {
    /// Zero in each life: then stamps of different lives are equal as often as they can be.
    #[default]
    Zero,
    /// Any time, another one in each life.
    Any,
    /// What it would show if the replica had never stopped: the clock of a machine that went on.
    Running,
}

/// Where a replica keeps what it must not forget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Storage {
    /// Nowhere but in memory, as the program does: a replica that crashes never comes back.
    Memory,
    /// On a disk that needs this long at least and at most to make what was written last.
    Disk {
        /// The least and the greatest time of a sync.
        sync_us: (Micros, Micros),
    },
}

/// What clients ask; the rules are those of `run.py`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// How many clients there are.
    pub clients: usize,
    /// How many requests they make together, spread evenly from `start_us` to `end_us` whether answers come or not.
    pub requests: usize,
    /// Whether each client asks once at `start_us`, and from then on whenever it was answered, instead.
    #[serde(default)]
    pub closed_loop: bool,
    /// How many of them are made at the same time.
    pub burst: usize,
    /// When the first request is made.
    pub start_us: Micros,
    /// When the last one has been made at the latest.
    pub end_us: Micros,
    /// Which part of the requests are gets.
    pub gets: f64,
    /// How many keys all clients share; 0 if each has its own.
    pub shared_keys: usize,
    /// How long values are at least, in bytes.
    pub value_bytes: usize,
    /// How often a message to or from a client is lost.
    pub loss: f64,
    /// After how long a client sends the same request again, to another replica; never if there is no time.
    pub timeout_us: Option<Micros>,
    /// How often a client asks any replica instead of the leader that it knows.
    pub wander: f64,
    /// Whether each operation comes from a client ID of its own, which its attempts share. No such client knows a leader.
    #[serde(default)]
    pub fresh_ids: bool,
    /// Whether clients send to replicas that are down, too. What they send there is lost; otherwise the connection is
    /// refused, and they ask another replica at once.
    #[serde(default)]
    pub asks_the_dead: bool,
    /// Whether a client reads what it has put as soon as that is acknowledged, from another replica.
    pub read_back: bool,
    /// How long the loop that sends all requests sleeps at most, in microseconds, 0 to 1,000,000. A datagram of any
    /// replica wakes it up. A request that is due meanwhile waits for that. With 0 the loop never sleeps.
    #[serde(default)]
    pub poll_us: Micros,
}

/// Something that goes wrong, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    pub at_us: Micros,
    /// For how long; for good if there is no time.
    pub for_us: Option<Micros>,
    /// What.
    pub kind: FaultKind,
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// A replica stops; what is not on its disk is lost. Afterwards it starts again.
    Crash(Target),
    /// The replica that next does this stops in the same moment.
    CrashOn(Trigger),
    /// A replica stands still, and its clock does not.
    Pause(Target),
    /// Each sync of a replica's disk takes at least so long, in microseconds. The end of the fault ends the sync that
    /// goes on. With a time as long as the fault the disk hangs. No fault where replicas have no disk.
    SlowDisk(Target, Micros),
    /// A replica's clock runs at a tenth of its rate; only fair where there is no lease.
    SlowClock(Target),
    /// These replicas and the others do not hear each other.
    Partition(Vec<usize>),
    /// Just over half of the replicas, with the leader if that is said, and the others do not hear each other.
    Halve {
        /// Whether the leader is on the larger side for certain.
        with_leader: bool,
    },
    /// Only some pairs of replicas hear each other, in the order that is given.
    Partial(Shape, Vec<usize>),
    /// The second does not hear the first.
    Cut(usize, usize),
    /// A replica neither hears nor is heard.
    Isolate(Target),
    /// A replica is heard and does not hear.
    Deaf(Target),
    /// A replica hears and is not heard.
    Mute(Target),
    /// Messages to a replica wait, and go on afterwards.
    Lag(Target),
    /// Messages from a replica to others take so much longer, and later ones overtake them.
    Delay(Target, Micros),
    /// What a replica says waits in its outbox, is merged there, and goes on afterwards.
    Clog(Target),
    /// Messages to and from a replica wait, and go on afterwards.
    Stall(Target),
    /// More messages are lost.
    Loss(f64),
}

/// Who hears whom in a partial partition of replicas that stand in an order. Replicas out of the order hear nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The first one and each other.
    Hub,
    /// Neighbours; the last one is the neighbour of the first.
    Ring,
    /// Neighbours.
    Chain,
    /// Two halves, each complete, with the middle replica in both.
    Bridge,
}

impl Shape {
    /// Whether replicas at these two places of an order of so many hear each other.
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

/// What brings a replica down that does it. What it says to whom it matters most leaves; all else does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// It acknowledges a put: clients hear of it, other replicas do not.
    Ack,
    /// It votes for another replica, which hears of it.
    Vote,
    /// It begins to lead: one of the others may hear of it.
    Lead,
    /// It leads and commits something: nobody hears of it.
    Commit,
}

/// Whom it hits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This one, counted from 0.
    Replica(usize),
    /// Who leads then in the latest term; nobody if none does.
    Leader,
    /// Somebody else.
    Follower,
}

/// After the safety phase: a majority gets well for good, the others never do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Liveness {
    /// Who gets well; more than half.
    pub majority: Vec<usize>,
    /// What the others suffer from, for good.
    pub others: Broken,
}

/// How those are broken that do not get well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// They are down.
    Down,
    /// Nobody hears them and they hear nobody.
    Isolated,
    /// They are heard and hear nothing.
    Deaf,
    /// They hear and are not heard.
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
            Self::SlowDisk(target, least_us) => {
                write!(f, "each sync of {target} takes at least {least_us} us")
            }
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
            Self::Ack => "acknowledges a put",
            Self::Vote => "votes for another",
            Self::Lead => "begins to lead",
            Self::Commit => "commits as a leader",
        })
    }
}
