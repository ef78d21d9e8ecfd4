use super::*;
use crate::harness::{Entry, Log, Put};

/// A log whose entries have these terms.
fn log(terms: &[Term]) -> Log {
    let mut log = Log::new(|_| 10);
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

fn unstable(first_index: Index, terms: &[Term]) -> Unstable<Put> {
    Unstable { base: None, first_index, entries: entries(first_index, terms) }
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
    let restored = Log::restore(EntryId { index: 6, term: 1 }, entries(7, &[1, 1, 2]), |_| 10);
    assert_eq!((restored.durable_index(), restored.has_changed()), (9, false));
}

#[test]
fn entry_is_durable_when_the_change_that_carries_it_is_on_disk() {
    let mut log = log(&[1, 1]);
    assert_eq!(log.take_unstable(1), unstable(1, &[1, 1]));
    assert!(!log.has_changed());
    log.append(1, Payload::Noop);
    assert!(log.has_changed());
    assert_eq!(log.take_unstable(2), unstable(3, &[1]));
    assert_eq!(log.take_unstable(3), unstable(4, &[]));
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
    assert_eq!(log.take_unstable(2), unstable(3, &[1]));
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
    assert_eq!(log.take_unstable(3), unstable(3, &[2, 2]));
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
/// A log with entries 4 to 8 of terms 1, 2, 2, 3, 3 after its base 3@1.
fn compacted() -> Log {
    let mut log = log(&[1, 1, 1, 1, 2, 2, 3, 3]);
    log.take_unstable(1);
    log.compact(3);
    log
}

#[test]
fn compacted_index_has_no_term_but_the_base_has_one() {
    let log = compacted();
    assert_eq!(log.base(), EntryId { index: 3, term: 1 });
    assert_eq!(
        [2, 3, 4, 9].map(|index| log.term_at(index)),
        [Err(Absent::Compacted), Ok(1), Ok(1), Err(Absent::Missing)]
    );
    assert_eq!((log.get(3), log.get(4).map(|entry| entry.index)), (None, Some(4)));
    assert_eq!((log.last_index(), log.last_term(), terms(&log).len()), (8, 3, 5));
    assert_eq!((log.slice(2, 8, 100, |_| 10).len(), log.slice(4, 8, 100, |_| 10).len()), (0, 5));
}

#[test]
fn log_may_lose_all_its_entries_and_goes_on_behind_them() {
    let mut log = compacted();
    log.compact(8);
    assert_eq!((log.base(), log.last_index(), log.last_term()), (EntryId { index: 8, term: 3 }, 8, 3));
    log.compact(5);
    assert_eq!(log.append(4, Payload::Noop), 9);
    assert_eq!(log.take_unstable(2), unstable(9, &[4]));
    log.compact(12);
    assert_eq!(log.last_index(), 9, "the log has no entry 12");
}

#[test]
fn compacted_entries_count_as_durable() {
    let mut log = compacted();
    assert_eq!(log.durable_index(), 3);
    log.compact(8);
    assert_eq!(log.durable_index(), 8);
    log.persisted(1);
    assert_eq!(log.durable_index(), 8);
}

#[test]
fn append_that_begins_before_the_base_brings_only_later_entries() {
    let mut log = compacted();
    assert!(log.store(entries(2, &[1, 1, 1, 2, 2, 3, 3, 3]), 3));
    assert_eq!((log.base().index, terms(&log)), (3, vec![1, 2, 2, 3, 3, 3]));
    assert!(!log.store(entries(2, &[1, 2]), 3), "it contradicts the base");
}

#[test]
fn hints_end_at_the_base() {
    let log = compacted();
    assert_eq!(log.conflict_hint(4), ConflictHint { term: 1, index: 4 });
    assert_eq!(log.conflict_hint(8), ConflictHint { term: 3, index: 7 });
    assert_eq!((log.last_index_of_term(1), log.last_index_of_term(0)), (Some(4), None));
}

#[test]
fn bytes_are_those_of_the_entries_that_are_kept() {
    let mut log = compacted();
    assert_eq!([0, 3, 4, 8, 9].map(|index| log.bytes_after(index)), [50, 50, 40, 0, 0]);
    assert!(log.store(entries(6, &[4]), 3));
    assert_eq!((log.bytes_after(0), log.bytes_after(5)), (30, 10));
}

#[test]
fn snapshot_leaves_a_log_that_has_its_last_entry() {
    let mut log = compacted();
    log.install(EntryId { index: 6, term: 2 });
    assert_eq!((log.base().index, terms(&log).len(), log.has_changed()), (3, 5, false));
    log.install(EntryId { index: 2, term: 1 });
    assert_eq!((log.base().index, terms(&log).len(), log.has_changed()), (3, 5, false));
}

#[test]
fn snapshot_replaces_a_log_that_has_another_entry_at_its_index_or_none() {
    for snapshot in [EntryId { index: 6, term: 3 }, EntryId { index: 20, term: 3 }] {
        let mut log = compacted();
        log.append(3, Payload::Noop);
        log.install(snapshot);
        assert_eq!((log.base(), log.last_index()), (snapshot, snapshot.index));
        assert_eq!(log.durable_index(), snapshot.index);
        log.persisted(1);
        assert_eq!(log.durable_index(), snapshot.index, "the disk has the entries that were replaced");
        log.append(4, Payload::Noop);
        let first_index = snapshot.index + 1;
        let handed_out = Unstable { base: Some(snapshot), ..unstable(first_index, &[4]) };
        assert_eq!(log.take_unstable(2), handed_out);
        assert_eq!(log.durable_index(), snapshot.index);
        log.persisted(2);
        assert_eq!(log.durable_index(), first_index);
    }
}
