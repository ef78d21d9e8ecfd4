//! The search for an order that explains the operations of one part of a history, for any model.
//!
//! The search of Wing and Gong (*Testing and Verifying Concurrent Objects*, 1993) tries the orders
//! that the times allow. Deciding whether one of them explains the answers is NP-complete (Gibbons
//! and Korach, *Testing Shared Memories*, 1997), so the search must prune. It has both improvements
//! of Lowe (*Testing for Linearizability*, 2017):
//!
//! * **Just-in-time linearization.** The search goes through the invocations and ends in order of
//!   time. It linearizes operations only at the end of an operation that is not yet linearized: it
//!   tries all sequences of open operations that end with this one.
//! * **Memory.** A *configuration* has the open operations that are linearized, and the state. The
//!   future of a configuration does not depend on the order that led to it, so the search follows
//!   only one order to each.
//!
//! The search goes breadth first, from event to event. The *frontier* is the set of configurations
//! that all orders so far have led to, and the only memory that the search needs. It makes attempts
//! of growing width ([`beam`](crate::beam)): each keeps a limited number of configurations, the ones
//! with the fewest pending operations, and tries a limited number of sequences at each end.
//!
//! Rules keep the number of configurations small:
//!
//! 1. **A read is linearized as soon as the state allows its answer.** It changes no state, so
//!    every order that has it later exists without it there.
//! 2. **A pending operation that would leave the state as it is is not linearized**, since it need
//!    not take effect. A pending read is left out altogether.
//! 3. **A configuration that another one dominates is dropped** ([`antichain`]): a pending
//!    operation that is not yet linearized is worth more than one that is.
//! 4. **Of equal pending operations, the one that ends first is linearized first.** It could change
//!    places with another one in every order.
//! 5. **Before the operation that ends, only operations of its neighbourhood are linearized**: those
//!    that share a part of the state with it, directly or through other open operations. All others
//!    commute with these, so they may as well come later.
//! 6. **Sequences without pending operations are tried first**, then those with one, and so on, and
//!    operations that end soon before others. Most histories need few of these. The first attempt
//!    takes a pending operation only where nothing else leads on.
//! 7. **The state keeps a value that is still needed** if no operation is left that makes it again
//!    ([`prospects`]).
//!
//! An example for 1, 3 and 6, with the end of `add 1` as the next event:
//!
//! ```text
//!     add 1 → 3     |--------|              ends: the state must be 2 before it
//!     add 2 → 2       |-----------|         is tried first, and explains the 3
//!     add 2         |-------------------->  pending: is tried next, and leads to a configuration
//!                                           of the same state that has one more task linearized or
//!                                           one fewer: neither dominates the other
//!     read → 3             |------|         is linearized at once when the state is 3
//! ```

mod antichain;
mod prospects;
mod sequences;
mod timeline;

use crate::Model;
use crate::beam::{FIRST_WIDTH, wider};
use crate::limits::{Budget, Exhausted};
use antichain::Configuration;
use prospects::Prospects;
pub use timeline::{Effect, Task, Traits};
use timeline::{Event, Open, Timeline};

/// One unit of work compares so many words of configurations.
const COMPARED_PER_WORK: usize = 16;

/// The units of work for making a configuration, beside the step that leads to it.
const MADE: usize = 2;

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Some order explains the answers.
    Explained,
    /// No order explains the answers. All orders fail at the latest when this task returns.
    Contradiction(usize),
    /// The budget was spent before the end.
    Undecided(Exhausted),
}

