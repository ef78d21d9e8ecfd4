//! The *frontier*: all configurations that the search still follows, and what they cost.

use super::configuration::{Layout, Rows};
use crate::limits::{Budget, Exhausted};

/// One unit of work compares so many pairs of configurations, or words of both.
const COMPARED_PER_WORK: usize = 8;

/// One unit of work makes so many words of a configuration.
const MADE_PER_WORK: usize = 4;

/// The units of work for making a configuration, beside those for its words.
const OVERHEAD: usize = 4;

/// The units of work for sorting, for each configuration.
const SORTED: usize = 4;

/// One unit of work looks at so many slots of a configuration.
const LOOKED_PER_WORK: usize = 32;

/// One unit of work pays for so many configurations that an event leaves as they are.
const PASSED_PER_WORK: usize = 4;

/// The memory that a configuration takes beside its words while the frontier compares it, in bytes.
const OVERHEAD_BYTES: usize = 2 * size_of::<u32>();

/// The frontier compares its configurations when it has so many beyond those that are known to
/// differ.
const MOST_UNCOMPARED: usize = 4_096;

/// A set of configurations, none of which another one dominates.
pub struct Frontier<'a> {
    layout: Layout,
    unread: u64,  // the state that no get to come returns; the greatest
    width: usize, // the number of configurations that are kept
    is_complete: bool,
    rows: Rows,
    compared: usize,      // the number that the last comparison has left
    earlier_bytes: usize, // the memory of the frontier before this event
    spare: Rows,          // scratch
    order: Vec<u32>,      // scratch: places of rows
    budget: &'a mut Budget,
}

impl<'a> Frontier<'a> {
    /// `unread` is the state that no get to come returns, the greatest of all. Of more than `width`
    /// configurations the frontier keeps the lightest.
    pub fn new(layout: Layout, unread: usize, width: usize, first: &[u64], budget: &'a mut Budget) -> Self {
        let mut rows = Rows::new(&layout);
        rows.push(first);
        Self {
            layout,
            unread: unread as u64,
            width,
            is_complete: true,
            rows,
            compared: 0,
            earlier_bytes: 0,
            spare: Rows::new(&layout),
            order: Vec::new(),
            budget,
        }
    }

