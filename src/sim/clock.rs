//! The clock of a replica, by which it measures spans of time.

use crate::micros::Micros;

/// A clock that runs at its own rate from its own origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub started_at: Micros, // true time
    pub origin: Micros,     // the time that it showed then
    pub ppm: i64,
}

impl Clock {
    const MILLION: i128 = 1_000_000;

    fn rate(self) -> i128 {
        Self::MILLION + i128::from(self.ppm)
    }

    /// The time that it shows.
    pub fn shows(self, now: Micros) -> Micros {
        let since = i128::from(now - self.started_at);
        self.origin + (since * self.rate() / Self::MILLION) as Micros
    }

    /// The time by which it advances in a span of true time.
    pub fn span(self, true_us: Micros) -> Micros {
        (i128::from(true_us) * self.rate() / Self::MILLION) as Micros
    }

    /// The first true time at which it shows this time or a later one.
    pub fn when(self, shown: Micros) -> Micros {
        let since = i128::from(shown.saturating_sub(self.origin).min(Micros::MAX / 4));
        self.started_at + ((since * Self::MILLION + self.rate() - 1) / self.rate()) as Micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_reaches_a_deadline_exactly_at_the_true_time_of_it() {
        for ppm in [-50_000, -7, 0, 3, 50_000] {
            let clock = Clock { started_at: 1_000, origin: 77, ppm };
            for shown in [78, 500, 12_345, 800_001] {
                let at = clock.when(shown);
                assert!(clock.shows(at) >= shown && clock.shows(at - 1) < shown, "{ppm} {shown}");
            }
        }
    }
}
