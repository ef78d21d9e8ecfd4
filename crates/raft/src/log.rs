//! The replicated log (paper, 5.3): entries at consecutive indexes, with terms
//! that never decrease.

use std::collections::VecDeque;

use super::types::{Command, Entry, Index, Payload, Term};

/// A replica's copy of the log.
///
/// Invariants: `entries[i].index == base_index + 1 + i`; terms never decrease. The log keeps only
/// the term of the entry at `base_index`: 0 and 0 for a log that starts at the beginning.
/// `durable_index <= last_index()`, and the disk has every entry up to it as it stands here.
#[derive(Clone, Debug)]
pub struct Log<C> {
    base_index: Index,
    base_term: Term,
    entries: Vec<Entry<C>>,
    changed_from: Option<Index>, // the first index that differs from the changes handed out for the disk
    durable_index: Index,
    unsynced: VecDeque<(u64, Index)>, // changes not on disk yet: number, last index that is still valid
}

/// A follower's answer to a leader whose `prev_log_index` it cannot match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConflictHint {
    /// Term of the entry at that index; 0 if the log ends before it.
    pub term: Term,
    /// First index of that term, or the index after the last entry.
    pub index: Index,
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        let (entries, unsynced) = (Vec::new(), VecDeque::new());
        Self { base_index: 0, base_term: 0, entries, changed_from: None, durable_index: 0, unsynced }
    }
}

impl<C: Command> Log<C> {
    /// The log that a disk has, from index 1.
    pub fn restore(entries: Vec<Entry<C>>) -> Self {
        let durable_index = entries.len() as Index;
        Self { entries, durable_index, ..Self::default() }
    }

    /// Index of the last entry; `base_index` if there is none.
    pub fn last_index(&self) -> Index {
        self.base_index + self.entries.len() as Index
    }

