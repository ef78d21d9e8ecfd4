//! The search for an order that explains one key's operations, for any model.
//!
//! The search of Wing and Gong (*Testing and Verifying Concurrent Objects*, 1993) tries the orders
//! that the times allow. Deciding whether one of them explains the answers is NP-complete (Gibbons
//! and Korach, *Testing Shared Memories*, 1997), so the search must prune. It has both improvements
//! of Lowe (*Testing for Linearizability*, 2017):
//!
//! * **Just-in-time linearization.** The search goes through the invocations and returns in order
//!   of time. It linearizes operations only at the return of an operation that is not yet
//!   linearized: it tries all sequences of open operations that end with this one.
//! * **Memory.** A *configuration* is the next return, the open operations that are linearized, and
//!   the state. The future of a configuration does not depend on the order that led to it, so the
//!   search visits each configuration once.
//!
//! Three rules keep the number of configurations small:
//!
//! 1. A read is linearized as soon as the state allows its answer. It changes no state, so every
//!    order that has it later exists without it there.
//! 2. A pending operation that would leave the state as it is is not linearized, since it need not
//!    take effect. A pending read is left out altogether.
//! 3. The operation that returns is tried first, then the other operations that return, then the
//!    pending ones: most histories need few of these.
//!
//! A pending operation stays open to the end of the history, or until its last moment. So each one
//! may double the number of configurations. The search of [`key_value`](crate::key_value) avoids
//! this with rules that hold for puts and gets alone.

use std::collections::HashSet;
use std::rc::Rc;

use crate::Model;
use crate::limits::{Budget, Exhausted};

/// An operation as the search sees it.
pub struct Task<'a, C, A> {
    pub call: &'a C,
    /// `None` if the operation is pending.
    pub answer: Option<&'a A>,
    pub invoked: u64,
    /// The last moment at which the operation can take effect, if there is one.
    pub end: Option<u64>,
}

impl<C, A> Clone for Task<'_, C, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, A> Copy for Task<'_, C, A> {}

/// The result of a search.
pub enum Finding {
    /// This order of tasks explains the answers. It has all tasks with an answer and some pending
    /// ones.
    Explained(Vec<usize>),
    /// No order explains the answers. All orders fail at the latest when this task returns.
    Contradiction(usize),
    /// The budget was spent before the end.
    Undecided(Exhausted),
}

