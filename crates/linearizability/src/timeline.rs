//! One key's operations as the search wants them: numbers for values, and one sequence of events.

use super::Operation;
use super::attempts::deadlines;
use super::epochs::{self, Span};

/// The value of a key that was never put.
pub const NEVER_PUT: usize = 0;

/// All that happens to one key.
pub struct Timeline {
    /// What is asked; an event names it by its place.
    pub tasks: Vec<Task>,
    /// By time. At equal times invocations come first, so that what touches counts as concurrent.
    pub events: Vec<Event>,
    /// When each event happens.
    pub moments: Vec<u64>,
    /// Values are numbered from 0, which is [`NEVER_PUT`], and there are this many.
    pub values: usize,
    /// Tasks under way at the same time, but those of unknown outcome, have different slots, numbered
    /// from 0, and there are this many.
    pub slots: usize,
    /// Values with puts of unknown outcome that may be read at the same time have different counters,
    /// numbered from 0, and there are this many.
    pub counters: usize,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub kind: TaskKind,
    /// The number of the value written or read.
    pub value: usize,
    /// Where a configuration keeps its bits; for a put of unknown outcome the counter of its value.
    pub slot: usize,
    /// The place of its end among the events, if it has one.
    pub end: usize,
}

/// What the search has to know of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    Get,
    /// An acknowledged put: takes effect before it returns.
    Put {
        /// Whether a get can have read it.
        readable: bool,
    },
    /// A put that takes effect before it ends, or never: a declined one whose retry is acknowledged then.
    Declined,
    /// A put of unknown outcome that may have been read. It never ends.
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
        let spans = spans(operations);
        let (values, count) = epochs::split(&spans);
        let mut last_reads: Vec<Option<u64>> = vec![None; count];
        for (span, &value) in spans.iter().zip(&values).filter(|(span, _)| span.is_get) {
            last_reads[value] = last_reads[value].max(span.end);
        }
        let mut tasks = Vec::with_capacity(spans.len());
        let mut moments = Vec::with_capacity(2 * spans.len());
        for (span, value) in spans.iter().zip(values) {
            let last_read = last_reads[value].filter(|&read| read >= span.invoked);
            let kind = match (span.is_get, span.is_certain, last_read) {
                (true, ..) => TaskKind::Get,
                (false, true, read) => TaskKind::Put { readable: read.is_some() },
                (false, false, None) => continue,
                (false, false, Some(read)) if span.end.is_some_and(|end| end < read) => TaskKind::Declined,
                (false, false, Some(_)) => TaskKind::Maybe,
            };
            moments.push((span.invoked, 0, tasks.len()));
            if let Some(end) = span.end.filter(|_| kind != TaskKind::Maybe) {
                moments.push((end.max(span.invoked), 1, tasks.len()));
            }
            tasks.push(Task { kind, value, slot: 0, end: usize::MAX });
        }
        moments.sort_unstable();
        let event = |&(_, phase, task): &(u64, u8, usize)| match phase {
            0 => Event::Invoke(task),
            _ => Event::Return(task),
        };
        let events: Vec<Event> = moments.iter().map(event).collect();
        let slots = assign_slots(&mut tasks, &events);
        let counters = assign_counters(&mut tasks, &events, count);
        let moments = moments.into_iter().map(|(moment, ..)| moment).collect();
        Self { tasks, events, moments, values: count, slots, counters }
    }
}

/// The operations without gets of values that several puts write. If these contradict each other, so do all
/// of them, for any get may go; and searching them takes next to nothing.
pub fn unambiguous<'a>(operations: &[&'a Operation]) -> Vec<&'a Operation> {
    let is_told = |operation: &&Operation| operation.returned.is_some() || !operation.is_get();
    let told: Vec<&Operation> = operations.iter().copied().filter(is_told).collect();
    let (values, count) = epochs::split(&spans(&told));
    let mut sources = vec![0; count];
    sources[NEVER_PUT] = 1;
    for (_, &value) in told.iter().zip(&values).filter(|(operation, _)| !operation.is_get()) {
        sources[value] += 1;
    }
    let stays = |(operation, value): &(&Operation, usize)| !operation.is_get() || sources[*value] <= 1;
    told.into_iter().zip(values).filter(stays).map(|(operation, _)| operation).collect()
}

fn spans<'a>(operations: &[&'a Operation]) -> Vec<Span<'a>> {
    let ends = operations.iter().zip(deadlines(operations));
    let spans = ends.map(|(operation, deadline)| span(operation, operation.returned.or(deadline)));
    spans.filter(|span| span.is_certain || !span.is_get).collect()
}

/// `end` is when the operation has taken effect at the latest.
pub fn span(operation: &Operation, end: Option<u64>) -> Span<'_> {
    Span {
        is_get: operation.is_get(),
        text: operation.value(),
        invoked: operation.invoked,
        end,
        is_certain: operation.returned.is_some(),
    }
}

/// Numbers that are taken for a while, the lowest free one first.
#[derive(Default)]
struct Places {
    count: usize,
    free: Vec<usize>,
}

impl Places {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

/// Gives each task a slot and the place of its end; returns how many slots there are.
fn assign_slots(tasks: &mut [Task], events: &[Event]) -> usize {
    let mut slots = Places::default();
    for (place, event) in events.iter().enumerate() {
        match *event {
            Event::Invoke(task) if tasks[task].kind == TaskKind::Maybe => {}
            Event::Invoke(task) => tasks[task].slot = slots.take(),
            Event::Return(task) => {
                tasks[task].end = place;
                slots.free.push(tasks[task].slot);
            }
        }
    }
    slots.count
}

/// Gives each value with puts of unknown outcome a counter from the first of them to its last get; returns
/// how many counters there are.
fn assign_counters(tasks: &mut [Task], events: &[Event], values: usize) -> usize {
    let mut gets_left = vec![0; values];
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Get) {
        gets_left[task.value] += 1;
    }
    let mut counters = Places::default();
    let mut counter_of: Vec<Option<usize>> = vec![None; values];
    for event in events {
        match *event {
            Event::Invoke(task) if tasks[task].kind == TaskKind::Maybe => {
                let value = tasks[task].value;
                tasks[task].slot = *counter_of[value].get_or_insert_with(|| counters.take());
            }
            Event::Return(task) if tasks[task].kind == TaskKind::Get => {
                let value = tasks[task].value;
                gets_left[value] -= 1;
                if gets_left[value] == 0 {
                    counters.free.extend(counter_of[value].take());
                }
            }
            Event::Invoke(_) | Event::Return(_) => {}
        }
    }
    counters.count
}
