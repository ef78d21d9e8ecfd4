//! Faults that wait for an occurrence. Each begins once, at its own time after the occurrence.

use super::cluster::Cluster;
use super::invariants::Violation;
use super::plan::{Condition, FaultKind, When};
use super::queue::Event;
use super::trace::Place;

/// A fault that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    number: usize,
    when: When,
    left: u32, // occurrences until it is met; 0 while the time after the last one passes
}

impl Waiting {
    /// For the fault of this number in the plan.
    pub(super) fn new(number: usize, when: When) -> Self {
        Self { number, left: when.count, when }
    }
}

impl Cluster {
    /// Something occurs that `is_met` recognizes.
    pub(super) fn occur(&mut self, is_met: impl Fn(&Condition) -> bool) {
        let mut met = Vec::new();
        for waiting in &mut self.faults.waiting {
            if waiting.left > 0 && is_met(&waiting.when.on) {
                waiting.left -= 1;
                if waiting.left == 0 {
                    met.push((waiting.number, waiting.when.after_us));
                }
            }
        }
        for (number, after_us) in met {
            self.schedule(self.now + after_us, Event::Met(number));
        }
    }

    /// A fault begins whose condition is met. One that would end after the run does not.
    ///
    /// # Errors
    ///
    /// A rule that is broken by it.
    pub(super) fn meet(&mut self, number: usize) -> Result<(), Violation> {
        let Some(position) = self.faults.waiting.iter().position(|waiting| waiting.number == number) else {
            return Ok(());
        };
        self.faults.waiting.remove(position);
        let fault = self.plan.faults[number].clone();
        let FaultKind::When(_, kind) = fault.kind else { return Ok(()) };
        if fault.for_us.is_some_and(|for_us| self.now + for_us >= self.plan.lifetime_us) {
            self.trace.say(self.now, Place::Network, || {
                format!("fault {number} is not carried out, it would end after the run")
            });
            return Ok(());
        }
        self.trace.say(self.now, Place::Network, || format!("fault {number} begins: {kind}"));
        self.happen_now(number, &kind)
    }

    /// The faults whose condition was not met, in words.
    pub(super) fn find_unmet(&self) -> Vec<String> {
        let told = |waiting: &Waiting| {
            let fault = &self.plan.faults[waiting.number];
            format!("fault {} never happened: {}", waiting.number, fault.kind)
        };
        self.faults.waiting.iter().map(told).collect()
    }
}
