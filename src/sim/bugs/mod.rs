//! Known bugs, each of which the explorer must find, or it proves nothing. Each is a layer around one replica: it changes
//! what the replica takes in, what it wants done, what a restart finds on the disk, or what leaves in a datagram. The
//! replica inside is the one that runs everywhere else. Bugs that change the inside of a rule are patches in `bugs/`.

mod acknowledgements;
mod answers;
mod datagrams;
mod early_disk;
mod forgets_vote;
mod pre_vote_term;
mod reads;
mod refusal_proves;
mod relays;
mod resumes_leadership;
mod stale_ack;
mod up_to_date;
mod votes_twice;

use std::fmt;

use crate::exchange::{Inbound, Outbound};
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::replication::{Message, Saved};

use acknowledgements::{AckTwice, AcksBeyond};
use answers::{OutOfOrder, StaleLeaderAnswersOk};
use datagrams::{JoinsGaps, MergesRefusals};
use early_disk::EarlyDisk;
use forgets_vote::ForgetsVote;
use pre_vote_term::PreVoteRaisesTerm;
use reads::{Reads, Serves};
use refusal_proves::RefusalProves;
use relays::{AcksForTheWay, RecallsAsNew};
use resumes_leadership::ResumesLeadership;
use stale_ack::CountsStaleAck;
use up_to_date::UpToDate;
use votes_twice::VotesTwice;

/// A bug around one life of a replica.
pub(super) trait Adapter: fmt::Debug {
    /// Changes what the replica finds on its disk.
    fn start(&mut self, _saved: &mut Saved) {}

    /// Decides what the replica takes in instead of this input.
    fn input(&mut self, _replica: &Replica, _now: Micros, inbound: Inbound) -> Vec<Inbound> {
        vec![inbound]
    }

    /// Changes what the replica wants done at the end of a batch.
    fn output(&mut self, _replica: &mut Replica, _now: Micros, _effects: &mut Vec<Effect>) {}

    /// Changes the messages of a datagram to another replica.
    fn datagram(&mut self, _messages: &mut Vec<Message>) {}
}

/// Makes the enumeration, its names, its texts and its adapters from one list.
macro_rules! bugs {
    ($($(#[doc = $text:literal])+ $bug:ident = $name:literal: $adapter:expr,)+) => {
        /// A known bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $text])+ $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)+];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)+
                }
            }

            /// What it does wrong.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$bug => concat!($($text,)+).trim_ascii(),)+
                }
            }

            /// The layer for a life of a replica that begins.
            pub(super) fn adapter(self) -> Box<dyn Adapter> {
                match self {
                    $(Self::$bug => Box::new($adapter),)+
                }
            }
        }
    };
}

bugs! {
    /// A replica votes for each candidate that asks, also a second time in a term.
    VotesTwice = "votes-twice": VotesTwice::default(),
    /// A replica that restarts knows its term but not for which candidate it voted.
    ForgetsVote = "forgets-vote": ForgetsVote,
    /// A vote is granted to a log that ends in the right term but is shorter.
    VotesForShorterLog = "shorter-log": UpToDate::ByTermAlone,
    /// Logs are compared by their last index first and by their last term second.
    ComparesIndexBeforeTerm = "index-before-term": UpToDate::ByIndexFirst,
    /// A follower acknowledges its whole log, not only what the append showed to be equal.
    AcksBeyond = "acks-beyond": AcksBeyond,
    /// Votes and acknowledgements leave before what they promise is on disk.
    AcksBeforeFsync = "acks-before-fsync": EarlyDisk { of_leader: false },
    /// A leader counts its own entries for a quorum before they are on its disk.
    CountsOwnUnsyncedEntry = "own-unsynced": EarlyDisk { of_leader: true },
    /// A leader serves reads without a lease and without a question to a quorum.
    ServesReadsUnproven = "unproven-reads": Reads::new(Serves::Unproven),
    /// A new leader serves reads before its no-op is committed.
    ReadsBeforeNoop = "reads-before-noop": Reads::new(Serves::BeforeNoop),
    /// A leader that has stepped down goes on serving reads as if its lease held.
    ReadsAfterLeading = "reads-after-leading": Reads::new(Serves::AfterLeading),
    /// A leader takes an acknowledgement that was meant for an earlier term's leader.
    CountsStaleAck = "stale-ack": CountsStaleAck::default(),
    /// A refusal of an earlier term's append repeats when that was sent, as if the append were acknowledged.
    RefusalProves = "refusal-proves": RefusalProves::default(),
    /// An acknowledgement that arrives twice counts as two followers.
    CountsAckTwice = "ack-twice": AckTwice,
    /// A leader that is elected again goes on with what it knew of its followers, which may have cut that off since.
    ResumesLeadership = "resumes-leadership": ResumesLeadership::default(),
    /// A leader that steps down answers the puts that it holds as if they were committed.
    StaleLeaderAnswersOk = "stale-leader-ok": StaleLeaderAnswersOk::default(),
    /// A replica that is asked for a pre-vote moves to the term that it is asked about.
    PreVoteRaisesTerm = "pre-vote-term": PreVoteRaisesTerm,
    /// Appends that wait for the same follower are joined although entries between them are missing.
    JoinsGaps = "joins-gaps": JoinsGaps,
    /// A refusal that waits beside a success disappears into it, and what was refused counts as equal.
    MergesRefusals = "merges-refusals": MergesRefusals,
    /// Answers to gets overtake the answers to puts that took effect before them.
    OutOfOrder = "out-of-order": OutOfOrder,
    /// A follower on the way of a relay answers also for the followers after it, which have not got it yet.
    AcksForTheWay = "acks-for-the-way": AcksForTheWay,
    /// What another follower has acknowledged before is recalled as if that one had just heard the leader.
    RecallsAsNew = "recalls-as-new": RecallsAsNew,
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The messages to other replicas among what a batch wants done.
fn messages(effects: &mut [Effect]) -> impl Iterator<Item = (Id, &mut Message)> {
    effects.iter_mut().filter_map(|effect| match effect {
        Effect::Send(Outbound::Peer { to, message, .. }) => Some((*to, message)),
        _ => None,
    })
}
