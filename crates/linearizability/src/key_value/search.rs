//! The search for an order of one key's puts and gets that explains the values of the gets.
//!
//! This is the search of Wing and Gong (*Testing and Verifying Concurrent Objects*, 1993) with both
//! improvements of Lowe (*Testing for Linearizability*, 2017). *Just-in-time linearization*: the
//! search goes through the events in order of time, and linearizes operations only when one returns
//! that is not yet linearized. *Memory*: two orders of the same operations that end in the same
//! state have the same future, so the search follows only one of them. The general problem is
//! NP-complete for registers, too (Gibbons and Korach, *Testing Shared Memories*, 1997), but not if
//! each value is put once.
//!
//! The search goes breadth first. The *frontier* is the set of the configurations that all orders
//! so far have led to. The search makes attempts of growing width ([`beam`](crate::beam)), which
//! keep the lightest configurations after each event. Most histories are decided by the first
//! attempt, in a time proportional to their length. Before the second attempt, the search looks for
//! a contradiction without the gets of ambiguous values; that is never hard.
//!
//! # The rules
//!
//! The rules use that all operations are puts and gets. The *state* is the value of the key. An
//! operation is *open* from its invocation to its return, and *to come* before that. A put is
//! *effective* if the state stays its value until a get or another effective put; all other puts
//! are *overwritten* unseen.
//!
//! 1. **A get is linearized as soon as the state is its value.** It changes nothing, and no
//!    operation has to precede it: an operation that is not yet linearized has not returned.
//! 2. **An effective put overwrites all other open puts.** Each of these can be linearized unseen
//!    just before it. It need not be, so it is still a candidate for an effective put, but it may
//!    return without one. (A pending put may stay without effect anyway, and so may a declined one,
//!    which ends when a retry of it is acknowledged.)
//! 3. **Of the candidates of a value, the one that returns first becomes effective.** The others
//!    are overwritten either way. The choice decides only which of them remain candidates, and a
//!    later return leaves more time.
//! 4. **Effective puts come when a get or a put that is not linearized returns, and end at its
//!    value.** A put after that can wait: until the next return no get must be linearized and no
//!    put be overwritten. A put before that, an *intermediate* one, helps only open gets of its
//!    value. The order of the intermediate puts does not matter: afterwards the same puts and gets
//!    are linearized, and all puts are overwritten.
//! 5. **An intermediate put is made if no get of its value is to come**: then there is no reason to
//!    save it. If some are to come, it is made only if another candidate of this value is left for
//!    them. With and without it are two configurations.
//! 6. **The state changes only if no get of the old state is to come, or the old state has a
//!    candidate left.** Likewise a put returns without becoming effective only if its value has no
//!    open or coming get, or has another candidate left.
//! 7. **An overwritten put that returns becomes effective if its value has an open or coming get,
//!    and the state has none** (or both are the same value). The old state is of no use any more,
//!    and the put overwrites the others for nothing. Only if gets of both values are left there are
//!    two configurations.
//! 8. **A configuration that another one dominates is dropped** (`configuration` says when). A
//!    state that no get to come returns is worth no more than any other state.
//! 9. **Pending puts of a value are counted**, since they are interchangeable. They become
//!    effective after those that end. Their counter ends with the last get of their value.
//!
//! An example for 2 to 4, with the return of `get b` as the next event:
//!
//! ```text
//!     put a    |---------------------->     candidate
//!     put b      |-------------|            candidate: becomes effective, just in time
//!     get a        |---------------->       open: an intermediate put a would linearize it
//!     get b            |-----|              returns now, so the state must become b
//! ```
//!
//! If each value is put once, 5 and 7 never leave a choice, because 6 decides: the frontier has one
//! configuration, and the search takes linear time. Only values that are put several times cost
//! more, and `epochs` sees to it that these are few.

mod change;

use super::Operation;
use super::configuration::{Layout, Rows, Set};
use super::frontier::Frontier;
use super::timeline::{Event, NEVER_PUT, Task, TaskKind, Timeline, unambiguous};
use crate::Limits;
use crate::beam::{FIRST_WIDTH, wider};
use crate::limits::{Budget, Exhausted};
use change::Candidate;

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is an order that explains the operations.
    Explained,
    /// There is none.
    Contradiction {
        /// Some order explains the operations that have returned before this moment. `None` if the
        /// `unambiguous` operations contradict each other.
        moment: Option<u64>,
    },
    /// The budget was spent before the end.
    Undecided(Exhausted),
}

