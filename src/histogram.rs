//! How long a piece of work takes: counts by span, to which any thread may add.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::micros::Micros;

/// The upper ends of the spans, in microseconds. A stage takes some microseconds for a batch, a sync
/// of a quiet disk 100 us, a request within one region a millisecond, and a failover a second.
pub const BOUNDS_US: [Micros; 20] = [
    5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

const SPANS: usize = BOUNDS_US.len() + 1;

/// A histogram of times. To count one costs two additions in memory, and no lock.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; SPANS], // the last one is of times beyond all bounds
    sum_us: AtomicU64,
}

/// The contents of a histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// How many times fell into each span: after the bound before it, and up to its own. The last
    /// span has no bound.
    pub counts: [u64; SPANS],
    /// The sum of all times, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Counts a piece of work that took so long.
    pub fn count(&self, took_us: Micros) {
        let span = BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.counts[span].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// All times that were counted so far. A time that another thread counts meanwhile may be in one part only.
    pub fn buckets(&self) -> Buckets {
        let counts = std::array::from_fn(|span| self.counts[span].load(Ordering::Relaxed));
        Buckets { counts, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

impl Buckets {
    /// How many times were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_in_the_first_span_that_does_not_end_before_it() {
        let histogram = Histogram::default();
        for took_us in [0, 50, 51, 100, 10_000_000, 10_000_001, 60_000_000] {
            histogram.count(took_us);
        }
        let buckets = histogram.buckets();
        let mut expected = [0; SPANS];
        (expected[0], expected[3], expected[4]) = (1, 1, 2);
        (expected[SPANS - 2], expected[SPANS - 1]) = (1, 2);
        assert_eq!(buckets.counts, expected);
        assert_eq!((buckets.total(), buckets.sum_us), (7, 80_000_202));
    }
}
