//! A command: a client's write, which the log carries to the state machine of each replica.

use std::fmt;
use std::sync::Arc;

use crate::request::RequestId;

/// A client's write, as the log carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The client, and its name for the request.
    pub request: RequestId,
    /// The key to set.
    pub key: Arc<str>,
    /// The value to set it to.
    pub value: Arc<str>,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, shortened(&self.value))
    }
}

/// Enough of a value to tell it from others.
pub fn shortened(value: &str) -> String {
    match value.char_indices().nth(12) {
        Some((end, _)) if value.len() > 16 => format!("{}…", &value[..end]),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_values_are_shortened() {
        assert_eq!(shortened("0123456789abcdef"), "0123456789abcdef");
        assert_eq!(shortened("0123456789abcdefg"), "0123456789ab…");
        assert_eq!(shortened("ä".repeat(12).as_str()), "ä".repeat(12), "never in the middle of a character");
        assert_eq!(shortened("ä".repeat(13).as_str()), format!("{}…", "ä".repeat(12)));
    }
}