/// The memory for a search of values with one source each, in bytes; it needs little.
const UNAMBIGUOUS_MEMORY: u64 = 1_000_000;

/// Searches for an order that explains these operations, which are of one key.
pub fn search(operations: &[&Operation], budget: &mut Budget) -> Finding {
    search_from(FIRST_WIDTH, operations, budget)
}

/// The same search. Its first attempt keeps `width` configurations.
pub fn search_from(mut width: usize, operations: &[&Operation], budget: &mut Budget) -> Finding {
    let timeline = Timeline::new(operations);
    let mut is_first = true;
    loop {
        let mut search = Search::new(&timeline, width, budget);
        match search.run() {
            Ok(None) => return Finding::Explained,
            Ok(moment) if search.frontier.is_complete() => return Finding::Contradiction { moment },
            // Wider attempts may take long, and this one takes no time.
            _ if is_first && contradicts_unambiguously(operations) => {
                return Finding::Contradiction { moment: None };
            }
            Ok(Some(_)) => width = wider(width),
            Err(exhausted) => return Finding::Undecided(exhausted),
        }
        is_first = false;
    }
}

fn contradicts_unambiguously(operations: &[&Operation]) -> bool {
    let timeline = Timeline::new(&unambiguous(operations));
    let mut budget = Budget::new(Limits::of_memory(UNAMBIGUOUS_MEMORY));
    let mut search = Search::new(&timeline, FIRST_WIDTH, &mut budget);
    matches!(search.run(), Ok(Some(_))) && search.frontier.is_complete()
}

struct Search<'a> {
    timeline: &'a Timeline,
    layout: Layout,
    values: Vec<Value>,   // and one more, which no get returns
    value_in: Vec<usize>, // by slot: the value of the task that has it
    frontier: Frontier<'a>,
    changes: u64,      // counts the changes of the state that were considered
    seen_at: Vec<u64>, // by value: the last change for which an intermediate put was considered
    changed: Rows,     // scratch: the configurations that a change leads to
    row: Vec<u64>,     // scratch: the configuration at hand
}

/// The facts about one value that all configurations share.
#[derive(Clone, Default)]
struct Value {
    gets_to_come: usize,
    puts_to_come: usize, // that may be read
    gets: Vec<usize>,    // the slots of open gets
    puts: Vec<Task>,     // open puts that may be read and end, the first to end first
    pending: u32,        // the number of pending puts that were invoked
    counter: usize,      // counts how many of these are linearized
}

impl<'a> Search<'a> {
    fn new(timeline: &'a Timeline, width: usize, budget: &'a mut Budget) -> Self {
        let mut values = vec![Value::default(); timeline.values + 1];
        for task in &timeline.tasks {
            match task.kind {
                TaskKind::Get => values[task.value].gets_to_come += 1,
                TaskKind::Put { readable: false } => {}
                TaskKind::Put { readable: true } | TaskKind::Declined | TaskKind::Pending => {
                    values[task.value].puts_to_come += 1;
                }
            }
        }
        let layout = Layout::new(timeline.slots, timeline.counters);
        let mut first = vec![0; layout.words()];
        first[0] = NEVER_PUT as u64;
        Self {
            timeline,
            layout,
            values,
            value_in: vec![0; timeline.slots],
            frontier: Frontier::new(layout, timeline.values, width, &first, budget),
            changes: 0,
            seen_at: vec![0; timeline.values + 1],
            changed: Rows::new(&layout),
            row: Vec::new(),
        }
    }

    /// The moment at which no configuration is left, if there is one.
    fn run(&mut self) -> Result<Option<u64>, Exhausted> {
        for (&event, &moment) in self.timeline.events.iter().zip(&self.timeline.moments) {
            match event {
                Event::Invoke(task) => self.invoke(self.timeline.tasks[task]),
                Event::Return(task) => self.return_task(self.timeline.tasks[task])?,
            }
            if self.frontier.is_empty() {
                return Ok(Some(moment));
            }
        }
        Ok(None)
    }

