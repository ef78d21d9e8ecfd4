//! A disk, as far as a crash can tell. A crash keeps every change that was written and synced. Of
//! the changes that were written and not synced it keeps some prefix, perhaps none.

use std::collections::VecDeque;

use fastrand::Rng;
use raft::types::{Index, Term};

use crate::micros::Micros;
use crate::replication::{Persist, PersistentState};

/// One replica's disk.
#[derive(Debug, Default)]
pub struct Disk {
    durable: PersistentState,
    written: VecDeque<Persist>, // not synced yet, oldest first
    syncing: usize,             // how many of these the current sync covers
    syncs: u64,                 // how many syncs were started
    slowness_us: Vec<Micros>,   // of the current faults
}

/// The damage that a crash did to a disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    /// The number of changes that were written and are lost.
    pub lost: usize,
    /// Whether one of them was cut in the middle.
    pub torn: bool,
}

impl Disk {
    /// The state that every crash keeps.
    pub fn durable(&self) -> &PersistentState {
        &self.durable
    }

    /// The term of the entry at `index` in the log that every crash keeps.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let base = self.durable.base;
        if index == base.index { Some(base.term) } else { self.durable.get(index).map(|entry| entry.term) }
    }

    /// Whether a snapshot that every crash keeps covers the entry at `index`.
    pub fn covers(&self, index: Index) -> bool {
        index <= self.durable.snapshot.index
    }

    /// Takes a change. Returns true if a sync must be started for it. Otherwise a sync is in
    /// progress, and the next one covers the change.
    pub fn write(&mut self, persist: Persist) -> bool {
        self.written.push_back(persist);
        self.start_sync()
    }

    /// The number of the current sync, or else of the last one.
    pub fn sync_number(&self) -> u64 {
        self.syncs
    }

    /// The least time of a sync, in microseconds.
    pub fn slowness_us(&self) -> Micros {
        self.slowness_us.iter().copied().max().unwrap_or(0)
    }

    /// A fault begins that makes each sync take at least so many microseconds.
    pub fn slow_down(&mut self, least_us: Micros) {
        self.slowness_us.push(least_us);
    }

    /// The fault ends. Returns true if a sync is in progress that the fault may have slowed down.
    /// That sync has another number from now on.
    pub fn speed_up(&mut self, least_us: Micros) -> bool {
        if let Some(position) = self.slowness_us.iter().position(|&slow| slow == least_us) {
            self.slowness_us.swap_remove(position);
        }
        self.slowness_us.is_empty() && self.end_sync()
    }

    /// Every fault ends. Returns true if a sync is in progress that one of them may have slowed
    /// down. Its number changes.
    pub fn heal(&mut self) -> bool {
        let was_slow = !self.slowness_us.is_empty();
        self.slowness_us.clear();
        was_slow && self.end_sync()
    }

    fn end_sync(&mut self) -> bool {
        let ends = self.syncing > 0;
        self.syncs += u64::from(ends);
        ends
    }

    fn start_sync(&mut self) -> bool {
        let starts = self.syncing == 0 && !self.written.is_empty();
        if starts {
            self.syncing = self.written.len();
            self.syncs += 1;
        }
        starts
    }

    /// A sync has ended. Returns the number of the last change that it covered, and whether another
    /// one starts.
    pub fn synced(&mut self) -> (u64, bool) {
        let mut number = 0;
        for persist in self.written.drain(..self.syncing) {
            number = persist.number;
            persist.apply_to(&mut self.durable);
        }
        self.syncing = 0;
        (number, self.start_sync())
    }

    /// The power fails. The disk has processed some prefix of its writes, in their order. A change
    /// consists of its term and vote, then its cut of the log, then one entry after the other.
    pub fn crash(&mut self, rng: &mut Rng) -> Damage {
        self.syncing = 0;
        let survive = rng.usize(0..=self.written.len());
        for persist in self.written.drain(..survive) {
            persist.apply_to(&mut self.durable);
        }
        let torn = rng.bool() && !self.written.is_empty();
        if let Some(mut persist) = self.written.pop_front().filter(|_| torn) {
            self.durable.hard_state = persist.hard_state;
            if rng.bool() {
                persist.entries.truncate(rng.usize(0..=persist.entries.len()));
                persist.apply_to(&mut self.durable);
            }
        }
        let lost = self.written.len() + usize::from(torn);
        self.written.clear();
        Damage { lost, torn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::{Entry, Payload};
    use raft::types::HardState;

    fn persist(number: u64, first_index: u64, terms: &[u64]) -> Persist {
        let entry =
            |(i, &term): (usize, &u64)| Entry { index: first_index + i as u64, term, payload: Payload::Noop };
        let hard_state = HardState { current_term: number, voted_for: None };
        Persist {
            number,
            hard_state,
            base: None,
            first_index,
            entries: terms.iter().enumerate().map(entry).collect(),
        }
    }

    fn terms(disk: &Disk) -> Vec<u64> {
        disk.durable().entries.iter().map(|entry| entry.term).collect()
    }

    #[test]
    fn sync_covers_the_changes_that_were_written_before_it_began() {
        let mut disk = Disk::default();
        assert!(disk.write(persist(1, 1, &[1])));
        assert!(!disk.write(persist(2, 2, &[1])));
        assert!(terms(&disk).is_empty());
        assert_eq!(disk.synced(), (1, true));
        assert_eq!(terms(&disk), [1]);
        assert_eq!(disk.synced(), (2, false));
        assert_eq!(terms(&disk), [1, 1]);
    }

    #[test]
    fn end_of_slowness_ends_the_current_sync() {
        let mut disk = Disk::default();
        disk.slow_down(50);
        disk.slow_down(70);
        assert_eq!(disk.slowness_us(), 70);
        assert!(disk.write(persist(1, 1, &[1])));
        let slow = disk.sync_number();
        assert!(!disk.speed_up(70), "the other fault lasts");
        assert!(disk.speed_up(50) && disk.sync_number() != slow);
        assert_eq!((disk.slowness_us(), disk.synced()), (0, (1, false)));
        disk.slow_down(50);
        assert!(!disk.speed_up(50), "no sync is in progress");
    }

    #[test]
    fn crash_keeps_synced_changes_and_some_prefix_of_the_rest() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut disk = Disk::default();
            disk.write(persist(1, 1, &[1, 1]));
            disk.synced();
            disk.write(persist(2, 2, &[2, 2]));
            disk.crash(&mut Rng::with_seed(seed));
            outcomes.insert((disk.durable().hard_state.current_term, terms(&disk)));
        }
        let expected = [(1, vec![1, 1]), (2, vec![1]), (2, vec![1, 1]), (2, vec![1, 2]), (2, vec![1, 2, 2])];
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), expected);
    }
}
