//! The sequences of open tasks that the search tries when one of them ends.

use super::antichain::{Antichain, Configuration};
use super::{COMPARED_PER_WORK, Exhausted, Search, Step, Traits};
use crate::Model;

/// The steps that an attempt takes at one end, for each configuration that it keeps, before it goes
/// on with those that it has.
const MOST_STEPS: u64 = 64;

/// The configurations around the end of a task.
struct Ends<S> {
    task: usize,
    slot: usize,
    /// The configurations in which this task is not linearized.
    seen: Antichain<S>,
    /// The configurations after its end.
    after: Antichain<S>,
    /// The work that was left before.
    work: u64,
}

impl<M: Model> Search<'_, '_, M> {
    /// The configurations after all sequences of open tasks that end with this one.
    pub(super) fn sequences_to(&mut self, ending: usize) -> Result<Vec<Configuration<M::State>>, Exhausted> {
        let mut ends = Ends {
            task: ending,
            slot: self.timeline.slots[ending],
            seen: Antichain::new(self.timeline.layout),
            after: Antichain::new(self.timeline.layout),
            work: self.budget.work,
        };
        for configuration in std::mem::take(&mut self.frontier) {
            let is_linearized = configuration.has(ends.slot);
            if is_linearized || self.tasks[ending].is_pending() {
                self.end_with(&mut ends, configuration.clone())?;
            }
            if !is_linearized {
                self.insert(&mut ends, configuration)?;
            }
        }
        self.extend(&mut ends)?;
        let mut after = ends.after.into_configurations();
        if after.len() > self.width {
            self.is_complete = false;
            after.sort_by_key(|configuration| configuration.weight(self.timeline.layout));
            after.truncate(self.width);
        }
        Ok(after)
    }

    /// Tries longer and longer sequences: first all without pending tasks, then those with one, and
    /// so on.
    fn extend(&mut self, ends: &mut Ends<M::State>) -> Result<(), Exhausted> {
        let mut level: Vec<usize> = (0..ends.seen.len()).collect();
        let mut round = level.clone(); // those with the same number of pending tasks
        let mut neighbours = None;
        while !level.is_empty() {
            for &place in &level {
                if let Some(next) = self.linearize(ends.seen.get(place), ends.task)? {
                    self.end_with(ends, next)?;
                }
            }
            let (certain, pending) = neighbours.get_or_insert_with(|| self.neighbours(ends.task));
            if certain.is_empty() && pending.is_empty() {
                break;
            }
            if self.is_enough(ends) {
                self.is_complete = false;
                break;
            }
            level = self.extend_by(ends, &level, certain)?;
            if level.is_empty() {
                if self.saves_pending && ends.after.len() > 0 && !pending.is_empty() {
                    self.is_complete = false;
                    break;
                }
                level = self.extend_by(ends, &round, pending)?;
                round.clear();
            }
            if level.len() > self.width {
                self.is_complete = false;
                level.truncate(self.width);
            }
            round.extend(&level);
        }
        Ok(())
    }

    /// The places of the new configurations to which one more of these tasks leads.
    fn extend_by(
        &mut self,
        ends: &mut Ends<M::State>,
        from: &[usize],
        tasks: &[usize],
    ) -> Result<Vec<usize>, Exhausted> {
        let mut level = Vec::new();
        for &place in from {
            if ends.after.len() > 0 && self.has_tried_enough(ends) {
                self.is_complete = false;
                break;
            }
            let mut tried = None; // the class of the last task that is not linearized
            for &task in tasks {
                let Traits { class, .. } = self.tasks[task].traits;
                let is_linearized = ends.seen.get(place).has(self.timeline.slots[task]);
                if is_linearized || class.is_some() && class == tried {
                    continue;
                }
                tried = class;
                let Some(next) = self.linearize(ends.seen.get(place), task)? else { continue };
                if next.has(ends.slot) {
                    self.end_with(ends, next)?; // a passive task that ends was linearized with it
                } else if !self.tasks[task].is_pending() || next.state != ends.seen.get(place).state {
                    level.extend(self.insert(ends, next)?);
                }
            }
        }
        Ok(level)
    }

    /// Whether the attempt has as many configurations after this end as it keeps.
    fn is_enough(&self, ends: &Ends<M::State>) -> bool {
        ends.after.len() >= self.width || ends.after.len() > 0 && self.has_tried_enough(ends)
    }

    fn has_tried_enough(&self, ends: &Ends<M::State>) -> bool {
        ends.work - self.budget.work > MOST_STEPS.saturating_mul(self.width as u64)
    }

    /// The open tasks that share a part of the state with this one, directly or through others:
    /// those with an answer, and pending ones. A read, too, connects the tasks before and after it.
    fn neighbours(&self, ending: usize) -> (Vec<usize>, Vec<usize>) {
        let is_other = |&&task: &&usize| task != ending;
        let mut certain: Vec<usize> = self.open.certain.iter().filter(is_other).copied().collect();
        let mut pending: Vec<usize> = self.open.pending.iter().filter(is_other).copied().collect();
        let keys = |task: usize| self.tasks[task].traits.keys;
        if keys(ending).is_empty() {
            return (certain, pending);
        }
        let mut near = keys(ending).to_vec();
        loop {
            let before = near.len();
            for &task in certain.iter().chain(&pending).chain(&self.open.passive) {
                if keys(task).iter().any(|key| near.contains(key)) {
                    let new: Vec<usize> =
                        keys(task).iter().copied().filter(|key| !near.contains(key)).collect();
                    near.extend(new);
                }
            }
            if near.len() == before {
                break;
            }
        }
        let is_near = |&task: &usize| keys(task).iter().any(|key| near.contains(key));
        certain.retain(is_near);
        pending.retain(is_near);
        (certain, pending)
    }

    /// Adds a configuration before the end of the task that ends.
    fn insert(
        &mut self,
        ends: &mut Ends<M::State>,
        new: Configuration<M::State>,
    ) -> Result<Option<usize>, Exhausted> {
        let bytes = self.model.state_bytes(&new.state);
        let place = ends.seen.insert(new, bytes);
        self.pay(ends)?;
        Ok(place)
    }

    /// Adds a configuration after the end of the task that ends.
    fn end_with(
        &mut self,
        ends: &mut Ends<M::State>,
        mut new: Configuration<M::State>,
    ) -> Result<(), Exhausted> {
        new.remove(ends.slot); // the slot is free now
        let bytes = self.model.state_bytes(&new.state);
        ends.after.insert(new, bytes);
        self.pay(ends)
    }

    fn pay(&mut self, ends: &mut Ends<M::State>) -> Result<(), Exhausted> {
        let compared = std::mem::take(&mut ends.seen.compared) + std::mem::take(&mut ends.after.compared);
        self.budget.spend(compared / COMPARED_PER_WORK)?;
        let steps = self.steps.as_ref().map_or(0, |steps| size_of::<Step>() * steps.len());
        self.budget.check_memory(ends.seen.bytes + ends.after.bytes + steps)
    }
}
