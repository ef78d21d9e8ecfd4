//! Counts of the messages between replicas: the messages that cores sent, by cause, and the
//! datagrams after merging and packing.

use std::collections::BTreeMap;

use crate::replication::{AppendEntries, Body, Message};

/// The counts of a run, or of a part of it. Lost messages count, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests for votes and pre-votes, and the answers to them.
    pub votes: u64,
    /// Appends with entries; each hop of a relay counts.
    pub appends: u64,
    /// Appends without entries: heartbeats, probes on behalf of reads, and commit notices.
    pub pings: u64,
    /// Parts of snapshots.
    pub snapshots: u64,
    /// Answers to appends of both kinds, and to parts of snapshots.
    pub answers: u64,
    /// Datagrams, as `run.py` counts them.
    pub datagrams: u64,
    /// Their encoded length; 0 unless the cluster counts bytes.
    pub bytes: u64,
    /// Number of appends per number of entries; two merged appends count as one.
    pub batches: BTreeMap<usize, u64>,
}

impl Traffic {
    /// Counts a message of a core.
    pub(super) fn note_message(&mut self, message: &Message) {
        let count = match &message.body {
            Body::RequestVote(_) | Body::RequestVoteResponse(_) | Body::LogTail(_) | Body::TimeoutNow => {
                &mut self.votes
            }
            Body::AppendEntries(AppendEntries { entries, .. }) if entries.is_empty() => &mut self.pings,
            Body::AppendEntries(_) | Body::RelayEntries(_) => &mut self.appends,
            Body::InstallSnapshot(_) => &mut self.snapshots,
            Body::AppendEntriesResponse(_) | Body::RelayEntriesResponse(_) | Body::StaleTerm => {
                &mut self.answers
            }
        };
        *count += 1;
    }

    /// Counts a datagram of so many bytes.
    pub(super) fn note_datagram(&mut self, messages: &[Message], bytes: usize) {
        self.datagrams += 1;
        self.bytes += bytes as u64;
        for message in messages {
            let entries = match &message.body {
                Body::AppendEntries(append) => append.entries.len(),
                Body::RelayEntries(relay) => relay.append.entries.len(),
                _ => 0,
            };
            if entries > 0 {
                *self.batches.entry(entries).or_default() += 1;
            }
        }
    }

    /// Number of all messages, before any was merged or packed.
    pub fn messages(&self) -> u64 {
        self.votes + self.appends + self.snapshots + self.pings + self.answers
    }

    /// The mean number of entries of an append; 0 if there was none.
    pub fn mean_batch(&self) -> f64 {
        let entries: u64 = self.batches.iter().map(|(&size, &count)| size as u64 * count).sum();
        let appends: u64 = self.batches.values().sum();
        entries as f64 / appends.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::{AppendEntries, Entry, Payload};
    use raft::message::{AppendEntriesResponse, AppendOutcome};

    fn append(entries: u64) -> Message {
        let entry = |index| Entry { index, term: 1, payload: Payload::Noop };
        let entries = (1..=entries).map(entry).collect();
        let append =
            AppendEntries { prev_log_index: 0, prev_log_term: 0, leader_commit: 0, sent_at: 1, entries };
        Message { term: 1, body: Body::AppendEntries(append) }
    }

    #[test]
    fn messages_are_counted_by_cause_and_datagrams_by_their_entries() {
        let outcome = AppendOutcome::Matched { match_index: 1 };
        let body = Body::AppendEntriesResponse(AppendEntriesResponse { sent_at: 1, outcome });
        let said = [append(0), append(1), append(3), append(3), Message { term: 1, body }];
        let mut traffic = Traffic::default();
        said.iter().for_each(|message| traffic.note_message(message));
        traffic.note_datagram(&said[..3], 100);
        traffic.note_datagram(&said[3..], 50);
        let expected = Traffic {
            pings: 1,
            appends: 3,
            answers: 1,
            datagrams: 2,
            bytes: 150,
            batches: BTreeMap::from([(1, 1), (3, 2)]),
            ..Traffic::default()
        };
        assert_eq!(traffic, expected);
        assert_eq!(traffic.messages(), 5);
        assert!((traffic.mean_batch() - 7.0 / 3.0).abs() < 1e-9);
    }
}
