//! The parameters of a replica: its times, the bounds of its log, and the choices of its user.

use super::HOLD_US;
use super::snapshots::MAX_CHUNK_BYTES;
use crate::id::Id;
use crate::micros::Micros;
use crate::replication::{Entry, Payload, Settings};
use crate::state_machine;
use crate::tuning::{Detection, Reads, Tuning};
use crate::wire::Limits;

/// The least election time-out, and so the vote lease: for this time after a follower has heard its
/// leader, it grants no vote. It bounds from below how long clients wait for a new leader, and from
/// above how far apart reads may be that cost no messages.
pub const ELECTION_TIMEOUT_US: Micros = 480_000;

/// How long a follower bears the silence of its leader before it probes the leader of its own
/// accord. It is one heartbeat interval and the time by which a heartbeat may be late. Requests
/// detect a dead leader long before, if clients ask other replicas, too. One lost heartbeat
/// therefore costs three messages, and clients that ask the dead leader alone wait three seconds at
/// most.
pub const PATIENCE_US: Micros = HEARTBEAT_INTERVAL_US + ELECTION_TIMEOUT_US / 4;

/// The longest silence of a leader. Under load, the rotation of appends reaches every follower
/// without a heartbeat.
pub const HEARTBEAT_INTERVAL_US: Micros = 2_000_000;

/// The least time for which a leader without a quorum goes on probing its followers. Its clients
/// wait as long. It bears a network that is gone for 300 ms. A follower needs the remaining quarter
/// to find out that the leader is gone. So the clients that the leader then redirects are in time
/// for the end of its followers' vote leases.
const STALL_US: Micros = ELECTION_TIMEOUT_US * 3 / 4;

/// How long answers of a quorum let the leader serve reads: two hundredths less than the vote lease
/// that they rest on. Clocks of today's machines differ by less than a thousandth.
pub const LEASE_US: Micros = ELECTION_TIMEOUT_US / 50 * 49;

/// How many unanswered appends a responsive follower may have: a megabyte in the stream dialect.
const MAX_IN_FLIGHT: usize = 64;

/// How many bytes of entries one append has at most, also where messages may be longer; a larger entry
/// goes alone. A follower that is behind then has 16 MB of them on their way.
const MAX_APPEND_BYTES: usize = 256 << 10;

/// How many committed entries one batch applies: 1 ms of work, 8 ms if each entry fills a datagram
/// of 64 KB.
pub const APPLIED_AT_ONCE: usize = 256;

/// How many bytes of memory such entries have at most; a larger one is applied alone.
const APPLIED_BYTES_AT_ONCE: u64 = 1 << 20;

/// About how many bytes an entry takes in memory besides its texts.
const ENTRY_BYTES: usize = 200;

/// About how many bytes of memory an entry takes.
pub(crate) fn memory_bytes(entry: &Entry) -> usize {
    let Payload::Command(proposal) = &entry.payload else { return ENTRY_BYTES };
    let mid = proposal.request.as_ref().map_or(0, |request| request.mid.len());
    ENTRY_BYTES + mid + proposal.command.text_len()
}

/// The bounds of a replica's log, in bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// The replica takes a snapshot when the entries that it has applied since the last one take
    /// so many bytes.
    pub snapshot_after_bytes: u64,
    /// So many bytes of entries stay behind a snapshot, for followers that are slow.
    pub tail_bytes: u64,
    /// A follower that receives a snapshot keeps the leader from compacting later entries only while
    /// the log is shorter than this.
    pub max_bytes: u64,
    /// A leader refuses new writes while the entries that are not committed take so many bytes.
    pub max_uncommitted_bytes: u64,
    /// The most bytes of a snapshot in one message, also where messages may be longer.
    pub max_chunk_bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            snapshot_after_bytes: 64 << 20,
            tail_bytes: 16 << 20,
            max_bytes: 512 << 20,
            max_uncommitted_bytes: 64 << 20,
            max_chunk_bytes: MAX_CHUNK_BYTES,
        }
    }
}

