//! Whether some order of one key's operations explains what its gets returned.
//!
//! The search of Wing and Gong (*Testing and Verifying Concurrent Objects*, 1993) tries orders, and Lowe
//! (*Testing for Linearizability*, 2017) made two improvements that are used here. *Just in time*: it is
//! enough to let an operation take effect when one returns that has not yet; so the events are gone through
//! once, in order of time. And *memory*: two orders of the same operations that leave the same value have the
//! same future, so only one is followed. What the orders that are still possible lead to is the *frontier*, a
//! set of configurations.
//!
//! The search makes several attempts. The first one keeps only the lightest configurations after each
//! event. If one of them reaches the end, there is an order. If none does and none was left out, the
//! history contradicts itself. Else the next attempt keeps four times as many. Most histories are
//! decided by the first attempt, in a time proportional to their length. Before the second one, a
//! contradiction is looked for without the gets of ambiguous values; the others are never hard.
//!
//! The operations are only puts and gets of one value, which allows more. Let the *state* be the value of the
//! key, and call a change of it by a put a *switch*. A get is *owed* until it has found its value, and *to
//! come* before its invocation.
//!
//! 1. **A get takes effect as soon as the state is its value.** It changes nothing, and nobody has to wait
//!    for it: what is still to take effect has not returned yet, so it need not come first.
//! 2. **A switch covers all puts under way.** Each may have taken effect unseen just before it. It need not
//!    have, so it stays *open*: it can still be switched to. But it is no longer *bare*, and may return
//!    without further ado. (A put of unknown outcome is never bare, and neither is a declined one, which
//!    ends when a retry of it is acknowledged: it may as well have taken no effect.)
//! 3. **Of the open puts of a value, the one that returns first is switched to.** The switch covers the
//!    others, so what differs is only which of them are open, and a later return leaves more time.
//! 4. **Switches happen when an owed get or a put returns, and end at its value.** Those after that can wait:
//!    until the next return no get has to be answered and no put be covered. Those before it, *detours*, are
//!    of use only for owed gets of their value. Their order does not matter: afterwards the same puts are
//!    used, the same gets answered and all puts covered.
//! 5. **A detour is made if no get of its value is to come**: then there is nothing that its put could be
//!    saved for. If some are to come, it is made only if another put of this value is left for them; making
//!    it or not are two configurations.
//! 6. **A state is left only if no get of it is to come, or a put of it is left.** Likewise a put returns
//!    without a switch only if no get of its value is owed or to come, or another put of it is left.
//! 7. **A put that returns covered is switched to if a get of its value is owed or to come and none of the
//!    state is** (or the two are the same value): the old state is of no use any more, and switching covers
//!    the others for nothing. Only if both are wanted there are two configurations.
//! 8. **Of two configurations with the same state the heavier one is dropped**: if one owes no get, has used
//!    no put and has no bare put that the other does not, it can do whatever the other does, with the same
//!    switches. A state of which no get is to come is worth no more than any other state.
//! 9. **Open puts of unknown outcome of a value are counted**, for one is as good as another. They are
//!    switched to after those that end. Their counter ends with the last get of their value.
//!
//! If every value is put once, 5 and 7 never leave a choice, because 6 decides: the frontier has one
//! configuration, and the search takes linear time. Only values that are put several times cost more, and
//! `epochs` sees to it that these are few.

use super::Operation;
use super::configuration::{Layout, Rows, Set};
use super::frontier::{Budget, Frontier, OutOfBudget};
use super::timeline::{Event, NEVER_PUT, Task, TaskKind, Timeline, unambiguous};

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is an order that explains the operations.
    Explained,
    /// There is none.
    Contradiction {
        /// It does not show earlier than now: there is an order for what has returned before. `None` if
        /// those that are `unambiguous` contradict each other.
        moment: Option<u64>,
    },
    /// The budget was spent before the end.
    OutOfBudget,
}

/// How many configurations the first attempt keeps: as many as cost little, for most histories need no more.
const FIRST_WIDTH: usize = 16;
/// How many times as many the next attempt keeps; so all attempts take little longer than the last one.
const WIDER: usize = 4;

/// What a search of values with one source each may spend, in bytes; it needs little.
const UNAMBIGUOUS_BUDGET: u64 = 1_000_000;

/// Searches for an order that explains these operations, which are of one key.
pub fn search(operations: &[&Operation], budget: &mut Budget) -> Finding {
    search_from(FIRST_WIDTH, operations, budget)
}

