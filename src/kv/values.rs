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
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::OrdMap;

use crate::digest::digest;

/// The map. A clone is cheap and independent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values(OrdMap<Place, Arc<str>>);

/// A key, where it stands in the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    digest: u64,
    key: Arc<str>,
}

/// The place of a key that is looked for.
struct Wanted<'a> {
    digest: u64,
    key: &'a str,
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

impl Values {
    /// The value of a key; `None` if it was never set.
    pub fn get(&self, key: &str) -> Option<&Arc<str>> {
        self.0.get(&Wanted { digest: digest(&[key]), key })
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: &Arc<str>, value: &Arc<str>) {
        let place = Place { digest: digest(&[key]), key: Arc::clone(key) };
        self.0.insert(place, Arc::clone(value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn key_has_the_value_that_was_set_last() {
        let (mut values, mut reference) = (Values::default(), HashMap::new());
        let mut rng = fastrand::Rng::with_seed(1);
        for n in 0..20_000 {
            let (key, value): (Arc<str>, Arc<str>) =
                (rng.u16(..5_000).to_string().into(), n.to_string().into());
            values.insert(&key, &value);
            reference.insert(key, value);
        }
        for n in 0..6_000 {
            let key = n.to_string();
            assert_eq!(values.get(&key), reference.get(&*key), "{key}");
        }
    }

    #[test]
    fn keys_with_the_same_digest_are_different_keys() {
        let place = |key: &str| Place { digest: 7, key: key.into() };
        let values: OrdMap<Place, u8> =
            [(place("a"), 1), (place("b"), 2), (place("c"), 3)].into_iter().collect();
        let get = |key| values.get(&Wanted { digest: 7, key });
        assert_eq!([get("a"), get("b"), get("c"), get("d")], [Some(&1), Some(&2), Some(&3), None]);
    }

    #[test]
    fn copy_keeps_what_it_had() {
        let mut values = Values::default();
        let [one, two]: [Arc<str>; 2] = ["1".into(), "2".into()];
        (0..5_000).for_each(|n| values.insert(&n.to_string().into(), &one));
        let copy = values.clone();
        (0..9_000).for_each(|n| values.insert(&n.to_string().into(), &two));
        assert!((0..5_000).all(|n| copy.get(&n.to_string()) == Some(&one)));
        assert_eq!(copy.get("5000"), None);
        assert!((0..9_000).all(|n| values.get(&n.to_string()) == Some(&two)));
    }
}
