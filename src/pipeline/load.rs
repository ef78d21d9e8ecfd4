//! Decides when the load is too much for one thread, and when one thread is enough again.

use crate::micros::Micros;

/// How many full batches in a row are too much for one thread. A single one may have gathered while
/// the thread was not running.
const TOO_MANY: u32 = 4;

/// How long the load must be low before one thread does all the work again.
const QUIET_SPAN_US: Micros = 10_000;

/// How many messages may arrive in that time: a fraction of the load that one thread can bear, so
/// that it is not too much again at once.
const QUIET_MESSAGES: usize = 200;

/// The load of the last batches.
#[derive(Debug, Default)]
pub(super) struct Load {
    full_batches: u32, // in a row
    since: Micros,
    messages: usize, // that arrived since then
}

impl Load {
    /// Whether the load has become too much for one thread that does all the work and takes another
    /// batch.
    pub(super) fn is_too_much(&mut self, now: Micros, is_full: bool) -> bool {
        self.full_batches = if is_full { self.full_batches + 1 } else { 0 };
        let too_much = self.full_batches >= TOO_MANY;
        if too_much {
            *self = Self { since: now, ..Self::default() };
        }
        too_much
    }

    /// Whether the load of several threads, to which so many messages are added, is so low that one
    /// thread is enough.
    pub(super) fn is_little(&mut self, now: Micros, messages: usize) -> bool {
        self.messages += messages;
        let is_over = now >= self.until();
        let is_little = is_over && self.messages < QUIET_MESSAGES;
        if is_over {
            *self = Self { since: now, ..Self::default() };
        }
        is_little
    }

    /// When to judge the load again although nothing arrived.
    pub(super) fn until(&self) -> Micros {
        self.since + QUIET_SPAN_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_too_much_after_some_full_batches_in_a_row() {
        let mut load = Load::default();
        for _ in 0..10 {
            for _ in 1..TOO_MANY {
                assert!(!load.is_too_much(0, true));
            }
            assert!(!load.is_too_much(0, false));
        }
        for _ in 1..TOO_MANY {
            assert!(!load.is_too_much(0, true));
        }
        assert!(load.is_too_much(0, true));
        assert!(!load.is_too_much(0, true), "the count starts anew");
    }

    #[test]
    fn load_is_little_after_a_quiet_span_and_not_after_a_busy_one() {
        let mut load = Load { since: 5, ..Load::default() };
        assert_eq!(load.until(), 5 + QUIET_SPAN_US);
        assert!(!load.is_little(load.until() - 1, 0), "too short to tell");
        assert!(load.is_little(load.until(), QUIET_MESSAGES - 1));
        assert_eq!(load.until(), 5 + 2 * QUIET_SPAN_US, "the next span");
        assert!(!load.is_little(load.until(), QUIET_MESSAGES));
        assert!(load.is_little(load.until() + 7, 0), "messages of the span before do not count");
    }
}
