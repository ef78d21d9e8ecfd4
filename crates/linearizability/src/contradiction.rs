//! A contradiction for any model: a part of the history that no order explains, and how far an
//! order gets.
//!
//! Leaving out an operation must not make a contradiction: if some order explains the whole
//! history, then some order must explain the rest. Two steps keep this:
//!
//! * **The history ends earlier.** An order that explains the whole history explains each prefix of
//!   it, in which operations that return later are pending.
//! * **A read goes.** The same order without it explains the rest.
//!
//! An operation that may change the state stays, because a later answer may depend on it.

use std::fmt;

use crate::diagram::{self, Row};
use crate::limits::Budget;
use crate::search::{Finding, Task, Traits, explain, search};
use crate::text::{legible, printable_up_to};
use crate::{Model, Operation, Outcome};

/// Operations of one key that no order explains.
///
/// Its `Display` draws them, at most forty, and says which one cannot have its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction<'a, K, C, A> {
    /// The key.
    pub key: K,
    /// The operations by time of invocation, each with its place in the history. They contradict
    /// each other, and the checker can leave out no read of them.
    pub operations: Vec<(usize, &'a Operation<C, A>)>,
    /// The place in the history of the operation that returns first among those that no order
    /// reaches.
    pub refused: usize,
    /// The places in the history of the other operations that return until then, and of some
    /// pending ones, in an order that explains them.
    pub order: Vec<usize>,
}

/// The longest operation that is shown whole, in characters.
const OPERATION_LENGTH: usize = 40;

/// How many operations of an order the sentence names at most.
const MOST_NAMED: usize = 12;

/// A contradiction as tasks of the search.
pub struct Smallest {
    pub tasks: Vec<usize>,
    pub refused: usize,
    pub order: Vec<usize>,
}

/// Leaves out operations that the contradiction does not need. `failed` is the task at whose return
/// all orders have failed, given the tasks to come. Less thorough if the budget is small.
pub fn smallest<M: Model>(
    model: &M,
    tasks: &[Task<'_, M::Call, M::Answer>],
    failed: usize,
    budget: Budget,
) -> Smallest {
    let last = last_of_shortest_prefix(model, tasks, failed, &mut budget.clone());
    let (tasks, kept) = prefix(model, tasks, tasks[last].end.unwrap_or(u64::MAX));
    let kept = without_reads(model, &tasks, kept, last, &mut budget.clone());
    let others: Vec<usize> = kept.iter().copied().filter(|&place| place != last).collect();
    let order = explain(model, &chosen(&tasks, &others), &mut budget.clone()).unwrap_or_default();
    let order = order.into_iter().map(|at| others[at]).collect();
    Smallest { tasks: kept, refused: last, order }
}

/// Tasks, and the places of some of them.
type Chosen<'a, C, A> = (Vec<Task<'a, C, A>>, Vec<usize>);

/// The tasks as they are known at a moment, and the places of those that then say something, by time
/// of invocation.
fn prefix<'a, M: Model>(
    model: &M,
    tasks: &[Task<'a, M::Call, M::Answer>],
    end: u64,
) -> Chosen<'a, M::Call, M::Answer> {
    let tasks: Vec<Task<'a, M::Call, M::Answer>> = tasks.iter().map(|task| until(*task, end)).collect();
    let is_read = |place: usize| model.is_read(tasks[place].call, tasks[place].answer);
    let is_told = |place: usize| tasks[place].answer.is_some() || !is_read(place);
    let mut kept: Vec<usize> =
        (0..tasks.len()).filter(|&place| tasks[place].invoked <= end && is_told(place)).collect();
    kept.sort_by_key(|&place| (tasks[place].invoked, tasks[place].end.unwrap_or(u64::MAX)));
    (tasks, kept)
}