    /// Whether the frontier has never left out a configuration because of its width.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.rows.iter()
    }

    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut [u64]> {
        self.rows.iter_mut()
    }

    /// Begins an event and returns the configurations before it. The caller `add`s those after the
    /// event, and then calls `close`.
    pub fn open(&mut self) -> Rows {
        self.spare.clear();
        self.compared = 0;
        self.earlier_bytes = self.bytes(&self.rows);
        std::mem::replace(&mut self.rows, std::mem::take(&mut self.spare))
    }

    pub fn add(&mut self, row: &[u64]) -> Result<(), Exhausted> {
        if !self.rows.is_empty() {
            self.budget.spend(row.len() / MADE_PER_WORK + OVERHEAD)?;
            self.check_memory(0)?;
        }
        self.rows.push(row);
        if self.rows.len() > 2 * self.compared + self.width.saturating_mul(4).min(MOST_UNCOMPARED) {
            self.reduce()?;
        }
        Ok(())
    }

    /// Adds a configuration to those of one linearization, which are fewer than the frontier may
    /// have.
    pub fn add_to(&mut self, rows: &mut Rows, row: &[u64]) -> Result<(), Exhausted> {
        self.budget.spend(row.len() / MADE_PER_WORK + OVERHEAD)?;
        self.check_memory(self.bytes(rows))?;
        rows.push(row);
        Ok(())
    }

    /// Leaves out those of one linearization that the frontier would leave out.
    pub fn thin(&mut self, rows: &mut Rows) -> Result<(), Exhausted> {
        if rows.len() <= self.width.saturating_mul(4) {
            return Ok(());
        }
        let compared = self.compared;
        std::mem::swap(&mut self.rows, rows);
        let result = self.reduce();
        std::mem::swap(&mut self.rows, rows);
        self.compared = compared;
        result
    }

    /// Pays for a look at so many slots in each of so many configurations, but the first.
    pub fn look(&mut self, configurations: usize, slots: usize) -> Result<(), Exhausted> {
        self.budget.spend(configurations.saturating_sub(1).saturating_mul(slots) / LOOKED_PER_WORK)
    }

    /// Ends an event; `earlier` are the configurations that `open` returned.
    pub fn close(&mut self, earlier: Rows) -> Result<(), Exhausted> {
        self.spare = earlier;
        self.earlier_bytes = 0;
        self.settle(true)
    }

    /// Ends an event that has made no configuration. `is_changed` says whether it has changed some,
    /// so that one may dominate another now.
    pub fn settle(&mut self, is_changed: bool) -> Result<(), Exhausted> {
        let count = self.rows.len();
        if count == 1 {
            return Ok(());
        }
        self.budget.spend(count.div_ceil(PASSED_PER_WORK))?;
        if is_changed { self.reduce() } else { Ok(()) }
    }

    fn bytes(&self, rows: &Rows) -> usize {
        rows.bytes() + rows.len() * OVERHEAD_BYTES
    }

    fn check_memory(&self, more: usize) -> Result<(), Exhausted> {
        let bytes = self.bytes(&self.rows) + self.earlier_bytes + more;
        self.budget.check_memory(bytes)
    }

    /// Leaves out each configuration that another one dominates, and the heaviest if there are too
    /// many.
    fn reduce(&mut self) -> Result<(), Exhausted> {
        self.budget.spend(self.rows.len() * SORTED)?;
        let rows = &self.rows;
        let row = |place: u32| rows.get(place as usize);
        self.order.clear();
        self.order.shrink_to(2 * rows.len());
        self.order.extend(0..rows.len() as u32);
        self.order.sort_unstable_by(|&one, &other| row(one).cmp(row(other)));
        let mut kept = 0; // of the order, from its start on
        let mut first = 0; // of those with the same state
        for at in 0..self.order.len() {
            let place = self.order[at];
            let state = row(place)[0];
            if kept > 0 && row(self.order[kept - 1])[0] != state {
                // A state that no get to come returns is worth no more than any other one.
                first = if state == self.unread { 0 } else { kept };
            }
            let rivals = &self.order[first..kept];
            let mut read = 0; // pairs, and words of both
            let is_dominated = rivals.iter().any(|&rival| {
                let excess = self.layout.first_excess(row(rival), row(place));
                read += 1 + excess.unwrap_or(self.layout.words());
                excess.is_none()
            });
            self.budget.spend(read / COMPARED_PER_WORK)?;
            if !is_dominated {
                self.order[kept] = place;
                kept += 1;
            }
        }
        self.order.truncate(kept);
        if kept > self.width {
            self.is_complete = false;
            let weight = |&place: &u32| (self.layout.weight(row(place)), place);
            self.order.select_nth_unstable_by_key(self.width, weight);
            self.order.truncate(self.width);
        }
        self.order.sort_unstable();
        self.rows.retain(&self.order);
        self.compared = self.rows.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frontier_takes_no_more_memory_than_its_budget_has() {
        let layout = Layout::new(200, 0);
        let budget = &mut Budget { work: u64::MAX, memory: 100_000 };
        let mut row = vec![0; layout.words()];
        let mut frontier = Frontier::new(layout, usize::MAX, usize::MAX, &row, budget);
        let _earlier = frontier.open();
        let mut add_all = || {
            for number in 0..1_000_000 {
                row[0] = number; // no configuration dominates another one of another state
                frontier.add(&row)?;
            }
            Ok(())
        };
        let result: Result<(), Exhausted> = add_all();
        assert!(result.is_err());
        let bytes = frontier.rows.bytes();
        assert!((80_000..=100_000).contains(&bytes), "{bytes}");
    }
}
