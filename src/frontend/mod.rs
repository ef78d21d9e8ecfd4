//! Front ends: what clients that are no simulator speak, as commands of the store and back.
//!
//! A front end knows bytes and commands, and neither Raft nor sockets. The caller carries bytes,
//! hands the asks of a front end to a replica, and brings the answers back.

pub mod redis;
pub mod store;
