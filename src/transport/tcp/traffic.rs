//! The messages between this replica and each other one, counted by kind and direction.
//!
//! A mesh sees the kinds of its own envelopes: requests, answers and read indexes. The kinds of
//! Raft's messages are counted by the dialect that writes and reads them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::Id;
use crate::replication::{Body, Message};

/// The kind of a message between replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Entries for one follower.
    Append,
    /// An append without entries.
    Heartbeat,
    /// The answer to an append, and to a part of a snapshot.
    AppendResponse,
    /// Entries that go from follower to follower.
    Relay,
    /// The answer to them.
    RelayResponse,
    /// A request for a vote or a pre-vote.
    Vote,
    /// The answer to it.
    VoteResponse,
    /// A part of a snapshot.
    Snapshot,
    /// The end of a log, for a candidate that lacks it.
    LogTail,
    /// The answer to an append of an earlier term.
    StaleTerm,
    /// A leader hands its leadership over.
    TimeoutNow,
    /// A client's request that was forwarded.
    Request,
    /// The answer to it.
    Answer,
    /// About reads that a follower serves: its request for an index, or the leader's answer.
    ReadIndex,
    /// A forwarded request that comes back, because it could not be forwarded again.
    ReturnedRequest,
}

/// All kinds, with their names for operators, in the order of their declaration.
const KINDS: [(MessageKind, &str); 15] = [
    (MessageKind::Append, "append"),
    (MessageKind::Heartbeat, "heartbeat"),
    (MessageKind::AppendResponse, "append_response"),
    (MessageKind::Relay, "relay"),
    (MessageKind::RelayResponse, "relay_response"),
    (MessageKind::Vote, "vote"),
    (MessageKind::VoteResponse, "vote_response"),
    (MessageKind::Snapshot, "snapshot"),
    (MessageKind::LogTail, "log_tail"),
    (MessageKind::StaleTerm, "stale_term"),
    (MessageKind::TimeoutNow, "timeout_now"),
    (MessageKind::Request, "request"),
    (MessageKind::Answer, "answer"),
    (MessageKind::ReadIndex, "read_index"),
    (MessageKind::ReturnedRequest, "returned_request"),
];

impl MessageKind {
    /// The kind of a message of Raft.
    pub fn of(message: &Message) -> Self {
        match &message.body {
            Body::AppendEntries(append) if append.entries.is_empty() => Self::Heartbeat,
            Body::AppendEntries(_) => Self::Append,
            Body::AppendEntriesResponse(_) => Self::AppendResponse,
            Body::RelayEntries(_) => Self::Relay,
            Body::RelayEntriesResponse(_) => Self::RelayResponse,
            Body::RequestVote(_) => Self::Vote,
            Body::RequestVoteResponse(_) => Self::VoteResponse,
            Body::InstallSnapshot(_) => Self::Snapshot,
            Body::LogTail(_) => Self::LogTail,
            Body::StaleTerm => Self::StaleTerm,
            Body::TimeoutNow => Self::TimeoutNow,
        }
    }
}

/// Whether a message goes to another replica or comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It comes.
    In,
    /// It goes.
    Out,
}

/// The messages of one kind between this replica and another one, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The other replica.
    pub peer: Id,
    /// The direction.
    pub direction: Direction,
    /// The name of the kind.
    pub kind: &'static str,
    /// How many messages.
    pub messages: u64,
    /// Their bytes, without those of the frame around them.
    pub bytes: u64,
}

/// The counts of all messages. To count one costs two additions in memory, and no lock.
#[derive(Debug, Default)]
pub struct Traffic(BTreeMap<Id, [Counts; 2]>); // into this replica, out of it

type Counts = [Count; KINDS.len()];

#[derive(Debug, Default)]
struct Count {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// No messages, between this replica and these others.
    pub fn new(peers: impl IntoIterator<Item = Id>) -> Self {
        Self(peers.into_iter().map(|peer| (peer, Default::default())).collect())
    }

    /// Counts a message. One of an unknown replica counts nowhere.
    pub fn count(&self, peer: Id, direction: Direction, kind: MessageKind, bytes: usize) {
        let Some(counts) = self.0.get(&peer) else { return };
        let count = &counts[direction as usize][kind as usize];
        count.messages.fetch_add(1, Ordering::Relaxed);
        count.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The messages of each peer, direction and kind of which there was one.
    pub fn flows(&self) -> Vec<Flow> {
        let flow = |peer, direction: Direction, (kind, name), counts: &[Counts; 2]| {
            let count = &counts[direction as usize][kind as usize];
            let [messages, bytes] =
                [&count.messages, &count.bytes].map(|count| count.load(Ordering::Relaxed));
            Flow { peer, direction, kind: name, messages, bytes }
        };
        let of_peer = |(peer, counts): (&Id, &[Counts; 2])| {
            let all = [Direction::In, Direction::Out]
                .into_iter()
                .flat_map(|direction| KINDS.map(|kind| (direction, kind)));
            all.map(|(direction, kind)| flow(*peer, direction, kind, counts)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_peer).filter(|flow| flow.messages > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    #[test]
    fn messages_are_counted_by_peer_direction_and_kind() {
        let traffic = Traffic::new([id(1), id(2)]);
        assert_eq!(traffic.flows(), []);
        traffic.count(id(2), Direction::Out, MessageKind::Append, 100);
        traffic.count(id(2), Direction::Out, MessageKind::Append, 50);
        traffic.count(id(1), Direction::In, MessageKind::Answer, 7);
        traffic.count(id(3), Direction::In, MessageKind::Answer, 7);
        let flow = |peer, direction, kind, messages, bytes| Flow {
            peer: id(peer),
            direction,
            kind,
            messages,
            bytes,
        };
        let flows = [flow(1, Direction::In, "answer", 1, 7), flow(2, Direction::Out, "append", 2, 150)];
        assert_eq!(traffic.flows(), flows);
    }

    #[test]
    fn each_kind_has_its_own_place() {
        assert!(KINDS.iter().enumerate().all(|(place, (kind, _))| *kind as usize == place));
    }
}
