//! Keys that were deleted all at once, and states that another state has replaced. To free a million
//! keys takes a few hundred milliseconds: longer than a leader may stand still. So each entry that is
//! applied frees a few of them.
//!
//! They are no part of the state: it does not matter to equality how many of them are left.

use std::fmt;
use std::hint::black_box;

use imbl::OrdMap;

use super::deadlines::Deadlines;
use super::keys::{Place, Value};
use super::revisions::Deletions;
use super::sessions::Sessions;

/// How many keys a step frees at least.
const STEP: usize = 256;

/// The part of all keys that a step frees. A step that adds keys adds more than 256 only if as many
/// stand in its entry, so the trash never holds much more than 256 of the largest entries.
const PART: usize = 256;

/// Large for the allocator of glibc: it has 1,024 bytes or more.
const LARGE_BYTES: usize = 2_048;

/// The rest of the keys that were deleted.
#[derive(Default)]
pub(super) struct Trash {
    deleted: Vec<Deleted>,
    freed: usize, // keys that may have been freed, and whose memory is not merged yet
}

/// The memory of a state machine that is no longer needed.
///
/// A thread that dropped all of it at once would hold the allocator's lock again and again. A thread
/// that applies entries then gets hardly one of ten done. So the owner frees it in steps, with pauses
/// between them.
#[derive(Debug)]
pub struct Remains(Trash);

impl Remains {
    pub(super) fn new(mut trash: Trash, state: Deleted) -> Self {
        trash.add(state);
        Self(trash)
    }

    /// Frees a few hundred keys, and returns whether some are left. This takes a fraction of a
    /// millisecond.
    pub fn free_some(&mut self) -> bool {
        self.0.free(STEP);
        !self.0.deleted.is_empty()
    }
}

/// The rest of keys that were deleted at once, and of the state with them.
#[derive(Default)]
pub(super) struct Deleted {
    pub values: OrdMap<Place, Value>,
    pub deadlines: Deadlines,
    pub deletions: Deletions,
    pub sessions: Sessions,
}

impl Trash {
    /// Adds all of these keys.
    pub fn add(&mut self, deleted: Deleted) {
        self.deleted.push(deleted);
    }

    /// Adds the memory of another state machine.
    pub fn add_all(&mut self, mut remains: Remains) {
        self.deleted.append(&mut remains.0.deleted);
    }

    /// Frees some.
    pub fn shrink(&mut self) {
        if self.deleted.is_empty() {
            return;
        }
        self.free(STEP.max(self.len() / PART));
    }

    fn free(&mut self, keys: usize) {
        let mut freed = 0;
        while freed < keys
            && let Some(deleted) = self.deleted.last_mut()
        {
            match deleted.free_one() {
                0 => self.deleted.truncate(self.deleted.len() - 1),
                parts => freed += parts,
            }
        }
        self.count_freed(freed);
    }

    /// Takes note that so many keys may have been freed, here or elsewhere, and merges their memory
    /// when there are enough of them.
    pub fn count_freed(&mut self, keys: usize) {
        self.freed += keys;
        if self.freed >= STEP {
            self.freed = 0;
            merge_freed_memory();
        }
    }

    /// How many keys and deadlines are left.
    fn len(&self) -> usize {
        self.deleted.iter().map(|deleted| deleted.values.len() + deleted.deadlines.len()).sum()
    }
}

impl Deleted {
    /// Frees a key, a deadline, a deletion or a session, and returns how many parts it had; 0 if
    /// none is left.
    fn free_one(&mut self) -> usize {
        if let Some(place) = self.values.get_max().map(|(place, _)| place.clone()) {
            self.values.remove(&place);
            return 1;
        }
        if self.deadlines.pop() || self.deletions.free_one() { 1 } else { self.sessions.free_one() }
    }
}

/// Makes the allocator merge the blocks that were freed.
///
/// The one of glibc keeps small blocks apart when they are freed, and merges all of them at the next
/// large allocation. After a million keys were freed, that takes 0.3 s. So a large allocation follows
/// every few hundred keys.
fn merge_freed_memory() {
    drop(black_box(Vec::<u8>::with_capacity(LARGE_BYTES)));
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
    use super::super::{Settings, StateMachine};
    use super::*;
    use crate::bytes::Bytes;
    use crate::command::Proposal;
    use crate::id::Id;
    use crate::operation::{Deadline, Operation};
    use crate::request::RequestId;

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
            let (values, deadlines) = (values.clone(), deadlines.clone());
            trash.add(Deleted { values, deadlines, ..Deleted::default() });
        }
        let mut steps = 0;
        while !trash.deleted.is_empty() {
            let before = trash.len();
            trash.shrink();
            assert!(before - trash.len() <= STEP.max(before / PART));
            steps += 1;
        }
        assert!((100..=40_000 / STEP + 1).contains(&steps), "{steps}");
        assert_eq!((values.len(), deadlines.len()), (10_000, 10_000));
        trash.add(Deleted { values, deadlines, ..Deleted::default() });
        assert_eq!(trash.clone().len(), 0);
    }

    #[test]
    fn state_that_was_replaced_is_freed_in_small_steps() {
        let mut old = StateMachine::new(Settings::default());
        let client = |n: u64| Id::new(n as u16 % 50).expect("not reserved");
        for index in 1..=6_000 {
            let key = Bytes::from((index / 3).to_string());
            let operation = match index % 3 {
                0 => Operation::set(key, "v"),
                1 => Operation::Expire { key, deadline: Deadline::After(1_000), condition: None },
                _ => Operation::Delete { keys: vec![key] },
            };
            let request = Some(RequestId { client: client(index), mid: index.to_string().into() });
            old.apply(index, &Proposal { at: 1, request, command: operation.into() });
        }
        let mut state = StateMachine::new(Settings::default());
        state.discard(old);
        let left = |state: &StateMachine| {
            let left = |deleted: &Deleted| {
                let (sessions, _) = deleted.sessions.size();
                (deleted.values.len() + deleted.deadlines.len() + deleted.deletions.len(), sessions)
            };
            state.keys.trash().deleted.first().map_or((0, 0), left)
        };
        assert_eq!(left(&state).1, 50);
        let mut steps = 0;
        while left(&state) != (0, 0) {
            let before = left(&state);
            steps += 1;
            state.apply(steps, &Proposal { at: 1, request: None, command: Operation::Count.into() });
            let now = left(&state);
            assert!(before.0 - now.0 <= STEP && before.1 - now.1 <= STEP / 120 + 1, "{before:?} {now:?}");
        }
        assert!(steps > 20, "{steps}");
        assert_eq!(state.applied(), steps);
    }

    #[test]
    fn remains_of_a_state_are_freed_in_small_steps_and_its_copies_stay() {
        let mut state = StateMachine::new(Settings::default());
        for index in 1..=2_000 {
            let operation = Operation::set(index.to_string(), "v");
            state.apply(index, &Proposal { at: 1, request: None, command: operation.into() });
        }
        let copy = state.clone();
        let mut remains = copy.clone().into_remains();
        let steps = 1 + std::iter::from_fn(|| remains.free_some().then_some(())).count();
        assert!((2_000 / STEP..=2_000 / STEP + 2).contains(&steps), "{steps}");
        assert_eq!((copy.len(), state), (2_000, copy));
    }
}
