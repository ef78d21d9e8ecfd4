//! The choices of the core that trade messages against latency, reads against failover, and simplicity against both. No
//! choice touches safety.

/// What the core is told to prefer. All replicas of a cluster need the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How many entries one append carries at most, at least 1.
    pub max_entries_per_append: usize,
    /// Whether followers hear of every commit at once, by an append of its own, instead of with the next entry.
    pub commit_notices: bool,
    /// Whether an entry goes to just enough followers, in turns, instead of to all.
    pub thrifty: bool,
    /// The way of an entry through the cluster.
    pub topology: Topology,
    /// What a read costs.
    pub reads: Reads,
    /// How the followers find out that their leader is dead.
    pub detection: Detection,
}

/// The way of an entry through the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// The leader sends to each follower and each answers.
    Star,
    /// The leader sends to one follower, which sends on; the last one answers for all.
    Relay,
    /// Star where nothing is lost, relay where messages get lost.
    Adaptive,
}

/// What a read costs. All three are linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing while a lease lasts; rests on clocks that run at about the same rate.
    Lease,
    /// One round to a quorum for all reads that wait; rests on no clock.
    ReadIndex,
    /// As much as a write: each read is an entry in the log.
    Log,
}

/// How the followers find out that their leader is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// By requests that miss the leader; silence costs nothing.
    OnDemand,
    /// By heartbeats that stay away.
    Heartbeats,
}

impl Tuning {
    /// The best that was measured.
    pub const DEFAULT: Self = Self {
        max_entries_per_append: usize::MAX,
        commit_notices: false,
        thrifty: true,
        topology: Topology::Adaptive,
        reads: Reads::Lease,
        detection: Detection::OnDemand,
    };
}
