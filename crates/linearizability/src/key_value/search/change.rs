//! The changes of the state: an effective put, the intermediate puts before it, and the gets that they
//! linearize.

use super::super::configuration::Set;
use super::{Exhausted, Search};

/// A put that can become effective.
#[derive(Clone, Copy)]
pub enum Candidate {
    Slot(usize),
    Counter(usize),
}

impl Search<'_> {
    /// Makes this put effective, and adds the configurations that this leads to: with all
    /// intermediate puts that need not be saved, and with and without each of the others.
    pub(super) fn change_state(
        &mut self,
        row: &mut [u64],
        to: usize,
        put: Candidate,
    ) -> Result<(), Exhausted> {
        let left = row[0] as usize;
        if left != to && self.values[left].gets_to_come > 0 && !self.has_candidate(row, left, 0) {
            return Ok(());
        }
        let (free, choices) = self.intermediate_values(row, to);
        for value in free {
            self.make_intermediate(row, value);
        }
        self.linearize_put(row, put);
        self.layout.clear(row, Set::UnlinearizedPuts);
        row[0] = to as u64;
        self.linearize_gets(row, to);
        if choices.is_empty() {
            return self.frontier.add(row);
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.push(row);
        for value in choices {
            for place in 0..changed.len() {
                row.copy_from_slice(changed.get(place));
                self.make_intermediate(row, value);
                self.frontier.add_to(&mut changed, row)?;
            }
            self.frontier.thin(&mut changed)?;
        }
        for row in changed.iter() {
            self.frontier.add(row)?;
        }
        changed.clear();
        self.changed = changed;
        Ok(())
    }

    /// The values whose intermediate puts would linearize open gets: those that no get to come
    /// needs, and those that one may need.
    fn intermediate_values(&mut self, row: &[u64], to: usize) -> (Vec<usize>, Vec<usize>) {
        let (mut free, mut choices) = (Vec::new(), Vec::new());
        self.changes += 1;
        for value in self.layout.slots(row, Set::UnlinearizedGets).map(|slot| self.value_in[slot]) {
            if self.seen_at[value] == self.changes {
                continue;
            }
            self.seen_at[value] = self.changes;
            if value == to || self.candidate(row, value).is_none() {
                continue;
            }
            if self.values[value].gets_to_come == 0 {
                free.push(value);
            } else if self.has_candidate(row, value, 1) {
                choices.push(value);
            }
        }
        (free, choices)
    }

    fn make_intermediate(&self, row: &mut [u64], value: usize) {
        if let Some(put) = self.candidate(row, value) {
            self.linearize_put(row, put);
            self.linearize_gets(row, value);
        }
    }

    fn linearize_put(&self, row: &mut [u64], put: Candidate) {
        match put {
            Candidate::Slot(slot) => self.layout.insert(row, Set::LinearizedPuts, slot),
            Candidate::Counter(counter) => {
                let count = self.layout.count(row, counter);
                self.layout.set_count(row, counter, count + 1);
            }
        }
    }

    fn linearize_gets(&self, row: &mut [u64], value: usize) {
        for &get in &self.values[value].gets {
            self.layout.remove(row, Set::UnlinearizedGets, get);
        }
    }

    pub(super) fn candidate(&self, row: &[u64], value: usize) -> Option<Candidate> {
        let value = &self.values[value];
        let first = value.puts.iter().find(|put| !self.layout.has(row, Set::LinearizedPuts, put.slot));
        let has_pending = || value.pending > 0 && self.layout.count(row, value.counter) < value.pending;
        first
            .map(|put| Candidate::Slot(put.slot))
            .or_else(|| has_pending().then_some(Candidate::Counter(value.counter)))
    }

    /// Whether this value has a candidate left, now or later, when `spent` others are linearized.
    pub(super) fn has_candidate(&self, row: &[u64], value: usize, spent: usize) -> bool {
        let value = &self.values[value];
        let pending = match value.pending {
            0 => 0,
            pending => (pending - self.layout.count(row, value.counter)) as usize,
        };
        let open = value.puts.iter().filter(|put| !self.layout.has(row, Set::LinearizedPuts, put.slot));
        value.puts_to_come > 0 || pending > spent || open.take(spent + 1).count() + pending > spent
    }
}
