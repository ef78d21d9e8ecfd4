//! A linearizable key-value store, replicated by Raft.
//!
//! | module | job | depends on |
//! |---|---|---|
//! | [`bytes`], [`operation`], [`command`], [`reply`], [`request`] | the words: requests of clients, proposals in the log, replies | `id`, `digest` |
//! | [`digest`] | a digest of byte strings that is the same on all replicas | |
//! | [`tuning`] | every switch between messages, latency and simplicity | |
//! | [`state_machine`] | the keys, their deadlines and revisions, and a session per client | words, `codec` |
//! | [`replication`] | the core's types, with commands as what it replicates | `raft`, words |
//! | [`exchange`] | typed messages that cross the border of a replica | words, messages |
//! | [`wire`] | JSON on one side, validated messages on the other | words, messages |
//! | [`codec`] | the binary form of entries, messages, requests and answers, for disks and connections | words, messages, the bounds of `wire` |
//! | [`dialect`] | what a replica and its network speak, as two traits; the simulators' dialect | `wire`, messages |
//! | [`cluster`] | the binary dialect of a real cluster | `codec`, `dialect`, the envelope of `transport` |
//! | [`maelstrom`] | another dialect: lines of JSON as Maelstrom has them | `dialect`, `transport` |
//! | [`replica`] | one replica: core, state machine, and the requests that it owes an answer | all of the above |
//! | [`outbox`] | messages that wait to be sent: merging and packing per destination | `wire`, addresses of `transport` |
//! | [`view`] | what a replica shows of itself to those that operate it | `id`, `histogram`, `replica` |
//! | [`histogram`] | how long work takes, counted by any thread | |
//! | [`clock`] | the one clock, which goes on while the machine is suspended | |
//! | [`log`] | lines for stderr, which can neither kill nor stop the process | |
//! | [`output`] | lines for stdout, which may be closed or full | |
//! | [`transport`] | the networks: addressed sends, and waits that a waker can end | `clock` |
//! | [`frontend`] | the protocol of Redis as pure code, its port, and that of HTTP: clients' requests become questions for the store | words, `cluster`, `view`, `transport` |
//! | [`storage`] | the files of one replica: log and snapshots, which survive power cuts | `replication`, `codec` |
//! | [`pipeline`] | stages around a replica, on one thread or on several: receive, decide, send, write to disk | everything |
//! | [`sim`] | a whole cluster in virtual time, its faults and its invariants; no part of a replica | everything but `pipeline` |
//! | `testkit` | requests, answers and replicas in memory for tests; no part of the program | `replica` |
//!
//! Two crates stand below them (`crates/`). [`raft`] is the core: one log on many replicas. It does
//! not know the meaning of a command, and has the words [`id`] and [`micros`] for all others.
//! `linearizability` judges histories, and knows nothing of replicas.
//!
//! Rules that hold through every change:
//!
//! * Everything above `transport` is pure: no I/O, no clock, no threads, and no randomness but a
//!   seeded generator that is passed in. The same inputs at the same times give the same outputs.
//! * One thread owns terms, log and state machine. No other thread can reach them, so no lock
//!   guards them.
//! * `wire` validates each message from outside, once. A bad message makes a replica drop it, and
//!   never panic, hang or grow without bound.
//! * A reply leaves only after its statement holds: the put is committed, the value is current.
//!   Replies leave in the order in which the operations took effect.

pub mod bytes;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod command;
pub mod dialect;
pub mod digest;
pub mod exchange;
pub mod frontend;
pub mod histogram;
pub mod log;
pub mod maelstrom;
pub mod operation;
pub mod outbox;
pub mod output;
pub mod pipeline;
pub mod replica;
pub mod replication;
pub mod reply;
pub mod request;
pub mod sim;
pub mod state_machine;
pub mod storage;
pub mod transport;
pub mod tuning;
pub mod view;
pub mod wire;

#[cfg(test)]
mod generators;

// A file of `tests/`, where this crate has its name.
#[cfg(any(test, feature = "fuzz"))]
extern crate self as kvstore;
#[path = "../tests/testkit/mod.rs"]
#[cfg(any(test, feature = "fuzz"))]
mod testkit;

pub use raft::{id, micros};
