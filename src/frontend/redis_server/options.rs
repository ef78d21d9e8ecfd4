//! The settings of a server.

use std::time::Duration;

use super::super::redis::connection::Settings;
use crate::micros::Micros;

/// The settings of a server for Redis clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// The settings of each connection: password, limits of requests and replies.
    pub connection: Settings,
    /// The most connections: 10,000. A further client gets `-ERR max number of clients reached`.
    pub max_connections: usize,
    /// The most bytes that the buffers of all connections take: 256 MiB.
    pub memory_bytes: usize,
    /// A client that sends nothing for so long is closed; `None`, the default, never.
    pub idle_timeout: Option<Duration>,
    /// After READONLY, a read is served if the replica heard from its leader so many microseconds
    /// ago at most: 10 s.
    pub max_stale_us: Micros,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connection: Settings::default(),
            max_connections: 10_000,
            memory_bytes: 256 << 20,
            idle_timeout: None,
            max_stale_us: 10_000_000,
        }
    }
}