/// Does so with attempts that keep `width` configurations, and more and more.
pub fn search_from(mut width: usize, operations: &[&Operation], budget: &mut Budget) -> Finding {
    let timeline = Timeline::new(operations);
    let mut is_first = true;
    loop {
        let mut search = Search::new(&timeline, width, budget);
        match search.run() {
            Ok(None) => return Finding::Explained,
            Ok(moment) if search.frontier.is_complete() => return Finding::Contradiction { moment },
            // Wider attempts may take long, and this is certain at once.
            _ if is_first && contradicts_unambiguously(operations) => {
                return Finding::Contradiction { moment: None };
            }
            Ok(Some(_)) => width = width.saturating_mul(WIDER),
            Err(OutOfBudget) => return Finding::OutOfBudget,
        }
        is_first = false;
    }
}

fn contradicts_unambiguously(operations: &[&Operation]) -> bool {
    let timeline = Timeline::new(&unambiguous(operations));
    let mut budget = Budget::new(UNAMBIGUOUS_BUDGET);
    let mut search = Search::new(&timeline, FIRST_WIDTH, &mut budget);
    matches!(search.run(), Ok(Some(_))) && search.frontier.is_complete()
}

struct Search<'a> {
    timeline: &'a Timeline,
    layout: Layout,
    values: Vec<Value>,   // and one more, which no get returns
    value_in: Vec<usize>, // by slot: the value of the task that has it
    frontier: Frontier<'a>,
    switches: u64,     // how many were looked at
    seen_at: Vec<u64>, // by value: at which switch a detour to it was last considered
    detoured: Rows,    // scratch: where a switch leads to
    row: Vec<u64>,     // scratch: the configuration that is looked at
}

/// What is the same in all configurations for one value.
#[derive(Clone, Default)]
struct Value {
    gets_to_come: usize,
    puts_to_come: usize, // that may be read
    gets: Vec<usize>,    // slots of those under way
    puts: Vec<Task>,     // those under way that may be read and end, the first to end first
    maybes: u32,         // those of unknown outcome that were invoked
    counter: usize,      // how many of these were used
}

/// A put that can be switched to.
#[derive(Clone, Copy)]
enum Open {
    Slot(usize),
    Counter(usize),
}

