//! kvstore
pub mod id;
pub mod kv;
pub mod outbox;
pub mod raft;
pub mod replica;
pub mod request;
pub mod transport;
pub mod wire;
