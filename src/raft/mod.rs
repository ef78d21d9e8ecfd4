//! Raft.
pub mod message;
pub mod types;
