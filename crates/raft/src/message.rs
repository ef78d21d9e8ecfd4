//! What replicas say to each other (paper, figure 2), with three additions: a flag
//! for the pre-vote (dissertation, 9.6), the leader's time of sending, which a
//! follower returns unchanged, and an append that goes from follower to follower.

use super::types::{Entry, Index, Term};
use crate::id::Id;
use crate::micros::Micros;

/// One message between two replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<C> {
    /// The sender's term; for a pre-vote and its grant, the term that an election would have.
    pub term: Term,
    /// What it says.
    pub body: Body<C>,
}

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<C> {
    /// A candidate asks for a vote.
    RequestVote(RequestVote),
    /// The answer to it.
    RequestVoteResponse(RequestVoteResponse),
    /// The leader replicates its log, or, without entries, shows that it lives.
    AppendEntries(AppendEntries<C>),
    /// The answer to it.
    AppendEntriesResponse(AppendEntriesResponse),
    /// The receiver's append or relay came in an earlier term than the message's. It acknowledges nothing, so it
    /// names neither the append nor the time of its sending.
    StaleTerm,
    /// The end of a log, for a candidate whose own log is behind it.
    LogTail(LogTail<C>),
    /// An append that each follower on its way stores and sends on.
    RelayEntries(RelayEntries<C>),
    /// What the last of them tells the leader for all.
    RelayEntriesResponse(RelayEntriesResponse),
}

/// A request for a vote (paper, 5.2), or for the promise of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestVote {
    /// Only a question: nobody's term or vote changes by it.
    pub pre_vote: bool,
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
    /// Which kind of request this answers.
    pub pre_vote: bool,
    /// `campaign` of the request.
    pub campaign: u64,
    /// Whether the vote was granted.
    pub granted: bool,
}

/// The leader's log, or the part of it that a follower lacks (paper, 5.3).
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
    /// Index of the last entry that a receiver has in common with the leader once it stored this.
    pub fn last_index(&self) -> Index {
        self.prev_log_index + self.entries.len() as Index
    }
}

/// The answer to an [`AppendEntries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendEntriesResponse {
    /// `sent_at` of the request: shows the leader that this follower followed it
    /// at that time or later, and how long the round trip took.
    pub sent_at: Micros,
    /// What the log had to say.
    pub outcome: AppendOutcome,
}

/// Whether an [`AppendEntries`] fitted the follower's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The follower's log equals the leader's up to this index.
    Matched {
        /// The last index that the request showed to be equal; never beyond it.
        match_index: Index,
    },
    /// The follower has no entry `prev_log_index` of `prev_log_term` (paper, end of 5.3).
    Conflict {
        /// The `prev_log_index` that was refused.
        prev_log_index: Index,
        /// The term of the follower's entry there; 0 if its log ends before.
        conflict_term: Term,
        /// The first index that the follower has of that term; if its log ends before, the index after its last.
        conflict_index: Index,
    },
}

/// What a candidate lacks of the sender's log (`candidate.rs`). The sender does not lead, and no answer is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTail<C> {
    /// Index of the entry before the first of `entries`.
    pub prev_log_index: Index,
    /// Term of that entry.
    pub prev_log_term: Term,
    /// Entries `prev_log_index + 1 ..`, without a gap; at least one.
    pub entries: Vec<Entry<C>>,
}

/// An [`AppendEntries`] that goes through several followers, and what it has been answered so far (`relay.rs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayEntries<C> {
    /// Whose log it shows; the sender is whoever had it last.
    pub leader: Id,
    /// Who gets it after the receiver, in this order.
    pub way: Vec<Id>,
    /// Who has stored it, in this order: the log of each equals the leader's up to the append's last entry.
    pub acknowledged: Vec<Acknowledgement>,
    /// What all of them are to store.
    pub append: AppendEntries<C>,
}

/// One of those who have stored an append that goes through several followers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who it is.
    pub id: Id,
    /// `sent_at` of the append with which it did: it followed the leader at that time or later.
    pub sent_at: Micros,
}

/// The answer to a [`RelayEntries`], from all who have stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayEntriesResponse {
    /// `sent_at` of the append.
    pub sent_at: Micros,
    /// The log of each equals the leader's up to this index.
    pub match_index: Index,
    /// Who they are, at least one. Some may have stored it when it was sent before.
    pub acknowledged: Vec<Acknowledgement>,
}
