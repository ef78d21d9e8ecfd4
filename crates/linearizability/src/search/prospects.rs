//! Values that no later task can make again.
//!
//! A task with an answer may *need* a value: a get that has found it, or a compare-and-set that has
//! replaced it. If such a task is left when the state loses its value, and no task is left that
//! makes this value, the order has no future.
//!
//! ```text
//!     put a   |--------|
//!     put b      |---------|           after a and then b no task makes a again: the order has to
//!     get a                   |---|    be b, a, although a returns first
//! ```

use super::timeline::Task;

/// The tasks that need and make each value.
pub struct Prospects {
    values: Vec<Value>,
}

#[derive(Clone, Default)]
struct Value {
    needs: Tasks,
    makes: Tasks,
}

#[derive(Clone, Default)]
struct Tasks {
    to_come: usize,
    open: Vec<usize>,
}

impl Tasks {
    fn invoke(&mut self, task: usize) {
        self.to_come -= 1;
        self.open.push(task);
    }

    fn is_left(&self, is_linearized: impl Fn(usize) -> bool) -> bool {
        self.to_come > 0 || self.open.iter().any(|&task| !is_linearized(task))
    }
}

impl Prospects {
    pub fn new<C, A>(tasks: &[Task<'_, C, A>]) -> Self {
        let numbers = tasks.iter().flat_map(|task| [task.traits.needs, task.traits.makes]).flatten();
        let mut values = vec![Value::default(); numbers.max().map_or(0, |most| most + 1)];
        for task in tasks {
            if let Some(value) = needs(task) {
                values[value].needs.to_come += 1;
            }
            if let Some(value) = task.traits.makes {
                values[value].makes.to_come += 1;
            }
        }
        Self { values }
    }

    pub fn invoke<C, A>(&mut self, place: usize, task: &Task<'_, C, A>) {
        if let Some(value) = needs(task) {
            self.values[value].needs.invoke(place);
        }
        if let Some(value) = task.traits.makes {
            self.values[value].makes.invoke(place);
        }
    }

    pub fn end<C, A>(&mut self, place: usize, task: &Task<'_, C, A>) {
        if let Some(value) = needs(task) {
            self.values[value].needs.open.retain(|&other| other != place);
        }
        if let Some(value) = task.traits.makes {
            self.values[value].makes.open.retain(|&other| other != place);
        }
    }

    /// Whether the state may lose this value. `is_linearized` says it of open tasks.
    pub fn may_lose(&self, value: usize, is_linearized: impl Fn(usize) -> bool) -> bool {
        let Some(value) = self.values.get(value) else { return true };
        !value.needs.is_left(&is_linearized) || value.makes.is_left(&is_linearized)
    }
}

/// A pending task needs nothing, since it need not take effect.
fn needs<C, A>(task: &Task<'_, C, A>) -> Option<usize> {
    task.traits.needs.filter(|_| !task.is_pending())
}
