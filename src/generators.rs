//! Strategies for property tests: the values that travel between replicas and clients, within the
//! bounds that a decoder accepts. The strategies are boxed where one holds many others, because it
//! takes much of a stack.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use raft::message::{
    Acknowledgement, AppendOutcome, InstallSnapshot, RelayEntriesResponse, RequestVote, RequestVoteResponse,
};
use raft::types::{EntryId, MAX_NUMBER};

use crate::bytes::Bytes;
use crate::command::{Batch, Command, Proposal, Watch};
use crate::exchange::{ReadIndex, Round};
use crate::id::Id;
use crate::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set};
use crate::replication::{AppendEntries, Body, Entry, LogTail, Message, Payload, RelayEntries};
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request, RequestId, Response};
use crate::testkit::{self, append_response, id, proposal};
use crate::wire::guarantees::PEERS;

pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=MAX_NUMBER, Just(MAX_NUMBER)]
}

pub fn positive() -> impl Strategy<Value = u64> {
    number().prop_map(|number| number.max(1))
}

pub fn signed() -> impl Strategy<Value = i64> {
    prop_oneof![-200..200i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

/// Texts with all characters that JSON escapes, and with others.
pub fn text() -> impl Strategy<Value = Arc<str>> {
    let character = prop_oneof![
        4 => any::<char>(),
        4 => prop::char::range('a', 'z'),
        2 => prop::char::range('\0', '\x1F'),
        1 => prop::sample::select(&['"', '\\', '/', '\x7F', '\u{2028}', '\u{FFFD}', '\u{1F600}'][..]),
    ];
    vec(character, 0..40).prop_map(|characters| characters.into_iter().collect::<String>().into())
}

pub fn mid() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(|text| if text.is_empty() { "m".into() } else { text })
}

/// A client that no replica of [`guarantees`](crate::wire::guarantees) is.
pub fn client() -> impl Strategy<Value = Id> {
    (4..u16::MAX).prop_map(id)
}

pub fn request_id() -> impl Strategy<Value = RequestId> {
    (client(), mid()).prop_map(|(client, mid)| RequestId { client, mid })
}

pub fn bytes() -> BoxedStrategy<Bytes> {
    prop_oneof![
        6 => text().prop_map(Bytes::from),
        2 => vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        1 => vec(any::<u8>(), 120..140).prop_map(Bytes::from), // the length has a second byte from 128 on
    ]
    .boxed()
}

fn deadline() -> impl Strategy<Value = Deadline> {
    prop_oneof![signed().prop_map(Deadline::After), signed().prop_map(Deadline::At)]
}

fn expiry() -> BoxedStrategy<Expiry> {
    prop_oneof![Just(Expiry::Never), Just(Expiry::Keep), deadline().prop_map(Expiry::Set)].boxed()
}

fn condition() -> BoxedStrategy<Condition> {
    prop_oneof![
        Just(Condition::Absent),
        Just(Condition::Present),
        bytes().prop_map(Condition::Equal),
        bytes().prop_map(Condition::Unequal),
        any::<u64>().prop_map(Condition::Revision),
    ]
    .boxed()
}

fn deadline_condition() -> impl Strategy<Value = Option<DeadlineCondition>> {
    prop::sample::select(vec![
        None,
        Some(DeadlineCondition::Absent),
        Some(DeadlineCondition::Present),
        Some(DeadlineCondition::Later),
        Some(DeadlineCondition::Earlier),
        Some(DeadlineCondition::PresentAndLater),
        Some(DeadlineCondition::PresentAndEarlier),
    ])
}

/// Reads of one key, or of all.
pub fn read() -> BoxedStrategy<Operation> {
    let parts = (bytes(), signed(), signed(), 0..9u8);
    let simple = parts.prop_map(|(key, number, other, kind)| match kind {
        0 => Operation::Get { key },
        1 => Operation::GetRange { key, start: number, end: other },
        2 => Operation::Strlen { key },
        3 => Operation::Type { key },
        4 => Operation::TimeToLive { key },
        5 => Operation::Deadline { key },
        6 => Operation::Revision { key },
        7 => Operation::GetWithRevision { key },
        _ => Operation::Count,
    });
    let scan = (any::<u64>(), any::<u32>(), prop::option::of(bytes()));
    prop_oneof![
        4 => simple,
        1 => vec(bytes(), 0..4).prop_map(|keys| Operation::Exists { keys }),
        1 => vec(bytes(), 0..4).prop_map(|keys| Operation::GetMany { keys }),
        1 => scan.prop_map(|(cursor, count, pattern)| Operation::Scan { cursor, count, pattern }),
    ]
    .boxed()
}

/// Writes of one key and up to two numbers or texts.
fn simple_write() -> BoxedStrategy<Operation> {
    let parts = (bytes(), bytes(), signed(), 0..10u8);
    parts
        .prop_map(|(key, value, number, kind)| match kind {
            0 => Operation::GetDelete { key },
            1 => Operation::DeleteIfEqual { key, value },
            2 => Operation::Increment { key, by: number },
            3 => Operation::IncrementFloat { key, by: value },
            4 => Operation::Append { key, value },
            5 => Operation::SetRange { key, offset: number as u64, value },
            6 => Operation::Persist { key },
            7 => Operation::Flush,
            8 => Operation::RemoveExpired { limit: number as u32 },
            _ => Operation::set(key, value),
        })
        .boxed()
}

pub fn operation() -> BoxedStrategy<Operation> {
    let set = (bytes(), bytes(), prop::option::of(condition()), expiry(), any::<bool>());
    let set = set.prop_map(|(key, value, condition, expiry, get)| Set { key, value, condition, expiry, get });
    prop_oneof![
        3 => read(),
        3 => simple_write(),
        2 => set.prop_map(Operation::Set),
        1 => vec(bytes(), 0..4).prop_map(|keys| Operation::Delete { keys }),
        1 => (vec((bytes(), bytes()), 0..4), any::<bool>())
            .prop_map(|(pairs, if_absent)| Operation::SetMany { pairs, if_absent }),
        1 => (bytes(), expiry()).prop_map(|(key, expiry)| Operation::GetExpire { key, expiry }),
        1 => (bytes(), deadline(), deadline_condition())
            .prop_map(|(key, deadline, condition)| Operation::Expire { key, deadline, condition }),
    ]
    .boxed()
}

pub fn command() -> BoxedStrategy<Command> {
    let watch = (bytes(), any::<u64>()).prop_map(|(key, unchanged_since)| Watch { key, unchanged_since });
    let batch = (vec(watch, 0..3), vec(operation(), 0..4));
    prop_oneof![
        4 => operation().prop_map(Command::One),
        1 => batch.prop_map(|(watches, operations)| Command::Batch(Batch { watches, operations })),
    ]
    .boxed()
}

pub fn payload() -> BoxedStrategy<Payload> {
    let set = (client(), mid(), text(), text())
        .prop_map(|(client, mid, key, value)| proposal(client, mid, key, value));
    let any = (number(), prop::option::of(request_id()), command());
    let any = any.prop_map(|(at, request, command)| Proposal { at: at as i64, request, command });
    let proposed = |proposal| Payload::Command(Arc::new(proposal));
    prop_oneof![1 => Just(Payload::Noop), 2 => set.prop_map(proposed), 3 => any.prop_map(proposed)].boxed()
}

pub fn entry() -> BoxedStrategy<Entry> {
    let parts = (positive(), positive(), payload());
    parts.prop_map(|(index, term, payload)| Entry { index, term, payload }).boxed()
}

/// Appends as a leader builds them: a part of a log whose terms never decrease.
fn append_entries() -> BoxedStrategy<Message> {
    let start = (number(), positive(), vec((0..3u64, payload()), 0..8));
    let parts = (start, number(), number(), 0..3u64);
    parts
        .prop_map(|((index, term, steps), leader_commit, sent_at, newer)| {
            let prev_log_index = index.min(MAX_NUMBER - 8);
            let prev_log_term = if prev_log_index == 0 { 0 } else { term.min(MAX_NUMBER - 100) };
            let mut last = (prev_log_index, prev_log_term);
            let mut entries = Vec::new();
            for (step, payload) in steps {
                last = (last.0 + 1, (last.1 + step).max(1));
                entries.push(Entry { index: last.0, term: last.1, payload });
            }
            let append = AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, entries };
            testkit::append((last.1 + newer).max(1), append)
        })
        .boxed()
}

