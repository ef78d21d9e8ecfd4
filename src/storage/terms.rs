//! The terms of the log's entries, in little space: one run of entries per term.

use raft::types::{EntryId, Index, Term};

/// The terms of the entries that the log has, and of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The entry before the first.
    base: EntryId,
    /// The first index of each run, and its term; in order, both rise. The first run may begin
    /// before the base.
    runs: Vec<(Index, Term)>,
    /// The last index; `base.index` if there is no entry.
    last_index: Index,
}

impl Terms {
    /// A log without entries.
    pub fn new(base: EntryId) -> Self {
        Self { base, runs: Vec::new(), last_index: base.index }
    }

    /// The entry before the first.
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// The last entry.
    pub fn last(&self) -> EntryId {
        match self.runs.last() {
            Some(&(_, term)) if self.last_index > self.base.index => EntryId { index: self.last_index, term },
            _ => self.base,
        }
    }

    /// The name of the entry with this index, if the log has it.
    pub fn get(&self, index: Index) -> Option<EntryId> {
        if index == self.base.index {
            return Some(self.base);
        }
        let is_there = (self.base.index..=self.last_index).contains(&index);
        let after = is_there.then(|| self.runs.partition_point(|&(first, _)| first <= index))?;
        self.runs.get(after.checked_sub(1)?).map(|&(_, term)| EntryId { index, term })
    }

    /// Whether this entry can come next.
    pub fn can_push(&self, id: EntryId) -> bool {
        id.index == self.last_index + 1 && id.term >= self.last().term
    }

    /// Appends an entry.
    pub fn push(&mut self, id: EntryId) {
        debug_assert!(self.can_push(id), "{id:?} behind {:?}", self.last());
        if self.runs.last().is_none_or(|&(_, term)| term != id.term) {
            self.runs.push((id.index, id.term));
        }
        self.last_index = id.index;
    }

    /// Drops all entries with greater indexes. The entry at `last_index` must be there.
    pub fn truncate(&mut self, last_index: Index) {
        debug_assert!((self.base.index..=self.last_index).contains(&last_index));
        self.last_index = last_index;
        let kept = self.runs.partition_point(|&(first, _)| first <= last_index);
        self.runs.truncate(kept);
    }

    /// Forgets the entries up to this index, if the log has it.
    pub fn compact(&mut self, index: Index) {
        let Some(base) = self.get(index) else { return };
        self.base = base;
        let gone = self.runs.partition_point(|&(first, _)| first <= index + 1).saturating_sub(1);
        self.runs.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries from index 1 on.
    fn terms(terms: &[Term]) -> Terms {
        let mut log = Terms::new(EntryId::default());
        for (at, &term) in terms.iter().enumerate() {
            log.push(EntryId { index: at as u64 + 1, term });
        }
        log
    }

    #[test]
    fn term_of_each_entry_is_known() {
        let all = [1, 1, 2, 5, 5, 5];
        for length in 0..=all.len() {
            for base in 0..=length {
                let mut log = terms(&all);
                log.truncate(length as u64);
                log.compact(base as u64);
                for index in 0..=all.len() {
                    let term = if index == 0 { 0 } else { all[index - 1] };
                    let expected =
                        (base..=length).contains(&index).then_some(EntryId { index: index as u64, term });
                    assert_eq!(log.get(index as u64), expected, "{base}..={length}: {index}");
                }
                assert_eq!(Some(log.last()), log.get(length as u64));
                assert_eq!(Some(log.base()), log.get(base as u64));
            }
        }
    }

    #[test]
    fn entry_continues_the_log_only_at_its_end_and_in_no_earlier_term() {
        let log = terms(&[1, 3]);
        for (index, term, can) in [(3, 3, true), (3, 4, true), (3, 2, false), (2, 3, false), (4, 3, false)] {
            assert_eq!(log.can_push(EntryId { index, term }), can, "{index}@{term}");
        }
    }
}
