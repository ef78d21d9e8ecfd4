//! The revisions of keys that do not exist: when a key was deleted last.
//!
//! The table is bounded. It forgets the deletion that is longest ago, and remembers only that all
//! forgotten ones are not later than `floor`. So the revision of a key that was deleted long ago may
//! seem later than it is. A watch of such a key may fail without need, and never hold without right.

use imbl::{OrdMap, OrdSet};

use super::after;
use crate::operation::Revision;

/// How many deletions a state machine remembers.
pub(super) const DELETIONS: usize = 65_536;

/// When keys were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deletions {
    by_digest: OrdMap<u64, Revision>, // by the digest of the key
    by_age: OrdSet<(Revision, u64)>,  // the same ones, oldest first
    floor: Revision,                  // no deletion that is not in the tables is later; never decreases
}

impl Deletions {
    /// Remembers that the key with this digest was deleted, and forgets old deletions beyond
    /// `limit`.
    pub fn add(&mut self, digest: u64, revision: Revision, limit: usize) {
        if let Some(before) = self.by_digest.insert(digest, revision) {
            self.by_age.remove(&(before, digest));
        }
        self.by_age.insert((revision, digest));
        while self.by_digest.len() > limit {
            let Some((revision, digest)) = self.by_age.remove_min() else { return };
            self.by_digest.remove(&digest);
            self.floor = self.floor.max(revision);
        }
    }

    /// Deletions that were remembered before, none of them so far.
    pub fn restored(floor: Revision) -> Self {
        Self { floor, ..Self::default() }
    }

    /// Adds a deletion that was remembered before, of a digest that has none.
    pub fn restore(&mut self, digest: u64, revision: Revision) {
        self.by_digest.insert(digest, revision);
        self.by_age.insert((revision, digest));
    }

    /// The revision that stands for all deletions that are forgotten.
    pub fn floor(&self) -> Revision {
        self.floor
    }

    /// How many deletions are remembered.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// The deletions of digests after this one: digests and revisions.
    pub fn after(&self, digest: Option<u64>) -> impl Iterator<Item = (&u64, &Revision)> {
        after(&self.by_digest, digest.as_ref())
    }

    /// Frees one, and returns whether there was one.
    pub fn free_one(&mut self) -> bool {
        self.by_age.remove_max().is_some_and(|(_, digest)| self.by_digest.remove(&digest).is_some())
    }

    /// Remembers that all keys were deleted.
    pub fn add_all(&mut self, revision: Revision) {
        *self = Self { floor: revision, ..Self::default() };
    }

    /// The revision of a key that does not exist; it may be too late, and is never too early.
    pub fn last(&self, digest: u64) -> Revision {
        self.by_digest.get(&digest).copied().unwrap_or(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletion_that_is_forgotten_counts_as_the_latest_of_them() {
        let mut deletions = Deletions::default();
        assert_eq!(deletions.last(7), 0);
        for (revision, digest) in [(3, 1), (5, 2), (6, 1), (9, 3)] {
            deletions.add(digest, revision, 2);
        }
        assert_eq!([1, 2, 3, 4].map(|digest| deletions.last(digest)), [6, 5, 9, 5]);
        deletions.add(4, 10, 2);
        assert_eq!([1, 2, 3, 4].map(|digest| deletions.last(digest)), [6, 6, 9, 10]);
        assert_eq!((deletions.by_age.len(), deletions.by_digest.len()), (2, 2));
    }

    #[test]
    fn deletion_of_all_keys_is_one_of_each() {
        let mut deletions = Deletions::default();
        deletions.add(1, 3, 2);
        deletions.add_all(8);
        deletions.add(2, 9, 2);
        assert_eq!([1, 2, 3].map(|digest| deletions.last(digest)), [8, 9, 8]);
    }
}
