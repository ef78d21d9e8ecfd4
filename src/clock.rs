//! The clocks of a replica process: one for spans of time, and the wall clock.
//!
//! A lease is a span of true time: until it ends, no other replica can be elected. So the leader
//! must count it on a clock that goes on while the machine is suspended. `CLOCK_MONOTONIC`, and
//! with it [`std::time::Instant`], stands still then. A leader that wakes up would believe in a
//! lease that ended long ago, and serve a stale read. `CLOCK_BOOTTIME` goes on. No process can
//! notice that a hypervisor has stopped every clock of the machine; `--reads read-index` is the
//! safe choice there.

use std::ops::Add;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::operation::UnixMillis;

/// A point in time, counted from the start of the machine and through its suspensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(Duration);

impl BootTime {
    /// The present.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        // The kernel reports neither negative seconds nor a full second of nanoseconds.
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Self(Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0)))
    }

    /// The point so many microseconds after the start of the machine.
    pub fn from_micros(micros: u64) -> Self {
        Self(Duration::from_micros(micros))
    }

    /// Microseconds since the start of the machine, rounded down.
    pub fn as_micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }

    /// The span from now to this point; zero if the point has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// The wall clock: milliseconds since 1970 (UTC), which may jump and go back. Deadlines of keys
/// rest on it and nothing else does.
pub fn unix_millis() -> UnixMillis {
    let time = clock_gettime(ClockId::Realtime);
    1_000 * time.tv_sec + time.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_never_goes_back_and_survives_the_end_of_time() {
        let now = BootTime::now();
        assert!(BootTime::now() >= now);
        assert_eq!(now.left(), Duration::ZERO);
        assert!((now + Duration::from_secs(1_000)).left() > Duration::from_secs(1));
        let end = BootTime::from_micros(u64::MAX);
        assert_eq!(end.as_micros(), u64::MAX);
        assert_eq!((end + Duration::MAX).as_micros(), u64::MAX);
        assert_eq!(BootTime::from_micros(now.as_micros()).as_micros(), now.as_micros());
    }
}
