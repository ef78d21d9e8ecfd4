//! Bugs that a test can plant. Each is one that this field has seen; each must be found by the explorer, or
//! the explorer proves nothing. No build of a replica has them: [`Planted::has`] is a constant `false` there, so
//! whoever reads the code may skip every line that asks for one.

use std::fmt;

/// Makes the enumeration, its names and its texts from one list.
macro_rules! bugs {
    ($($(#[doc = $text:literal])+ $bug:ident = $name:literal,)+) => {
        /// A bug that can be planted.
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
        }
    };
}

bugs! {
    /// A leader commits an entry of an earlier term by counting replicas (paper, figure 8).
    CountsReplicasForPriorTerm = "prior-term-commit",
    /// A replica votes for whoever asks, also a second time in a term.
    VotesTwice = "votes-twice",
    /// A replica that restarts knows its term but not for whom it voted.
    ForgetsItsVoteAtRestart = "forgets-vote",
    /// A vote is granted to a log that ends in the right term but is shorter.
    VotesForShorterLog = "shorter-log",
    /// Logs are compared by their last index first and by their last term second.
    ComparesIndexBeforeTerm = "index-before-term",
    /// A follower cuts its log after the previous entry of every append, conflict or not.
    TruncatesOnAnyAppend = "truncates-always",
    /// A follower acknowledges its whole log, not only what the append showed to be equal.
    AcknowledgesBeyondRequest = "acks-beyond",
    /// Votes and acknowledgements leave before what they promise is on disk.
    AcknowledgesBeforeFsync = "acks-before-fsync",
    /// A leader counts its own entries for a quorum before they are on its disk.
    CountsOwnUnsyncedEntry = "own-unsynced",
    /// A leader serves reads without a lease and without asking a quorum.
    ServesReadsUnproven = "unproven-reads",
    /// The lease counts from when the answers arrived, not from when their questions were sent.
    LeaseFromReceipt = "lease-from-receipt",
    /// The lease lasts as long as the promise that it rests on, which needs clocks of exactly the same rate.
    LeaseWithoutMargin = "lease-without-margin",
    /// The lease is half as long again as the promise that it rests on.
    LeaseTooLong = "lease-too-long",
    /// A new leader serves reads before its no-op is committed.
    ReadsBeforeNoop = "reads-before-noop",
    /// A read takes the answers to a round that was sent before the read came as proof.
    ReusesEarlierRound = "earlier-round",
    /// A leader takes an acknowledgement that was meant for an earlier term's leader.
    CountsStaleAck = "stale-ack",
    /// A refusal of an earlier term's append repeats when that was sent, as if the append were acknowledged.
    RefusalProves = "refusal-proves",
    /// An acknowledgement that arrives twice counts as two followers.
    CountsAckTwice = "ack-twice",
    /// An acknowledgement counts also for a follower that was too late, and whose place the sender took.
    CountsReplaced = "counts-replaced",
    /// A leader that is elected again goes on with what it knew of its followers, who may have cut that off since.
    ResumesLeadership = "resumes-leadership",
    /// A follower commits what the leader has committed although the append did not match its log.
    AppliesBeyondMatch = "applies-beyond-match",
    /// A leader that steps down answers the puts that it holds as if they were committed.
    StaleLeaderAnswersOk = "stale-leader-ok",
    /// A replica that restarts no longer knows which requests it has applied.
    LosesSessionsAtRestart = "loses-sessions",
    /// A request that comes again under the same name is applied again.
    AppliesRetryTwice = "retry-twice",
    /// A put that its client's session may have forgotten is taken for a new one.
    AppliesForgotten = "applies-forgotten",
    /// A follower commits up to the leader's commit index, beyond the last entry that the append showed.
    CommitsBeyondLastNew = "commits-beyond-new",
    /// A replica that is asked for a pre-vote moves to the term that it is asked about.
    PreVoteRaisesTerm = "pre-vote-term",
    /// A leader that hears no quorum goes on leading.
    NeverStepsDown = "never-steps-down",
    /// A follower whose client comes back from the leader stands for election and asks nobody before.
    DeposesAgain = "deposes-again",
    /// Appends that wait for the same follower are joined although entries between them are missing.
    JoinsGaps = "joins-gaps",
    /// A refusal that waits beside a success disappears into it, and what was refused counts as equal.
    MergesRefusals = "merges-refusals",
    /// A leader that has stepped down goes on serving reads as if its lease held.
    ReadsAfterLeading = "reads-after-leading",
    /// Who has given its leader up votes at once, although it has promised that leader to wait.
    GrantsUnderPromise = "grants-under-promise",
    /// A candidate counts its own vote although it has promised a leader to wait.
    OwnVoteUnderPromise = "own-vote-under-promise",
    /// Answers to gets overtake the answers to puts that took effect before them.
    AnswersOutOfOrder = "out-of-order",
    /// A follower on the way of a relay sends it on before its own disk has what it acknowledges.
    PassesOnBeforeFsync = "passes-on-before-fsync",
    /// A follower on the way of a relay answers for those, too, who have not got it yet.
    AcknowledgesForTheWay = "acks-for-the-way",
    /// What another follower has acknowledged is recalled for what has been relayed since, too.
    RecallsBeyond = "recalls-beyond",
    /// What another follower has acknowledged before is recalled as if that one had just heard the leader.
    RecallsAsNew = "recalls-as-new",
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The bug that is planted, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted(Option<Bug>);

impl Planted {
    /// Whether bugs can be planted in this build.
    pub const POSSIBLE: bool = cfg!(any(test, feature = "planted-bugs"));

    /// None.
    pub const NONE: Self = Self(None);

    /// This one, in a build that allows it; else none.
    pub fn new(bug: Bug) -> Self {
        Self(Self::POSSIBLE.then_some(bug))
    }

    /// Whether it is this one.
    pub fn has(self, bug: Bug) -> bool {
        Self::POSSIBLE && self.0 == Some(bug)
    }
}
