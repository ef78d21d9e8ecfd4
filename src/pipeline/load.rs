//! Whether there is more to do than one thread can.

use crate::micros::Micros;

/// How many full batches in a row are too much for one thread. One may be what gathered while the thread was not running.
const TOO_MANY: u32 = 4;

/// How long it must be quiet before one thread does everything again.
const QUIET_SPAN_US: Micros = 10_000;

/// How many messages may arrive in that time: a fraction of what one thread can do, so that it does not become too
/// much again at once.
const QUIET_MESSAGES: usize = 200;

/// What was to do lately.
#[derive(Debug, Default)]
pub(super) struct Load {
    full_batches: u32, // in a row
    since: Micros,
    messages: usize, // that arrived since then
}

impl Load {
    /// For one thread that does everything: whether it has become too much, now that it took another batch.
    pub(super) fn is_too_much(&mut self, now: Micros, is_full: bool) -> bool {
        self.full_batches = if is_full { self.full_batches + 1 } else { 0 };
        let too_much = self.full_batches >= TOO_MANY;
        if too_much {
            *self = Self { since: now, ..Self::default() };
        }
        too_much
    }

    /// For three threads: whether there is so little to do that one is enough, now that so many messages arrived.
    pub(super) fn is_little(&mut self, now: Micros, messages: usize) -> bool {
        self.messages += messages;
        let is_over = now >= self.until();
        let is_little = is_over && self.messages < QUIET_MESSAGES;
        if is_over {
            *self = Self { since: now, ..Self::default() };
        }
        is_little
    }

    /// When to look at it again although nothing arrived.
    pub(super) fn until(&self) -> Micros {
        self.since + QUIET_SPAN_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_full_batches_in_a_row_are_too_much() {
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
        assert!(!load.is_too_much(0, true), "it is counted anew");
    }

    #[test]
    fn a_quiet_span_is_little_and_a_busy_one_is_not() {
        let mut load = Load { since: 5, ..Load::default() };
        assert_eq!(load.until(), 5 + QUIET_SPAN_US);
        assert!(!load.is_little(load.until() - 1, 0), "too short to tell");
        assert!(load.is_little(load.until(), QUIET_MESSAGES - 1));
        assert_eq!(load.until(), 5 + 2 * QUIET_SPAN_US, "the next span");
        assert!(!load.is_little(load.until(), QUIET_MESSAGES));
        assert!(load.is_little(load.until() + 7, 0), "what came in the span before does not count");
    }
}
