//! A command: what a client's write asks of the state machine. The log carries it.

use std::sync::Arc;

use crate::request::RequestId;

/// A client's write, as the log carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who asked, and under which name.
    pub request: RequestId,
    /// The key to set.
    pub key: Arc<str>,
    /// The value to set it to.
    pub value: Arc<str>,
}
