//! Scripts of what a replica does with its storage, and a model of the state that must be found.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use raft::types::{EntryId, HardState, Index, Term};

use super::faulty::Faulty;
use crate::command::Proposal;
use crate::operation::Operation;
use crate::replication::{Entry, Payload, Persist, PersistentState};
use crate::storage::{Files, Identity, OpenError, Opened, Settings, open};
use crate::testkit::{id, noop};

/// Small enough that a script fills several segments.
pub const SEGMENT_BYTES: u64 = 4_096 + 1_024;

/// One action of a replica.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes these changes in one batch.
    Write(Vec<Persist>),
    /// Saves a snapshot that ends with this entry.
    Snapshot(EntryId),
    /// Lets go of the log up to this index.
    Compact(Index),
    /// Closes the directory and opens it again.
    Reopen,
}

/// The state that a replica has acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    hard_state: HardState,
    snapshot: EntryId,
    base: EntryId,
    entries: Vec<Entry>,
}

impl Model {
    /// The last entry.
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, id_of)
    }

    /// The entry with this index.
    pub fn get(&self, index: Index) -> Option<EntryId> {
        if index == self.base.index {
            return Some(self.base);
        }
        let place = index.checked_sub(self.base.index + 1)?;
        self.entries.get(place as usize).map(id_of)
    }

    /// The state after a step.
    pub fn after(&self, step: &Step) -> Self {
        let mut after = self.clone();
        match step {
            Step::Write(persists) => persists.iter().for_each(|persist| after.persist(persist)),
            Step::Snapshot(id) if id.index > self.snapshot.index => after.snapshot = *id,
            Step::Snapshot(_) | Step::Compact(_) => {}
            Step::Reopen => after.restart(),
        }
        after
    }

    fn persist(&mut self, persist: &Persist) {
        self.hard_state = persist.hard_state;
        if let Some(base) = persist.base {
            (self.base, self.entries) = (base, Vec::new());
        }
        self.entries.truncate((persist.first_index - 1 - self.base.index) as usize);
        self.entries.extend(persist.entries.iter().cloned());
    }

    /// A log that lacks the last entry of the snapshot begins anew.
    pub fn restart(&mut self) {
        if self.get(self.snapshot.index) != Some(self.snapshot) {
            (self.base, self.entries) = (self.snapshot, Vec::new());
        }
    }

    /// All states that a crash during this step may leave. A batch that is too large for a record
    /// may be written in part.
    pub fn during(&self, step: &Step) -> Vec<Self> {
        let mut states = vec![self.clone()];
        if let Step::Write(persists) = step {
            let mut partial = self.clone();
            for persist in persists {
                for entries in 0..persist.entries.len() {
                    let part = Persist { entries: persist.entries[..entries].to_vec(), ..persist.clone() };
                    let mut state = partial.clone();
                    state.persist(&part);
                    states.push(state);
                }
                partial.persist(persist);
                states.push(partial.clone());
            }
        }
        states.push(self.after(step));
        states
    }

    /// Why a state that was found is not this one. A log may begin anywhere up to the end of its
    /// snapshot.
    pub fn compare(&self, found: &PersistentState) -> Result<(), String> {
        let mut expected = self.clone();
        expected.restart();
        let same = |what: &str, is_same: bool| {
            if is_same { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {found:?}")) }
        };
        same("term and vote", expected.hard_state == found.hard_state)?;
        same("snapshot", expected.snapshot == found.snapshot)?;
        same("end", expected.last() == found.entries.last().map_or(found.base, id_of))?;
        same("base behind snapshot", found.base.index <= found.snapshot.index)?;
        let skipped = found.base.index.checked_sub(expected.base.index);
        same("base", skipped.is_some() && expected.get(found.base.index) == Some(found.base))?;
        same("entries", expected.entries[skipped.unwrap_or(0) as usize..] == found.entries)
    }
}

fn id_of(entry: &Entry) -> EntryId {
    EntryId { index: entry.index, term: entry.term }
}

