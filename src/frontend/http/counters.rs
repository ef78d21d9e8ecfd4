//! Numbers that operators read while the server runs. Each only grows, unless it says otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;

use crate::histogram::{Buckets, Histogram};
use crate::micros::Micros;

/// The methods of requests for keys.
const METHODS: [&str; 4] = ["GET", "HEAD", "PUT", "DELETE"];

/// Status codes are below this.
const CODES: usize = 600;

/// The counters of a server.
#[derive(Debug)]
pub struct HttpCounters {
    /// Connections that are open now.
    pub connections: AtomicU64,
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Connections that were refused because there were too many.
    pub refused: AtomicU64,
    /// Clients that were cut off because they sent or took nothing for too long.
    pub slow_clients: AtomicU64,
    /// Connections that sent bytes that are no request.
    pub protocol_errors: AtomicU64,
    answers: Vec<AtomicU64>, // by status code
    latency: [Histogram; METHODS.len()],
}

impl Default for HttpCounters {
    fn default() -> Self {
        Self {
            connections: AtomicU64::default(),
            accepted: AtomicU64::default(),
            refused: AtomicU64::default(),
            slow_clients: AtomicU64::default(),
            protocol_errors: AtomicU64::default(),
            answers: (0..CODES).map(|_| AtomicU64::default()).collect(),
            latency: std::array::from_fn(|_| Histogram::default()),
        }
    }
}

impl HttpCounters {
    /// How many answers had each status code, for the codes that were used.
    pub fn answers(&self) -> impl Iterator<Item = (u16, u64)> {
        let counts = self.answers.iter().map(get).enumerate();
        counts.filter(|(_, count)| *count > 0).map(|(code, count)| (code as u16, count))
    }

    /// How long requests for keys took, by method, for the methods that were used.
    pub fn latency(&self) -> impl Iterator<Item = (&'static str, Buckets)> {
        let buckets = METHODS.into_iter().zip(self.latency.iter().map(Histogram::buckets));
        buckets.filter(|(_, buckets)| buckets.total() > 0)
    }

    pub(super) fn note_answer(&self, status: StatusCode) {
        self.answers.get(usize::from(status.as_u16())).into_iter().for_each(add);
    }

    pub(super) fn note_latency(&self, method: &str, took_us: Micros) {
        if let Some(place) = METHODS.iter().position(|other| *other == method) {
            self.latency[place].count(took_us);
        }
    }
}

/// Adds one to a counter.
pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The value of a counter.
pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
