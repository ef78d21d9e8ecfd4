//! The fewest faults with which a plan still fails (delta debugging: Zeller and Hildebrandt,
//! *Simplifying and Isolating Failure-Inducing Input*, 2002). Without one fault, the choices of
//! chance in the network change, too. So a shorter plan may break another rule; any failure counts.

use super::bugs::Bug;
use super::invariants::Violation;
use super::plan::{Bounds, Fault, LogBounds, Plan};
use super::run::run;

/// The greatest number of runs that the search may take.
const MAX_RUNS: usize = 2_000;

/// A plan that fails, with as few faults as the search found.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// The plan.
    pub plan: Plan,
    /// The failure of the plan.
    pub violation: Violation,
    /// The number of runs of the search.
    pub runs: usize,
}

/// Leaves out all parts of a failing plan that the failure does not need; `None` if the plan does
/// not fail.
pub fn minimise(plan: &Plan, bug: Option<Bug>) -> Option<Minimal> {
    let violation = run(plan, bug, false).violation?;
    let mut search = Search { best: Minimal { plan: plan.clone(), violation, runs: 1 }, bug };
    search.end_early();
    search.leave_out_faults();
    search.simplify();
    search.leave_out_faults();
    search.end_early();
    Some(search.best)
}

struct Search {
    best: Minimal,
    bug: Option<Bug>,
}

impl Search {
    /// Keeps a simpler plan if it fails.
    fn try_plan(&mut self, plan: Plan) -> bool {
        if self.best.runs >= MAX_RUNS || plan == self.best.plan {
            return false;
        }
        self.best.runs += 1;
        let violation = run(&plan, self.bug, false).violation;
        let fails = violation.is_some();
        if let Some(violation) = violation {
            (self.best.plan, self.best.violation) = (plan, violation);
        }
        fails
    }

    /// Ends the plan at the violation: later events do not matter to it.
    fn end_early(&mut self) {
        let at_us = self.best.violation.at_us;
        let mut plan = self.best.plan.clone();
        if at_us < plan.lifetime_us {
            (plan.lifetime_us, plan.liveness) = (at_us, None);
            plan.faults.retain(|fault| fault.at_us <= at_us);
            self.try_plan(plan);
        }
    }

    /// Leaves out ever smaller parts of the faults until each remaining fault is needed.
    fn leave_out_faults(&mut self) {
        let mut size = self.best.plan.faults.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            let mut shorter = false;
            while start < self.best.plan.faults.len() {
                let mut plan = self.best.plan.clone();
                let end = (start + size).min(plan.faults.len());
                plan.faults.drain(start..end);
                if self.try_plan(plan) { shorter = true } else { start += size }
            }
            size = if size == 1 && !shorter { 0 } else { (size / 2).max(1) };
        }
    }

    /// Removes one difficulty of the network, the clocks and the clients after the other.
    fn simplify(&mut self) {
        let changes: [fn(&mut Plan); 11] = [
            |plan| plan.network.wire = false,
            |plan| plan.network.duplicate = 0.0,
            |plan| plan.network.slow = 0.0,
            |plan| plan.network.loss = 0.0,
            |plan| plan.network.reorder = false,
            |plan| plan.clock_ppm.iter_mut().for_each(|ppm| *ppm = 0),
            |plan| plan.wall_clocks.clear(),
            |plan| plan.bounds = Bounds::default(),
            |plan| plan.log = LogBounds::default(),
            |plan| plan.workload.loss = 0.0,
            |plan| plan.workload.read_back = false,
        ];
        for change in changes {
            let mut plan = self.best.plan.clone();
            change(&mut plan);
            self.try_plan(plan);
        }
        self.shorten_faults();
        self.halve_requests();
    }

    fn shorten_faults(&mut self) {
        for number in 0..self.best.plan.faults.len() {
            let mut plan = self.best.plan.clone();
            let Some(Fault { for_us: Some(for_us), .. }) = plan.faults.get_mut(number) else { continue };
            *for_us /= 2;
            self.try_plan(plan);
        }
    }

    fn halve_requests(&mut self) {
        loop {
            let mut plan = self.best.plan.clone();
            plan.workload.requests /= 2;
            if plan.workload.requests == 0 || !self.try_plan(plan) {
                return;
            }
        }
    }
}
