//! Messages that more than one bench reads and writes.

use kvstore::replication::{AppendEntries, Message};
use raft::message::AppendOutcome;

use crate::testkit::{self, CLIENT, append_response, entry, proposal};

/// An append of puts like those of the simulator's clients.
pub fn append(entries: u64) -> Message {
    let command =
        |mid: u64| proposal(CLIENT, format!("{mid:032X}"), "k".repeat(32), "0123456789ABCDEF".repeat(2));
    let entries = (1_001..=1_000 + entries).map(|index| entry(index, 3, command(index))).collect();
    let (prev_log_index, prev_log_term, leader_commit, sent_at) = (1_000, 3, 999, 12_345_678);
    testkit::append(3, AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, entries })
}

/// An answer to it.
pub fn acknowledgement() -> Message {
    append_response(3, 12_345_678, AppendOutcome::Matched { match_index: 1_064 })
}
