//! Many seeds on all processors.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bugs::Bug;
use super::plan::Plan;
use super::run::{Outcome, run};

/// Runs these seeds on so many threads until one fails, and hands over every outcome. Returns the
/// least seed that fails. The number of threads does not change it.
pub fn run_many(
    seeds: Range<u64>,
    jobs: usize,
    plan: impl Fn(u64) -> Plan + Sync,
    bug: Option<Bug>,
    take: impl Fn(Outcome) + Sync,
) -> Option<u64> {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end));
    let work = || {
        loop {
            let end = failed.load(Ordering::Relaxed);
            let take_one = |seed: u64| (seed < end).then(|| seed + 1); // the greatest seed has no successor
            let Ok(seed) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one) else { break };
            let outcome = run(&plan(seed), bug, false);
            if outcome.violation.is_some() {
                failed.fetch_min(seed, Ordering::Relaxed);
            }
            take(outcome);
        }
    };
    std::thread::scope(|scope| (0..jobs).for_each(|_| drop(scope.spawn(work))));
    Some(failed.into_inner()).filter(|&seed| seed < seeds.end)
}

/// The number of threads that is worth it.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
