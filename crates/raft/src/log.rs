//! The replicated log (paper, 5.3): entries at consecutive indexes, with terms that never decrease.
//!
//! The log may begin anywhere. A snapshot of the state machine stands for the entries that were
//! compacted away (paper, 7), and the log keeps the name of the last of them, its *base*:
//!
//! ```text
//! index            1  2  3  4  5  6  7  8  9
//! term             1  1  1  2  2  2  2  3  3
//! compacted        x  x  x
//! base                   ^ 3@1
//! snapshot covers  x  x  x  x  x              the log keeps 4 and 5 for followers that are slow
//! entries                   2  2  2  2  3  3
//! ```

use std::collections::VecDeque;

use super::types::{Command, Entry, EntryId, Index, Payload, Term};

/// A replica's copy of the log.
///
/// Invariants: `entries[i].index == base.index + 1 + i`; terms never decrease; `ends[i]` are the
/// bytes of `entries[..= i]` and of some entries before them. Every entry up to `base` is committed.
/// `base.index <= durable_index <= last_index()`, and the disk has every entry up to
/// `durable_index` as it stands here, or a snapshot that covers it.
#[derive(Clone, Debug)]
pub struct Log<C> {
    base: EntryId, // the entry before the first one; 0@0 for a log from the beginning
    entries: Vec<Entry<C>>,
    ends: Vec<u64>, // where each entry ends if all are laid in a row
    start: u64,     // where the first entry begins in this row
    weigh: fn(&Entry<C>) -> usize,
    is_replaced: bool, // whether a snapshot has replaced the log since changes were handed out for the disk
    changed_from: Option<Index>, // the first index that differs from the changes handed out for the disk
    durable_index: Index,
    unsynced: VecDeque<(u64, Index)>, // changes not on disk yet: number, last index that is still valid
}

/// Why the log does not know the term of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The index is before the base: a snapshot covers it, and it is committed.
    Compacted,
    /// The index is after the last entry.
    Missing,
}

/// A follower's answer to a leader whose `prev_log_index` it cannot match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConflictHint {
    /// Term of the entry at that index; 0 if the log ends before it.
    pub term: Term,
    /// First index of that term after the base, or the index after the last entry.
    pub index: Index,
}

impl<C: Command> Log<C> {
    /// An empty log from the beginning. `weigh` is the number of bytes that an entry takes in
    /// memory.
    pub fn new(weigh: fn(&Entry<C>) -> usize) -> Self {
        Self::restore(EntryId::default(), Vec::new(), weigh)
    }

    /// The log that a disk has: the entries after `base`.
    pub fn restore(base: EntryId, entries: Vec<Entry<C>>, weigh: fn(&Entry<C>) -> usize) -> Self {
        let mut log = Self {
            base,
            entries: Vec::new(),
            ends: Vec::new(),
            start: 0,
            weigh,
            is_replaced: false,
            changed_from: None,
            durable_index: base.index + entries.len() as Index,
            unsynced: VecDeque::new(),
        };
        entries.into_iter().for_each(|entry| log.push(entry));
        log
    }