/// The replica to which the directory belongs.
pub fn identity() -> Identity {
    Identity { cluster: "test".into(), own: id(1), members: (0..3).map(id).collect() }
}

/// Settings under which each system call happens in its order.
pub fn settings() -> Settings {
    Settings { segment_bytes: SEGMENT_BYTES, most_spares: 2, in_background: false, salt: 4_711 }
}

/// Opens the directory, and checks that its snapshot is the one it says it is.
pub fn open_checked<F: Files>(files: &F, settings: &Settings) -> Result<Opened<F>, OpenError> {
    let opened = open(files, &identity(), settings, &mut |_, _| {})?;
    let mut found = Vec::new();
    opened.snapshots.load(|chunk| {
        found.push(chunk.to_vec());
        Ok(())
    })?;
    let expected = if opened.state.snapshot.index == 0 { vec![] } else { chunks(opened.state.snapshot) };
    assert_eq!(found, expected, "the snapshot at {:?}", opened.state.snapshot);
    Ok(opened)
}

/// The chunks of the snapshot that ends with this entry.
pub fn chunks(id: EntryId) -> Vec<Vec<u8>> {
    (0..id.index % 4).map(|chunk| format!("chunk {chunk} of {id:?}").into_bytes()).collect()
}

/// Does a step.
pub fn perform<F: Files>(
    opened: &mut Option<Opened<F>>,
    files: &F,
    settings: &Settings,
    step: &Step,
) -> io::Result<()> {
    let Opened { log, snapshots, .. } = opened.as_mut().expect("open");
    match step {
        Step::Write(persists) => log.write(persists),
        Step::Snapshot(id) => {
            let mut rest = chunks(*id).into_iter();
            snapshots.save(*id, || rest.next())
        }
        Step::Compact(index) => log.compact(*index),
        Step::Reopen => {
            let Opened { log, snapshots, .. } = opened.take().expect("open");
            log.close()?;
            drop(snapshots);
            let reopened = open_checked(files, settings).map_err(|error| match error {
                OpenError::Io(error) => error,
                error => panic!("a directory that was closed is refused: {error}"),
            })?;
            *opened = Some(reopened);
            Ok(())
        }
    }
}

/// Does the steps until one fails. Returns all the states that may be found after that, and whether
/// all steps were done.
pub fn run(files: &Faulty, settings: &Settings, mut model: Model, steps: &[Step]) -> (Vec<Model>, bool) {
    let mut opened = match open_checked(files, settings) {
        Ok(opened) => Some(opened),
        Err(OpenError::Io(_)) => return (vec![model], false),
        Err(error) => panic!("refused: {error}"),
    };
    model.restart();
    for step in steps {
        if perform(&mut opened, files, settings, step).is_err() {
            assert_poisoned(opened, step);
            return (model.during(step), false);
        }
        model = model.after(step);
    }
    (vec![model], true)
}

/// The first error is final.
fn assert_poisoned<F: Files>(opened: Option<Opened<F>>, step: &Step) {
    let Some(Opened { mut log, mut snapshots, .. }) = opened else { return };
    match step {
        Step::Write(_) | Step::Compact(_) => assert!(log.write(&[]).is_err(), "after {step:?}"),
        Step::Snapshot(id) => {
            assert!(snapshots.save(EntryId { index: id.index + 1, ..*id }, || None).is_err());
        }
        Step::Reopen => {}
    }
}

/// Draws scripts that a replica could follow.
pub struct Script {
    random: fastrand::Rng,
    /// The state after all the steps so far.
    pub model: Model,
    number: u64,
    /// No entry up to this index is ever replaced.
    committed: Index,
    /// The steps so far.
    pub steps: Vec<Step>,
}

impl Script {
    /// An empty script, which goes on from this state.
    pub fn new(seed: u64, mut model: Model) -> Self {
        model.restart();
        let committed = model.snapshot.index;
        Self { random: fastrand::Rng::with_seed(seed), model, number: 0, committed, steps: Vec::new() }
    }

