//! The Redis front end from outside: transcripts and random commands against the state machine and
//! against a real Redis, hostile bytes, a store without memory, and the bounds of a connection.

mod bounds;
mod hostile;
mod memory;
mod random;
#[path = "../testkit/random_commands.rs"]
mod random_commands;
mod real;
#[path = "../testkit/redis_server.rs"]
mod redis_server;
mod transcripts;
mod world;
