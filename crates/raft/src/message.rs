//! The messages between replicas (paper, figure 2), with additions:
//!
//! * a flag for the pre-vote (dissertation, 9.6), and one for a leadership transfer (3.10),
//! * the leader's time of sending, which a follower returns unchanged,
//! * an append that goes from follower to follower.

use super::types::{Entry, EntryId, Index, Term};
use crate::id::Id;
use crate::micros::Micros;

/// One message between two replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<C> {
    /// The sender's term; for a pre-vote and its grant, the term that an election would have.
    pub term: Term,
    /// Its kind and content.
    pub body: Body<C>,
}

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<C> {
    /// A candidate asks for a vote.
    RequestVote(RequestVote),
    /// The answer to it.
    RequestVoteResponse(RequestVoteResponse),
    /// The leader replicates its log; without entries it is a heartbeat.
    AppendEntries(AppendEntries<C>),
    /// The answer to it, and to a part of a snapshot.
    AppendEntriesResponse(AppendEntriesResponse),
    /// The leader sends a part of a snapshot to a follower whose next entry it has compacted.
    InstallSnapshot(InstallSnapshot),
    /// The receiver's append or relay was of an earlier term than this message. This answer
    /// acknowledges nothing, so it names neither the append nor its time of sending.
    StaleTerm,
    /// The end of a log, for a candidate whose own log is behind it.
    LogTail(LogTail<C>),
    /// An append that each follower of a relay stores and sends on.
    RelayEntries(RelayEntries<C>),
    /// The answer of the last follower of a relay, for all of them.
    RelayEntriesResponse(RelayEntriesResponse),
    /// The leader hands its leadership over to the receiver, which has the whole log.
    TimeoutNow,
}

/// A request for a vote (paper, 5.2) or for a pre-vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestVote {
    /// A pre-vote: the answer changes no replica's term or vote.
    pub pre_vote: bool,
    /// The leader of the term before hands its leadership over to the candidate: the voter
    /// disregards its vote lease. Never for a pre-vote.
    pub transfer: bool,
    /// The candidate's number for this attempt; the answer returns it, so that an
    /// answer to an earlier attempt never counts.
    pub campaign: u64,
    /// Index of the candidate's last entry.
    pub last_log_index: Index,
    /// Term of the candidate's last entry.
    pub last_log_term: Term,
}

/// The answer to a [`RequestVote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestVoteResponse {
    /// Whether the request was for a pre-vote.
    pub pre_vote: bool,
    /// `campaign` of the request.
    pub campaign: u64,
    /// Whether the vote was granted.
    pub granted: bool,
}

/// The part of the leader's log that a follower lacks (paper, 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendEntries<C> {
    /// Index of the entry before the first of `entries`.
    pub prev_log_index: Index,
    /// Term of that entry.
    pub prev_log_term: Term,
    /// The leader's commit index.
    pub leader_commit: Index,
    /// When the leader sent this, by its own clock; no two sends of a term have the same value.
    pub sent_at: Micros,
    /// Entries `prev_log_index + 1 ..`, without a gap; empty for a heartbeat.
    pub entries: Vec<Entry<C>>,
}

impl<C> AppendEntries<C> {
    /// Index of the last entry that a receiver shares with the leader after it has stored this
    /// append.
    pub fn last_index(&self) -> Index {
        self.prev_log_index + self.entries.len() as Index
    }
}

/// A part of a snapshot of the leader's state machine (paper, figure 13). The answer is an
/// [`AppendEntriesResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSnapshot {
    /// When the leader sent this, by its own clock, as in [`AppendEntries`].
    pub sent_at: Micros,
    /// The last entry that the snapshot covers; it is committed.
    pub snapshot: EntryId,
    /// The number of this part, from 0.
    pub chunk: u64,
    /// Whether it is the last part.
    pub is_last: bool,
    /// The part itself, for the state machine.
    pub data: Vec<u8>,
}

/// The answer to an [`AppendEntries`] or an [`InstallSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendEntriesResponse {
    /// `sent_at` of the request. It shows the leader that this follower followed it at that time or
    /// later, and the length of the round trip.
    pub sent_at: Micros,
    /// Whether the entries fitted the log, or how much of the snapshot has arrived.
    pub outcome: AppendOutcome,
}

/// Whether an [`AppendEntries`] fitted the follower's log, or how far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The follower's log equals the leader's up to this index.
    Matched {
        /// The last index of the request's entries; never beyond it.
        match_index: Index,
    },
    /// The follower has no entry `prev_log_index` of `prev_log_term` (paper, end of 5.3).
    Conflict {
        /// The `prev_log_index` that was refused.
        prev_log_index: Index,
        /// The term of the follower's entry there; 0 if its log ends before.
        conflict_term: Term,
        /// The first index that the follower has of that term; if its log ends before, the index
        /// after its last.
        conflict_index: Index,
    },
    /// The follower has received some parts of a snapshot, and has not installed it so far.
    Receiving {
        /// The snapshot.
        snapshot: EntryId,
        /// The number of parts that it has, from the first one on. A crash loses them.
        chunks: u64,
    },
}

/// The entries of the sender's log that a candidate lacks (`candidate.rs`). The sender does not
/// lead, and no answer is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTail<C> {
    /// Index of the entry before the first of `entries`.
    pub prev_log_index: Index,
    /// Term of that entry.
    pub prev_log_term: Term,
    /// Entries `prev_log_index + 1 ..`, without a gap; at least one.
    pub entries: Vec<Entry<C>>,
}

/// An [`AppendEntries`] that goes through several followers, with their acknowledgements so far
/// (`relay.rs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayEntries<C> {
    /// The leader that created the append; the sender is the follower before the receiver, or the
    /// leader.
    pub leader: Id,
    /// The followers after the receiver, in this order.
    pub way: Vec<Id>,
    /// The followers that have stored it, in this order. The log of each equals the leader's up to
    /// the append's last entry.
    pub acknowledged: Vec<Acknowledgement>,
    /// The append for all of them.
    pub append: AppendEntries<C>,
}

/// One follower's acknowledgement of an append that goes through several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The follower.
    pub id: Id,
    /// `sent_at` of the append that the follower acknowledges: it followed the leader at that time
    /// or later.
    pub sent_at: Micros,
}

/// The answer to a [`RelayEntries`], for all followers that have stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayEntriesResponse {
    /// `sent_at` of the append.
    pub sent_at: Micros,
    /// The log of each equals the leader's up to this index.
    pub match_index: Index,
    /// The followers, at least one. Some of them may have stored the entries when an earlier relay
    /// carried them.
    pub acknowledged: Vec<Acknowledgement>,
}
