//! The map from keys to values: a tree whose nodes are shared, and copied when they are written to.
//!
//! A hash table would be a little faster, but it moves all its keys when it grows. That takes 480
//! ms at two million keys: longer than a leader may stand still. Each operation on the tree touches
//! a few small nodes, however large the tree is. A copy of the whole map takes no time, and shares
//! all nodes that neither side changes.
//!
//! The tree is ordered by the digest of the key, and by the key only where digests are equal.
//! Comparing digests needs no memory but the node's own, so this takes half as long as an order by
//! keys. A client that looks for keys with equal digests gets a tree that is ordered by keys, and
//! no other harm. The order is the same on all replicas.

use std::cmp::Ordering;
use std::collections::VecDeque;

use equivalent::{Comparable, Equivalent};
use imbl::OrdMap;

use super::after;
use super::deadlines::Deadlines;
use super::revisions::Deletions;
use super::sessions::Sessions;
use super::trash::{Deleted, Remains, Trash};
use crate::bytes::Bytes;
use crate::digest::digest;
use crate::operation::{Revision, UnixMillis};

/// The map, with the deadlines of its keys. A clone is cheap and independent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    values: OrdMap<Place, Value>,
    deadlines: Deadlines, // one for each value that has a deadline
    bytes: usize,         // the memory of all keys and values, by `memory_bytes`
    trash: Trash,
}

/// The value of a key and the rest of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub bytes: Bytes,
    pub deadline: Option<UnixMillis>,
    pub revision: Revision,
}

/// A key, where it stands in the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    digest: u64,
    key: Bytes,
}

/// The place of a key that is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub digest: u64,
    pub key: &'a Bytes,
}

/// Stands before all keys with this digest or a greater one.
struct Cursor(u64);

/// About how many bytes a key takes beside its own and those of its value. A million keys of 32 bytes
/// with values of 100 take 296 MB.
const KEY_BYTES: usize = 160;

/// So many keys of a [`Load`] wait: more than every other key of the last node.
const WAITING: usize = 32;

/// Puts keys into a new map in their order.
///
/// The tree splits a full node into halves. If each key came after all others, no key would come to
/// a left half any more, and all nodes would stay half full. So every other key waits until its
/// neighbours fill half a node, and then fills the other half.
#[derive(Default)]
pub(super) struct Load {
    keys: Keys,
    last: Option<Place>,
    waiting: VecDeque<(Place, Value)>,
    waits: bool, // the next key
}

impl Load {
    /// For keys that have these deadlines at this time.
    pub fn new(time: UnixMillis) -> Self {
        let mut load = Self::default();
        load.keys.advance(time);
        load
    }

    /// Adds a key, and returns whether it comes after all others.
    pub fn push(&mut self, key: Bytes, value: Value) -> bool {
        let place = Wanted::of(&key).place();
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return false;
        }
        if let Some(deadline) = value.deadline {
            self.keys.deadlines.restore(deadline, place.clone());
        }
        self.keys.bytes += memory_bytes(&place.key, &value.bytes);
        self.last = Some(place.clone());
        if self.waits {
            self.waiting.push_back((place, value));
        } else {
            self.keys.values.insert(place, value);
        }
        self.waits = !self.waits;
        if self.waiting.len() > WAITING {
            self.settle_one();
        }
        true
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.all() + self.waiting.len()
    }

    /// The map with all keys.
    pub fn finish(mut self) -> Keys {
        while self.settle_one() {}
        self.keys
    }

    /// Adds a key that waits, and returns whether there was one.
    fn settle_one(&mut self) -> bool {
        let Some((place, value)) = self.waiting.pop_front() else { return false };
        self.keys.values.insert(place, value);
        true
    }
}

impl Place {
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { digest: self.digest, key: &self.key }
    }
}

impl<'a> Wanted<'a> {
    pub fn of(key: &'a Bytes) -> Self {
        Self { digest: digest(&[&**key]), key }
    }

    pub fn place(&self) -> Place {
        Place { digest: self.digest, key: self.key.clone() }
    }
}

impl Equivalent<Place> for Wanted<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.compare(place) == Ordering::Equal
    }
}

impl Comparable<Place> for Wanted<'_> {
    fn compare(&self, place: &Place) -> Ordering {
        self.digest.cmp(&place.digest).then_with(|| self.key.cmp(&place.key))
    }
}

