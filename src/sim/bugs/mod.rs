//! Known bugs. The explorer must find each of them, or it proves nothing.
//!
//! A bug is a layer around one replica. It changes the settings of the replica, its input, its
//! output, the disk that a restart finds, or a datagram. The replica inside is the same as
//! everywhere else. Bugs that change the inside of a rule are patches in `bugs/`.
//!
//! | file | what goes wrong |
//! |---|---|
//! | `acknowledgements` | an acknowledgement says more than is true, or counts twice |
//! | `answers` | clients get false answers, or answers in another order |
//! | `datagrams` | two messages of one datagram become one that says more than both |
//! | `early_disk` | the disk reports each change as soon as it is handed out |
//! | `disks` | a replica goes on after its disk has failed, or does not wait for it |
//! | `forgets_vote` | the disk of a replica that restarts has no vote |
//! | `pre_vote_term` | a request for a pre-vote raises the term |
//! | `read_index` | a follower serves reads from a state that is not proven to be new enough |
//! | `reads` | a read is answered without a question to the core, or as an earlier one |
//! | `refusal_proves` | a refusal counts as an acknowledgement |
//! | `relays` | the acknowledgements of a relay say more than its followers have done |
//! | `resumes_leadership` | a leader that is elected again trusts its old match indexes |
//! | `sessions` | the sessions of one replica have other bounds |
//! | `stale_ack` | an acknowledgement of an earlier term counts in this one |
//! | `transfers` | a leadership transfer counts where it must not |
//! | `up_to_date` | logs are compared by a wrong rule |
//! | `votes_twice` | a replica votes twice in a term |

mod acknowledgements;
mod answers;
mod datagrams;
mod disks;
mod early_disk;
mod forgets_vote;
mod pre_vote_term;
mod read_index;
mod reads;
mod refusal_proves;
mod relays;
mod resumes_leadership;
mod sessions;
mod stale_ack;
mod transfers;
mod up_to_date;
mod votes_twice;

use std::fmt;

use crate::exchange::{Inbound, Outbound};
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::{Effect, Options, Replica};
use crate::replication::{Message, PersistentState};

use acknowledgements::{AckTwice, AcksBeyond};
use answers::{OutOfOrder, StaleLeaderAnswersOk};
use datagrams::{JoinsGaps, MergesRefusals};
use disks::{InstallsEarly, SkipsDirectorySync, TriesSyncAgain, VotesAfterFailedSync};
use early_disk::EarlyDisk;
use forgets_vote::ForgetsVote;
use pre_vote_term::PreVoteRaisesTerm;
use read_index::{GrantsUnproven, IgnoresIndex, TakesEarlierIndex};
use reads::{EarlierRound, Reads, Serves};
use refusal_proves::RefusalProves;
use relays::{AcksForTheWay, RecallsAsNew};
use resumes_leadership::ResumesLeadership;
use sessions::ExpiresAlone;
use stale_ack::CountsStaleAck;
use transfers::{OldTimeoutNow, VotesAsInTransfers};
use up_to_date::UpToDate;
use votes_twice::VotesTwice;

/// A bug around one life of a replica.
pub(super) trait Adapter: fmt::Debug {
    /// Changes the settings of the replica.
    fn options(&mut self, _options: &mut Options) {}

    /// Changes the disk that the replica finds.
    fn start(&mut self, _saved: &mut PersistentState) {}

    /// Returns the inputs that the replica gets instead of this one.
    fn input(&mut self, _replica: &Replica, _now: Micros, inbound: Inbound) -> Vec<Inbound> {
        vec![inbound]
    }

    /// Changes the effects of a batch.
    fn output(&mut self, _replica: &mut Replica, _now: Micros, _effects: &mut Vec<Effect>) {}

    /// The replica's behaviour when a sync fails.
    fn after_failed_sync(&self) -> AfterFailedSync {
        AfterFailedSync::End
    }

    /// Whether the replica takes a snapshot for saved before the directory is synced.
    fn skips_directory_sync(&self) -> bool {
        false
    }

    /// Changes the messages of a datagram to another replica.
    fn datagram(&mut self, _messages: &mut Vec<Message>) {}
}