impl<'a> Search<'a> {
    fn new(timeline: &'a Timeline, width: usize, budget: &'a mut Budget) -> Self {
        let mut values = vec![Value::default(); timeline.values + 1];
        for task in &timeline.tasks {
            match task.kind {
                TaskKind::Get => values[task.value].gets_to_come += 1,
                TaskKind::Put { readable: false } => {}
                TaskKind::Put { readable: true } | TaskKind::Declined | TaskKind::Maybe => {
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
            switches: 0,
            seen_at: vec![0; timeline.values + 1],
            detoured: Rows::new(&layout),
            row: Vec::new(),
        }
    }

    /// The moment at which no configuration is left, if that comes.
    fn run(&mut self) -> Result<Option<u64>, OutOfBudget> {
        for (&event, &moment) in self.timeline.events.iter().zip(&self.timeline.moments) {
            match event {
                Event::Invoke(task) => self.invoke(self.timeline.tasks[task]),
                Event::Return(task) => self.end(self.timeline.tasks[task])?,
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
            TaskKind::Maybe => {
                value.puts_to_come -= 1;
                value.maybes += 1;
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
                    self.layout.insert(row, Set::Owed, task.slot);
                }
                TaskKind::Put { .. } => self.layout.insert(row, Set::Bare, task.slot),
                TaskKind::Get | TaskKind::Declined | TaskKind::Maybe => {}
            }
        }
    }

    fn end(&mut self, task: Task) -> Result<(), OutOfBudget> {
        let value = &self.values[task.value];
        self.frontier.look(self.frontier.len(), value.gets.len() + value.puts.len())?;
        let is_indifferent = |row| match task.kind {
            TaskKind::Get => !self.layout.has(row, Set::Owed, task.slot),
            TaskKind::Put { .. } | TaskKind::Declined => self.may_end(row, task),
            TaskKind::Maybe => true,
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
                self.end_get(&mut row, task)
            } else {
                self.end_put(&mut row, task)
            }?;
        }
        self.row = row;
        self.forget(task);
        self.frontier.close(before)
    }

    /// Takes out of all configurations what no longer matters after the end of a task. Whether that was
    /// anything.
    fn forget(&mut self, task: Task) -> bool {
        let value = &mut self.values[task.value];
        value.gets.retain(|&slot| slot != task.slot);
        value.puts.retain(|put| put.slot != task.slot);
        let is_last_get = task.kind == TaskKind::Get && value.gets_to_come == 0 && value.gets.is_empty();
        let counter = (is_last_get && value.maybes > 0).then_some(value.counter);
        if is_last_get {
            value.maybes = 0;
        }
        let mut is_changed = false;
        for row in self.frontier.rows_mut() {
            is_changed |= self.layout.remove(row, Set::Used, task.slot); // it is another's now
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

    fn end_get(&mut self, row: &mut [u64], task: Task) -> Result<(), OutOfBudget> {
        if !self.layout.has(row, Set::Owed, task.slot) {
            return self.frontier.add(row);
        }
        match self.first_open(row, task.value) {
            Some(put) => self.switch(row, task.value, put),
            None => Ok(()),
        }
    }

    fn end_put(&mut self, row: &mut [u64], task: Task) -> Result<(), OutOfBudget> {
        if self.may_end(row, task) {
            return self.frontier.add(row);
        }
        let state = row[0] as usize;
        let is_bare = self.layout.has(row, Set::Bare, task.slot);
        let is_state_wanted = state != task.value && self.values[state].gets_to_come > 0;
        if !is_bare && is_state_wanted && self.is_left(row, task.value, 1) {
            self.frontier.add(row)?;
        }
        self.switch(row, task.value, Open::Slot(task.slot))
    }

    /// Whether a put may end without further ado: it has taken effect, and no get wants its value.
    fn may_end(&self, row: &[u64], task: Task) -> bool {
        let value = &self.values[task.value];
        let is_owed = |&get: &usize| self.layout.has(row, Set::Owed, get);
        let is_wanted = || value.gets_to_come > 0 || value.gets.iter().any(is_owed);
        !self.layout.has(row, Set::Bare, task.slot)
            && (self.layout.has(row, Set::Used, task.slot) || !is_wanted())
    }

    /// Adds to the next frontier what switching to this put leads to: with all detours that cost
    /// nothing, and with and without each of the others.
    fn switch(&mut self, row: &mut [u64], to: usize, put: Open) -> Result<(), OutOfBudget> {
        let left = row[0] as usize;
        if left != to && self.values[left].gets_to_come > 0 && !self.is_left(row, left, 0) {
            return Ok(());
        }
        let (sure, choices) = self.detours(row, to);
        for value in sure {
            self.visit(row, value);
        }
        self.spend(row, put);
        self.layout.clear(row, Set::Bare);
        row[0] = to as u64;
        self.answer(row, to);
        if choices.is_empty() {
            return self.frontier.add(row);
        }
        let mut detoured = std::mem::take(&mut self.detoured);
        detoured.push(row);
        for value in choices {
            for place in 0..detoured.len() {
                row.copy_from_slice(detoured.get(place));
                self.visit(row, value);
                self.frontier.add_to(&mut detoured, row)?;
            }
            self.frontier.thin(&mut detoured)?;
        }
        for row in detoured.iter() {
            self.frontier.add(row)?;
        }
        detoured.clear();
        self.detoured = detoured;
        Ok(())
    }

    /// The values that can be visited for owed gets on the way to another: those to which nothing
    /// speaks against, and those where a put is spent that may be missed later.
    fn detours(&mut self, row: &[u64], to: usize) -> (Vec<usize>, Vec<usize>) {
        let (mut sure, mut choices) = (Vec::new(), Vec::new());
        self.switches += 1;
        for value in self.layout.slots(row, Set::Owed).map(|slot| self.value_in[slot]) {
            if self.seen_at[value] == self.switches {
                continue;
            }
            self.seen_at[value] = self.switches;
            if value == to || self.first_open(row, value).is_none() {
                continue;
            }
            if self.values[value].gets_to_come == 0 {
                sure.push(value);
            } else if self.is_left(row, value, 1) {
                choices.push(value);
            }
        }
        (sure, choices)
    }

    fn visit(&self, row: &mut [u64], value: usize) {
        if let Some(put) = self.first_open(row, value) {
            self.spend(row, put);
            self.answer(row, value);
        }
    }

    fn spend(&self, row: &mut [u64], put: Open) {
        match put {
            Open::Slot(slot) => self.layout.insert(row, Set::Used, slot),
            Open::Counter(counter) => {
                let count = self.layout.count(row, counter);
                self.layout.set_count(row, counter, count + 1);
            }
        }
    }

    fn answer(&self, row: &mut [u64], value: usize) {
        for &get in &self.values[value].gets {
            self.layout.remove(row, Set::Owed, get);
        }
    }

    fn first_open(&self, row: &[u64], value: usize) -> Option<Open> {
        let value = &self.values[value];
        let open = value.puts.iter().find(|put| !self.layout.has(row, Set::Used, put.slot));
        let is_any_open = || value.maybes > 0 && self.layout.count(row, value.counter) < value.maybes;
        open.map(|put| Open::Slot(put.slot)).or_else(|| is_any_open().then_some(Open::Counter(value.counter)))
    }

    /// Whether a put of this value can still be switched to after `spent` others.
    fn is_left(&self, row: &[u64], value: usize, spent: usize) -> bool {
        let value = &self.values[value];
        let maybes = match value.maybes {
            0 => 0,
            maybes => (maybes - self.layout.count(row, value.counter)) as usize,
        };
        let open = value.puts.iter().filter(|put| !self.layout.has(row, Set::Used, put.slot));
        value.puts_to_come > 0 || maybes > spent || open.take(spent + 1).count() + maybes > spent
    }
}