impl Equivalent<Place> for Cursor {
    fn equivalent(&self, _: &Place) -> bool {
        false
    }
}

impl Comparable<Place> for Cursor {
    fn compare(&self, place: &Place) -> Ordering {
        self.0.cmp(&place.digest).then(Ordering::Less)
    }
}

/// About how much memory a key takes. All replicas count the same.
fn memory_bytes(key: &Bytes, value: &Bytes) -> usize {
    KEY_BYTES + key.len() + value.len()
}

impl Keys {
    /// The record of a key, also if its deadline has passed.
    pub fn get(&self, wanted: Wanted<'_>) -> Option<&Value> {
        self.values.get(&wanted)
    }

    /// The deadlines.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// How many keys there are whose deadline has not passed.
    pub fn len(&self) -> usize {
        self.values.len() - self.deadlines.passed()
    }

    /// About how much memory all keys and values take, also those that have expired and are still there.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a key a value, which has not expired.
    pub fn insert(&mut self, wanted: Wanted<'_>, value: Value) {
        let new = value.deadline;
        self.bytes += memory_bytes(wanted.key, &value.bytes);
        let old = self.values.insert(wanted.place(), value);
        self.bytes -= old.as_ref().map_or(0, |old| memory_bytes(wanted.key, &old.bytes));
        let old = old.and_then(|old| old.deadline);
        if old != new {
            if let Some(old) = old {
                self.deadlines.remove(old, wanted);
            }
            if let Some(new) = new {
                self.deadlines.insert(new, wanted.place());
            }
        }
    }

    /// Takes a key away.
    pub fn remove(&mut self, wanted: Wanted<'_>) -> Option<Value> {
        let value = self.values.remove(&wanted)?;
        self.bytes -= memory_bytes(wanted.key, &value.bytes);
        self.trash.count_freed(1);
        if let Some(deadline) = value.deadline {
            self.deadlines.remove(deadline, wanted);
        }
        Some(value)
    }

    /// Moves the time forward, and gives back some of the memory that is no longer used.
    pub fn advance(&mut self, time: UnixMillis) {
        self.deadlines.advance(time);
        self.trash.count_freed(1); // by this entry, or by another thread meanwhile
        self.trash.shrink();
    }

    /// Takes all keys away. The memory is given back by and by.
    pub fn clear(&mut self) {
        let (values, deadlines) = (std::mem::take(&mut self.values), self.deadlines.take());
        self.bytes = 0;
        self.trash.add(Deleted { values, deadlines, ..Deleted::default() });
    }

    /// How many keys there are, with those whose deadline has passed.
    pub fn all(&self) -> usize {
        self.values.len()
    }

    /// The keys after this one in the order of the tree, with those whose deadline has passed.
    pub fn after(&self, place: Option<&Place>) -> impl Iterator<Item = (&Place, &Value)> {
        after(&self.values, place)
    }

    #[cfg(test)]
    pub fn trash(&self) -> &Trash {
        &self.trash
    }

    /// Takes the memory of another state machine, to give it back by and by.
    pub fn discard(&mut self, remains: Remains) {
        self.trash.add_all(remains);
    }

    /// The memory of these keys and of the rest of the state.
    pub fn into_remains(self, deletions: Deletions, sessions: Sessions) -> Remains {
        let Self { values, deadlines, trash, .. } = self;
        Remains::new(trash, Deleted { values, deadlines, deletions, sessions })
    }

