//! One key's operations for the search: numbers for values, and one sequence of events.

use super::Operation;
use super::epochs::{self, Span};
use crate::attempts::deadlines;
use crate::structures::Slots;

/// The value of a key that was never put.
pub const NEVER_PUT: usize = 0;

/// The operations of one key.
pub struct Timeline {
    /// The operations; an event refers to one by its place.
    pub tasks: Vec<Task>,
    /// By time. At equal times invocations come first, so that operations that touch count as
    /// concurrent.
    pub events: Vec<Event>,
    /// The moment of each event.
    pub moments: Vec<u64>,
    /// The number of values. They are numbered from 0, which is [`NEVER_PUT`].
    pub values: usize,
    /// The number of slots. Tasks that are open at the same time have different slots; pending puts
    /// have none.
    pub slots: usize,
    /// The number of counters. Values whose pending puts may be read at the same time have
    /// different ones.
    pub counters: usize,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub kind: TaskKind,
    /// The number of the value written or read.
    pub value: usize,
    /// The place of its bits in a configuration; for a pending put the counter of its value.
    pub slot: usize,
    /// The place of its return among the events, if it has one.
    pub end: usize,
}

/// The kinds of operation that the search tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    Get,
    /// An acknowledged put. It takes effect before it returns.
    Put {
        /// Whether a get can have read it.
        readable: bool,
    },
    /// A declined put whose retry is acknowledged. It takes effect before that moment, or never.
    Declined,
    /// A pending put that a get may have read. It never returns.
    Pending,
}

/// An invocation or a return, with the place of the task.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Invoke(usize),
    Return(usize),
}

impl Timeline {
    /// Leaves out the operations that say nothing: gets without an answer, and pending puts that no
    /// get can have read. The latter is sound: in any order that explains the history no get stands
    /// between such a put and the next put. So the same order without it explains the rest. And
    /// once the last get of its value has returned, a pending put may as well never take effect.
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
                (false, false, Some(_)) => TaskKind::Pending,
            };
            moments.push((span.invoked, 0, tasks.len()));
            if let Some(end) = span.end.filter(|_| kind != TaskKind::Pending) {
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

/// The operations without gets of values that several puts write. If these operations contradict
/// each other, so does the whole, since any get may go. Their search takes next to no time.
pub fn unambiguous<'a>(operations: &[&'a Operation]) -> Vec<&'a Operation> {
    let says_something = |operation: &&Operation| operation.returned.is_some() || !operation.is_get();
    let told: Vec<&Operation> = operations.iter().copied().filter(says_something).collect();
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

/// `end` is the last moment at which the operation can take effect.
pub fn span(operation: &Operation, end: Option<u64>) -> Span<'_> {
    Span {
        is_get: operation.is_get(),
        text: operation.value(),
        invoked: operation.invoked,
        end,
        is_certain: operation.returned.is_some(),
    }
}

/// Gives each task a slot and the place of its return, and returns the number of slots.
fn assign_slots(tasks: &mut [Task], events: &[Event]) -> usize {
    let mut slots = Slots::default();
    for (place, event) in events.iter().enumerate() {
        match *event {
            Event::Invoke(task) if tasks[task].kind == TaskKind::Pending => {}
            Event::Invoke(task) => tasks[task].slot = slots.take(),
            Event::Return(task) => {
                tasks[task].end = place;
                slots.give_back(tasks[task].slot);
            }
        }
    }
    slots.count()
}

/// Gives each value with pending puts a counter, from the first of them to the last get of the
/// value. Returns the number of counters.
fn assign_counters(tasks: &mut [Task], events: &[Event], values: usize) -> usize {
    let mut gets_left = vec![0; values];
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Get) {
        gets_left[task.value] += 1;
    }
    let mut counters = Slots::default();
    let mut counter_of: Vec<Option<usize>> = vec![None; values];
    for event in events {
        match *event {
            Event::Invoke(task) if tasks[task].kind == TaskKind::Pending => {
                let value = tasks[task].value;
                tasks[task].slot = *counter_of[value].get_or_insert_with(|| counters.take());
            }
            Event::Return(task) if tasks[task].kind == TaskKind::Get => {
                let value = tasks[task].value;
                gets_left[value] -= 1;
                if gets_left[value] == 0 {
                    counter_of[value].take().into_iter().for_each(|counter| counters.give_back(counter));
                }
            }
            Event::Invoke(_) | Event::Return(_) => {}
        }
    }
    counters.count()
}
