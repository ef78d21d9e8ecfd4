//! The choices of the core that trade messages against latency, reads against failover, and
//! simplicity against both. No choice touches safety.

/// The choices of one cluster. All its replicas need the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// The most entries that one append carries, at least 1.
    pub max_entries_per_append: usize,
    /// Whether the leader announces every commit at once, by an append of its own, instead of with
    /// the next entry.
    pub commit_notices: bool,
    /// Whether an entry goes to just enough followers, in turns, instead of to all.
    pub thrifty: bool,
    /// The path of an entry through the cluster.
    pub topology: Topology,
    /// The proof of leadership that a read needs.
    pub reads: Reads,
    /// How the followers detect a dead leader.
    pub detection: Detection,
}

/// The path of an entry through the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// The leader sends to each follower and each answers.
    Star,
    /// The leader sends to one follower, each follower sends on to the next, and the last one
    /// answers for all.
    Relay,
    /// Star while no messages are lost, relay while messages get lost.
    Adaptive,
}

/// The proof of leadership that a read needs. Reads are linearizable with all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A lease, which costs no message while it lasts; rests on clocks that run at about the same
    /// rate.
    Lease,
    /// One round of heartbeats to a quorum for all waiting reads; rests on no clock.
    ReadIndex,
    /// An entry in the log for each read, at the cost of a write.
    Log,
}

/// How the followers detect a dead leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// By requests for which the leader does not answer; silence costs nothing.
    OnDemand,
    /// By missing heartbeats.
    Heartbeats,
    /// By missing heartbeats, and then by probes. A follower whose leader misses two heartbeats probes
    /// it, so early that all followers have given a dead leader up when their vote leases end.
    Combined,
}

impl Detection {
    /// Whether a follower probes a leader that may be dead before it gives that leader up.
    pub fn probes(self) -> bool {
        self != Self::Heartbeats
    }
}

impl Tuning {
    /// The choices with the best measured results.
    pub const DEFAULT: Self = Self {
        max_entries_per_append: usize::MAX,
        commit_notices: false,
        thrifty: true,
        topology: Topology::Adaptive,
        reads: Reads::Lease,
        detection: Detection::OnDemand,
    };
}
