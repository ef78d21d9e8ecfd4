//! Real clusters as an operator and a Redis client meet them: processes of `kvstore serve` and
//! `kvstore dev` on loopback addresses.

mod backup;
mod dev;
mod failover;
mod processes;
mod refusals;
mod resp;
mod service;
