//! A whole cluster in virtual time: the same core, state machine, sessions, batching and coalescing as in the
//! pipeline, driven by a queue of events instead of threads, thousands of times faster than real time, and
//! repeatable to the byte.
//!
//! | file | job |
//! |---|---|
//! | `plan` | what a run will do, as data |
//! | `swarm` | a seed becomes a plan |
//! | `scenario` | a scenario file of `run.py`, or a plan that was written down, becomes a plan |
//! | `cluster` | the loop: takes what is due and lets it happen |
//! | `queue` | what is due when |
//! | `server` | one replica: its stages, its clock, whether it is up |
//! | `bugs` | known bugs, each a layer around a replica |
//! | `disk` | what a crash leaves of what was written |
//! | `network` | whether and when a message arrives |
//! | `intents` | what clients will ask, drawn before the run |
//! | `requester` | when the loop that sends all requests is awake |
//! | `clients` | what is asked, of whom, and what an answer leads to |
//! | `circle` | when a client repeats what every replica declines |
//! | `faults` | what goes wrong, and how it ends |
//! | `liveness` | a majority gets well for good, and must work |
//! | `invariants` | what must always hold, one file each |
//! | `coverage` | what was reached |
//! | `trace` | what happened, as a space-time transcript |
//! | `traffic` | what replicas sent to each other, counted |
//! | `run` | a plan becomes an outcome |
//! | `measure` | what requests cost once a cluster is at work |
//! | `batch` | many seeds on all processors |
//! | `minimise` | the fewest faults with which a plan still fails |
//!
//! # What decides
//!
//! A [`Plan`](plan::Plan) and nothing else. Every choice comes from a generator that the plan's seed feeds;
//! there is one for each purpose, so that a fault more or less does not change what the clients ask. Events of the
//! same time happen in the order in which they were scheduled. Nothing iterates over a hash table, and no clock is read.
//!
//! # What is modelled
//!
//! Messages between replicas are lost, late, repeated, reordered, cut off in one or both directions, or held and let
//! go all at once. A replica crashes between two batches and comes back with what its disk kept, which may end in
//! the middle of what was not synced; or it stands still for a while and its clock does not. Clocks run at
//! different rates. Clients share keys, lose messages, wait in vain, and ask again under the same name.
//!
//! What is not modelled: disks that lie or rot, messages that are changed on their way, replicas that lie, clocks
//! that drift further apart than the lease allows, and a crash in the middle of a batch, which to everybody
//! else looks like one before it or after it.

pub mod batch;
pub mod bugs;
mod circle;
pub mod clients;
pub mod cluster;
pub mod coverage;
mod disk;
#[cfg(test)]
mod failover;
mod faults;
mod intents;
pub mod invariants;
mod liveness;
pub mod measure;
pub mod minimise;
mod network;
pub mod plan;
mod queue;
mod requester;
mod run;
pub mod scenario;
mod server;
pub mod swarm;
pub mod trace;
pub mod traffic;

#[cfg(test)]
mod tests;

pub use run::{Figures, Outcome, run};