    fn push(&mut self, entry: Entry<C>) {
        let end = self.end() + (self.weigh)(&entry) as u64;
        self.entries.push(entry);
        self.ends.push(end);
    }

    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(self.start)
    }

    /// The entry before the first one that is kept; 0@0 for a log from the beginning.
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// The last entry; the base if there is none.
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, Entry::id)
    }

    /// Index of the last entry; that of the base if there is none.
    pub fn last_index(&self) -> Index {
        self.base.index + self.entries.len() as Index
    }

    /// Term of the last entry.
    pub fn last_term(&self) -> Term {
        self.last().term
    }

    /// The term of the entry at `index`.
    ///
    /// # Errors
    ///
    /// Why the log does not know it. Index 0 has term 0 in a log from the beginning.
    pub fn term_at(&self, index: Index) -> Result<Term, Absent> {
        if index == self.base.index {
            return Ok(self.base.term);
        }
        let absent = if index < self.base.index { Absent::Compacted } else { Absent::Missing };
        self.get(index).map(|entry| entry.term).ok_or(absent)
    }

    /// Whether the log has this entry, or has it as its base.
    pub fn contains(&self, id: EntryId) -> bool {
        self.term_at(id.index) == Ok(id.term)
    }

    /// The entry at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        let offset = index.checked_sub(self.base.index + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// How many bytes of memory the entries after `index` take that are kept.
    pub fn bytes_after(&self, index: Index) -> u64 {
        let before = (index.saturating_sub(self.base.index) as usize).min(self.entries.len());
        self.end() - before.checked_sub(1).map_or(self.start, |last| self.ends[last])
    }

    /// The first index `from` for which the entries `from + 1 ..= index` take at most so many bytes
    /// of memory.
    pub fn start_of_tail(&self, index: Index, bytes: u64) -> Index {
        let kept = (index.saturating_sub(self.base.index) as usize).min(self.entries.len());
        let end = kept.checked_sub(1).map_or(self.start, |last| self.ends[last]);
        let from = self.ends[..kept].partition_point(|&entry_end| end - entry_end > bytes);
        let is_all = end - self.start <= bytes;
        self.base.index + if is_all { 0 } else { (from as Index + 1).min(kept as Index) }
    }

    /// Whether a log that ends with this entry is at least as up to date as this one (paper,
    /// 5.4.1).
    pub fn is_up_to_date(&self, last_index: Index, last_term: Term) -> bool {
        (last_term, last_index) >= (self.last_term(), self.last_index())
    }

    /// Appends a new entry of the leader's and returns its index.
    pub fn append(&mut self, term: Term, payload: Payload<C>) -> Index {
        let index = self.last_index() + 1;
        self.push(Entry { index, term, payload });
        self.note_change(index);
        index
    }

    fn note_change(&mut self, index: Index) {
        self.changed_from = Some(self.changed_from.map_or(index, |from| from.min(index)));
    }

    /// The first of `entries` that contradicts the log: same index, other term (paper, figure 2).
    fn find_conflict(&self, entries: &[Entry<C>]) -> Option<Index> {
        let contradicts = |entry: &&Entry<C>| self.term_at(entry.index).is_ok_and(|term| term != entry.term);
        entries.iter().find(contradicts).map(|entry| entry.index)
    }

    /// Stores entries that follow an entry of this log, or one that was compacted. Entries that the
    /// log has already stay untouched, and so do the entries after them. A delayed or repeated
    /// append shows a shorter log than the leader's present one, and this replica may have
    /// acknowledged later entries since. Only a conflict cuts off the rest (paper, figure 2).
    /// Returns false, and changes nothing, if that would cut off an entry up to `committed`.
    pub fn store(&mut self, entries: Vec<Entry<C>>, committed: Index) -> bool {
        match self.find_conflict(&entries) {
            Some(conflict) if conflict <= committed => return false,
            Some(conflict) => self.truncate(conflict - 1),
            None => {}
        }
        let last = self.last_index();
        entries.into_iter().filter(|entry| entry.index > last).for_each(|entry| self.push(entry));
        if self.last_index() > last {
            self.note_change(last + 1);
        }
        true
    }

    /// Cuts off all entries after `last`. The copies of them on disk or on their way there no
    /// longer count as durable.
    fn truncate(&mut self, last: Index) {
        self.entries.truncate((last - self.base.index) as usize);
        self.ends.truncate(self.entries.len());
        self.note_change(last + 1);
        self.durable_index = self.durable_index.min(last);
        for (_, index) in &mut self.unsynced {
            *index = last.min(*index);
        }
    }

    /// Forgets the entries up to `index`, all of which a snapshot covers and the disk was handed.
    pub fn compact(&mut self, index: Index) {
        let Ok(term) = self.term_at(index) else { return };
        let count = (index - self.base.index) as usize;
        let Some(&start) = count.checked_sub(1).and_then(|last| self.ends.get(last)) else { return };
        debug_assert!(self.changed_from.is_none_or(|from| from > index), "the disk lacks some of these");
        self.base = EntryId { index, term };
        self.entries.drain(..count);
        self.ends.drain(..count);
        self.start = start;
        self.durable_index = self.durable_index.max(index);
        let much_too_large = |capacity: usize, len: usize| capacity > 4 * len.max(1_024);
        if much_too_large(self.entries.capacity(), self.entries.len()) {
            self.entries.shrink_to(2 * self.entries.len());
            self.ends.shrink_to(2 * self.ends.len());
        }
    }

    /// A snapshot on this replica's disk covers the entries up to this one. A log that has the entry
    /// stays as it is. Otherwise all of its entries come before this one or contradict it, and the
    /// log begins anew after it (paper, figure 13).
    pub fn install(&mut self, snapshot: EntryId) {
        if snapshot.index <= self.base.index || self.contains(snapshot) {
            return;
        }
        *self = Self {
            is_replaced: true,
            unsynced: std::mem::take(&mut self.unsynced),
            ..Self::restore(snapshot, Vec::new(), self.weigh)
        };
        for (_, index) in &mut self.unsynced {
            *index = snapshot.index; // the snapshot covers it, and no other entry counts
        }
        self.note_change(snapshot.index + 1);
    }

    /// Whether a change was not handed out for the disk yet.
    pub fn has_changed(&self) -> bool {
        self.changed_from.is_some()
    }

    /// Hands out the changes that the disk lacks, under this number.
    pub fn take_unstable(&mut self, number: u64) -> Unstable<C> {
        let last = self.last_index();
        self.unsynced.push_back((number, last));
        let first_index = self.changed_from.take().unwrap_or(last + 1);
        let base = std::mem::take(&mut self.is_replaced).then_some(self.base);
        let entries = self.entries[(first_index - self.base.index - 1) as usize..].to_vec();
        Unstable { base, first_index, entries }
    }

    /// Takes all entries for durable, because the driver has no disk.
    pub(super) fn keep_in_memory(&mut self) {
        self.changed_from = None;
        self.is_replaced = false;
        self.unsynced.clear();
        self.durable_index = self.last_index();
    }

    /// The changes that were handed out under the numbers up to this one are on disk.
    pub fn persisted(&mut self, number: u64) {
        while let Some(&(_, last)) = self.unsynced.front().filter(|(n, _)| *n <= number) {
            self.durable_index = last.max(self.base.index);
            self.unsynced.pop_front();
        }
    }

    /// The last index up to which the disk is known to have this log, or a snapshot of it.
    pub fn durable_index(&self) -> Index {
        self.durable_index
    }

    /// The entries `from ..= to`, as many as fit into `budget_bytes` by `entry_len`, but at least
    /// one. No entries if `from` was compacted.
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
        let Ok(term) = self.term_at(prev_log_index) else {
            return ConflictHint { term: 0, index: self.last_index() + 1 };
        };
        let before = self.entries.partition_point(|entry| entry.term < term) as Index;
        ConflictHint { term, index: self.base.index + before + 1 }
    }

    /// The last index whose entry has this term, if it was not compacted.
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

/// The changes of a log that its disk lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstable<C> {
    /// A snapshot has replaced the log, which begins after this entry.
    pub base: Option<EntryId>,
    /// The first index that differs.
    pub first_index: Index,
    /// All entries from there on.
    pub entries: Vec<Entry<C>>,
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
