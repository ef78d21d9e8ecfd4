//! The requests that the clients will make. All choices are drawn before the run, so that the run
//! does not change them. The rules are those of `run.py` (`simulator/workload.py`).

use fastrand::Rng;

use super::plan::Workload;
use crate::micros::Micros;

/// The probability that a put rewrites a key of its client, if keys are not shared.
const REWRITE_PROBABILITY: f64 = 0.5;

/// A request to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intent {
    pub(super) at: Micros,    // in a closed loop used only for each client's first one
    pub(super) client: usize, // in a closed loop the first client that is free
    pub(super) wants_get: bool,
    pub(super) wants_own_key: bool,
    pub(super) choice: f64,
    pub(super) new_key: u128,
    pub(super) value: u128,
    pub(super) seed: u64, // decides the operation, if there are others than puts and gets
}

/// Draws all requests of a run.
pub(super) fn draw(workload: &Workload, rng: &mut Rng) -> Vec<Intent> {
    let span_us = workload.end_us.saturating_sub(workload.start_us) as u128;
    let first_of_burst = |number: usize| (number - number % workload.burst.max(1)) as u128;
    let at = |number: usize| match workload.closed_loop {
        true => workload.start_us,
        false => workload.start_us + (span_us * first_of_burst(number) / workload.requests as u128) as Micros,
    };
    let intent = |number: usize| {
        let drawn = rng.usize(0..workload.clients);
        Intent {
            at: at(number),
            client: if workload.closed_loop { number % workload.clients } else { drawn },
            wants_get: rng.f64() < workload.gets,
            wants_own_key: rng.f64() < REWRITE_PROBABILITY,
            choice: rng.f64(),
            new_key: rng.u128(..),
            value: rng.u128(..),
            seed: if workload.operations.is_none() { 0 } else { rng.u64(..) },
        }
    };
    (0..workload.requests).map(intent).collect()
}