    /// Adds a step.
    pub fn push(&mut self, step: Step) {
        self.model = self.model.after(&step);
        self.steps.push(step);
    }

    /// A change that the next step can make durable.
    pub fn persist(&mut self, base: Option<EntryId>, first_index: Index, sizes: &[usize]) -> Persist {
        self.number += 1;
        let term = self.model.hard_state.current_term.max(1);
        let hard_state = HardState { current_term: term, voted_for: self.model.hard_state.voted_for };
        let entries =
            sizes.iter().enumerate().map(|(at, &size)| entry(first_index + at as u64, term, size)).collect();
        Persist { number: self.number, hard_state, base, first_index, entries }
    }

    /// Appends entries with values of these sizes.
    pub fn append(&mut self, sizes: &[usize]) {
        let persist = self.persist(None, self.model.last().index + 1, sizes);
        self.push(Step::Write(vec![persist]));
    }

    /// A new term begins, with a vote.
    pub fn vote(&mut self) {
        let mut persist = self.persist(None, self.model.last().index + 1, &[]);
        persist.hard_state.current_term += 1;
        persist.hard_state.voted_for = Some(id(2));
        self.push(Step::Write(vec![persist]));
    }

    /// Replaces the last entries by one of a new term, as far as they are not committed.
    pub fn replace(&mut self, count: u64) {
        self.vote();
        let first = self.model.last().index.saturating_sub(count).max(self.committed) + 1;
        let persist = self.persist(None, first, &[40]);
        self.push(Step::Write(vec![persist]));
    }

    /// Commits all entries but some, saves a snapshot, and lets go of the log but for a tail.
    pub fn compact(&mut self, open: u64, tail: u64) {
        let first = self.model.snapshot.index;
        let index = self.model.last().index.saturating_sub(open).max(first);
        self.committed = self.committed.max(index);
        if let Some(id) = self.model.get(index).filter(|id| id.index > first) {
            self.push(Step::Snapshot(id));
        }
        self.push(Step::Compact(self.model.snapshot.index.saturating_sub(tail)));
    }

    /// A snapshot from the leader replaces the log.
    pub fn install(&mut self, ahead: u64, sizes: &[usize]) {
        self.vote();
        let base = EntryId { index: self.committed + ahead, term: self.model.hard_state.current_term };
        self.push(Step::Snapshot(base));
        let persist = self.persist(Some(base), base.index + 1, sizes);
        self.push(Step::Write(vec![persist]));
        self.committed = base.index;
        self.push(Step::Compact(base.index));
    }

    /// Adds any step.
    pub fn push_any(&mut self) {
        match self.random.u8(0..20) {
            0 => self.vote(),
            1..=2 => {
                let count = self.random.u64(1..4);
                self.replace(count);
            }
            3..=4 => {
                let (open, tail) = (self.random.u64(0..4), self.random.u64(0..6));
                self.compact(open, tail);
            }
            5 => {
                let ahead = self.random.u64(1..8);
                self.install(ahead, &[10, 20]);
            }
            6 => self.push(Step::Reopen),
            7 => {
                let size = self.random.usize(300..3_000);
                self.append(&[10, size, 10]);
            }
            8..=9 => {
                let first = self.model.last().index + 1;
                let batch = vec![self.persist(None, first, &[30, 0]), self.persist(None, first + 2, &[50])];
                self.push(Step::Write(batch));
            }
            _ => {
                let sizes: Vec<_> = (0..self.random.usize(1..4)).map(|_| self.random.usize(0..120)).collect();
                self.append(&sizes);
            }
        }
    }
}

/// An entry whose command has about this size.
pub fn entry(index: Index, term: Term, size: usize) -> Entry {
    if size == 0 {
        return noop(index, term);
    }
    let value = format!("{index}@{term} ").repeat(size / 4 + 1);
    let command = Operation::set("key", &value[..size]).into();
    Entry {
        index,
        term,
        payload: Payload::Command(Arc::new(Proposal { at: index as i64, request: None, command })),
    }
}
