use super::*;
use crate::replication::{Entry, Payload};
use crate::state_machine::StateMachine;

fn persist(number: u64, first_index: u64, terms: &[u64]) -> Persist {
    let entry =
        |(i, &term): (usize, &u64)| Entry { index: first_index + i as u64, term, payload: Payload::Noop };
    let hard_state = HardState { current_term: number, voted_for: None };
    let entries = terms.iter().enumerate().map(entry).collect();
    Persist { number, hard_state, base: None, first_index, entries }
}

fn write(disk: &mut Disk, persist: Persist) -> bool {
    disk.write(Change::Persist(persist)).expect("the disk works")
}

fn terms(disk: &Disk) -> Vec<u64> {
    disk.log().entries.iter().map(|entry| entry.term).collect()
}

fn id(index: Index, term: Term) -> EntryId {
    EntryId { index, term }
}

fn save(disk: &mut Disk, id: EntryId) {
    disk.save(Snapshot { id, state: StateMachine::default() }).expect("the disk works");
}

/// A disk with a log of these terms.
fn with_log(terms: &[u64]) -> Disk {
    let mut disk = Disk::default();
    write(&mut disk, persist(1, 1, terms));
    disk.synced().expect("the disk works");
    disk
}

#[test]
fn sync_covers_the_changes_that_were_written_before_it_began() {
    let mut disk = Disk::default();
    assert!(write(&mut disk, persist(1, 1, &[1])));
    assert!(!write(&mut disk, persist(2, 2, &[1])));
    assert!(terms(&disk).is_empty());
    assert_eq!(disk.synced(), Ok((Some(1), true)));
    assert_eq!(terms(&disk), [1]);
    assert_eq!(disk.synced(), Ok((Some(2), false)));
    assert_eq!(terms(&disk), [1, 1]);
}

#[test]
fn end_of_slowness_ends_the_current_sync_and_the_current_stage() {
    let mut disk = Disk::default();
    disk.slow_down(50);
    disk.slow_down(70);
    assert_eq!(disk.slowness_us(), 70);
    assert!(write(&mut disk, persist(1, 1, &[1])));
    save(&mut disk, id(1, 1));
    let slow = (disk.sync_number(), disk.snapshots().stage_number());
    assert_eq!(disk.speed_up(70), Freed::default(), "the other fault lasts");
    assert_eq!(disk.speed_up(50), Freed { sync: true, saving: true });
    assert!(disk.sync_number() != slow.0 && disk.snapshots().stage_number() != slow.1);
    assert_eq!((disk.slowness_us(), disk.synced()), (0, Ok((Some(1), false))));
    disk.slow_down(50);
    assert_eq!(disk.speed_up(50), Freed { sync: false, saving: true });
}

#[test]
fn crash_keeps_synced_changes_and_some_prefix_of_the_rest() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut disk = with_log(&[1, 1]);
        write(&mut disk, persist(2, 2, &[2, 2]));
        disk.crash(&mut Rng::with_seed(seed));
        outcomes.insert((disk.hard_state().current_term, terms(&disk)));
    }
    let expected = [(1, vec![1, 1]), (2, vec![1]), (2, vec![1, 1]), (2, vec![1, 2]), (2, vec![1, 2, 2])];
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), expected);
}

