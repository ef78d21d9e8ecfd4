//! The deadlines of keys in their order, and the time by which a key has expired.
//!
//! The number of keys whose deadline has passed is known, so the number of keys that exist is.

use std::cmp::Ordering;

use equivalent::{Comparable, Equivalent};
use imbl::OrdSet;

use super::counts::Counts;
use super::keys::{Place, Wanted};
use crate::operation::UnixMillis;

/// The deadlines, and the state machine's time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deadlines {
    order: OrdSet<Due>,
    counts: Counts,   // of the deadlines in `order`
    time: UnixMillis, // never decreases
    passed: usize,    // how many deadlines in `order` are not after `time`
}

/// A key at its deadline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    deadline: UnixMillis,
    place: Place,
}

/// The deadline of a key that is looked for.
struct WantedDue<'a>(UnixMillis, Wanted<'a>);

/// Stands after all deadlines up to this time.
struct Until(UnixMillis);

impl Equivalent<Due> for WantedDue<'_> {
    fn equivalent(&self, due: &Due) -> bool {
        self.compare(due) == Ordering::Equal
    }
}

impl Comparable<Due> for WantedDue<'_> {
    fn compare(&self, due: &Due) -> Ordering {
        self.0.cmp(&due.deadline).then_with(|| self.1.compare(&due.place))
    }
}

impl Equivalent<Due> for Until {
    fn equivalent(&self, _: &Due) -> bool {
        false
    }
}

impl Comparable<Due> for Until {
    fn compare(&self, due: &Due) -> Ordering {
        self.0.cmp(&due.deadline).then(Ordering::Greater)
    }
}

impl Deadlines {
    /// The time.
    pub fn time(&self) -> UnixMillis {
        self.time
    }

    /// How many keys have expired and are still there.
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// The earliest deadline.
    pub fn first(&self) -> Option<UnixMillis> {
        self.order.get_min().map(|due| due.deadline)
    }

    /// The key that expired first and is still there.
    pub fn first_passed(&self) -> Option<Place> {
        let due = self.order.get_min().filter(|due| due.deadline <= self.time);
        due.map(|due| due.place.clone())
    }

    /// Whether a key that exists at the state machine's time has expired by `now`.
    pub fn any_until(&self, now: UnixMillis) -> bool {
        now > self.time && self.order.range(Until(self.time)..Until(now)).next().is_some()
    }

    /// Moves the time forward.
    pub fn advance(&mut self, time: UnixMillis) {
        if time > self.time {
            if !self.order.is_empty() {
                self.passed += self.counts.between(self.time + 1, time);
            }
            self.time = time;
        }
    }

    /// Adds a key at a deadline that has not passed.
    pub fn insert(&mut self, deadline: UnixMillis, place: Place) {
        debug_assert!(deadline > self.time);
        self.order.insert(Due { deadline, place });
        self.counts.add(deadline);
    }

    /// Adds a key that had this deadline before, which may have passed.
    pub fn restore(&mut self, deadline: UnixMillis, place: Place) {
        self.order.insert(Due { deadline, place });
        self.counts.add(deadline);
        self.passed += usize::from(deadline <= self.time);
    }

    /// Takes a key away.
    pub fn remove(&mut self, deadline: UnixMillis, wanted: Wanted<'_>) {
        let removed = self.order.remove(&WantedDue(deadline, wanted));
        debug_assert!(removed.is_some());
        self.counts.remove(deadline);
        self.passed -= usize::from(deadline <= self.time);
    }

    /// Takes the key with the latest deadline away, and returns whether there was one.
    pub fn pop(&mut self) -> bool {
        let Some(due) = self.order.remove_max() else { return false };
        self.counts.remove(due.deadline);
        self.passed -= usize::from(due.deadline <= self.time);
        true
    }

    /// Takes all keys away, and returns them.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self { time: self.time, ..Self::default() })
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;

    #[test]
    fn deadline_has_passed_when_the_time_reaches_it() {
        let keys: Vec<Bytes> = (0..1_000).map(|n: i64| n.to_string().into()).collect();
        let mut deadlines = Deadlines::default();
        for (n, key) in (1_i64..).zip(&keys) {
            deadlines.insert(n / 2 + 1, Wanted::of(key).place());
        }
        for time in [0, 1, 2, 7, 7, 3, 400] {
            deadlines.advance(time);
            let expected = (1..=1_000).filter(|n| n / 2 < deadlines.time()).count();
            assert_eq!(deadlines.passed(), expected, "{time}");
        }
        assert_eq!(deadlines.time(), 400);
        assert!(!deadlines.any_until(400) && deadlines.any_until(401) && !deadlines.any_until(0));
        let mut removed = 0;
        while let Some(place) = deadlines.first_passed() {
            let deadline = deadlines.first().expect("it has passed");
            deadlines.remove(deadline, place.wanted());
            removed += 1;
        }
        assert_eq!((removed, deadlines.passed(), deadlines.first()), (799, 0, Some(401)));
    }
}