    fn invoke(&mut self, task: Task) {
        let value = &mut self.values[task.value];
        match task.kind {
            TaskKind::Get => {
                value.gets_to_come -= 1;
                value.gets.push(task.slot);
            }
            TaskKind::Pending => {
                value.puts_to_come -= 1;
                value.pending += 1;
                value.counter = task.slot;
                return;
            }
            TaskKind::Put { readable: false } => {}
            TaskKind::Put { readable: true } | TaskKind::Declined => {
                value.puts_to_come -= 1;
                let place = value.puts.partition_point(|other| other.end < task.end);
                value.puts.insert(place, task);
            }
        }
        self.value_in[task.slot] = task.value;
        for row in self.frontier.rows_mut() {
            match task.kind {
                TaskKind::Get if row[0] != task.value as u64 => {
                    self.layout.insert(row, Set::UnlinearizedGets, task.slot);
                }
                TaskKind::Put { .. } => self.layout.insert(row, Set::UnlinearizedPuts, task.slot),
                TaskKind::Get | TaskKind::Declined | TaskKind::Pending => {}
            }
        }
    }

    fn return_task(&mut self, task: Task) -> Result<(), Exhausted> {
        let value = &self.values[task.value];
        self.frontier.look(self.frontier.len(), value.gets.len() + value.puts.len())?;
        let is_indifferent = |row| match task.kind {
            TaskKind::Get => !self.layout.has(row, Set::UnlinearizedGets, task.slot),
            TaskKind::Put { .. } | TaskKind::Declined => self.may_return(row, task),
            TaskKind::Pending => true,
        };
        if self.frontier.rows().all(is_indifferent) {
            let is_changed = self.forget(task);
            return self.frontier.settle(is_changed);
        }
        let before = self.frontier.open();
        self.frontier.look(before.len(), self.timeline.slots)?;
        let mut row = std::mem::take(&mut self.row);
        for place in 0..before.len() {
            row.clear();
            row.extend_from_slice(before.get(place));
            if task.kind == TaskKind::Get {
                self.return_get(&mut row, task)
            } else {
                self.return_put(&mut row, task)
            }?;
        }
        self.row = row;
        self.forget(task);
        self.frontier.close(before)
    }

    /// Takes a task that has returned out of all configurations, and a state that no get to come
    /// returns. Whether that has changed one.
    fn forget(&mut self, task: Task) -> bool {
        let value = &mut self.values[task.value];
        value.gets.retain(|&slot| slot != task.slot);
        value.puts.retain(|put| put.slot != task.slot);
        let is_last_get = task.kind == TaskKind::Get && value.gets_to_come == 0 && value.gets.is_empty();
        let counter = (is_last_get && value.pending > 0).then_some(value.counter);
        if is_last_get {
            value.pending = 0;
        }
        let mut is_changed = false;
        for row in self.frontier.rows_mut() {
            is_changed |= self.layout.remove(row, Set::LinearizedPuts, task.slot); // the slot is free now
            if let Some(counter) = counter.filter(|&counter| self.layout.count(row, counter) > 0) {
                self.layout.set_count(row, counter, 0);
                is_changed = true;
            }
            let state = row[0] as usize;
            if state != self.timeline.values && self.values[state].gets_to_come == 0 {
                row[0] = self.timeline.values as u64;
                is_changed = true;
            }
        }
        is_changed
    }

    fn return_get(&mut self, row: &mut [u64], task: Task) -> Result<(), Exhausted> {
        if !self.layout.has(row, Set::UnlinearizedGets, task.slot) {
            return self.frontier.add(row);
        }
        match self.candidate(row, task.value) {
            Some(put) => self.change_state(row, task.value, put),
            None => Ok(()),
        }
    }

    fn return_put(&mut self, row: &mut [u64], task: Task) -> Result<(), Exhausted> {
        if self.may_return(row, task) {
            return self.frontier.add(row);
        }
        let state = row[0] as usize;
        let must_linearize = self.layout.has(row, Set::UnlinearizedPuts, task.slot);
        let is_state_needed = state != task.value && self.values[state].gets_to_come > 0;
        if !must_linearize && is_state_needed && self.has_candidate(row, task.value, 1) {
            self.frontier.add(row)?;
        }
        self.change_state(row, task.value, Candidate::Slot(task.slot))
    }

    /// Whether a put may return without becoming effective, and has no reason to: it is linearized,
    /// or it is overwritten and no get needs its value.
    fn may_return(&self, row: &[u64], task: Task) -> bool {
        let value = &self.values[task.value];
        let is_unlinearized = |&get: &usize| self.layout.has(row, Set::UnlinearizedGets, get);
        let is_needed = || value.gets_to_come > 0 || value.gets.iter().any(is_unlinearized);
        !self.layout.has(row, Set::UnlinearizedPuts, task.slot)
            && (self.layout.has(row, Set::LinearizedPuts, task.slot) || !is_needed())
    }
}
