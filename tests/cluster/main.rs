//! Real clusters as an operator and a Redis client meet them: processes of `kvstore serve` and
//! `kvstore dev` on loopback addresses.

mod backup;
mod dev;
mod differential;
mod failover;
mod hostile;
mod http;
mod memory;
mod metrics;
mod processes;
#[path = "../testkit/random_commands.rs"]
mod random_commands;
#[path = "../testkit/redis_server.rs"]
mod redis_server;
mod refusals;
mod resp;
mod rolling;
mod service;
mod tools;
