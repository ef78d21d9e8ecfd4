//! Raft, as pure state: how several replicas agree on one log.
//!
//! # Raft in brief
//!
//! Replicas agree on a sequence of entries, the *log*. Each replica applies the committed entries
//! in order to its own state machine, so all states are equal at equal positions. Time is cut into
//! *terms*. Each term has at most one *leader*, elected by a quorum, and only the leader adds
//! entries. An entry is *committed* once a quorum stores it and the leader's commit rule holds. It
//! is never lost after that: a later leader needs votes from a quorum, and one of these voters has
//! the entry. A voter refuses a candidate whose log is behind its own.
//!
//! "Paper" is Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm* (extended
//! version, 2014), "dissertation" is Ongaro, *Consensus: Bridging Theory and Practice* (2014). The
//! names in the code are the paper's, and each rule cites the section that it comes from:
//!
//! | file | job | sections |
//! |---|---|---|
//! | `id`, `micros` | names of replicas and clients; the unit of time | |
//! | `types` | terms, indexes, entries, quorums | paper, fig. 2 |
//! | `message` | the messages between replicas | paper, fig. 2 |
//! | `action` | the inputs and the actions of a [`Node`] | |
//! | `log` | the log, its conflicts and its durable part | paper, 5.3 |
//! | `node` | the front door; the rules for terms, once for all roles | paper, 5.1 |
//! | `vote` | the rules for votes, once for all roles | paper, 5.2, 5.4.1; dissertation, 9.6 |
//! | `settings` | the settings of a replica, and its counts | |
//! | `follower` | storing and acknowledging a leader's entries | paper, 5.3 |
//! | `candidate` | pre-vote, then election | paper, 5.2; dissertation, 9.6 |
//! | `canvass` | the voters that a candidate asks, attempt by attempt | |
//! | `suspicion` | how a follower finds out that its leader is dead | |
//! | `leader` | writes, commitment, the timers of a leader | paper, 5.3, 5.4.2 |
//! | `replicate` | the choice of followers for an entry, appends and their answers | paper, 5.3 |
//! | `relay` | an entry goes from follower to follower, and one answer comes back | |
//! | `catch_up` | a follower that lacks much delays no new entry | paper, 5.3 |
//! | `snapshots` | the log is cut behind a snapshot, and followers that need more get one | paper, 7 |
//! | `reads` | a leader proves that it still leads, by a lease or by a round to a quorum | paper, 8; dissertation, 6.4 |
//! | `check_quorum` | a leader that hears no quorum steps down | dissertation, 6.2 |
//! | `transfer` | a leader hands its leadership over | dissertation, 3.10 |
//! | `own_disk` | a leader watches its own disk as it watches a follower | dissertation, 10.2.1 |
//! | `progress` | one follower, as its leader knows it: indexes, round trips and losses, reachability | RFC 6298 |
//! | `fanout` | the number of followers that an append goes to | |
//! | `tuning` | the choices that trade messages against latency | |
//! | `invariants` | the invariants of one replica and of a cluster | paper, fig. 3 |
//! | `text` | entries, messages and replicas as text for people | |
//! | `harness` | a cluster of cores for tests, without time of its own | |
//! | `scripts` | golden scripts: commands in, transcripts out | paper, fig. 7 and 8 |
//!
//! # How it is driven
//!
//! [`Node::step`] takes one [`Input`]: a message, a write, a read, or the passing of time.
//! [`Node::drain`] ends a batch of inputs and returns an ordered list of [`Action`]s; the order is
//! part of the contract. The core has no I/O, no clock and no threads, and no randomness but the
//! seeded generator that `Node::new` is given. The same inputs at the same times always give the
//! same actions. Two drivers rest on that: the pipeline in real time, and a simulation in virtual
//! time. The simulation loses, repeats and reorders messages, and crashes replicas.
//!
//! An entry carries a command of the driver's type ([`Command`](types::Command)). The core copies,
//! compares and shows it, and never looks inside. The driver says how many bytes an entry takes in
//! a message ([`Settings::entry_len`]).
//!
//! # Where this differs from the paper, and why
//!
//! * **Pre-vote and vote lease.** A candidate first asks whether it would win. A replica that has
//!   heard a leader less than an election time-out ago votes for no other, whatever the term. So a
//!   replica that comes back from a partition deposes no leader, and a leader may rely on its
//!   followers' refusal to vote. The code calls this time the follower's *vote lease*
//!   (`Node::vote_lease_end`).
//! * **Silence costs little.** Frequent heartbeats detect a dead leader before any client asks for
//!   it, and cost more than all else while no replica fails. Here requests detect it (`suspicion`).
//!   A follower that redirects clients to a leader, and hears nothing from it afterwards, probes
//!   the leader. Then it asks the others for pre-votes, and they probe the leader, too. A failover
//!   takes about one election time-out, the length of the vote lease. A heartbeat every two seconds
//!   is the safety net: a follower that misses it probes its leader without a request. So a cluster
//!   whose clients all wait at the dead leader has a new one within three seconds.
//! * **Reads cost no log entry.** They wait for proof that this replica still led *after* they
//!   arrived. Usually the proof is a lease, which rests on the followers' vote leases
//!   (`Node::lease_end` in `reads.rs`). Otherwise it is one round of heartbeats (ReadIndex).
//! * **An append goes to as few followers as needed.** With five replicas a write costs two appends
//!   and two acknowledgements, not four and four. Followers take turns, and another one replaces a
//!   follower that does not answer in time. Safety does not depend on which followers are asked,
//!   only on which have answered.
//! * **`sent_at`.** Every append carries the leader's time of sending, and the answer returns it.
//!   It is the start of the lease, and it tells which answers prove leadership for which reads. It
//!   measures the round trip, even of a message that was sent again. Followers never compare it
//!   with a clock of theirs.
//! * **A refusal names a term and its first index**, so a leader finds the point of agreement by
//!   terms and not by entries ([`Log::conflict_hint`](log::Log::conflict_hint)).
//! * **A leader that stops hands over** (dissertation, 3.10). It gives its lease up before, because
//!   the votes for its successor disregard the vote leases that the lease rests on (`transfer`).
//! * **The disk is asked, not waited for.** A change of term, vote or log comes out as an
//!   [`Action::Persist`]. A message that rests on the change comes out after the driver has said
//!   that it is on disk. Only a leader's appends go ahead: they acknowledge nothing, and the leader
//!   counts its own entry once it is on its own disk (dissertation, 10.2.1).
//! * **A leader without a quorum steps down** (check-quorum; dissertation, 6.2), so that its
//!   clients learn of it. It does so when the followers that it asked have been silent for too
//!   long. A follower that it did not ask may stay silent.
//!
//! # Assumptions of the core
//!
//! Messages may be lost, repeated, reordered and late, but not forged: a replica sends only
//! messages that its core has handed out. Clocks need not agree; they must run at the same rate
//! within the margin between the lease and the election time-out. A disk keeps each change that it
//! has reported as kept. A replica that stops comes back with its disk or never.

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
mod replicate;
#[cfg(any(test, feature = "fuzz"))]
pub mod scripts;
mod settings;
mod snapshots;
mod suspicion;
pub mod text;
mod transfer;
pub mod tuning;
pub mod types;
mod vote;

pub use action::{Action, Input, ReadId, SnapshotChunk};
pub use node::Node;
pub use settings::{Settings, Statistics};
pub use tuning::Tuning;
