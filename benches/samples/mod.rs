//! Messages that more than one bench reads and writes.

use std::sync::Arc;

use kvstore::command::Command;
use kvstore::id::Id;
use kvstore::replication::{AppendEntries, Body, Entry, Message, Payload};
use kvstore::request::RequestId;
use raft::message::{AppendEntriesResponse, AppendOutcome};

/// An append of puts like those of the simulator's clients.
pub fn append(entries: u64) -> Message {
    let entry = |index| {
        let request =
            RequestId { client: Id::new(0x15).expect("not reserved"), mid: format!("{index:032X}").into() };
        let command =
            Command { request, key: "k".repeat(32).into(), value: "0123456789ABCDEF".repeat(2).into() };
        Entry { index, term: 3, payload: Payload::Command(Arc::new(command)) }
    };
    let entries = (1_001..=1_000 + entries).map(entry).collect();
    let (prev_log_index, prev_log_term, leader_commit, sent_at) = (1_000, 3, 999, 12_345_678);
    let append = AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, entries };
    Message { term: 3, body: Body::AppendEntries(append) }
}

/// An answer to it.
pub fn acknowledgement() -> Message {
    let outcome = AppendOutcome::Matched { match_index: 1_064 };
    let response = AppendEntriesResponse { sent_at: 12_345_678, outcome };
    Message { term: 3, body: Body::AppendEntriesResponse(response) }
}
