//! Whether some order of one key's operations explains what its gets returned.
//!
//! The search of Wing and Gong (*Testing and Verifying Concurrent Objects*, 1993) tries orders, and Lowe
//! (*Testing for Linearizability*, 2017) made two improvements that are used here. *Just in time*: it is
//! enough to let an operation take effect when one returns that has not yet; so the events are gone through
//! once, in order of time. And *memory*: two orders of the same operations that leave the same value have the
//! same future, so only one is followed. What the orders that are still possible lead to is the *frontier*, a
//! list of [`Configuration`]s; the history contradicts itself when it becomes empty.
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
//!    switches.
//!
//! If every value is put once, 5 and 7 never leave a choice, because 6 decides: the frontier has one
//! configuration, and the search takes linear time. Only values that are put several times cost steps.

use super::Operation;
use super::configuration::{Configuration, Set};
use super::timeline::{Event, NEVER_PUT, Task, TaskKind, Timeline};

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is an order that explains the operations.
    Explained,
    /// There is none.
    Contradiction,
    /// The budget was spent before the end.
    OutOfBudget,
}

/// Comparing two configurations takes so much less time than making one.
const COMPARISONS_PER_STEP: usize = 16;

/// How many search steps are left.
pub struct Budget(pub u64);

struct OutOfBudget;

impl Budget {
    fn spend(&mut self, steps: usize) -> Result<(), OutOfBudget> {
        let left = self.0.checked_sub(steps as u64);
        self.0 = left.unwrap_or(0);
        left.map(drop).ok_or(OutOfBudget)
    }
}

/// Searches for an order that explains these operations, which are of one key.
pub fn search(operations: &[&Operation], budget: &mut Budget) -> Finding {
    let timeline = Timeline::new(operations);
    let mut search = Search::new(&timeline, budget);
    for &event in &timeline.events {
        let result = match event {
            Event::Invoke(task) => {
                search.invoke(timeline.tasks[task]);
                Ok(())
            }
            Event::Return(task) => search.end(timeline.tasks[task]),
        };
        match result {
            Err(OutOfBudget) => return Finding::OutOfBudget,
            Ok(()) if search.frontier.is_empty() => return Finding::Contradiction,
            Ok(()) => {}
        }
    }
    Finding::Explained
}

struct Search<'a> {
    budget: &'a mut Budget,
    values: Vec<Value>,
    value_in: Vec<usize>, // by slot: the value of the task that has it
    frontier: Vec<Configuration>,
    next: Vec<Configuration>, // the frontier after the event that is looked at
}

/// What is the same in all configurations for one value.
#[derive(Clone, Default)]
struct Value {
    gets_to_come: usize,
    puts_to_come: usize, // that may be read
    gets: Vec<usize>,    // slots of those under way
    puts: Vec<Task>,     // those under way that may be read, the first to return first
}

impl<'a> Search<'a> {
    fn new(timeline: &Timeline, budget: &'a mut Budget) -> Self {
        let mut values = vec![Value::default(); timeline.values];
        for task in &timeline.tasks {
            match task.kind {
                TaskKind::Get => values[task.value].gets_to_come += 1,
                TaskKind::Put { readable: false } => {}
                TaskKind::Put { readable: true } | TaskKind::Declined | TaskKind::Maybe => {
                    values[task.value].puts_to_come += 1
                }
            }
        }
        let frontier = vec![Configuration::new(NEVER_PUT, timeline.slots)];
        Self { budget, values, value_in: vec![0; timeline.slots], frontier, next: Vec::new() }
    }

    fn invoke(&mut self, task: Task) {
        self.value_in[task.slot] = task.value;
        let value = &mut self.values[task.value];
        if task.kind == TaskKind::Get {
            value.gets_to_come -= 1;
            value.gets.push(task.slot);
        } else if task.kind != (TaskKind::Put { readable: false }) {
            value.puts_to_come -= 1;
            let place = value.puts.partition_point(|other| other.end < task.end);
            value.puts.insert(place, task);
        }
        for configuration in &mut self.frontier {
            match task.kind {
                TaskKind::Get if configuration.state == task.value => {}
                TaskKind::Get => configuration.insert(Set::Owed, task.slot),
                TaskKind::Put { .. } => configuration.insert(Set::Bare, task.slot),
                TaskKind::Declined | TaskKind::Maybe => {}
            }
        }
    }

    fn end(&mut self, task: Task) -> Result<(), OutOfBudget> {
        for configuration in std::mem::take(&mut self.frontier) {
            match task.kind {
                TaskKind::Get => self.end_get(configuration, task)?,
                TaskKind::Put { .. } | TaskKind::Declined => self.end_put(configuration, task)?,
                TaskKind::Maybe => self.keep(configuration)?,
            }
        }
        let value = &mut self.values[task.value];
        value.gets.retain(|&slot| slot != task.slot);
        value.puts.retain(|put| put.slot != task.slot);
        for configuration in &mut self.next {
            configuration.remove(Set::Used, task.slot); // it is another's now
        }
        self.prune()
    }

