//! The settings of a replica, and its counts.

use std::collections::BTreeMap;

use super::log::Log;
use super::tuning::Tuning;
use super::types::{Command, Entry, Index};
use crate::id::Id;
use crate::micros::Micros;

/// The settings of a replica. All replicas of a cluster need the same times.
#[derive(Debug)]
pub struct Settings<C> {
    /// The least time after which a replica that knows no leader asks for votes; each wait is drawn
    /// from one to two of it (paper, 5.2). Also the length of the vote lease: a replica that has
    /// heard a leader refuses its vote for that long (dissertation, 6.4.1).
    pub election_timeout_us: Micros,
    /// The least silence after which a follower probes its leader without a request; the most is
    /// one election time-out more. If it is less than an election time-out, so that the probes end
    /// with the vote lease, the most is the time for an answer more.
    pub idle_election_timeout_us: Micros,
    /// The longest silence of a leader towards a follower; a fraction of
    /// `idle_election_timeout_us`.
    pub heartbeat_interval_us: Micros,
    /// The time that a leader goes on after it asked its followers and hears no quorum, itself
    /// included.
    pub check_quorum_timeout_us: Micros,
    /// The length of the leader's lease: the leader serves reads for that long after it sent the
    /// appends that a quorum has answered. Less than `election_timeout_us`, by more than clocks may
    /// drift apart in that time.
    pub lease_us: Micros,
    /// The most bytes of entries, by `entry_len`, in one message. A larger entry goes alone.
    pub max_append_bytes: usize,
    /// The size of an entry in a message, in bytes.
    pub entry_len: fn(&Entry<C>) -> usize,
    /// The most messages that a responsive follower may have unanswered.
    pub max_in_flight: usize,
    /// The most entries that one drain hands out to be applied, at least 1: a bound on the time
    /// that a batch takes.
    pub applied_at_once: usize,
    /// The most bytes of entries, by `weigh`, that one drain hands out to be applied; a larger entry
    /// goes alone.
    pub applied_bytes_at_once: u64,
    /// The size of an entry in memory, in bytes.
    pub weigh: fn(&Entry<C>) -> usize,
    /// The most bytes of entries, by `weigh`, that the log keeps before a snapshot, for followers
    /// that are slow.
    pub tail_bytes: u64,
    /// The log loses entries that a follower will need after the snapshot that it receives, rather
    /// than grow beyond so many bytes, by `weigh`.
    pub max_log_bytes: u64,
    /// The choices that trade messages against latency.
    pub tuning: Tuning,
}

impl<C> Clone for Settings<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Settings<C> {}

impl<C: Command> Settings<C> {
    /// The entries `from ..= to` of the log for one message: as many as are allowed and fit, but at
    /// least one.
    pub(super) fn entries_for_message(&self, log: &Log<C>, from: Index, to: Index) -> Vec<Entry<C>> {
        let most = from.saturating_add(self.tuning.max_entries_per_append as Index - 1);
        log.slice(from, to.min(most), self.max_append_bytes, self.entry_len)
    }
}

/// The counts of one replica since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Elections in which it asked for votes; pre-votes do not count.
    pub elections_started: u64,
    /// Elections that it won.
    pub elections_won: u64,
    /// How often it gave up the messages in flight to each follower, because no answer came in time.
    pub given_up: BTreeMap<Id, u64>,
}

impl Statistics {
    pub(super) fn count_given_up(&mut self, follower: Id) {
        *self.given_up.entry(follower).or_default() += 1;
    }
}
