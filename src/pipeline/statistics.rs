//! What the stages count. Shared by the threads, and no part of the consensus state.

use std::collections::BTreeMap;

use parking_lot::{Mutex, MutexGuard};

use crate::outbox;
use crate::wire::Malformed;

/// The counts of one pipeline since its start.
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
}

impl Counts {
    pub(super) fn dropped(&mut self, reason: Malformed) {
        *self.malformed.entry(reason).or_default() += 1;
    }
}

/// The counts behind their lock; held for one count at a time.
#[derive(Debug, Default)]
pub(super) struct Statistics(Mutex<Counts>);

impl Statistics {
    /// Access to the counts.
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock()
    }
}
