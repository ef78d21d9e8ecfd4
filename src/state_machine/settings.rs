//! Limits of the state machine. All replicas must have the same, because they decide with the log
//! what the state is.

use super::revisions::DELETIONS;

/// The most bytes of a value. A batch of [`MAX_BATCH`](crate::command::MAX_BATCH) operations that
/// each copy a value of this length takes about 10 ms.
const MAX_VALUE_BYTES: usize = 1 << 16;

/// The limits of one state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most bytes of a value: 65,536.
    pub max_value_bytes: usize,
    /// How many deleted keys have a revision of their own: 65,536.
    pub deletions: usize,
    /// The memory that the sessions of clients may take.
    pub sessions: SessionLimits,
}

/// The memory that the sessions of clients may take. Beyond it the sessions expire that were used least
/// recently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The most sessions: 65,535, as many as there are IDs of clients.
    pub count: usize,
    /// The most bytes of all sessions together, as the state machine estimates them: 256 MiB. One
    /// session may have more.
    pub bytes: usize,
    /// The most bytes of the replies that one session keeps: 64 KiB. Replies without bytes of their
    /// own, like numbers, do not count.
    pub reply_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_value_bytes: MAX_VALUE_BYTES, deletions: DELETIONS, sessions: SessionLimits::default() }
    }
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { count: 65_535, bytes: 256 << 20, reply_bytes: 64 << 10 }
    }
}
