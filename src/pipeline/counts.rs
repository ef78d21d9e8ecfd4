//! The counts of a pipeline. Each stage keeps its own, and adds them at the end.

use std::collections::BTreeMap;

use crate::outbox;
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
}
