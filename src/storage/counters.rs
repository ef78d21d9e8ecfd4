//! Counts of what the storage does, for statistics. All its parts share them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::histogram::{Buckets, Histogram};
use crate::micros::Micros;

/// Counts since the directory was opened.
#[derive(Debug, Default)]
pub struct Counters {
    syncs: AtomicU64,
    records: AtomicU64,
    log_bytes: AtomicU64,
    other_bytes: AtomicU64,
    writes: Histogram,
    sync_times: Histogram,
}

impl Counters {
    /// Syncs of files by the log writer, which acknowledgements wait for.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Records of the log.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes written as records of the log.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// Bytes written otherwise: zeros and headers of new segments, and snapshots.
    pub fn other_bytes(&self) -> u64 {
        self.other_bytes.load(Ordering::Relaxed)
    }

    /// How long the writes took that acknowledgements waited for, as their caller counted them.
    pub fn writes(&self) -> Buckets {
        self.writes.buckets()
    }

    /// Counts a write that took so long, its sync included.
    pub fn count_write(&self, took_us: Micros) {
        self.writes.count(took_us);
    }

    /// How long these syncs took.
    pub fn sync_times(&self) -> Buckets {
        self.sync_times.buckets()
    }

    pub(super) fn count_sync(&self, took_us: Micros) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_times.count(took_us);
    }

    pub(super) fn count_record(&self, bytes: u64) {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, bytes: u64) {
        self.other_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
