//! The settings of a server for HTTP clients.

use std::time::Duration;

use crate::bytes::Bytes;

/// The most bytes of a request's first line and headers together. A key is a part of the first line.
pub(super) const MAX_HEAD_BYTES: usize = 64 << 10;

/// The most headers of a request.
pub(super) const MAX_HEADERS: usize = 64;

/// The settings of a server for HTTP clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// The password that requests for keys must give.
    pub password: Option<Bytes>,
    /// The most bytes of a value, as the state machine has it.
    pub max_value_bytes: usize,
    /// The most connections: 256. A further client gets 503.
    pub max_connections: usize,
    /// The most bytes of values that arrive at the same time: 64 MiB, and at least one value.
    pub bodies_bytes: usize,
    /// How long a client may take for the head of a request: 30 s. A connection without a request is
    /// closed after this time, too.
    pub head_limit: Duration,
    /// How long a client may take for the body of a request: 30 s.
    pub body_limit: Duration,
    /// How long a client may take none of the bytes that wait for it: 30 s.
    pub write_limit: Duration,
    /// How long a request for a key waits for the store: 30 s.
    pub store_limit: Duration,
    /// How long `/readyz` waits for the store: 500 ms.
    pub ready_limit: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            password: None,
            max_value_bytes: 1 << 20,
            max_connections: 256,
            bodies_bytes: 64 << 20,
            head_limit: Duration::from_secs(30),
            body_limit: Duration::from_secs(30),
            write_limit: Duration::from_secs(30),
            store_limit: Duration::from_secs(30),
            ready_limit: Duration::from_millis(500),
        }
    }
}
