//! The counts of a pipeline. Each stage keeps its own, and adds them at the end.

use std::collections::BTreeMap;

use crate::outbox;
use crate::storage;
use crate::wire::Malformed;

/// The counts of one pipeline from its start to its end.
#[derive(Debug, Default)]
pub struct Counts {
    /// Datagrams that were received and understood.
    pub received: u64,
    /// Datagrams that were dropped because of their content, by reason.
    pub malformed: BTreeMap<Malformed, u64>,
    /// Messages to replicas that were dropped because the sender was stuck.
    pub overflowed: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Messages that the outbox saved and dropped.
    pub outbox: outbox::Counts,
    /// How often the load was too much for one thread, so that the other stages were offloaded.
    pub busy: u64,
    /// The work of the disk; none for a replica that is in memory only.
    pub disk: DiskCounts,
}

/// The counts of a replica's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Syncs by the log writer, which acknowledgements wait for.
    pub syncs: u64,
    /// Records of the log.
    pub records: u64,
    /// Bytes of these records.
    pub log_bytes: u64,
    /// Bytes written otherwise: new segments of the log, and snapshots.
    pub other_bytes: u64,
}

impl From<&storage::Counters> for DiskCounts {
    fn from(counters: &storage::Counters) -> Self {
        Self {
            syncs: counters.syncs(),
            records: counters.records(),
            log_bytes: counters.log_bytes(),
            other_bytes: counters.other_bytes(),
        }
    }
}
