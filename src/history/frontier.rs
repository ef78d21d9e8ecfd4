//! The configurations that are still possible, and what they cost.

use super::configuration::{Layout, Rows};

/// Reading so many words of two configurations, to compare them, takes about as long as making one word.
const COMPARED_PER_MADE: usize = 16;

/// What making a configuration costs beside its words, in words.
const OVERHEAD_WORDS: usize = 4;

/// How much memory a configuration takes beside its words while it is compared with others, in bytes.
const OVERHEAD_BYTES: usize = 2 * size_of::<u32>();

/// How many configurations gather, beyond those that are known to differ, before they are compared.
const MOST_UNCOMPARED: usize = 4_096;

/// What the search of one key may spend.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    work: u64,     // words of configurations that may still be made
    memory: usize, // bytes that configurations may take at any moment
}

impl Budget {
    /// So many bytes at any moment, and eight times as many made in all, which bounds the time. The first
    /// configuration after each event costs nothing, for there must be one.
    pub fn new(bytes: u64) -> Self {
        Self { work: bytes, memory: usize::try_from(bytes).unwrap_or(usize::MAX) }
    }

    fn spend(&mut self, words: usize) -> Result<(), OutOfBudget> {
        let left = self.work.checked_sub(words as u64);
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
            self.budget.spend(row.len() + OVERHEAD_WORDS)?;
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
        self.budget.spend(row.len() + OVERHEAD_WORDS)?;
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

    /// The event is over; `earlier` is what `open` returned.
    pub fn close(&mut self, earlier: Rows) -> Result<(), OutOfBudget> {
        self.spare = earlier;
        self.earlier_bytes = 0;
        self.settle()
    }

    /// Configurations were changed, and some may be superfluous now.
    pub fn settle(&mut self) -> Result<(), OutOfBudget> {
        if self.rows.len() > 1 { self.reduce() } else { Ok(()) }
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
        let rows = &self.rows;
        let row = |place: u32| rows.get(place as usize);
        self.order.clear();
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
            self.budget.spend(rivals.len() * self.layout.words() / COMPARED_PER_MADE)?;
            if !rivals.iter().any(|&rival| self.layout.is_no_heavier_than(row(rival), row(place))) {
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
