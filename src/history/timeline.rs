//! One key's operations as the search wants them: numbers for values, and one sequence of events.

use std::collections::HashMap;

use super::attempts::deadlines;
use super::{Operation, last_reads};

/// The value of a key that was never put.
pub const NEVER_PUT: usize = 0;

/// All that happens to one key.
pub struct Timeline {
    /// What is asked; an event names it by its place.
    pub tasks: Vec<Task>,
    /// By time. At equal times invocations come first, so that what touches counts as concurrent.
    pub events: Vec<Event>,
    /// Values are numbered from 0, which is [`NEVER_PUT`], and there are this many.
    pub values: usize,
    /// Tasks under way at the same time have different slots, numbered from 0, and there are this many.
    pub slots: usize,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub kind: TaskKind,
    /// The number of the value written or read.
    pub value: usize,
    /// Where a configuration keeps its bits.
    pub slot: usize,
    /// The place of its end among the events.
    pub end: usize,
}

/// What the search has to know of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    Get,
    /// An acknowledged put: takes effect before it returns.
    Put {
        /// Whether a get of its value returned after its invocation, so that it may have been read.
        readable: bool,
    },
    /// A put that takes effect before it ends, or never: a declined one whose retry is acknowledged then.
    Declined,
    /// A put of unknown outcome that may have been read. It "returns" after the last get of its value.
    Maybe,
}

/// Something happens to the task at this place.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Invoke(usize),
    Return(usize),
}

impl Timeline {
    /// Leaves out what says nothing: gets without an answer, and puts of unknown outcome that nobody can
    /// have read. The latter is sound: in any order that explains the history no get stands between such a put and
    /// the next put, so the same order without it explains the rest. And once the last get of its value has returned,
    /// a put of unknown outcome may as well never take effect.
    pub fn new(operations: &[&Operation]) -> Self {
        let deadlines = deadlines(operations);
        let last_reads = last_reads(operations.iter().copied());
        let mut values = HashMap::from([("", NEVER_PUT)]);
        let mut tasks = Vec::with_capacity(operations.len());
        let mut moments = Vec::with_capacity(2 * operations.len());
        for (operation, deadline) in operations.iter().zip(deadlines) {
            let number = values.len();
            let value = *values.entry(&**operation.value()).or_insert(number);
            let last_read = last_reads.get(&**operation.value()).filter(|&&read| read >= operation.invoked);
            let (kind, end, phase) = match (operation.is_get(), operation.returned, last_read) {
                (true, None, _) | (false, None, None) => continue,
                (true, Some(end), _) => (TaskKind::Get, end, 1),
                (false, Some(end), read) => (TaskKind::Put { readable: read.is_some() }, end, 1),
                (false, None, Some(&read)) => match deadline.filter(|&deadline| deadline < read) {
                    Some(deadline) => (TaskKind::Declined, deadline, 1),
                    None => (TaskKind::Maybe, read, 2),
                },
            };
            moments.push((operation.invoked, 0, tasks.len()));
            moments.push((end.max(operation.invoked), phase, tasks.len()));
            tasks.push(Task { kind, value, slot: 0, end: 0 });
        }
        moments.sort_unstable();
        let event = |&(_, phase, task): &(u64, u8, usize)| match phase {
            0 => Event::Invoke(task),
            _ => Event::Return(task),
        };
        let events: Vec<Event> = moments.iter().map(event).collect();
        let slots = assign_slots(&mut tasks, &events);
        Self { tasks, events, values: values.len(), slots }
    }
}

/// Gives each task a slot and the place of its end; returns how many slots there are.
fn assign_slots(tasks: &mut [Task], events: &[Event]) -> usize {
    let mut slots = 0;
    let mut free = Vec::new();
    for (place, event) in events.iter().enumerate() {
        match *event {
            Event::Invoke(task) => {
                tasks[task].slot = free.pop().unwrap_or_else(|| {
                    slots += 1;
                    slots - 1
                });
            }
            Event::Return(task) => {
                tasks[task].end = place;
                free.push(tasks[task].slot);
            }
        }
    }
    slots
}
