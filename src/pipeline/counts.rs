//! What a pipeline has counted when it ends. Each stage keeps its own counts.

use std::collections::BTreeMap;

use crate::outbox;
use crate::wire::Malformed;

/// The counts of one pipeline from its start to its end.
#[derive(Debug, Default)]
pub struct Counts {
    /// Datagrams that were received and understood.
    pub received: u64,
    /// Datagrams that were dropped because of what was in them, by reason.
    pub malformed: BTreeMap<Malformed, u64>,
    /// Messages to replicas that were dropped because the sender was stuck.
    pub overflowed: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// What the outbox saved and lost.
    pub outbox: outbox::Counts,
    /// How often the load was too much for one thread, so that all three went to work.
    pub busy: u64,
}