    /// Term of the last entry.
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.base_term, |entry| entry.term)
    }

    /// The term of the entry at `index`; `None` where the log has none. Index 0 has term 0.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base_index {
            return Some(self.base_term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entry at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        let offset = index.checked_sub(self.base_index + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Whether a log that ends with this entry is at least as up to date as this one (paper,
    /// 5.4.1).
    pub fn is_up_to_date(&self, last_index: Index, last_term: Term) -> bool {
        (last_term, last_index) >= (self.last_term(), self.last_index())
    }

    /// Appends a new entry of the leader's and returns its index.
    pub fn append(&mut self, term: Term, payload: Payload<C>) -> Index {
        let index = self.last_index() + 1;
        self.entries.push(Entry { index, term, payload });
        self.note_change(index);
        index
    }

    fn note_change(&mut self, index: Index) {
        self.changed_from = Some(self.changed_from.map_or(index, |from| from.min(index)));
    }

    /// The first of `entries` that contradicts the log: same index, other term (paper, figure 2).
    fn find_conflict(&self, entries: &[Entry<C>]) -> Option<Index> {
        entries
            .iter()
            .find(|entry| self.term_at(entry.index).is_some_and(|term| term != entry.term))
            .map(|entry| entry.index)
    }

    /// Stores entries that follow an entry of this log. Entries that the log has already stay
    /// untouched, and so do the entries after them. A delayed or repeated append shows a shorter
    /// log than the leader's present one, and this replica may have acknowledged later entries
    /// since. Only a conflict cuts off the rest (paper, figure 2). Returns false, and changes
    /// nothing, if that would cut off an entry up to `committed`.
    pub fn store(&mut self, entries: Vec<Entry<C>>, committed: Index) -> bool {
        match self.find_conflict(&entries) {
            Some(conflict) if conflict <= committed => return false,
            Some(conflict) => self.truncate(conflict - 1),
            None => {}
        }
        let last = self.last_index();
        let known = self.entries.len();
        self.entries.extend(entries.into_iter().filter(|entry| entry.index > last));
        if self.entries.len() > known {
            self.note_change(last + 1);
        }
        true
    }

    /// Cuts off all entries after `last`. The copies of them on disk or on their way there no
    /// longer count as durable.
    fn truncate(&mut self, last: Index) {
        self.entries.truncate((last - self.base_index) as usize);
        self.note_change(last + 1);
        self.durable_index = self.durable_index.min(last);
        for (_, index) in &mut self.unsynced {
            *index = last.min(*index);
        }
    }

    /// Whether a change was not handed out for the disk yet.
    pub fn has_changed(&self) -> bool {
        self.changed_from.is_some()
    }

    /// Hands out, under this number, the entries that the disk lacks: the first index that differs,
    /// and all entries from there on.
    pub fn take_unstable(&mut self, number: u64) -> (Index, Vec<Entry<C>>) {
        let last = self.last_index();
        self.unsynced.push_back((number, last));
        let first = self.changed_from.take().unwrap_or(last + 1);
        (first, self.entries[(first - self.base_index - 1) as usize..].to_vec())
    }

    /// Takes all entries for durable, because the driver has no disk.
    pub(super) fn keep_in_memory(&mut self) {
        self.changed_from = None;
        self.unsynced.clear();
        self.durable_index = self.last_index();
    }

    /// The changes that were handed out under the numbers up to this one are on disk.
    pub fn persisted(&mut self, number: u64) {
        while let Some(&(_, last)) = self.unsynced.front().filter(|(n, _)| *n <= number) {
            self.durable_index = last;
            self.unsynced.pop_front();
        }
    }

    /// The last index up to which the disk is known to have this log.
    pub fn durable_index(&self) -> Index {
        self.durable_index
    }

    /// The entries `from ..= to`, as many as fit into `budget_bytes` by `entry_len`, but at least
    /// one.
    pub fn slice(
        &self,
        from: Index,
        to: Index,
        budget_bytes: usize,
        entry_len: fn(&Entry<C>) -> usize,
    ) -> Vec<Entry<C>> {
        let mut left = budget_bytes;
        let mut slice = Vec::new();
        for index in from..=to {
            let Some(entry) = self.get(index) else { break };
            let bytes = entry_len(entry);
            if bytes > left && !slice.is_empty() {
                break;
            }
            left = left.saturating_sub(bytes);
            slice.push(entry.clone());
        }
        slice
    }

    /// The hint for a leader whose previous entry this log lacks (paper, end of 5.3): the term of
    /// the entry here, and the first index of that term. A leader skips the whole term with one
    /// refusal.
    ///
    /// ```text
    /// index          1  2  3  4  5  6
    /// leader         1  1  3  3  3  4    prev=5@3 is refused in both cases
    /// follower f     1  1  2  2  2  2    its entry there is of term 2: hint=3@2
    /// follower g     1  1                its log ends before:          hint=3@0
    /// leader next    1  1 [3  3  3  4    prev=2@1 matches both
    /// ```
    pub fn conflict_hint(&self, prev_log_index: Index) -> ConflictHint {
        let Some(term) = self.term_at(prev_log_index) else {
            return ConflictHint { term: 0, index: self.last_index() + 1 };
        };
        let before = self.entries.partition_point(|entry| entry.term < term) as Index;
        ConflictHint { term, index: self.base_index + before + 1 }
    }

    /// The last index whose entry has this term.
    pub fn last_index_of_term(&self, term: Term) -> Option<Index> {
        let through = self.entries.partition_point(|entry| entry.term <= term);
        let entry = self.entries.get(through.checked_sub(1)?)?;
        (entry.term == term).then_some(entry.index)
    }

    /// All entries that are kept, in order.
    pub fn entries(&self) -> &[Entry<C>] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Entry, Log};

    /// A log whose entries have these terms.
    fn log(terms: &[Term]) -> Log {
        let mut log = Log::default();
        for &term in terms {
            log.append(term, Payload::Noop);
        }
        log
    }

    fn entries(first: Index, terms: &[Term]) -> Vec<Entry> {
        let entry =
            |(i, &term): (usize, &Term)| Entry { index: first + i as Index, term, payload: Payload::Noop };
        terms.iter().enumerate().map(entry).collect()
    }

    fn terms(log: &Log) -> Vec<Term> {
        log.entries().iter().map(|entry| entry.term).collect()
    }

    #[test]
    fn repeated_append_cuts_nothing_off() {
        let mut log = log(&[1, 1, 2, 2]);
        assert!(log.store(entries(2, &[1, 2]), 0));
        assert_eq!(terms(&log), [1, 1, 2, 2]);
    }

    #[test]
    fn conflict_cuts_off_the_entry_and_all_that_follow() {
        let mut log = log(&[1, 1, 2, 2]);
        assert!(log.store(entries(2, &[1, 3]), 0));
        assert_eq!(terms(&log), [1, 1, 3]);
    }

    #[test]
    fn committed_entry_is_not_cut_off() {
        let mut log = log(&[1, 1, 2, 2]);
        assert!(!log.store(entries(2, &[1, 3]), 3));
        assert_eq!(terms(&log), [1, 1, 2, 2]);
        assert!(log.store(entries(2, &[1, 3]), 2));
        assert_eq!(terms(&log), [1, 1, 3]);
    }

    #[test]
    fn new_entries_are_stored_after_known_ones() {
        let mut log = log(&[1, 1]);
        assert!(log.store(entries(2, &[1, 3, 3]), 0));
        assert_eq!(terms(&log), [1, 1, 3, 3]);
    }

    #[test]
    fn log_with_the_later_last_term_is_up_to_date_then_the_longer_one() {
        let log = log(&[1, 2, 2]);
        assert!(log.is_up_to_date(1, 3));
        assert!(log.is_up_to_date(3, 2));
        assert!(!log.is_up_to_date(2, 2));
        assert!(!log.is_up_to_date(9, 1));
    }

    #[test]
    fn restored_log_is_durable_and_unchanged() {
        assert_eq!(Log::restore(entries(1, &[1, 1, 2])).durable_index(), 3);
        assert!(!Log::restore(entries(1, &[1, 1, 2])).has_changed());
    }

    #[test]
    fn entry_is_durable_when_the_change_that_carries_it_is_on_disk() {
        let mut log = log(&[1, 1]);
        assert_eq!(log.take_unstable(1), (1, entries(1, &[1, 1])));
        assert!(!log.has_changed());
        log.append(1, Payload::Noop);
        assert!(log.has_changed());
        assert_eq!(log.take_unstable(2), (3, entries(3, &[1])));
        assert_eq!(log.take_unstable(3), (4, vec![]));
        assert_eq!(log.durable_index(), 0);
        log.persisted(1);
        assert_eq!(log.durable_index(), 2);
        log.persisted(3);
        assert_eq!(log.durable_index(), 3);
    }

    #[test]
    fn repeated_entry_is_not_handed_out_again() {
        let mut log = log(&[1, 1]);
        log.take_unstable(1);
        assert!(log.store(entries(1, &[1, 1]), 0));
        assert!(!log.has_changed());
        assert!(log.store(entries(2, &[1, 1]), 0));
        assert_eq!(log.take_unstable(2), (3, entries(3, &[1])));
    }

    #[test]
    fn entry_that_was_cut_off_is_not_durable_even_if_the_disk_has_it() {
        let mut log = log(&[1, 1, 1, 1]);
        log.take_unstable(1);
        log.persisted(1);
        log.append(1, Payload::Noop);
        log.take_unstable(2);
        assert!(log.store(entries(3, &[2]), 0));
        assert_eq!(log.durable_index(), 2);
        log.append(2, Payload::Noop);
        assert_eq!(log.take_unstable(3), (3, entries(3, &[2, 2])));
        log.persisted(2);
        assert_eq!(log.durable_index(), 2, "the disk has the entry that was cut off");
        log.persisted(3);
        assert_eq!(log.durable_index(), 4);
    }

    #[test]
    fn conflict_hint_names_the_term_and_its_first_index() {
        let log = log(&[1, 4, 4, 4]);
        assert_eq!(log.conflict_hint(3), ConflictHint { term: 4, index: 2 });
        assert_eq!(log.conflict_hint(9), ConflictHint { term: 0, index: 5 });
        assert_eq!(log.last_index_of_term(4), Some(4));
        assert_eq!(log.last_index_of_term(1), Some(1));
        assert_eq!(log.last_index_of_term(3), None);
    }

    #[test]
    fn slice_stays_within_its_budget_but_has_at_least_one_entry() {
        let log = log(&[1; 10]);
        assert_eq!(log.slice(3, 10, 40, |_| 10).len(), 4);
        assert_eq!(log.slice(3, 5, 1000, |_| 10).len(), 3);
        assert_eq!(log.slice(3, 10, 5, |_| 10).len(), 1);
        assert_eq!(log.slice(11, 10, 5, |_| 10).len(), 0);
    }
}