/// Searches for an order that explains these tasks, which are of one key.
pub fn search<M: Model>(model: &M, tasks: &[Task<'_, M::Call, M::Answer>], budget: &mut Budget) -> Finding {
    let timeline = Timeline::new(tasks);
    let mut search = Search { model, tasks, timeline, visited: HashSet::new(), bytes: 0, budget };
    search.run().unwrap_or_else(Finding::Undecided)
}

/// The invocations and ends of all tasks, by time.
struct Timeline {
    /// At equal times invocations come first, so that operations that touch count as concurrent.
    events: Vec<Event>,
    /// By task. Tasks that are open at the same time have different slots.
    slots: Vec<usize>,
    slot_count: usize,
}

#[derive(Clone, Copy)]
enum Event {
    Invoke(usize),
    End(usize),
}

impl Timeline {
    fn new<C, A>(tasks: &[Task<'_, C, A>]) -> Self {
        let mut moments: Vec<(u64, u8, usize)> = Vec::with_capacity(2 * tasks.len());
        for (place, task) in tasks.iter().enumerate() {
            moments.push((task.invoked, 0, place));
            moments.extend(task.end.map(|end| (end.max(task.invoked), 1, place)));
        }
        moments.sort_unstable();
        let mut slots = vec![0; tasks.len()];
        let mut slot_count = 0;
        let mut free = Vec::new();
        let mut events = Vec::with_capacity(moments.len());
        for (_, phase, task) in moments {
            if phase == 0 {
                slots[task] = free.pop().unwrap_or_else(|| {
                    slot_count += 1;
                    slot_count - 1
                });
                events.push(Event::Invoke(task));
            } else {
                free.push(slots[task]);
                events.push(Event::End(task));
            }
        }
        Self { events, slots, slot_count }
    }
}

/// A point of the search: all events before `event` are over.
#[derive(PartialEq, Eq, Hash)]
struct Configuration<S> {
    /// The place of the end of a task that is not linearized; the number of events if there is
    /// none.
    event: usize,
    /// One bit for each slot: whether the open task in it is linearized.
    linearized: Box<[u64]>,
    state: S,
}

impl<S> Configuration<S> {
    fn has(&self, slot: usize) -> bool {
        self.linearized[slot / 64] >> (slot % 64) & 1 == 1
    }
}

/// A configuration on the way from the start, and the choice that is tried next in it.
struct Frame<S> {
    configuration: Rc<Configuration<S>>,
    /// The task that was linearized to get here. `None` at the start, and if a pending task was
    /// given up.
    task: Option<usize>,
    next: usize,
}

/// The tasks that are open just before an event.
struct Open {
    event: usize,
    tasks: Vec<Option<usize>>, // by slot
}

impl Open {
    fn move_to(&mut self, event: usize, timeline: &Timeline) {
        while self.event < event {
            match timeline.events[self.event] {
                Event::Invoke(task) => self.tasks[timeline.slots[task]] = Some(task),
                Event::End(task) => self.tasks[timeline.slots[task]] = None,
            }
            self.event += 1;
        }
        while self.event > event {
            self.event -= 1;
            match timeline.events[self.event] {
                Event::Invoke(task) => self.tasks[timeline.slots[task]] = None,
                Event::End(task) => self.tasks[timeline.slots[task]] = Some(task),
            }
        }
    }
}

/// One way to go on from a configuration.
enum Choice<S> {
    /// Linearizes this task, which leads to this state.
    Linearize(usize, S),
    /// Lets a pending task end without effect.
    GiveUp,
}

struct Search<'a, 'b, M: Model> {
    model: &'a M,
    tasks: &'a [Task<'a, M::Call, M::Answer>],
    timeline: Timeline,
    visited: HashSet<Rc<Configuration<M::State>>>,
    bytes: usize, // that the visited configurations take
    budget: &'b mut Budget,
}

impl<M: Model> Search<'_, '_, M> {
    /// Depth first: each frame of the stack is one step further from the start.
    fn run(&mut self) -> Result<Finding, Exhausted> {
        let words = self.timeline.slot_count.div_ceil(64);
        let first = self.skip(0, vec![0; words].into(), self.model.initial());
        let mut open = Open { event: 0, tasks: vec![None; self.timeline.slot_count] };
        let mut furthest = (first.event, 0);
        let mut stack = vec![Frame { configuration: Rc::new(first), task: None, next: 0 }];
        while let Some(frame) = stack.last_mut() {
            let configuration = Rc::clone(&frame.configuration);
            let Some(&Event::End(ending)) = self.timeline.events.get(configuration.event) else {
                return Ok(Finding::Explained(stack.iter().filter_map(|frame| frame.task).collect()));
            };
            furthest = furthest.max((configuration.event, ending));
            open.move_to(configuration.event, &self.timeline);
            let Some(choice) = self.choose(&configuration, ending, &open, &mut frame.next)? else {
                stack.pop();
                continue;
            };
            let task = match choice {
                Choice::Linearize(task, _) => Some(task),
                Choice::GiveUp => None,
            };
            if let Some(configuration) = self.follow(&configuration, ending, choice)? {
                stack.push(Frame { configuration, task, next: 0 });
            }
        }
        Ok(Finding::Contradiction(furthest.1))
    }

    /// The next choice in a configuration. `next` counts the slots, first for tasks with an answer
    /// and then for pending ones, after the two choices for the task that ends.
    fn choose(
        &mut self,
        configuration: &Configuration<M::State>,
        ending: usize,
        open: &Open,
        next: &mut usize,
    ) -> Result<Option<Choice<M::State>>, Exhausted> {
        let slots = self.timeline.slot_count;
        let last = 2 + 2 * slots;
        if *next == 0 {
            for task in open.tasks.iter().flatten().copied() {
                let Task { call, answer, .. } = self.tasks[task];
                let is_free = !configuration.has(self.timeline.slots[task]);
                if !is_free || answer.is_none() || !self.model.is_read(call, answer) {
                    continue;
                }
                if let Some(state) = self.step(configuration, task)? {
                    *next = last; // no other choice can lead further
                    return Ok(Some(Choice::Linearize(task, state)));
                }
            }
        }
        while *next < last {
            let choice = *next;
            *next += 1;
            let task = match choice {
                0 if self.tasks[ending].answer.is_none() => return Ok(Some(Choice::GiveUp)),
                0 => continue,
                1 => ending,
                _ => {
                    let is_pending = choice - 2 >= slots;
                    let task = open.tasks[(choice - 2) % slots];
                    match task.filter(|&task| self.tasks[task].answer.is_none() == is_pending) {
                        Some(task) if task != ending => task,
                        _ => continue,
                    }
                }
            };
            if configuration.has(self.timeline.slots[task]) {
                continue;
            }
            if let Some(state) = self.step(configuration, task)? {
                let is_pending = self.tasks[task].answer.is_none();
                if !is_pending || state != configuration.state {
                    return Ok(Some(Choice::Linearize(task, state)));
                }
            }
        }
        Ok(None)
    }

    fn step(
        &mut self,
        configuration: &Configuration<M::State>,
        task: usize,
    ) -> Result<Option<M::State>, Exhausted> {
        self.budget.spend(1)?;
        let Task { call, answer, .. } = self.tasks[task];
        Ok(self.model.step(&configuration.state, call, answer))
    }

    /// The configuration to which a choice leads, if no other order has led to it before.
    fn follow(
        &mut self,
        from: &Configuration<M::State>,
        ending: usize,
        choice: Choice<M::State>,
    ) -> Result<Option<Rc<Configuration<M::State>>>, Exhausted> {
        let mut linearized = from.linearized.clone();
        // A task that is given up needs no more choices, just like one that is linearized.
        let (task, state) = match choice {
            Choice::Linearize(task, state) => (task, state),
            Choice::GiveUp => (ending, from.state.clone()),
        };
        let slot = self.timeline.slots[task];
        linearized[slot / 64] |= 1 << (slot % 64);
        let configuration = Rc::new(self.skip(from.event, linearized, state));
        if !self.visited.insert(Rc::clone(&configuration)) {
            return Ok(None);
        }
        self.bytes += bytes(&*configuration);
        self.budget.check_memory(self.bytes)?;
        Ok(Some(configuration))
    }

    /// Goes from `event` on to the end of a task that is not linearized.
    fn skip(&self, mut event: usize, mut linearized: Box<[u64]>, state: M::State) -> Configuration<M::State> {
        while let Some(&next) = self.timeline.events.get(event) {
            if let Event::End(task) = next {
                let slot = self.timeline.slots[task];
                if linearized[slot / 64] >> (slot % 64) & 1 == 0 {
                    break;
                }
                linearized[slot / 64] &= !(1 << (slot % 64));
            }
            event += 1;
        }
        Configuration { event, linearized, state }
    }
}

/// The memory that a configuration takes among the visited ones. It does not count what the state
/// owns elsewhere.
fn bytes<S>(configuration: &Configuration<S>) -> usize {
    let counts = 2 * size_of::<usize>(); // of the shared pointer
    let entry = 2 * size_of::<usize>(); // of the set, which is half empty
    size_of::<Configuration<S>>() + size_of_val(&*configuration.linearized) + counts + entry
}