/// The behaviour of a replica whose sync has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailedSync {
    /// Its process ends.
    End,
    /// Its process ends after it has sent the messages that waited for the sync.
    SendAndEnd,
    /// It syncs once more. The disk, which has dropped the data, reports a success.
    TryAgain,
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

            /// Its mistake, in a sentence.
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
    /// Votes and acknowledgements leave before the entries and votes behind them are on disk.
    AcksBeforeFsync = "acks-before-fsync": EarlyDisk { of_leader: false },
    /// A leader counts its own entries for a quorum before they are on its disk.
    CountsOwnUnsyncedEntry = "own-unsynced": EarlyDisk { of_leader: true },
    /// A snapshot from the leader counts as soon as it has arrived, before it is on disk.
    InstallsBeforeFsync = "installs-before-fsync": InstallsEarly,
    /// A snapshot counts as soon as it has its name, before its directory is synced.
    SkipsDirectorySync = "no-directory-sync": SkipsDirectorySync,
    /// A replica whose sync has failed sends the votes and acknowledgements that waited for it, and
    /// ends only then.
    VotesAfterFailedSync = "votes-after-failed-sync": VotesAfterFailedSync,
    /// A replica whose sync has failed syncs once more, which succeeds although the data is lost.
    TriesSyncAgain = "tries-sync-again": TriesSyncAgain,
    /// A leader serves reads without a lease and without a question to a quorum.
    ServesReadsUnproven = "unproven-reads": Reads::new(Serves::Unproven),
    /// A new leader serves reads before its no-op is committed.
    ReadsBeforeNoop = "reads-before-noop": Reads::new(Serves::BeforeNoop),
    /// A leader that has stepped down goes on serving reads as if its lease held.
    ReadsAfterLeading = "reads-after-leading": Reads::new(Serves::AfterLeading),
    /// A read that is repeated under a later leadership of the same replica gets the state that was
    /// noted for its first round.
    EarlierRound = "round-of-earlier-term": EarlierRound::default(),
    /// A follower serves reads before it has applied the entries up to the leader's index.
    IgnoresIndex = "ignores-index": IgnoresIndex,
    /// A follower serves reads by the index that a leader gave it for an earlier round.
    TakesEarlierIndex = "earlier-index": TakesEarlierIndex::default(),
    /// A leader gives followers an index without proof that it still leads.
    GrantsUnproven = "unproven-index": GrantsUnproven::default(),
    /// A session expires on one replica only.
    ExpiresAlone = "expires-alone": ExpiresAlone,
    /// A leader takes an acknowledgement that was meant for an earlier term's leader.
    CountsStaleAck = "stale-ack": CountsStaleAck::default(),
    /// A refusal of an earlier term's append repeats the append's time, as if it were an
    /// acknowledgement.
    RefusalProves = "refusal-proves": RefusalProves::default(),
    /// An acknowledgement that arrives twice counts as two followers.
    CountsAckTwice = "ack-twice": AckTwice,
    /// A leader that is elected again trusts its old match indexes, although its followers may have
    /// cut their logs since.
    ResumesLeadership = "resumes-leadership": ResumesLeadership::default(),
    /// A leader that steps down answers the puts that it holds as if they were committed.
    StaleLeaderAnswersOk = "stale-leader-ok": StaleLeaderAnswersOk::default(),
    /// A replica that is asked for a pre-vote moves to the term that it is asked about.
    PreVoteRaisesTerm = "pre-vote-term": PreVoteRaisesTerm,
    /// Appends that wait for the same follower are joined although entries between them are
    /// missing.
    JoinsGaps = "joins-gaps": JoinsGaps,
    /// A refusal that waits beside a success disappears into it, and the refused entry counts as
    /// equal.
    MergesRefusals = "merges-refusals": MergesRefusals,
    /// Answers to gets overtake the answers to puts that took effect before them.
    OutOfOrder = "out-of-order": OutOfOrder,
    /// A follower on the way of a relay answers also for the followers after it, which have not got
    /// it yet.
    AcksForTheWay = "acks-for-the-way": AcksForTheWay,
    /// The earlier acknowledgement of another follower is recalled as if that follower had just
    /// heard the leader.
    RecallsAsNew = "recalls-as-new": RecallsAsNew,
    /// The order of an earlier leader to stand for election counts as one of the present leader.
    OldTimeoutNow = "old-timeout-now": OldTimeoutNow,
    /// A voter disregards its vote lease for each candidate, not only in a leadership transfer.
    VotesAsInTransfers = "votes-as-in-transfers": VotesAsInTransfers,
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The messages to other replicas among the effects of a batch.
fn messages(effects: &mut [Effect]) -> impl Iterator<Item = (Id, &mut Message)> {
    effects.iter_mut().filter_map(|effect| match effect {
        Effect::Send(Outbound::Peer { to, message, .. }) => Some((*to, message)),
        _ => None,
    })
}