/// Searches for an order that explains these tasks.
pub fn search<M: Model>(model: &M, tasks: &[Task<'_, M::Call, M::Answer>], budget: &mut Budget) -> Finding {
    search_from(FIRST_WIDTH, model, tasks, budget)
}

/// The same search. Its first attempt keeps `width` configurations.
pub fn search_from<M: Model>(
    width: usize,
    model: &M,
    tasks: &[Task<'_, M::Call, M::Answer>],
    budget: &mut Budget,
) -> Finding {
    attempts(width, model, tasks, budget, None).map_or_else(Finding::Undecided, |(finding, _)| finding)
}

/// An order that explains these tasks, if the search finds one. It has all tasks with an answer and
/// some pending ones.
pub fn explain<M: Model>(
    model: &M,
    tasks: &[Task<'_, M::Call, M::Answer>],
    budget: &mut Budget,
) -> Option<Vec<usize>> {
    let found = attempts(FIRST_WIDTH, model, tasks, budget, Some(Vec::new()));
    found.ok().filter(|(finding, _)| *finding == Finding::Explained).map(|(_, order)| order)
}

fn attempts<M: Model>(
    mut width: usize,
    model: &M,
    tasks: &[Task<'_, M::Call, M::Answer>],
    budget: &mut Budget,
    steps: Option<Vec<Step>>,
) -> Result<(Finding, Vec<usize>), Exhausted> {
    let timeline = Timeline::new(tasks);
    let mut is_first = true;
    loop {
        let mut search = Search::new(model, tasks, &timeline, (width, is_first), budget, steps.clone());
        match search.run()? {
            None => return Ok((Finding::Explained, search.order())),
            Some(task) if search.is_complete => return Ok((Finding::Contradiction(task), Vec::new())),
            Some(_) if is_first => is_first = false,
            Some(_) => width = wider(width),
        }
    }
}

/// A task that was linearized, and the number of the step before it, which is 0 for none.
#[derive(Clone, Copy)]
struct Step {
    task: usize,
    before: usize,
}

/// One attempt.
struct Search<'a, 'b, M: Model> {
    model: &'a M,
    tasks: &'a [Task<'a, M::Call, M::Answer>],
    timeline: &'a Timeline,
    width: usize,
    /// Whether a pending task is linearized only where nothing else leads on.
    saves_pending: bool,
    open: Open,
    prospects: Prospects,
    frontier: Vec<Configuration<M::State>>,
    is_complete: bool, // whether the attempt has left out no configuration
    steps: Option<Vec<Step>>,
    budget: &'b mut Budget,
}

impl<'a, 'b, M: Model> Search<'a, 'b, M> {
    fn new(
        model: &'a M,
        tasks: &'a [Task<'a, M::Call, M::Answer>],
        timeline: &'a Timeline,
        (width, saves_pending): (usize, bool),
        budget: &'b mut Budget,
        steps: Option<Vec<Step>>,
    ) -> Self {
        let linearized = vec![0; timeline.layout.words()].into();
        let first = Configuration { state: model.initial(), linearized, step: 0 };
        let (open, frontier) = (Open::new(tasks.len()), vec![first]);
        let prospects = Prospects::new(tasks);
        Self {
            model,
            tasks,
            timeline,
            width,
            saves_pending,
            open,
            prospects,
            frontier,
            is_complete: true,
            steps,
            budget,
        }
    }

    /// The task at whose end no configuration is left, if there is one.
    fn run(&mut self) -> Result<Option<usize>, Exhausted> {
        for event in &self.timeline.events {
            match *event {
                Event::Invoke(task) => self.invoke(task)?,
                Event::End(task) => {
                    self.end(task)?;
                    if self.frontier.is_empty() {
                        return Ok(Some(task));
                    }
                }
            }
        }
        Ok(None)
    }

    fn invoke(&mut self, task: usize) -> Result<(), Exhausted> {
        self.open.invoke(task, self.tasks);
        self.prospects.invoke(task, &self.tasks[task]);
        if self.tasks[task].is_passive() {
            let mut frontier = std::mem::take(&mut self.frontier);
            for configuration in &mut frontier {
                self.settle_one(configuration, task)?;
            }
            self.frontier = frontier;
        }
        Ok(())
    }

    /// Lets a task end: it is linearized now if it is not yet. A pending one need not be.
    fn end(&mut self, task: usize) -> Result<(), Exhausted> {
        let slot = self.timeline.slots[task];
        let is_pending = self.tasks[task].is_pending();
        if !is_pending && self.frontier.iter().all(|configuration| configuration.has(slot)) {
            self.frontier.iter_mut().for_each(|configuration| configuration.remove(slot));
        } else {
            self.frontier = self.sequences_to(task)?;
        }
        self.open.end(task);
        self.prospects.end(task, &self.tasks[task]);
        Ok(())
    }

    /// The configuration after this task, if the task can come next.
    fn linearize(
        &mut self,
        from: &Configuration<M::State>,
        task: usize,
    ) -> Result<Option<Configuration<M::State>>, Exhausted> {
        let Some(state) = self.step(from, task)? else { return Ok(None) };
        self.budget.spend(MADE + from.linearized.len() / COMPARED_PER_WORK)?;
        let is_changed = state != from.state;
        let mut next = Configuration { state, linearized: from.linearized.clone(), step: from.step };
        self.add(&mut next, task);
        if is_changed {
            let lost =
                self.model.value(&from.state).filter(|&old| self.model.value(&next.state) != Some(old));
            let is_linearized = |task: usize| next.has(self.timeline.slots[task]);
            if lost.is_some_and(|value| !self.prospects.may_lose(value, is_linearized)) {
                return Ok(None);
            }
            for at in 0..self.open.passive.len() {
                self.settle_one(&mut next, self.open.passive[at])?;
            }
        }
        Ok(Some(next))
    }

    /// Linearizes this passive task if that leaves the state as it is.
    fn settle_one(&mut self, own: &mut Configuration<M::State>, task: usize) -> Result<(), Exhausted> {
        if !own.has(self.timeline.slots[task])
            && let Some(state) = self.step(own, task)?
            && state == own.state
        {
            self.add(own, task);
        }
        Ok(())
    }

    fn step(&mut self, from: &Configuration<M::State>, task: usize) -> Result<Option<M::State>, Exhausted> {
        let Task { call, answer, traits, .. } = self.tasks[task];
        let is_due = |before: usize| {
            self.open.is_over(before) || self.open.is_open(before) && from.has(self.timeline.slots[before])
        };
        if !traits.after.is_none_or(is_due) {
            return Ok(None);
        }
        self.budget.spend(1)?;
        Ok(self.model.step(&from.state, call, answer))
    }

    /// Marks the task as linearized.
    fn add(&mut self, own: &mut Configuration<M::State>, task: usize) {
        own.insert(self.timeline.slots[task]);
        if let Some(steps) = &mut self.steps {
            steps.push(Step { task, before: own.step });
            own.step = steps.len();
        }
    }

    /// The order that led to the first configuration of the frontier, if the search records its
    /// steps.
    fn order(&self) -> Vec<usize> {
        let (Some(steps), Some(found)) = (&self.steps, self.frontier.first()) else { return Vec::new() };
        let mut order = Vec::new();
        let mut number = found.step;
        while number > 0 {
            let step = steps[number - 1];
            order.push(step.task);
            number = step.before;
        }
        order.reverse();
        order
    }
}
