//! The faults of a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::When;
use crate::micros::Micros;

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
    /// No message passes from a minority, drawn when the fault begins, to the other replicas. Theirs
    /// arrive there. Dead replicas are in the minority where the living suffice.
    OneWay,
    /// Two halves hear each other only through one living replica, all drawn when the fault begins.
    Bridge,
    /// A replica loses its links to the others and regains them, again and again: in each period of so
    /// many microseconds it is cut off in the first half.
    Flap(Target, Micros),
    /// Messages from and to a replica take this much longer, those of clients, too.
    Slow(Target, Micros),
    /// All current partitions end. A partition that begins later replaces them.
    EndPartitions,
    /// All current partitions and flaps end, and no replica is slow any more.
    Heal,
    /// The fault begins when this occurs. Its time is that from which on occurrences count.
    When(When, Box<FaultKind>),
}

impl FaultKind {
    /// The fault that begins, now or when its condition is met.
    pub fn begins(&self) -> &Self {
        match self {
            Self::When(_, kind) => kind.begins(),
            kind => kind,
        }
    }

    /// Whether it cuts links until it ends.
    pub fn is_partition(&self) -> bool {
        matches!(
            self,
            Self::Partition(_)
                | Self::Halve { .. }
                | Self::Partial(..)
                | Self::Cut(..)
                | Self::Isolate(_)
                | Self::OneWay
                | Self::Bridge
        )
    }
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
    /// Any that is up.
    Any,
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
            Self::OneWay => write!(f, "no message passes from a minority to the others"),
            Self::Bridge => write!(f, "two halves hear each other only through one replica"),
            Self::Flap(target, period_us) => {
                write!(f, "{target} loses and regains its links every {period_us} us")
            }
            Self::Slow(target, by_us) => write!(f, "messages from and to {target} take {by_us} us longer"),
            Self::EndPartitions => write!(f, "partitions end"),
            Self::Heal => write!(f, "partitions and flaps end, and no replica is slow"),
            Self::When(when, kind) => write!(f, "when {when}: {kind}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(at) => write!(f, "{at:04X}"),
            Self::Leader => write!(f, "the leader"),
            Self::Follower => write!(f, "a follower"),
            Self::Any => write!(f, "a replica"),
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
