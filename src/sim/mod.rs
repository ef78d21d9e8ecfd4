//! A whole cluster in virtual time. It has the same core, state machine, sessions, batching and
//! coalescing as the pipeline, but a queue of events drives it instead of threads. It runs
//! thousands of times faster than real time, and is repeatable to the byte.
//!
//! | file | job |
//! |---|---|
//! | `plan` | a run as data, before it starts |
//! | `swarm` | a seed becomes a plan |
//! | `scenario` | a scenario file of `run.py`, or a plan in a file, becomes a plan |
//! | `cluster` | the loop: takes the event that is due and performs it |
//! | `queue` | the events and their times |
//! | `server` | one replica: its stages, its clock, whether it is up |
//! | `bugs` | known bugs, each a layer around a replica |
//! | `disk` | a disk: log, snapshot, and the part of both that survives a crash |
//! | `disks` | how long the disks take, and what follows when an operation ends or fails |
//! | `network` | whether and when a message arrives |
//! | `delays` | draws the delay of a message from a distribution |
//! | `clock` | the clock of a replica, by which it measures spans of time |
//! | `wall_clock` | the clocks that show the date |
//! | `intents` | the requests of the clients, drawn before the run |
//! | `requester` | when the loop that sends all requests is awake |
//! | `clients` | requests, their receivers, and the consequences of answers |
//! | `operations` | the operations beside puts and gets |
//! | `all_operations` | draws any operation |
//! | `locks` | clients that hold locks |
//! | `history` | the history of the clients in the words of the judge |
//! | `circle` | when a client repeats a request that every replica declines |
//! | `faults` | each fault: how it begins and how it ends |
//! | `conditions` | faults that wait for an occurrence |
//! | `triggers` | crashes in the moment in which a replica does something |
//! | `partitions` | links that are cut, by the shape of the partition |
//! | `flaps` | a replica that loses and regains its links |
//! | `targets` | the replicas that a fault hits |
//! | `liveness` | a majority heals for good, and must make progress |
//! | `invariants` | the rules that must always hold, one file each |
//! | `coverage` | counts of the situations that runs reach |
//! | `trace` | a space-time transcript of a run |
//! | `recorder` | the trace of a run in a file, as `run.py` writes it |
//! | `traffic` | counts of the messages between replicas |
//! | `leadership` | the leaderships that are handed over |
//! | `transfers` | the snapshots on their way to followers |
//! | `run` | a plan becomes an outcome |
//! | `measure` | the cost of requests in a running cluster |
//! | `batch` | many seeds on all processors |
//! | `minimise` | the fewest faults with which a plan still fails |
//!
//! # Determinism
//!
//! A [`Plan`](plan::Plan) determines a run; nothing else does. Every choice comes from a generator
//! that the plan's seed feeds. Each purpose has its own generator, so another fault does not change
//! the requests of the clients. Events of the same time happen in the order in which they were
//! scheduled. No loop iterates over a hash table, and no code reads a clock.
//!
//! # The model
//!
//! Messages between replicas are lost, late, repeated, reordered or damaged. A cut stops them in one
//! direction or both, and a hold releases them all at once. A replica crashes between two batches
//! and restarts with the snapshot and the log that its disk kept. The log may end in the middle of
//! the unsynced changes, and a snapshot whose directory was not synced may be gone. A disk may be
//! slow or full, may fail to write or to sync, and may lose a sector. A replica also pauses for a while, and its clock does not. Clocks run at different
//! rates, and wall clocks differ, drift and jump. Clients share keys, lose messages, wait in vain,
//! and repeat requests under the same name.
//!
//! Some faults are not modelled: disks that lie, and replicas that lie. Clocks do not drift further apart than the lease allows. No crash happens in
//! the middle of a batch; to all other processes it looks like a crash before or after the batch.

mod all_operations;
pub mod batch;
pub mod bugs;
mod circle;
pub mod clients;
mod clock;
pub mod cluster;
mod conditions;
pub mod coverage;
mod delays;
mod disk;
mod disks;
#[cfg(test)]
mod failover;
mod faults;
mod flaps;
mod history;
mod intents;
pub mod invariants;
mod leadership;
mod liveness;
pub mod locks;
pub mod measure;
pub mod minimise;
mod network;
pub mod operations;
mod partitions;
pub mod plan;
mod queue;
pub mod recorder;
mod requester;
mod run;
pub mod scenario;
mod server;
pub mod swarm;
mod targets;
pub mod trace;
pub mod traffic;
mod transfers;
mod triggers;
pub mod wall_clock;

#[cfg(test)]
mod tests;

pub use run::{Figures, Outcome, record, run};
