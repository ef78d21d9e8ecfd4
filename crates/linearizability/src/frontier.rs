//! The configurations that are still possible, and what they cost.

use super::configuration::{Layout, Rows};

/// So many pairs of configurations, or words of both, are compared for a unit of work.
const COMPARED_PER_WORK: usize = 8;

/// So many words of a configuration are made for a unit of work.
const MADE_PER_WORK: usize = 4;

/// What making a configuration costs beside its words.
const OVERHEAD: usize = 4;

/// What sorting costs for each configuration.
const SORTED: usize = 4;

/// So many slots of a configuration are looked at for a unit of work.
const LOOKED_PER_WORK: usize = 32;

/// So many configurations are left alone by an event for a unit of work.
const PASSED_PER_WORK: usize = 4;

/// How much memory a configuration takes beside its words while it is compared with others, in bytes.
const OVERHEAD_BYTES: usize = 2 * size_of::<u32>();

/// How many configurations gather, beyond those that are known to differ, before they are compared.
const MOST_UNCOMPARED: usize = 4_096;

/// What the search of one key may spend.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Units that may still be spent, of 2 to 40 nanoseconds.
    pub(super) work: u64,
    /// Bytes that configurations may take at any moment.
    pub(super) memory: usize,
}

impl Budget {
    /// So many bytes at any moment, and twice as many units of work, which bounds the time. The first
    /// configuration after each event costs nothing, for there must be one.
    pub fn new(bytes: u64) -> Self {
        Self { work: bytes.saturating_mul(2), memory: usize::try_from(bytes).unwrap_or(usize::MAX) }
    }

    fn spend(&mut self, units: usize) -> Result<(), OutOfBudget> {
        let left = self.work.checked_sub(units as u64);
        self.work = left.unwrap_or(0);
        left.map(drop).ok_or(OutOfBudget)
    }
}

/// The budget was spent before the search ended.
#[derive(Debug)]
pub struct OutOfBudget;

/// A set of configurations of which none does only what another one can do, too.
pub struct Frontier<'a> {
    layout: Layout,
    nothing: u64, // the state that no get returns; the greatest
    width: usize, // how many configurations are kept
    is_complete: bool,
    rows: Rows,
    compared: usize,      // how many were left when they were compared last
    earlier_bytes: usize, // what the frontier before this event takes
    spare: Rows,          // scratch
    order: Vec<u32>,      // scratch: places of rows
    budget: &'a mut Budget,
}

impl<'a> Frontier<'a> {
    /// `nothing` is the state that no get returns, the greatest of all. Of more than `width` configurations
    /// the lightest are kept.
    pub fn new(layout: Layout, nothing: usize, width: usize, first: &[u64], budget: &'a mut Budget) -> Self {
        let mut rows = Rows::new(&layout);
        rows.push(first);
        Self {
            layout,
            nothing: nothing as u64,
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

    /// Whether none was left out because there were too many.
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

    /// Returns all configurations; those after the event are to be `add`ed, and then `close` be called.
    pub fn open(&mut self) -> Rows {
        self.spare.clear();
        self.compared = 0;
        self.earlier_bytes = self.bytes(&self.rows);
        std::mem::replace(&mut self.rows, std::mem::take(&mut self.spare))
    }

    pub fn add(&mut self, row: &[u64]) -> Result<(), OutOfBudget> {
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

    /// Adds a configuration to those of a switch, which are fewer than the frontier may have.
    pub fn add_to(&mut self, rows: &mut Rows, row: &[u64]) -> Result<(), OutOfBudget> {
        self.budget.spend(row.len() / MADE_PER_WORK + OVERHEAD)?;
        self.check_memory(self.bytes(rows))?;
        rows.push(row);
        Ok(())
    }

    /// Leaves out those of a switch that would be left out of the frontier.
    pub fn thin(&mut self, rows: &mut Rows) -> Result<(), OutOfBudget> {
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

    /// Pays for looking at so many slots in each of so many configurations; in the first one it costs nothing.
    pub fn look(&mut self, configurations: usize, slots: usize) -> Result<(), OutOfBudget> {
        self.budget.spend(configurations.saturating_sub(1).saturating_mul(slots) / LOOKED_PER_WORK)
    }

    /// The event is over; `earlier` is what `open` returned.
    pub fn close(&mut self, earlier: Rows) -> Result<(), OutOfBudget> {
        self.spare = earlier;
        self.earlier_bytes = 0;
        self.settle(true)
    }

    /// The event is over, and has left the configurations as they were but for what this says; so some may be
    /// superfluous now.
    pub fn settle(&mut self, is_changed: bool) -> Result<(), OutOfBudget> {
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

    fn check_memory(&self, more: usize) -> Result<(), OutOfBudget> {
        let bytes = self.bytes(&self.rows) + self.earlier_bytes + more;
        if bytes > self.budget.memory { Err(OutOfBudget) } else { Ok(()) }
    }

    /// Leaves out each configuration that can do no more than another one, and the heaviest if there are too
    /// many.
    fn reduce(&mut self) -> Result<(), OutOfBudget> {
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
                // A state that no get returns is worth no more than any other one.
                first = if state == self.nothing { 0 } else { kept };
            }
            let rivals = &self.order[first..kept];
            let mut read = 0; // pairs, and words of both
            let is_superfluous = rivals.iter().any(|&rival| {
                let heavier = self.layout.first_heavier_word(row(rival), row(place));
                read += 1 + heavier.unwrap_or(self.layout.words());
                heavier.is_none()
            });
            self.budget.spend(read / COMPARED_PER_WORK)?;
            if !is_superfluous {
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
                row[0] = number; // as many states as configurations: none is superfluous
                frontier.add(&row)?;
            }
            Ok(())
        };
        let result: Result<(), OutOfBudget> = add_all();
        assert!(result.is_err());
        let bytes = frontier.rows.bytes();
        assert!((80_000..=100_000).contains(&bytes), "{bytes}");
    }
}
