//! Two messages of one datagram become one that says more than both.

use raft::message::{AppendEntriesResponse, AppendOutcome};

use super::Adapter;
use crate::replication::{AppendEntries, Body, Message};

#[derive(Debug)]
pub(super) struct JoinsGaps;

impl Adapter for JoinsGaps {
    fn datagram(&mut self, messages: &mut Vec<Message>) {
        messages.dedup_by(|later, earlier| match (&mut earlier.body, &mut later.body) {
            (Body::AppendEntries(first), Body::AppendEntries(second)) if earlier.term == later.term => {
                join(first, second)
            }
            _ => false,
        });
    }
}

/// Lets `later` disappear into `earlier` if a gap is between them.
fn join(earlier: &mut AppendEntries, later: &mut AppendEntries) -> bool {
    let has_gap = later.prev_log_index > earlier.last_index() && !later.entries.is_empty();
    if has_gap {
        earlier.entries.append(&mut later.entries);
        earlier.leader_commit = earlier.leader_commit.max(later.leader_commit);
        earlier.sent_at = earlier.sent_at.max(later.sent_at);
    }
    has_gap
}

#[derive(Debug)]
pub(super) struct MergesRefusals;

impl Adapter for MergesRefusals {
    fn datagram(&mut self, messages: &mut Vec<Message>) {
        messages.dedup_by(|later, earlier| match (&mut earlier.body, &later.body) {
            (Body::AppendEntriesResponse(first), Body::AppendEntriesResponse(second))
                if earlier.term == later.term =>
            {
                merge(first, *second)
            }
            _ => false,
        });
    }
}

/// Lets `later` disappear into `earlier` if one is a refusal and the other is not.
fn merge(earlier: &mut AppendEntriesResponse, later: AppendEntriesResponse) -> bool {
    use AppendOutcome::{Conflict, Matched};
    let ((Matched { match_index }, Conflict { prev_log_index, .. })
    | (Conflict { prev_log_index, .. }, Matched { match_index })) = (earlier.outcome, later.outcome)
    else {
        return false;
    };
    let outcome = Matched { match_index: match_index.max(prev_log_index) };
    *earlier = AppendEntriesResponse { sent_at: earlier.sent_at.max(later.sent_at), outcome };
    true
}
