//! Keys that were deleted all at once. To free a million keys takes a few hundred milliseconds:
//! longer than a leader may stand still. So each entry that is applied frees a few of them.
//!
//! They are no part of the state, so two state machines are equal whatever is left of them here.

use std::fmt;

use imbl::{OrdMap, OrdSet};

use super::deadlines::Due;
use super::keys::{Place, Value};

/// How many keys a step frees at least.
const STEP: usize = 256;

/// The part of all keys that a step frees. A step that adds keys adds more than 256 only if as many
/// stand in its entry, so the trash never holds much more than 128 of the largest entries.
const PART: usize = 128;

/// The rest of the keys that were deleted.
#[derive(Default)]
pub(super) struct Trash {
    values: Vec<OrdMap<Place, Value>>,
    deadlines: Vec<OrdSet<Due>>,
}

impl Trash {
    /// Adds all of these keys.
    pub fn add(&mut self, values: OrdMap<Place, Value>, deadlines: OrdSet<Due>) {
        self.values.extend((!values.is_empty()).then_some(values));
        self.deadlines.extend((!deadlines.is_empty()).then_some(deadlines));
    }

    /// Frees some.
    pub fn shrink(&mut self) {
        if self.values.is_empty() && self.deadlines.is_empty() {
            return;
        }
        for _ in 0..STEP.max(self.len() / PART) {
            if let Some(values) = self.values.last_mut() {
                let last = values.get_max().map(|(place, _)| place.clone());
                last.map(|place| values.remove(&place));
                self.values.pop_if(|values| values.is_empty());
            } else if let Some(deadlines) = self.deadlines.last_mut() {
                deadlines.remove_max();
                self.deadlines.pop_if(|deadlines| deadlines.is_empty());
            } else {
                return;
            }
        }
    }

    /// How many keys and deadlines are left.
    fn len(&self) -> usize {
        let values: usize = self.values.iter().map(OrdMap::len).sum();
        values + self.deadlines.iter().map(OrdSet::len).sum::<usize>()
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
    use super::super::keys::{Keys, Wanted};
    use super::*;

    #[test]
    fn keys_that_were_deleted_at_once_are_freed_in_small_steps() {
        let mut values = OrdMap::new();
        for n in 0..10_000 {
            let value = Value { bytes: "v".into(), deadline: None, revision: 1 };
            values.insert(Wanted::of(&n.to_string().into()).place(), value);
        }
        let mut trash = Trash::default();
        for _ in 0..2 {
            trash.add(values.clone(), OrdSet::new());
        }
        let mut steps = 0;
        while trash.len() > 0 {
            let before = trash.len();
            trash.shrink();
            assert!(before - trash.len() <= STEP);
            steps += 1;
        }
        assert_eq!(steps, 20_000_usize.div_ceil(STEP));
        assert_eq!(trash.clone().len(), 0);
        assert_eq!(Keys::default(), Keys::default());
    }
}
