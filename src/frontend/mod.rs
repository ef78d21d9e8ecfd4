//! Front ends: what clients that are no simulator speak, as commands of the store and back.
//!
//! A front end knows bytes and commands, and not Raft. It asks a [`Store`](store::Store): in a real
//! cluster the gateway to the own replica.
//!
//! | module | job |
//! |---|---|
//! | `store` | the store as a front end sees it |
//! | `gateway` | questions for the own replica, and its answers |
//! | `password` | the comparison of a password |
//! | `facts` | facts about the cluster that front ends show |
//! | `redis` | the protocol of Redis for one connection, without sockets |
//! | `redis_server` | the port for Redis clients |
//! | `http` | the port for HTTP clients: keys, health, status, metrics |

pub mod facts;
pub mod gateway;
pub mod http;
mod password;
pub mod redis;
pub mod redis_server;
pub mod store;
