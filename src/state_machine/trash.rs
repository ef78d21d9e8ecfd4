//! Keys that were deleted all at once. To free a million keys takes a few hundred milliseconds:
//! longer than a leader may stand still. So each entry that is applied frees a few of them.
//!
//! They are no part of the state, so two state machines are equal whatever is left of them here.

use std::fmt;

use imbl::OrdMap;

use super::deadlines::Deadlines;
use super::keys::{Place, Value};

/// How many keys a step frees at least.
const STEP: usize = 256;

/// The part of all keys that a step frees. A step that adds keys adds more than 256 only if as many
/// stand in its entry, so the trash never holds much more than 128 of the largest entries.
const PART: usize = 128;

/// The rest of the keys that were deleted.
#[derive(Default)]
pub(super) struct Trash(Vec<Deleted>);

/// What is left of keys that were deleted at once.
struct Deleted {
    values: OrdMap<Place, Value>,
    deadlines: Deadlines,
}

impl Trash {
    /// Adds all of these keys.
    pub fn add(&mut self, values: OrdMap<Place, Value>, deadlines: Deadlines) {
        self.0.push(Deleted { values, deadlines });
    }

    /// Frees some.
    pub fn shrink(&mut self) {
        if self.0.is_empty() {
            return;
        }
        for _ in 0..STEP.max(self.len() / PART) {
            let Some(deleted) = self.0.last_mut() else { return };
            if !deleted.free_one() {
                self.0.pop();
            }
        }
    }

    /// How many keys and deadlines are left.
    fn len(&self) -> usize {
        self.0.iter().map(|deleted| deleted.values.len() + deleted.deadlines.len()).sum()
    }
}

impl Deleted {
    /// Frees a key or a deadline, and returns whether there was one.
    fn free_one(&mut self) -> bool {
        match self.values.get_max().map(|(place, _)| place.clone()) {
            Some(place) => self.values.remove(&place).is_some(),
            None => self.deadlines.pop(),
        }
    }
}

/// A copy has none: it would hold them for the rest of its life.
impl Clone for Trash {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Trash {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Trash {}

impl fmt::Debug for Trash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} freed by and by", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Wanted;
    use super::*;
    use crate::bytes::Bytes;

    #[test]
    fn keys_that_were_deleted_at_once_are_freed_in_small_steps() {
        let (mut values, mut deadlines) = (OrdMap::new(), Deadlines::default());
        for n in 0..10_000 {
            let key = Bytes::from(n.to_string());
            let value = Value { bytes: "v".into(), deadline: Some(n + 1), revision: 1 };
            values.insert(Wanted::of(&key).place(), value);
            deadlines.insert(n + 1, Wanted::of(&key).place());
        }
        let mut trash = Trash::default();
        for _ in 0..2 {
            trash.add(values.clone(), deadlines.clone());
        }
        let mut steps = 0;
        while !trash.0.is_empty() {
            let before = trash.len();
            trash.shrink();
            assert!(before - trash.len() <= STEP.max(before / PART));
            steps += 1;
        }
        assert!((100..=40_000 / STEP + 1).contains(&steps), "{steps}");
        assert_eq!((values.len(), deadlines.len()), (10_000, 10_000));
        trash.add(values, deadlines);
        assert_eq!(trash.clone().len(), 0);
    }
}
