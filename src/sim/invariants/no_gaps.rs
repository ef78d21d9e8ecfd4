//! The entries of an append follow its `prev_log_index` one by one, also after appends were joined: a receiver takes
//! each for the next of its log. From the wire such an append would be refused, which hides the mistake and loses what it says.

use crate::replication::{AppendEntries, Body, Message};

pub(super) const NAME: &str = "no gaps";

pub(super) fn check(messages: &[Message]) -> Result<(), String> {
    let has_gap = |append: &AppendEntries| {
        let expected = append.prev_log_index + 1..;
        expected.zip(&append.entries).any(|(index, entry)| entry.index != index)
    };
    let shows_gap = |message: &&Message| match &message.body {
        Body::AppendEntries(append) => has_gap(append),
        Body::RelayEntries(relay) => has_gap(&relay.append),
        _ => false,
    };
    match messages.iter().find(shows_gap) {
        Some(message) => Err(format!("it sent {message}")),
        None => Ok(()),
    }
}
