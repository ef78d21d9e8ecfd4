//! The operations of one part of a history as the search sees them: tasks, and their invocations
//! and ends by time.

use std::cmp::Reverse;

use crate::structures::Slots;

/// One operation.
pub struct Task<'a, C, A> {
    pub call: &'a C,
    /// `None` if the operation is pending.
    pub answer: Option<&'a A>,
    pub invoked: u64,
    /// The last moment at which the operation can take effect, if there is one.
    pub end: Option<u64>,
    pub traits: Traits<'a>,
}

/// The facts about a task that let the search skip orders. The default is always correct.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits<'a> {
    pub effect: Effect,
    /// The parts of the state that the task reads and writes; empty for all. Tasks without a common
    /// part commute.
    pub keys: &'a [usize],
    /// Pending tasks of one class have the same call.
    pub class: Option<usize>,
    /// A task that takes effect before this one, or never. It is invoked and it ends no later.
    pub after: Option<usize>,
    /// The number of the value without which the task cannot have its answer.
    pub needs: Option<usize>,
    /// The number of the value that the task may make. Either all tasks that make values that
    /// others need have one, or none.
    pub makes: Option<usize>,
}

/// The changes that a task can make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    #[default]
    Any,
    /// With its answer, the task leaves every state as it is.
    Nothing,
    /// Once the task would leave a state as it is, it will leave all later states as they are.
    Once,
}

impl<C, A> Clone for Task<'_, C, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, A> Copy for Task<'_, C, A> {}

impl<C, A> Task<'_, C, A> {
    pub fn is_pending(&self) -> bool {
        self.answer.is_none()
    }

    /// Whether it may be linearized as soon as that leaves the state as it is.
    pub fn is_passive(&self) -> bool {
        !self.is_pending() && self.traits.effect != Effect::Any
    }
}

/// The invocations and ends of all tasks, by time.
pub struct Timeline {
    /// At equal times invocations come first, so that operations that touch count as concurrent.
    pub events: Vec<Event>,
    /// The place of each task's bit in a configuration. Tasks that are open at the same time have
    /// different ones.
    pub slots: Vec<usize>,
    pub layout: Layout,
}

/// The words of a configuration: first those with the bits of tasks with an answer, then those of
/// passive tasks, then those of pending ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub certain: usize,
    pub passive: usize,
    pub pending: usize,
}

impl Layout {
    pub fn words(&self) -> usize {
        self.certain + self.passive + self.pending
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Event {
    Invoke(usize),
    End(usize),
}

impl Timeline {
    pub fn new<C, A>(tasks: &[Task<'_, C, A>]) -> Self {
        let mut moments: Vec<(u64, u8, usize)> = Vec::with_capacity(2 * tasks.len());
        for (place, task) in tasks.iter().enumerate() {
            moments.push((task.invoked, 0, place));
            moments.extend(task.end.map(|end| (end.max(task.invoked), 1, place)));
        }
        moments.sort_unstable();
        let kind = |task: &Task<'_, C, A>| match (task.is_pending(), task.is_passive()) {
            (false, false) => 0,
            (false, true) => 1,
            (true, _) => 2,
        };
        let mut slots = vec![0; tasks.len()];
        let mut of_kind: [Slots; 3] = Default::default();
        let mut events = Vec::with_capacity(moments.len());
        for (_, phase, place) in moments {
            let own = &mut of_kind[kind(&tasks[place])];
            if phase == 0 {
                slots[place] = own.take();
                events.push(Event::Invoke(place));
            } else {
                own.give_back(slots[place]);
                events.push(Event::End(place));
            }
        }
        let [certain, passive, pending] = of_kind.map(|slots| slots.count().div_ceil(64));
        for (slot, task) in slots.iter_mut().zip(tasks) {
            *slot += 64 * [0, certain, certain + passive][kind(task)];
        }
        Self { events, slots, layout: Layout { certain, passive, pending } }
    }
}

/// The tasks that are open at one moment of the search.
pub struct Open {
    /// Tasks with an answer that may change the state, the first to end first.
    pub certain: Vec<usize>,
    /// Tasks with an answer that are linearized as soon as that leaves the state as it is.
    pub passive: Vec<usize>,
    /// Pending tasks. Those of a class stand together, the first to end first.
    pub pending: Vec<usize>,
    /// By task.
    phases: Vec<Phase>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    ToCome,
    Open,
    Over,
}

impl Open {
    pub fn new(tasks: usize) -> Self {
        let phases = vec![Phase::ToCome; tasks];
        Self { certain: Vec::new(), passive: Vec::new(), pending: Vec::new(), phases }
    }

    pub fn invoke<C, A>(&mut self, place: usize, tasks: &[Task<'_, C, A>]) {
        self.phases[place] = Phase::Open;
        let task = &tasks[place];
        let end = |place: usize| (tasks[place].end.unwrap_or(u64::MAX), place);
        if task.is_pending() {
            // Tasks without a class come last, each for itself.
            let order = |place: usize| (Reverse(tasks[place].traits.class), end(place));
            let at = self.pending.partition_point(|&other| order(other) < order(place));
            self.pending.insert(at, place);
            return;
        }
        if task.is_passive() {
            self.passive.push(place);
        }
        if task.traits.effect != Effect::Nothing {
            let at = self.certain.partition_point(|&other| end(other) < end(place));
            self.certain.insert(at, place);
        }
    }

    pub fn end(&mut self, place: usize) {
        self.phases[place] = Phase::Over;
        for list in [&mut self.certain, &mut self.passive, &mut self.pending] {
            list.retain(|&other| other != place);
        }
    }

    pub fn is_over(&self, place: usize) -> bool {
        self.phases[place] == Phase::Over
    }

    pub fn is_open(&self, place: usize) -> bool {
        self.phases[place] == Phase::Open
    }
}