/// The first task at whose return the history contradicts itself, whatever comes later. It is
/// `failed` or a later one: the search knows which values are still to be read.
fn last_of_shortest_prefix<M: Model>(
    model: &M,
    tasks: &[Task<'_, M::Call, M::Answer>],
    failed: usize,
    budget: &mut Budget,
) -> usize {
    let from = (tasks[failed].end, failed);
    let mut ends: Vec<(Option<u64>, usize)> = (tasks.iter().enumerate())
        .filter(|(place, task)| task.answer.is_some() && (task.end, *place) >= from)
        .map(|(place, task)| (task.end, place))
        .collect();
    ends.sort_unstable();
    let mut contradicts = |at: usize| {
        let (tasks, kept) = prefix(model, tasks, ends[at].0.unwrap_or(u64::MAX));
        matches!(search(model, &chosen(&tasks, &kept), budget), Finding::Contradiction(_))
    };
    let (mut low, mut high, mut step) = (0, 0, 1);
    while high < ends.len() && !contradicts(high) {
        (low, high, step) = (high + 1, high + step, 2 * step);
    }
    high = high.min(ends.len().saturating_sub(1));
    while low < high {
        let middle = low + (high - low) / 2;
        if contradicts(middle) { high = middle } else { low = middle + 1 }
    }
    ends.get(high).map_or(failed, |&(_, place)| place)
}

/// Leaves out the reads that the contradiction does not need, but `last`. It tries large chunks
/// first, so that most reads of a long history go after a few searches.
fn without_reads<M: Model>(
    model: &M,
    tasks: &[Task<'_, M::Call, M::Answer>],
    mut kept: Vec<usize>,
    last: usize,
    budget: &mut Budget,
) -> Vec<usize> {
    let may_go = |place: usize| place != last && model.is_read(tasks[place].call, tasks[place].answer);
    let mut chunk = kept.len();
    while chunk > 0 {
        let mut from = 0;
        while from < kept.len() && budget.work > 0 {
            let stays = |at: usize| !(from..from + chunk).contains(&at) || !may_go(kept[at]);
            let fewer: Vec<usize> = (0..kept.len()).filter(|&at| stays(at)).map(|at| kept[at]).collect();
            let contradicts = |budget: &mut Budget| {
                matches!(search(model, &chosen(tasks, &fewer), budget), Finding::Contradiction(_))
            };
            if fewer.len() < kept.len() && contradicts(budget) {
                kept = fewer;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    kept
}

/// Some of the tasks, which refer to each other by their new places.
fn chosen<'a, C, A>(tasks: &[Task<'a, C, A>], places: &[usize]) -> Vec<Task<'a, C, A>> {
    let mut new = vec![None; tasks.len()];
    places.iter().enumerate().for_each(|(at, &place)| new[place] = Some(at));
    let task = |&place: &usize| {
        let task = tasks[place];
        let after = task.traits.after.and_then(|before| new[before]);
        Task { traits: Traits { after, ..task.traits }, ..task }
    };
    places.iter().map(task).collect()
}

/// The task as it is known at this moment.
fn until<'a, C, A>(task: Task<'a, C, A>, moment: u64) -> Task<'a, C, A> {
    match task.end {
        Some(end) if end > moment => Task { answer: None, end: None, ..task },
        _ => task,
    }
}

impl<K, C: fmt::Debug, A: fmt::Debug> fmt::Display for Contradiction<'_, K, C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The latest operations are the most telling, beside the one that is refused.
        let hidden = self.operations.len().saturating_sub(diagram::MOST_ROWS);
        let mut shown: Vec<(usize, &Operation<C, A>)> = self.operations[hidden..].to_vec();
        let refused = self.operations[..hidden].iter().find(|(place, _)| *place == self.refused);
        if let Some(&refused) = refused {
            shown[0] = refused;
        }
        let rows: Vec<Row> = shown.into_iter().map(|(place, operation)| row(place, operation)).collect();
        diagram::draw(f, &rows, hidden)?;
        write!(f, "\n{}", self.reason())
    }
}

impl<K, C: fmt::Debug, A: fmt::Debug> Contradiction<'_, K, C, A> {
    /// One sentence that says which operation cannot have its answer.
    pub fn reason(&self) -> String {
        let refused = self.operations.iter().find(|(place, _)| *place == self.refused);
        let refused = refused.map_or_else(String::new, |(_, operation)| describe(operation));
        let order: Vec<String> = self.order.iter().map(|place| format!("#{place}")).collect();
        sentence(self.operations.len(), &format!("#{}", self.refused), &refused, &order)
    }
}

/// The sentence for so many operations. The one that is refused has a name and a description, and
/// the order that explains the others has their names.
pub fn sentence(operations: usize, refused: &str, description: &str, order: &[String]) -> String {
    let whole = match operations {
        1 => format!("The operation {refused} cannot end as it did ({description})."),
        _ => {
            format!("No order of these {operations} operations lets {refused} end as it did ({description}).")
        }
    };
    if order.is_empty() {
        return whole;
    }
    let from = order.len().saturating_sub(MOST_NAMED);
    let more = if from > 0 { "… " } else { "" };
    format!("{whole} This order explains the others until then: {more}{}.", order[from..].join(" "))
}

fn row<C: fmt::Debug, A: fmt::Debug>(place: usize, operation: &Operation<C, A>) -> Row {
    let returned = match operation.outcome {
        Outcome::Returned { at, .. } => Some(at),
        Outcome::Pending { .. } => None,
    };
    Row {
        client: legible(&operation.client),
        operation: describe(operation),
        invoked: operation.invoked,
        end: operation.latest_effect(),
        answered: returned,
        note: if returned.is_some() { "" } else { "unknown" },
        name: format!("#{place}"),
    }
}

fn describe<C: fmt::Debug, A: fmt::Debug>(operation: &Operation<C, A>) -> String {
    let call = format!("{:?}", operation.call);
    let whole = match operation.answer() {
        Some(answer) => format!("{call} → {answer:?}"),
        None => call,
    };
    printable_up_to(OPERATION_LENGTH, &whole)
}