/// Messages of the replica [`PEER`](crate::wire::guarantees::PEER) to the replica
/// [`OWN`](crate::wire::guarantees::OWN).
pub fn message() -> BoxedStrategy<Message> {
    prop_oneof![
        vote(),
        vote_response(),
        append_entries(),
        answer_to_append(),
        positive().prop_map(|term| Message { term, body: Body::StaleTerm }),
        positive().prop_map(|term| Message { term, body: Body::TimeoutNow }),
        install_snapshot(),
        log_tail(),
        relay_entries(),
        relay_response()
    ]
    .boxed()
}

fn vote() -> impl Strategy<Value = Message> {
    let ballots = prop::sample::select(&[(true, false), (false, false), (false, true)][..]);
    (ballots, number(), positive(), positive()).prop_map(|((pre_vote, transfer), campaign, index, term)| {
        let last_log_term = term.min(MAX_NUMBER - 1);
        let vote = RequestVote { pre_vote, transfer, campaign, last_log_index: index, last_log_term };
        Message { term: last_log_term + 1, body: Body::RequestVote(vote) }
    })
}

fn vote_response() -> impl Strategy<Value = Message> {
    (number(), any::<bool>(), number(), any::<bool>()).prop_map(|(term, pre_vote, campaign, granted)| {
        let body = Body::RequestVoteResponse(RequestVoteResponse { pre_vote, campaign, granted });
        Message { term, body }
    })
}

