//! How many deadlines lie in a span of time, without a look at each of them.
//!
//! Deadlines are counted by the millisecond, and once more by the span of 4,096 milliseconds. To
//! count a long time takes the spans in it, and the milliseconds of the two at its ends.

use imbl::OrdMap;

use crate::operation::UnixMillis;

/// A span has 2^12 milliseconds, about four seconds. So there are 21,000 in a day, and a leader
/// that has had no entry for a day counts them in less than a millisecond.
const SPAN_BITS: u32 = 12;

/// The numbers of deadlines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    millis: OrdMap<UnixMillis, usize>, // none is 0
    spans: OrdMap<i64, usize>,         // the same ones, by time / 4,096
}

impl Counts {
    pub fn add(&mut self, deadline: UnixMillis) {
        *self.millis.entry(deadline).or_default() += 1;
        *self.spans.entry(deadline >> SPAN_BITS).or_default() += 1;
    }

    pub fn remove(&mut self, deadline: UnixMillis) {
        decrement(&mut self.millis, deadline);
        decrement(&mut self.spans, deadline >> SPAN_BITS);
    }

    /// How many deadlines there are from `from` to `to`, both included.
    pub fn between(&self, from: UnixMillis, to: UnixMillis) -> usize {
        let (first, last) = (from >> SPAN_BITS, to >> SPAN_BITS);
        if first == last {
            return sum(&self.millis, from, to);
        }
        let begun = sum(&self.millis, from, (first << SPAN_BITS) + (1 << SPAN_BITS) - 1);
        let whole = if last - first > 1 { sum(&self.spans, first + 1, last - 1) } else { 0 };
        begun + whole + sum(&self.millis, last << SPAN_BITS, to)
    }
}

fn decrement(counts: &mut OrdMap<i64, usize>, of: i64) {
    if let Some(count) = counts.get_mut(&of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&of);
        }
    }
}

fn sum(counts: &OrdMap<i64, usize>, from: i64, to: i64) -> usize {
    counts.range(from..=to).map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_look_at_each_deadline() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut counts, mut deadlines) = (Counts::default(), Vec::new());
        for _ in 0..3_000 {
            let deadline = rng.i64(-20_000..20_000);
            counts.add(deadline);
            deadlines.push(deadline);
            if rng.u8(..3) == 0 {
                counts.remove(deadlines.swap_remove(rng.usize(..deadlines.len())));
            }
        }
        for _ in 0..1_000 {
            let from = rng.i64(-25_000..25_000);
            let to = from + if rng.bool() { rng.i64(0..30_000) } else { rng.i64(0..100) };
            let expected = deadlines.iter().filter(|deadline| (from..=to).contains(*deadline)).count();
            assert_eq!(counts.between(from, to), expected, "{from} {to}");
        }
        assert_eq!(counts.between(i64::MIN, i64::MAX), deadlines.len());
        deadlines.iter().for_each(|deadline| counts.remove(*deadline));
        assert_eq!(counts, Counts::default());
    }
}
