//! Raft, as pure state: how several replicas agree on one log.
//!
//! # What Raft is here
//!
//! Replicas agree on a sequence of entries, the *log*; each applies the committed ones in order to its own
//! state machine, so all states are equal at equal positions. Time is cut into *terms*; each term has at most one *leader*,
//! elected by a quorum, and only the leader adds entries. An entry is *committed* once a
//! quorum stores it and the leader's rules allow to say so; from then on it is never lost, because
//! any later leader needs votes from a quorum, one of which has the entry, and
//! nobody votes for a log that is behind its own.
//!
//! "Paper" is Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm* (extended
//! version, 2014), "dissertation" is Ongaro, *Consensus: Bridging Theory and Practice* (2014). The
//! names in the code are the paper's, and each rule cites the section that it comes from:
//!
//! | file | job | sections |
//! |---|---|---|
//! | `id`, `micros` | names of replicas and clients; the unit of time | |
//! | `types` | terms, indexes, entries, who is a quorum | paper, fig. 2 |
//! | `message` | what replicas say to each other | paper, fig. 2 |
//! | `action` | what goes into a [`Node`] and what comes out | |
//! | `log` | where logs agree, and how a conflict is cut off | paper, 5.3 |
//! | `node` | the front door; the rules for terms and votes, once for all roles | paper, 5.1, 5.2, 5.4.1 |
//! | `follower` | following, and answering for no more than was shown | paper, 5.3 |
//! | `candidate` | pre-vote, then election | paper, 5.2; dissertation, 9.6 |
//! | `canvass` | which voters a candidate asks, and when it asks more of them | |
//! | `suspicion` | how a follower finds out that its leader is dead | |
//! | `leader` | replication and commitment | paper, 5.3, 5.4.2 |
//! | `relay` | an entry goes from follower to follower, and one answer comes back | |
//! | `catch_up` | a follower that lacks much delays no new entry | paper, 5.3 |
//! | `reads` | a leader proves that it still leads, by a lease or by a round to a quorum | paper, 8; dissertation, 6.4 |
//! | `check_quorum` | a leader that hears no quorum steps down | dissertation, 6.2 |
//! | `own_disk` | a leader watches its own disk as it watches a follower | dissertation, 10.2.1 |
//! | `progress` | what a leader knows of one follower | |
//! | `round_trip` | how long an answer takes | RFC 6298 |
//! | `fanout` | how many followers to ask at once | |
//! | `tuning` | what trades messages against latency | |
//! | `invariants` | what always holds | paper, fig. 3 |
//! | `text` | how all of it is written down for people | |
//! | `harness` | a cluster of cores for tests, without time of its own | |
//! | `scripts` | golden scripts: commands in, transcripts out | paper, fig. 7 and 8 |
//!
//! # How it is driven
//!
//! [`Node::step`] takes one [`Input`]: a message, a write, a read, or the news that time went by. [`Node::drain`]
//! ends a batch of inputs and returns an ordered list of [`Action`]s; the order is part of the contract. There is
//! nothing else: no I/O, no clock, no threads and no randomness but the seeded generator that `Node::new` is given. The
//! same inputs at the same times give the same actions, always. Two drivers rest on that: the pipeline in real time, and
//! a simulation in virtual time, which can lose, repeat and reorder what it likes, and crash whom it likes.
//!
//! An entry carries a command of the driver's type ([`Command`](types::Command)). The core copies, compares and shows
//! it, and never looks inside. The driver says what an entry takes in a message ([`Settings::entry_len`]).
//!
//! # Where this differs from the paper, and why
//!
//! * **Pre-vote and a promise.** A candidate first asks whether it would win, and whoever has heard a
//!   leader less than an election time-out ago does not vote for another, whatever the term. So a replica that comes
//!   back from a partition deposes nobody, and a leader may trust the silence of its followers.
//! * **Silence costs little.** Frequent heartbeats find out a dead leader before any client asks for it, and cost
//!   more than all else while nothing fails. Here requests find it out: a follower that sends clients on to a leader, and
//!   hears nothing of it afterwards, asks the leader, and then the others, which ask it too (`suspicion`). A failover
//!   takes about one election time-out, the promise to the old leader. A heartbeat every two seconds is the
//!   safety net: a follower that misses it asks by itself, so a cluster whose clients all wait at the dead leader
//!   has a new one within three seconds.
//! * **Reads cost no log entry.** They wait for proof that this replica still led *after* they arrived: usually a
//!   lease, which rests on that promise (`Node::lease_end` in `reads.rs`), else one round of heartbeats (ReadIndex).
//! * **An append goes to as few as needed.** With five replicas a write costs two appends and two
//!   acknowledgements, not four and four. Followers take turns; who does not answer in time is replaced by
//!   another. Safety does not depend on who is asked, only on who has answered.
//! * **`sent_at`.** Every append carries the leader's time of sending, and the answer returns it. It does three jobs: it
//!   is the start of the lease, it tells which answers prove leadership for which reads, and it measures the round trip even
//!   when a message was sent again. Followers never compare it with a clock of theirs.
//! * **A refusal names a term and its first index**, so that a leader finds the point of agreement by terms and not by entries.
//! * **The disk is asked, not waited for.** A change of term, vote or log comes out as an [`Action::Persist`], and what
//!   rests on it only after the driver has said that it is on disk. Only a leader's appends go ahead: they
//!   promise nothing, and the leader counts its own entry once it is on its own disk (dissertation, 10.2.1).
//! * **A leader without a quorum steps down** (check-quorum; dissertation, 6.2), so that its clients learn of it: when
//!   those that it asked have been silent for too long. Whom it did not ask need not say anything.
//!
//! # What the core relies on
//!
//! Messages may be lost, repeated, reordered and late, but not forged: a replica says what its core told it
//! to say. Clocks need not agree; they must run at the same rate within the margin between the lease and the
//! election time-out. A disk keeps what it reported as kept. A replica that stops comes back with its disk or never.

pub mod action;
mod candidate;
mod canvass;
mod catch_up;
mod check_quorum;
mod fanout;
mod follower;
#[cfg(any(test, feature = "fuzz"))]
mod harness;
pub mod id;
pub mod invariants;
mod leader;
pub mod log;
pub mod message;
pub mod micros;
mod node;
mod own_disk;
mod progress;
#[cfg(test)]
mod properties;
mod reads;
mod relay;
mod round_trip;
#[cfg(any(test, feature = "fuzz"))]
pub mod scripts;
mod suspicion;
pub mod text;
pub mod tuning;
pub mod types;

pub use action::{Action, Input, ReadId};
pub use node::{Node, Settings};
pub use tuning::Tuning;
