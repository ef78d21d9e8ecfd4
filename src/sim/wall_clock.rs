//! The wall clocks of the replicas, which show the date. They are set by hand or by a time service:
//! they differ, drift and jump, also back. Leaders write them into their proposals.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::micros::Micros;
use crate::operation::UnixMillis;

/// The date at the start of a run, on a clock that is right.
pub(super) const START: UnixMillis = 1_000_000_000_000;

/// The greatest deviation of a wall clock in a plan, in milliseconds: a day.
const MAX_DEVIATION_MS: i64 = 86_400_000;

/// The wall clock of one replica, in all of its lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WallClock {
    /// Its deviation at the start, in milliseconds.
    pub offset_ms: i64,
    /// Its rate, as the deviation from true time in millionths.
    pub ppm: i64,
    /// Its jumps: a time, and by how many milliseconds the clock jumps then.
    pub jumps: Vec<(Micros, i64)>,
}

impl WallClock {
    /// The date that it shows.
    pub fn shows(&self, now: Micros) -> UnixMillis {
        START + (now / 1_000) as UnixMillis + self.deviation(now, |at| at <= now)
    }

    /// Its deviation from true time after some of its jumps, in milliseconds.
    fn deviation(&self, now: Micros, is_over: impl Fn(Micros) -> bool) -> i64 {
        let jumps = self.jumps.iter().filter(|(at, _)| is_over(*at)).map(|(_, by_ms)| by_ms);
        let drift = i128::from(now) * i128::from(self.ppm) / 1_000_000_000;
        self.offset_ms + drift as i64 + jumps.sum::<i64>()
    }

    /// Its least and its greatest deviation from the start to this time.
    fn deviations(&self, until: Micros) -> RangeInclusive<i64> {
        let jumps = self.jumps.iter().map(|(at, _)| *at).filter(|at| *at <= until);
        let around = jumps
            .flat_map(|jump| [self.deviation(jump, |at| at < jump), self.deviation(jump, |at| at <= jump)]);
        let ends = [self.deviation(0, |at| at == 0), self.deviation(until, |at| at <= until)];
        let (mut least, mut most) = (self.offset_ms, self.offset_ms);
        for deviation in around.chain(ends) {
            (least, most) = (least.min(deviation), most.max(deviation));
        }
        least..=most
    }

    /// Whether it stays within a day of true time, and runs at about the right rate.
    pub fn is_sane(&self) -> bool {
        let all = self.jumps.iter().map(|(_, by_ms)| by_ms.saturating_abs());
        let most = all.fold(self.offset_ms.saturating_abs(), i64::saturating_add);
        most <= MAX_DEVIATION_MS && self.ppm.abs() <= 500_000
    }
}

/// The greatest difference between any two of these clocks, each at any time until then, in
/// milliseconds. A clock that is missing is right.
pub fn difference_ms(clocks: &[WallClock], until: Micros) -> u64 {
    let (mut least, mut most) = (0, 0);
    for clock in clocks {
        let deviations = clock.deviations(until);
        (least, most) = (least.min(*deviations.start()), most.max(*deviations.end()));
    }
    (most - least).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_drifts_and_jumps_back_shows_a_date_again() {
        let clock = WallClock { offset_ms: 500, ppm: 1_000, jumps: vec![(2_000_000, -700), (1_000_000, 40)] };
        let shown = |now| clock.shows(now) - START;
        assert_eq!((shown(0), shown(999_999), shown(1_000_000)), (500, 1_499, 1_541));
        assert_eq!((shown(1_999_999), shown(2_000_000)), (2_540, 1_842));
        assert_eq!(clock.deviations(2_000_000), -158..=542);
        assert_eq!(clock.deviations(1_500_000), 500..=541);
    }

    #[test]
    fn difference_counts_all_times_of_both_clocks() {
        let ahead = WallClock { offset_ms: 300, ..WallClock::default() };
        let behind = WallClock { jumps: vec![(5, -200), (9, 900)], ..WallClock::default() };
        assert_eq!(difference_ms(&[], 100), 0);
        assert_eq!(difference_ms(std::slice::from_ref(&ahead), 100), 300, "a missing clock is right");
        assert_eq!(difference_ms(&[ahead.clone(), behind.clone()], 7), 500);
        assert_eq!(difference_ms(&[ahead, behind], 9), 900);
    }
}