/// The snapshots that crashes keep if they happen after so many stages of a second snapshot.
fn kept_after(stages: usize) -> Vec<Index> {
    let kept = |seed| {
        let mut disk = with_log(&[1, 1, 1]);
        save(&mut disk, id(1, 1));
        assert_eq!(disk.advance_snapshot(), Ok(None));
        assert_eq!(disk.advance_snapshot(), Ok(Some(id(1, 1))));
        save(&mut disk, id(3, 1));
        (0..stages).for_each(|_| assert!(disk.advance_snapshot().is_ok()));
        disk.crash(&mut Rng::with_seed(seed));
        disk.snapshot().index
    };
    (0..50).map(kept).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[test]
fn crash_keeps_the_earlier_snapshot_until_the_directory_is_synced() {
    assert_eq!([kept_after(0), kept_after(1), kept_after(2)], [vec![1], vec![1, 3], vec![3]]);
}

#[test]
fn snapshot_that_covers_less_replaces_no_other() {
    let mut disk = with_log(&[1, 1, 1]);
    save(&mut disk, id(3, 1));
    save(&mut disk, id(2, 1));
    let saved: Vec<_> = (0..4).map(|_| disk.advance_snapshot().expect("it works")).collect();
    assert_eq!(saved, [None, Some(id(3, 1)), None, Some(id(2, 1))]);
    assert_eq!(disk.snapshot(), id(3, 1));
}

/// A start merges a log of these terms with a snapshot.
fn merged(log: &[u64], snapshot: EntryId) -> (EntryId, usize) {
    let mut disk = with_log(log);
    save(&mut disk, snapshot);
    (0..2).for_each(|_| assert!(disk.advance_snapshot().is_ok()));
    let seen: Vec<_> = (1..=5).map(|index| disk.term_at(index)).collect();
    let persistent = disk.recover().expect("it starts").persistent;
    assert_eq!(disk.recover().expect("it starts again").persistent, persistent);
    let found: Vec<_> = (1..=5).map(|index| disk.term_at(index)).collect();
    assert_eq!(found, seen, "the start changes nothing that counts");
    (persistent.base, persistent.entries.len())
}

#[test]
fn start_keeps_a_log_that_has_the_last_entry_of_the_snapshot_and_no_other() {
    assert_eq!(merged(&[1, 1, 1], id(2, 1)), (id(0, 0), 3));
    assert_eq!(merged(&[1, 1, 1], id(2, 2)), (id(2, 2), 0), "it contradicts the snapshot");
    assert_eq!(merged(&[1], id(3, 1)), (id(3, 1), 0), "it ends before the snapshot does");
}

#[test]
fn start_is_refused_if_entries_are_missing_between_snapshot_and_log() {
    let mut disk = with_log(&[1, 1, 1]);
    disk.write(Change::Compact(id(2, 1))).expect("the disk works");
    assert_eq!(disk.synced(), Ok((None, false)));
    let refusal = Refusal::Gap { snapshot: id(0, 0), base: id(2, 1) };
    assert_eq!(disk.recover().map(|_| ()), Err(refusal));
    assert_eq!(refusal.to_string(), "the snapshot ends with 0@0 and the log begins after 2@1");
}

#[test]
fn damage_is_found_by_the_next_start() {
    let found = |disk: &mut Disk, seed| {
        disk.damage(&mut Rng::with_seed(seed));
        disk.recover().map(|_| ())
    };
    assert_eq!(found(&mut Disk::default(), 1), Ok(()), "there is nothing to damage");
    let refusals: std::collections::BTreeSet<String> = (0..50)
        .map(|seed| {
            let mut disk = with_log(&[1, 1]);
            save(&mut disk, id(2, 1));
            (0..2).for_each(|_| assert!(disk.advance_snapshot().is_ok()));
            found(&mut disk, seed).expect_err("damaged").to_string()
        })
        .collect();
    let expected =
        ["entry 1 of the log is damaged", "entry 2 of the log is damaged", "the snapshot 2@1 is damaged"];
    assert_eq!(refusals.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn operations_fail_while_a_fault_lasts() {
    for trouble in [Trouble::Full, Trouble::Write, Trouble::Sync] {
        let mut disk = with_log(&[1]);
        save(&mut disk, id(1, 1));
        disk.begin_trouble(trouble);
        let writes = disk.write(Change::Persist(persist(2, 2, &[1])));
        let syncs = disk.synced();
        assert_eq!(
            (writes.is_err(), syncs.is_err()),
            match trouble {
                Trouble::Full | Trouble::Write => (true, false),
                Trouble::Sync => (false, true),
            }
        );
        assert_eq!(disk.advance_snapshot(), Err(Failed(trouble)));
        disk.crash(&mut Rng::with_seed(1));
        disk.end_trouble(trouble);
        assert!(disk.recover().is_ok());
        let next = disk.log().last().index + 1;
        assert!(write(&mut disk, persist(3, next, &[1])));
    }
}

#[test]
fn changes_after_a_failed_sync_that_was_ignored_are_lost_in_a_crash() {
    let mut disk = with_log(&[1]);
    write(&mut disk, persist(2, 2, &[1]));
    assert_eq!(disk.ignore_failed_sync(), (Some(2), false));
    write(&mut disk, persist(3, 3, &[1]));
    assert_eq!(disk.synced(), Ok((Some(3), false)));
    disk.crash(&mut Rng::with_seed(1));
    assert_eq!((terms(&disk), disk.hard_state().current_term), (vec![1], 1));
}