/// The parameters of one replica in one run.
#[derive(Clone, Debug)]
pub struct Options {
    /// This replica.
    pub own: Id,
    /// All others.
    pub peers: Vec<Id>,
    /// Decides the jitter of election time-outs.
    pub seed: u64,
    /// How many committed entries one batch applies, at least 1.
    pub applied_at_once: usize,
    /// The bounds of the log.
    pub log: LogLimits,
    /// A leader refuses commands that may grow the state while its keys and values take more memory
    /// than this; without it, never.
    pub max_data_bytes: Option<usize>,
    /// The bounds of the state machine, the same at all replicas.
    pub state_machine: state_machine::Settings,
    /// The switches that trade messages against latency.
    pub tuning: Tuning,
    /// Whether it forwards requests to the leader, because its clients follow no redirects. A
    /// request is forwarded only before any replica has proposed it, so a client that is redirected
    /// knows that its write never takes effect.
    pub forwards: bool,
    /// How long a request waits for a leader to be known: [`HOLD_US`] where clients can ask another
    /// replica, longer where this replica asks for them.
    pub hold_us: Micros,
}

impl Options {
    /// A replica with the default settings.
    pub fn new(own: Id, peers: Vec<Id>, seed: u64) -> Self {
        let state_machine = state_machine::Settings::default();
        let (applied_at_once, log, tuning) = (APPLIED_AT_ONCE, LogLimits::default(), Tuning::DEFAULT);
        Self {
            own,
            peers,
            seed,
            applied_at_once,
            log,
            max_data_bytes: None,
            state_machine,
            tuning,
            forwards: false,
            hold_us: HOLD_US,
        }
    }

    /// The settings of its core, for messages within these limits.
    pub(super) fn core_settings(&self, limits: &Limits) -> Settings {
        let &Self { applied_at_once, log, tuning, .. } = self;
        let on_demand = tuning.detection == Detection::OnDemand;
        Settings {
            election_timeout_us: ELECTION_TIMEOUT_US,
            idle_election_timeout_us: match tuning.detection {
                Detection::OnDemand => PATIENCE_US,
                Detection::Heartbeats => ELECTION_TIMEOUT_US,
                Detection::Combined => ELECTION_TIMEOUT_US / 3 * 2,
            },
            heartbeat_interval_us: if on_demand { HEARTBEAT_INTERVAL_US } else { ELECTION_TIMEOUT_US / 3 },
            check_quorum_timeout_us: if on_demand { STALL_US } else { ELECTION_TIMEOUT_US },
            lease_us: if tuning.reads == Reads::Lease { LEASE_US } else { 0 },
            max_append_bytes: limits.max_append_bytes().min(MAX_APPEND_BYTES),
            entry_len: limits.entry_len(),
            max_in_flight: MAX_IN_FLIGHT,
            applied_at_once,
            applied_bytes_at_once: APPLIED_BYTES_AT_ONCE,
            weigh: memory_bytes,
            tail_bytes: log.tail_bytes,
            max_log_bytes: log.max_bytes,
            tuning: tuning.core(),
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::tuning::Topology;

    use super::*;
    use crate::testkit::id;

    #[test]
    fn append_has_no_more_entries_than_a_follower_can_bear_many_times() {
        let options = Options::new(id(0), vec![id(1), id(2)], 1);
        let of_datagrams = |bytes| {
            let limits = Limits::new(bytes, Topology::Star, 2);
            (options.core_settings(&limits).max_append_bytes, limits.max_append_bytes())
        };
        let (used, possible) = of_datagrams(64 << 10);
        assert_eq!(used, possible, "it fills a datagram of the simulators");
        assert_eq!(of_datagrams(8 << 20).0, MAX_APPEND_BYTES);
    }
}
