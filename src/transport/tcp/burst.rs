//! Lines of the log that strangers cause: one per kind and span, so that no stranger fills the log.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::BootTime;

/// How long lines of the same kind are one burst.
const SPAN: Duration = Duration::from_secs(30);

/// The kinds that were logged lately.
pub(super) struct Bursts<K>(Mutex<HashMap<K, Burst>>);

struct Burst {
    until: BootTime,
    more: u64, // how many lines were left out
}

impl<K: Eq + Hash> Bursts<K> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Whether a line of this kind is logged now, and how many of its kind were left out since the
    /// last one.
    pub(super) fn admit(&self, kind: K, now: BootTime) -> Option<u64> {
        let mut bursts = self.0.lock();
        let burst = bursts.entry(kind).or_insert(Burst { until: now, more: 0 });
        if now < burst.until {
            burst.more += 1;
            return None;
        }
        burst.until = now + SPAN;
        Some(std::mem::take(&mut burst.more))
    }

    /// The next line of any kind begins a burst: the trouble was over meanwhile.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_is_logged_once_and_counted() {
        let at = |seconds| BootTime::from_micros(0) + Duration::from_secs(seconds);
        let bursts = Bursts::new();
        assert_eq!(bursts.admit("a", at(0)), Some(0));
        assert_eq!(bursts.admit("a", at(1)), None);
        assert_eq!(bursts.admit("b", at(1)), Some(0), "another kind");
        assert_eq!(bursts.admit("a", at(29)), None);
        assert_eq!(bursts.admit("a", at(30)), Some(2));
        bursts.clear();
        assert_eq!(bursts.admit("a", at(31)), Some(0));
    }
}
