//! Raft.
pub mod action;
mod candidate;
mod follower;
#[cfg(test)]
mod harness;
pub mod invariants;
mod leader;
pub mod log;
pub mod message;
mod node;
mod progress;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod scripts;
pub mod types;

pub use action::{Action, Input, ReadId};
pub use node::{Node, Settings};