    /// Makes what was kept the frontier, without what is superfluous.
    fn prune(&mut self) -> Result<(), OutOfBudget> {
        self.next.sort_unstable();
        let mut first = 0; // of those with the same state
        for configuration in self.next.drain(..) {
            if self.frontier.last().is_some_and(|last| last.state != configuration.state) {
                first = self.frontier.len();
            }
            let rivals = &self.frontier[first..];
            self.budget.spend(rivals.len() / COMPARISONS_PER_STEP)?;
            if !rivals.iter().any(|rival| rival.is_no_heavier_than(&configuration)) {
                self.frontier.push(configuration);
            }
        }
        Ok(())
    }

    fn end_get(&mut self, configuration: Configuration, task: Task) -> Result<(), OutOfBudget> {
        if !configuration.has(Set::Owed, task.slot) {
            return self.keep(configuration);
        }
        match self.first_open(&configuration, task.value) {
            Some(put) => self.switch(configuration, put),
            None => Ok(()),
        }
    }

    fn end_put(&mut self, configuration: Configuration, task: Task) -> Result<(), OutOfBudget> {
        if configuration.has(Set::Bare, task.slot) {
            return self.switch(configuration, task);
        }
        if configuration.has(Set::Used, task.slot) {
            return self.keep(configuration);
        }
        let value = &self.values[task.value];
        let is_wanted =
            value.gets_to_come > 0 || value.gets.iter().any(|&get| configuration.has(Set::Owed, get));
        if !is_wanted {
            return self.keep(configuration);
        }
        let state = configuration.state;
        let is_state_wanted = state != task.value && self.values[state].gets_to_come > 0;
        if is_state_wanted && self.is_left(&configuration, task.value, 1) {
            self.keep(configuration.clone())?;
        }
        self.switch(configuration, task)
    }

    /// Adds to the next frontier what switching to this put leads to: with all detours that cost
    /// nothing, and with and without each of the others.
    fn switch(&mut self, mut from: Configuration, put: Task) -> Result<(), OutOfBudget> {
        let left = from.state;
        if left != put.value && self.values[left].gets_to_come > 0 && !self.is_left(&from, left, 0) {
            return Ok(());
        }
        let (sure, choices) = self.detours(&from, put.value);
        for value in sure {
            self.visit(&mut from, value);
        }
        from.insert(Set::Used, put.slot);
        from.clear(Set::Bare);
        from.state = put.value;
        self.answer(&mut from, put.value);
        let first = self.next.len();
        self.keep(from)?;
        for value in choices {
            for place in first..self.next.len() {
                let mut detoured = self.next[place].clone();
                self.visit(&mut detoured, value);
                self.keep(detoured)?;
            }
        }
        Ok(())
    }

    /// The values that can be visited for owed gets on the way to another: those to which nothing
    /// speaks against, and those where a put is spent that may be missed later.
    fn detours(&self, from: &Configuration, to: usize) -> (Vec<usize>, Vec<usize>) {
        let (mut sure, mut choices) = (Vec::new(), Vec::new());
        for value in from.slots(Set::Owed).map(|slot| self.value_in[slot]) {
            if value == to || sure.contains(&value) || choices.contains(&value) {
                continue;
            }
            if self.first_open(from, value).is_none() {
                continue;
            }
            if self.values[value].gets_to_come == 0 {
                sure.push(value);
            } else if self.is_left(from, value, 1) {
                choices.push(value);
            }
        }
        (sure, choices)
    }

    fn visit(&self, configuration: &mut Configuration, value: usize) {
        if let Some(put) = self.first_open(configuration, value) {
            configuration.insert(Set::Used, put.slot);
            self.answer(configuration, value);
        }
    }

    fn answer(&self, configuration: &mut Configuration, value: usize) {
        for &get in &self.values[value].gets {
            configuration.remove(Set::Owed, get);
        }
    }

    fn first_open(&self, configuration: &Configuration, value: usize) -> Option<Task> {
        self.values[value].puts.iter().copied().find(|put| !configuration.has(Set::Used, put.slot))
    }

    /// Whether a put of this value can still be switched to after `spent` others.
    fn is_left(&self, configuration: &Configuration, value: usize, spent: usize) -> bool {
        let value = &self.values[value];
        let open = value.puts.iter().filter(|put| !configuration.has(Set::Used, put.slot));
        value.puts_to_come > 0 || open.take(spent + 1).count() > spent
    }

    fn keep(&mut self, configuration: Configuration) -> Result<(), OutOfBudget> {
        if !self.next.is_empty() {
            self.budget.spend(1)?;
        }
        self.next.push(configuration);
        Ok(())
    }
}
