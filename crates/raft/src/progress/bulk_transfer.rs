//! The transfer of many entries to a follower that is far behind (`catch_up.rs` has the rules).

use crate::types::Index;

/// A follower is far behind if the entries that the leader has not sent it fill more than so many
/// appends. The window of a replica holds twice as many, so a follower that is less far behind has
/// a new entry within a few round trips.
const FAR_APPENDS: Index = 32;

/// A transfer that goes on until the follower has all entries up to `up_to`.
#[derive(Clone, Debug, Default)]
pub(super) struct BulkTransfer {
    up_to: Index,              // <= the leader's last index; 0 if no transfer goes on
    entries_per_append: Index, // in the latest append that had no room for all; 0 before the first
}

impl BulkTransfer {
    /// An append had room for so many entries only, less than it was to bring.
    pub(super) fn filled_append(&mut self, entries: usize) {
        self.entries_per_append = entries as Index;
    }

    pub(super) fn is_active(&self) -> bool {
        self.up_to > 0
    }

    /// The last entry of the transfer; 0 if none goes on.
    pub(super) fn up_to(&self) -> Index {
        self.up_to
    }

    pub(super) fn begin(&mut self, up_to: Index) {
        self.up_to = up_to;
    }

    pub(super) fn end(&mut self) {
        self.up_to = 0;
    }

    /// Whether a follower that needs the entries from `next_index` up to `last_index` is far
    /// behind.
    pub(super) fn lacks_many(&self, next_index: Index, last_index: Index) -> bool {
        let unsent = last_index.saturating_sub(next_index - 1);
        self.entries_per_append > 0 && unsent > FAR_APPENDS * self.entries_per_append
    }

    /// The transfer ends within the leader's log.
    pub(super) fn check(&self, last_index: Index) -> Result<(), String> {
        let is_within = self.up_to <= last_index;
        if is_within { Ok(()) } else { Err(format!("catches up to {} of {last_index}", self.up_to)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follower_lacks_many_entries_if_they_fill_more_appends_than_the_limit() {
        let mut bulk = BulkTransfer::default();
        assert!(!bulk.lacks_many(1, 1_000), "all entries have room in one append so far");
        bulk.filled_append(10);
        assert!(!bulk.lacks_many(1, 10 * FAR_APPENDS));
        assert!(bulk.lacks_many(1, 10 * FAR_APPENDS + 1));
        assert!(!bulk.lacks_many(2, 10 * FAR_APPENDS + 1));
    }

    #[test]
    fn check_refuses_a_transfer_beyond_the_log() {
        let mut bulk = BulkTransfer::default();
        bulk.begin(10);
        assert_eq!(bulk.check(10), Ok(()));
        assert!(bulk.check(9).is_err());
    }
}
