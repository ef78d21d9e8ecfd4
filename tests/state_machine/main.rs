//! The state machine from outside: random commands, against a naive model of it and against a real
//! Redis.

mod client;
mod generate;
mod model;
mod properties;
mod redis;
#[path = "../testkit/redis_server.rs"]
mod redis_server;
mod snapshot;
mod translate;