fn answer_to_append() -> impl Strategy<Value = Message> {
    let matched = number().prop_map(|match_index| AppendOutcome::Matched { match_index });
    let conflict = (positive(), positive()).prop_map(|(a, b)| AppendOutcome::Conflict {
        prev_log_index: a.max(b),
        conflict_term: 0,
        conflict_index: a.min(b),
    });
    let receiving = (positive(), number()).prop_map(|(index, chunks)| AppendOutcome::Receiving {
        snapshot: EntryId { index, term: 1 },
        chunks,
    });
    (positive(), number(), prop_oneof![matched, conflict, receiving])
        .prop_map(|(term, sent_at, outcome)| append_response(term, sent_at, outcome))
}

fn log_tail() -> impl Strategy<Value = Message> {
    append_entries().prop_filter_map("no entries", |message| match message.body {
        Body::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, .. })
            if !entries.is_empty() =>
        {
            let tail = LogTail { prev_log_index, prev_log_term, entries };
            Some(Message { term: message.term, body: Body::LogTail(tail) })
        }
        _ => None,
    })
}

fn install_snapshot() -> impl Strategy<Value = Message> {
    let snapshot_ids = (positive(), positive(), positive());
    (snapshot_ids, number(), number(), any::<bool>(), vec(any::<u8>(), 0..300)).prop_map(
        |((index, a, b), sent_at, chunk, is_last, data)| {
            let snapshot = EntryId { index, term: a.min(b) };
            let install = InstallSnapshot { sent_at, snapshot, chunk, is_last, data };
            Message { term: a.max(b), body: Body::InstallSnapshot(install) }
        },
    )
}

/// A relay that the leader or another follower sends on.
fn relay_entries() -> impl Strategy<Value = Message> {
    let [peer, other, third] = PEERS;
    let from_leader = |way| (peer, vec![], way);
    let ways = vec![
        from_leader(vec![]),
        from_leader(vec![third]),
        from_leader(vec![third, other]),
        (other, vec![peer], vec![]),
        (other, vec![peer], vec![third]),
        (other, vec![third, peer], vec![]),
    ];
    (append_entries(), prop::sample::select(ways)).prop_map(|(message, (leader, acknowledged, way))| {
        let Message { term, body: Body::AppendEntries(append) } = message else { unreachable!("an append") };
        let sent_at = append.sent_at;
        let acknowledged = acknowledged.into_iter().map(|id| Acknowledgement { id, sent_at }).collect();
        let relay = RelayEntries { leader, way, acknowledged, append };
        Message { term, body: Body::RelayEntries(relay) }
    })
}

fn relay_response() -> impl Strategy<Value = Message> {
    let ids = prop::sample::subsequence(&PEERS[..], 1..=PEERS.len()).prop_shuffle();
    let times = prop::array::uniform3(number());
    (positive(), number(), number(), ids, times).prop_map(|(term, sent_at, match_index, ids, times)| {
        let acknowledged =
            ids.into_iter().zip(times).map(|(id, sent_at)| Acknowledgement { id, sent_at }).collect();
        let response = RelayEntriesResponse { sent_at, match_index, acknowledged };
        Message { term, body: Body::RelayEntriesResponse(response) }
    })
}

pub fn request() -> impl Strategy<Value = Request> {
    (request_id(), command()).prop_map(|(id, command)| Request { id, command })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop::sample::select(vec![
        Refusal::NotAnInteger,
        Refusal::Overflow,
        Refusal::NanOrInfinity,
        Refusal::TooLong,
        Refusal::Syntax,
        Refusal::Reused,
        Refusal::SessionExpired,
        Refusal::ReplyForgotten,
    ])
}

pub fn reply() -> BoxedStrategy<Reply> {
    let flat = prop_oneof![
        Just(Reply::Ok),
        Just(Reply::Nil),
        bytes().prop_map(Reply::Bytes),
        signed().prop_map(Reply::Integer),
        refusal().prop_map(Reply::Error),
    ];
    flat.prop_recursive(3, 20, 5, |inner| vec(inner, 0..5).prop_map(Reply::Array)).boxed()
}

pub fn read_index() -> impl Strategy<Value = ReadIndex> {
    let message = |(life, number, index, time, is_request)| {
        let round = Round { life, number };
        if is_request {
            ReadIndex::Request { round, applied: index }
        } else {
            ReadIndex::Response { round, index, time }
        }
    };
    let time = -(MAX_NUMBER as i64)..=MAX_NUMBER as i64;
    (number(), number(), number(), time, any::<bool>()).prop_map(message)
}

pub fn response() -> impl Strategy<Value = Response> {
    let outcome = prop_oneof![
        5 => reply().prop_map(Outcome::Done),
        1 => Just(Outcome::Redirect),
        1 => Just(Outcome::Unknown),
        1 => Just(Outcome::Fail),
    ];
    let leader = prop::option::of(prop::sample::select(&PEERS[..]));
    (request_id(), outcome, leader).prop_map(|(id, outcome, leader)| Response { id, outcome, leader })
}
