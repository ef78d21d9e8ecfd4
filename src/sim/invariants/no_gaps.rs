//! The entries of an append follow its `prev_log_index` one by one, also after appends were merged.
//! A receiver takes each for the next entry of its log. The decoder would refuse such an append,
//! which hides the fault and loses the entries.

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
