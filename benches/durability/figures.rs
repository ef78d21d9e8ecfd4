//! Percentiles, ratios and their spread.

use std::fmt;
use std::time::Duration;

/// The latency in microseconds that this share does not exceed.
pub fn percentile_us(latencies: &mut [Duration], share: f64) -> f64 {
    assert!(!latencies.is_empty(), "there are puts");
    let at = ((latencies.len() - 1) as f64 * share).round() as usize;
    latencies.select_nth_unstable(at).1.as_secs_f64() * 1e6
}

/// Several measurements of the same figure.
pub struct Spread(Vec<f64>);

impl Spread {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn at(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }
}

/// The median, and in parentheses the range of the middle half.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.at(0.5), self.at(0.25), self.at(0.75))
    }
}

/// Runs two sides in short blocks that take turns, first one, the other twice, then the first
/// again, so that a machine or a disk whose speed drifts is as kind to one side as to the other.
/// Returns the blocks of each round.
pub fn interleave<T>(rounds: usize, mut block: impl FnMut(usize) -> T) -> Vec<[[T; 2]; 2]> {
    let mut round = || {
        let (first, second, third, fourth) = (block(0), block(1), block(1), block(0));
        [[first, fourth], [second, third]]
    };
    (0..rounds).map(|_| round()).collect()
}
