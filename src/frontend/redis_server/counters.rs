//! Numbers that operators read while the server runs. Each only grows, unless it says otherwise.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::redis::table;
use crate::histogram::{Buckets, Histogram};
use crate::micros::Micros;

/// The counters of a server.
#[derive(Debug)]
pub struct ServerCounters {
    /// Connections that are open now.
    pub connections: AtomicU64,
    /// Bytes that the buffers of all connections take now, about.
    pub held_bytes: AtomicU64,
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Connections that were refused because there were too many.
    pub refused: AtomicU64,
    /// Clients that were dropped because they did not take their replies.
    pub slow_clients: AtomicU64,
    /// Clients that were dropped because the buffers of all connections took too much memory.
    pub evicted: AtomicU64,
    /// Clients that were closed because they sent nothing for too long.
    pub idle_clients: AtomicU64,
    /// Connections that sent bytes that are no request.
    pub protocol_errors: AtomicU64,
    /// Bytes from clients.
    pub bytes_in: AtomicU64,
    /// Bytes to clients.
    pub bytes_out: AtomicU64,
    /// Answers of the store: the outcome is unknown.
    pub unknown: AtomicU64,
    /// Answers of the store: the cluster did not do the command.
    pub failed: AtomicU64,
    commands: BTreeMap<&'static str, Histogram>,
}

impl Default for ServerCounters {
    fn default() -> Self {
        Self {
            connections: AtomicU64::default(),
            held_bytes: AtomicU64::default(),
            accepted: AtomicU64::default(),
            refused: AtomicU64::default(),
            slow_clients: AtomicU64::default(),
            evicted: AtomicU64::default(),
            idle_clients: AtomicU64::default(),
            protocol_errors: AtomicU64::default(),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            unknown: AtomicU64::default(),
            failed: AtomicU64::default(),
            commands: table::all().map(|entry| (entry.name, Histogram::default())).collect(),
        }
    }
}

impl ServerCounters {
    /// Each command that has had a reply, in the order of their names, with the times from the
    /// command to its reply.
    pub fn commands(&self) -> impl Iterator<Item = (&'static str, Buckets)> {
        let counted = self.commands.iter().map(|(name, times)| (*name, times.buckets()));
        counted.filter(|(_, times)| times.total() > 0)
    }

    /// How many commands have had a reply.
    pub fn replies(&self) -> u64 {
        self.commands.values().map(|times| times.buckets().total()).sum()
    }

    pub(super) fn note_reply(&self, command: &str, took_us: Micros) {
        if let Some(times) = self.commands.get(command) {
            times.count(took_us);
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// The value of a counter.
pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