    /// The keys whose digests are not less than this, in the order of the tree: each with its
    /// digest.
    pub fn from(&self, digest: u64) -> impl Iterator<Item = (u64, &Bytes, &Value)> {
        self.values.range(Cursor(digest)..).map(|(place, value)| (place.digest, &place.key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn value(text: &str, deadline: Option<UnixMillis>) -> Value {
        Value { bytes: text.into(), deadline, revision: 1 }
    }

    fn insert(keys: &mut Keys, key: u32, text: &str) {
        keys.insert(Wanted::of(&key.to_string().into()), value(text, None));
    }

    fn get(keys: &Keys, key: u32) -> Option<String> {
        let key = key.to_string().into();
        keys.get(Wanted::of(&key)).map(|value| value.bytes.to_string())
    }

    #[test]
    fn key_has_the_value_that_was_set_last() {
        let (mut keys, mut reference) = (Keys::default(), HashMap::new());
        let mut rng = fastrand::Rng::with_seed(1);
        for n in 0..20_000 {
            let key = rng.u32(..5_000);
            insert(&mut keys, key, &n.to_string());
            reference.insert(key, n.to_string());
        }
        for key in 0..6_000 {
            assert_eq!(get(&keys, key), reference.get(&key).cloned(), "{key}");
        }
        assert_eq!(keys.len(), reference.len());
    }

    #[test]
    fn keys_with_the_same_digest_are_different_keys() {
        let [a, b, c, d]: [Bytes; 4] = ["a", "b", "c", "d"].map(Bytes::from);
        let mut keys = Keys::default();
        for key in [&c, &a, &b] {
            keys.insert(Wanted { digest: 7, key }, value(&key.to_text(), None));
        }
        let get = |key| keys.get(Wanted { digest: 7, key }).map(|value| value.bytes.clone());
        assert_eq!(
            [get(&a), get(&b), get(&c), get(&d)],
            [Some(a.clone()), Some(b.clone()), Some(c.clone()), None]
        );
        assert_eq!(keys.from(7).count(), 3);
        assert_eq!(keys.from(8).count(), 0);
    }

    #[test]
    fn copy_keeps_what_it_had() {
        let mut keys = Keys::default();
        (0..5_000).for_each(|n| insert(&mut keys, n, "1"));
        let copy = keys.clone();
        (0..9_000).for_each(|n| insert(&mut keys, n, "2"));
        assert!((0..5_000).all(|n| get(&copy, n).as_deref() == Some("1")));
        assert_eq!(get(&copy, 5_000), None);
        assert!((0..9_000).all(|n| get(&keys, n).as_deref() == Some("2")));
        keys.clear();
        assert!((0..5_000).all(|n| get(&copy, n).as_deref() == Some("1")));
        assert_eq!((keys.len(), copy.len()), (0, 5_000));
    }

    #[test]
    fn keys_that_are_loaded_in_their_order_are_those_of_the_map() {
        for count in [0, 1, 2, 31, 66, 67, 5_000] {
            let mut keys = Keys::default();
            (0..count).for_each(|n| insert(&mut keys, n, &n.to_string()));
            let mut load = Load::new(0);
            for (place, value) in keys.after(None) {
                assert!(load.push(place.key.clone(), value.clone()));
                assert!(!load.push(place.key.clone(), value.clone()), "it came before");
            }
            assert_eq!((load.len(), load.finish()), (count as usize, keys));
        }
    }

    #[test]
    fn keys_with_the_same_digest_come_after_each_other() {
        let [a, b]: [Bytes; 2] = ["a", "b"].map(Bytes::from);
        let mut keys = Keys::default();
        for key in [&b, &a] {
            keys.insert(Wanted { digest: 7, key }, value("v", None));
        }
        let after = |place: Option<&Place>| keys.after(place).next().map(|(place, _)| place.clone());
        let first = after(None);
        let second = after(first.as_ref());
        let found = [&first, &second].map(|place| place.as_ref().map(|place| place.key.clone()));
        assert_eq!((found, after(second.as_ref())), ([Some(a), Some(b)], None));
    }

    #[test]
    fn memory_is_that_of_the_keys_that_are_there() {
        let mut keys = Keys::default();
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let key = Bytes::from(rng.u32(..100).to_string());
            match rng.u8(..4) {
                0 => drop(keys.remove(Wanted::of(&key))),
                _ => keys.insert(Wanted::of(&key), value(&"v".repeat(rng.usize(..50)), None)),
            }
            let of_each = keys.after(None).map(|(place, value)| memory_bytes(place.key(), &value.bytes));
            assert_eq!(keys.memory_bytes(), of_each.sum::<usize>());
        }
        keys.clear();
        assert_eq!(keys.memory_bytes(), 0);
    }

    #[test]
    fn each_deadline_belongs_to_a_value() {
        let mut keys = Keys::default();
        let key = "k".into();
        let wanted = Wanted::of(&key);
        for (deadline, first) in [(Some(7), Some(7)), (Some(9), Some(9)), (None, None), (Some(5), Some(5))] {
            keys.insert(wanted, value("v", deadline));
            assert_eq!(keys.deadlines().first(), first);
        }
        keys.advance(5);
        assert_eq!(keys.len(), 0, "it has expired");
        assert_eq!(keys.remove(wanted), Some(value("v", Some(5))));
        assert_eq!((keys.deadlines().first(), keys.deadlines().passed()), (None, 0));
    }
}
