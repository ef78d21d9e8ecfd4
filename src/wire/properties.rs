//! Properties of every message, and of the decoder for every sequence of bytes.

use std::ops::Range;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use raft::message::{
    Acknowledgement, AppendOutcome, InstallSnapshot, RelayEntriesResponse, RequestVote, RequestVoteResponse,
};
use raft::tuning::Topology;
use raft::types::{EntryId, MAX_NUMBER};

use super::guarantees::{self, OWN, PEER, PEERS};
use super::size::{APPEND_ENVELOPE_BYTES, escaped_len, relay_extra_bytes};
use super::*;
use crate::bytes::Bytes;
use crate::command::{Batch, Command, Proposal, Watch};
use crate::exchange::Inbound;
use crate::id::Id;
use crate::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set};
use crate::replication::{AppendEntries, Body, Entry, LogTail, Message, Payload, RelayEntries};
use crate::reply::Reply;
use crate::request::RequestId;
use crate::testkit::{self, FAIL, REDIRECT, STORED, append_response, id, proposal, response};

fn decoder() -> Decoder {
    Decoder::new(OWN, PEERS)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=MAX_NUMBER, Just(MAX_NUMBER)]
}

fn positive() -> impl Strategy<Value = u64> {
    number().prop_map(|number| number.max(1))
}

/// Texts with all characters that JSON escapes, and with others.
fn text() -> impl Strategy<Value = Arc<str>> {
    let character = prop_oneof![
        4 => any::<char>(),
        4 => prop::char::range('a', 'z'),
        2 => prop::char::range('\0', '\x1F'),
        1 => prop::sample::select(&['"', '\\', '/', '\x7F', '\u{2028}', '\u{FFFD}', '\u{1F600}'][..]),
    ];
    vec(character, 0..40).prop_map(|characters| characters.into_iter().collect::<String>().into())
}

fn mid() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(|text| if text.is_empty() { "m".into() } else { text })
}

fn client() -> impl Strategy<Value = Id> {
    (4..u16::MAX).prop_map(id)
}

/// The strategies are boxed, because one that holds all others takes much of a stack.
fn bytes() -> BoxedStrategy<Bytes> {
    prop_oneof![3 => text().prop_map(Bytes::from), 1 => vec(any::<u8>(), 0..40).prop_map(Bytes::from)].boxed()
}

fn deadline() -> impl Strategy<Value = Deadline> {
    prop_oneof![any::<i64>().prop_map(Deadline::After), any::<i64>().prop_map(Deadline::At)]
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![Just(Expiry::Never), Just(Expiry::Keep), deadline().prop_map(Expiry::Set)]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        Just(Condition::Absent),
        Just(Condition::Present),
        bytes().prop_map(Condition::Equal),
        bytes().prop_map(Condition::Unequal),
        any::<u64>().prop_map(Condition::Revision),
    ]
}

fn set() -> impl Strategy<Value = Operation> {
    (bytes(), bytes(), prop::option::of(condition()), expiry(), any::<bool>()).prop_map(
        |(key, value, condition, expiry, get)| Operation::Set(Set { key, value, condition, expiry, get }),
    )
}

fn operation() -> BoxedStrategy<Operation> {
    let of_key =
        (bytes(), any::<i64>(), any::<i64>(), 0..8u8).prop_map(|(key, start, end, kind)| match kind {
            0 => Operation::Get { key },
            1 => Operation::GetRange { key, start, end },
            2 => Operation::Revision { key },
            3 => Operation::GetDelete { key },
            4 => Operation::Increment { key, by: start },
            5 => Operation::Persist { key },
            6 => Operation::Count,
            _ => Operation::Flush,
        });
    let of_value =
        (bytes(), bytes(), any::<u64>(), 0..5u8).prop_map(|(key, value, number, kind)| match kind {
            0 => Operation::Append { key, value },
            1 => Operation::SetRange { key, value, offset: number },
            2 => Operation::DeleteIfEqual { key, value },
            3 => Operation::IncrementFloat { key, by: value },
            _ => Operation::Scan { cursor: number, count: number as u32, pattern: Some(value) },
        });
    prop_oneof![
        of_key,
        of_value,
        set(),
        vec(bytes(), 0..4).prop_map(|keys| Operation::Delete { keys }),
        (vec((bytes(), bytes()), 0..4), any::<bool>())
            .prop_map(|(pairs, if_absent)| Operation::SetMany { pairs, if_absent }),
        (bytes(), expiry()).prop_map(|(key, expiry)| Operation::GetExpire { key, expiry }),
        (bytes(), deadline(), prop::option::of(Just(DeadlineCondition::PresentAndLater)))
            .prop_map(|(key, deadline, condition)| Operation::Expire { key, deadline, condition }),
        any::<u32>().prop_map(|limit| Operation::RemoveExpired { limit }),
    ]
    .boxed()
}

fn command() -> BoxedStrategy<Command> {
    let watch = (bytes(), any::<u64>()).prop_map(|(key, unchanged_since)| Watch { key, unchanged_since });
    let batch = (vec(watch, 0..3), vec(operation(), 0..4));
    prop_oneof![
        4 => operation().prop_map(Command::One),
        1 => batch.prop_map(|(watches, operations)| Command::Batch(Batch { watches, operations })),
    ]
    .boxed()
}

fn payload() -> BoxedStrategy<Payload> {
    let set = (client(), mid(), text(), text())
        .prop_map(|(client, mid, key, value)| proposal(client, mid, key, value));
    let request = prop::option::of((client(), mid()).prop_map(|(client, mid)| RequestId { client, mid }));
    let any = (number(), request, command());
    let any = any.prop_map(|(at, request, command)| Proposal { at: at as i64, request, command });
    let proposed = |proposal| Payload::Command(Arc::new(proposal));
    prop_oneof![1 => Just(Payload::Noop), 2 => set.prop_map(proposed), 2 => any.prop_map(proposed)].boxed()
}

/// Appends as a leader builds them: a part of a log whose terms never decrease.
fn append_entries() -> impl Strategy<Value = Message> {
    let start = (number(), positive(), vec((0..3u64, payload()), 0..8));
    (start, number(), number(), 0..3u64).prop_map(|((index, term, steps), leader_commit, sent_at, newer)| {
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
}

pub fn message() -> impl Strategy<Value = Message> {
    let vote =
        (any::<bool>(), number(), positive(), positive()).prop_map(|(pre_vote, campaign, index, term)| {
            let last_log_term = term.min(MAX_NUMBER - 1);
            let vote = RequestVote { pre_vote, campaign, last_log_index: index, last_log_term };
            Message { term: last_log_term + 1, body: Body::RequestVote(vote) }
        });
    let vote_response = (number(), any::<bool>(), number(), any::<bool>()).prop_map(|fields| {
        let (term, pre_vote, campaign, granted) = fields;
        let body = Body::RequestVoteResponse(RequestVoteResponse { pre_vote, campaign, granted });
        Message { term, body }
    });
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
    let append_response = (positive(), number(), prop_oneof![matched, conflict, receiving])
        .prop_map(|(term, sent_at, outcome)| append_response(term, sent_at, outcome));
    let log_tail = append_entries().prop_filter_map("no entries", |message| match message.body {
        Body::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, .. })
            if !entries.is_empty() =>
        {
            let tail = LogTail { prev_log_index, prev_log_term, entries };
            Some(Message { term: message.term, body: Body::LogTail(tail) })
        }
        _ => None,
    });
    let snapshot_ids = (positive(), positive(), positive());
    let data = prop::collection::vec(any::<u8>(), 0..300);
    let install = (snapshot_ids, number(), number(), any::<bool>(), data).prop_map(
        |((index, a, b), sent_at, chunk, is_last, data)| {
            let snapshot = EntryId { index, term: a.min(b) };
            let install = InstallSnapshot { sent_at, snapshot, chunk, is_last, data };
            Message { term: a.max(b), body: Body::InstallSnapshot(install) }
        },
    );
    let stale_term = positive().prop_map(|term| Message { term, body: Body::StaleTerm });
    prop_oneof![
        vote,
        vote_response,
        append_entries(),
        append_response,
        stale_term,
        install,
        log_tail,
        relay_entries(),
        relay_response()
    ]
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

fn encoded(messages: &[Message]) -> Vec<u8> {
    let mut datagram = Vec::new();
    encode_peer(&mut datagram, PEER, OWN, None, messages);
    datagram
}

proptest! {
    #[test]
    fn peer_messages_survive_the_wire(messages in vec(message(), 1..5)) {
        let mut datagram = encoded(&messages);
        let mut out = Vec::new();
        decoder().decode(&mut datagram, &mut out).expect("it is what we send");
        let sent: Vec<_> = messages.into_iter().map(|message| Inbound::Peer { from: PEER, message }).collect();
        prop_assert_eq!(out, sent);
    }

    #[test]
    fn responses_survive_the_wire(client in client(), mid in mid(), value in text()) {
        let found = testkit::value(Arc::clone(&value));
        let cases = [(found, "ok", Some(&*value)), (STORED, "ok", None), (REDIRECT, "redirect", None), (FAIL, "fail", None)];
        for (outcome, kind, value) in cases {
            let mut datagram = Vec::new();
            encode_response(&mut datagram, OWN, &response(client, Arc::clone(&mid), outcome));
            let json: serde_json::Value = serde_json::from_slice(&datagram).expect("JSON");
            prop_assert_eq!(json["type"].as_str(), Some(kind));
            prop_assert_eq!(json["MID"].as_str(), Some(&*mid));
            prop_assert_eq!(json.get("value").and_then(|v| v.as_str()), value);
            prop_assert_eq!(&json["dst"], &serde_json::json!(client.to_string()));
        }
    }

    #[test]
    fn entry_takes_exactly_the_predicted_bytes(index in number(), term in number(), payload in payload()) {
        let entry = Entry { index, term, payload };
        let append = |entries| {
            let append = AppendEntries { prev_log_index: 0, prev_log_term: 0, leader_commit: 0, sent_at: 0, entries };
            encoded(&[testkit::append(1, append)]).len()
        };
        let comma = 1;
        prop_assert_eq!(append(vec![entry.clone()]) + comma, append(vec![]) + entry_len(&entry));
    }

    #[test]
    fn no_datagram_is_longer_than_predicted(messages in vec(message(), 1..5)) {
        let lengths = messages.iter().map(message_len_at_most);
        prop_assert!(encoded(&messages).len() <= BUNDLE_ENVELOPE_BYTES + lengths.sum::<usize>());
        for message in messages {
            let (append, extra) = match &message.body {
                Body::AppendEntries(append) => (append, 0),
                Body::RelayEntries(relay) => (&relay.append, relay_extra_bytes(PEERS.len())),
                _ => continue,
            };
            let entries: usize = append.entries.iter().map(entry_len).sum();
            let length = encoded(std::slice::from_ref(&message)).len();
            prop_assert!(length <= APPEND_ENVELOPE_BYTES + extra + entries);
        }
    }

    #[test]
    fn storable_command_fits_into_one_append_and_one_response(payload in payload(), spare in 0..1000usize) {
        let Payload::Command(proposal) = &payload else { return Ok(()) };
        let values = proposal.command.operations().iter().flat_map(Operation::values);
        let longest = values.max_by_key(|value| escaped_len(&value.to_text())).cloned().unwrap_or_default();
        let limit = 2_000 + spare;
        let (index, term) = (MAX_NUMBER, MAX_NUMBER);
        let entries = vec![Entry { index, term, payload: payload.clone() }];
        let (prev_log_index, prev_log_term) = (index - 1, term);
        let append = AppendEntries { prev_log_index, prev_log_term, leader_commit: term, sent_at: term, entries };
        let append = encoded(&[testkit::append(term, append)]).len();
        let outcome = testkit::value(longest.clone());
        let answer = response(testkit::CLIENT, "\0".repeat(MAX_ENTRY_MID_BYTES), outcome);
        let mut response = Vec::new();
        encode_response(&mut response, OWN, &answer);
        let peers = spare / 100;
        let (limits, extra) = (Limits::new(limit, Topology::Relay, peers), relay_extra_bytes(peers));
        if limits.is_storable(proposal) {
            prop_assert!(limits.is_readable("\0".repeat(MAX_ENTRY_MID_BYTES).as_str(), &Reply::Bytes(longest)));
            prop_assert!((append + extra).max(response.len()) <= limit);
        } else {
            // A command with a kilobyte to spare must be storable.
            prop_assert!((append + extra).max(response.len()) + 1_000 > limit);
        }
    }

    #[test]
    fn decoder_keeps_its_guarantees_for_any_bytes(datagram in vec(any::<u8>(), 0..600)) {
        guarantees::check(&datagram);
    }

    #[test]
    fn decoder_keeps_its_guarantees_for_json_like_text(
        pieces in vec(prop::sample::select(&PIECES[..]), 0..60),
    ) {
        guarantees::check(pieces.concat().as_bytes());
    }

}

proptest! {
    // Most damage only makes a datagram invalid JSON, or its type unknown.
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn decoder_keeps_its_guarantees_for_damaged_messages(
        datagram in datagram(),
        other in datagram(),
        damages in vec(damage(), 0..5),
    ) {
        let mut datagram = datagram;
        for damage in damages {
            damage.happen(&mut datagram, &other);
        }
        guarantees::check(&datagram);
    }
}

/// A datagram of a replica or of a client.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let from_client = (client(), mid(), text(), prop::option::of(text())).prop_map(|fields| {
        let (client, mid, key, value) = fields;
        let kind = if value.is_some() { kind::PUT } else { kind::GET };
        let request = serde_json::json!({
            "src": client.to_string(), "dst": OWN.to_string(), "leader": PEER.to_string(), "type": kind, "MID": *mid, "key": *key, "value": value.as_deref(),
        });
        request.to_string().into_bytes()
    });
    prop_oneof![4 => vec(message(), 1..4).prop_map(|messages| encoded(&messages)), 1 => from_client]
}

/// Damage to a datagram on its way. A place counts modulo the number of places that there are.
#[derive(Clone, Debug)]
enum Damage {
    /// Bits of a byte are flipped.
    Flip(prop::sample::Index, u8),
    /// A number becomes one that is wrong by a little, or as large as can be.
    Number(prop::sample::Index, Wrong),
    /// The text between two quotes becomes another one.
    Text(prop::sample::Index, &'static str),
    /// A list loses all that it has.
    Empty(prop::sample::Index),
    /// The rest is lost.
    Cut(prop::sample::Index),
    /// Part of another datagram stands in the place of a part of this one.
    Splice([prop::sample::Index; 4]),
    /// The same between commas, so that both parts are whole keys or objects now and then.
    Swap([prop::sample::Index; 2]),
}

/// Makes a wrong number from a right one.
type Wrong = fn(u64) -> u64;

const WRONG: [Wrong; 5] = [
    |_| 0,
    |number| number.saturating_add(1),
    |number| number.saturating_sub(1),
    |_| MAX_NUMBER,
    |_| MAX_NUMBER + 1,
];

const TEXTS: [&str; 11] = [
    "",
    "0000",
    "0001",
    "0002",
    "0003",
    "0010",
    "FFFF",
    kind::GET,
    kind::BUNDLE,
    kind::APPEND_ENTRIES,
    kind::RELAY_ENTRIES,
];

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    let wrong = || prop::sample::select(&WRONG[..]);
    let text = || prop::sample::select(&TEXTS[..]);
    prop_oneof![
        2 => (place(), 1..=u8::MAX).prop_map(|(place, bits)| Damage::Flip(place, bits)),
        12 => (place(), wrong()).prop_map(|(place, wrong)| Damage::Number(place, wrong)),
        6 => (place(), text()).prop_map(|(place, text)| Damage::Text(place, text)),
        1 => place().prop_map(Damage::Empty),
        1 => place().prop_map(Damage::Cut),
        2 => any::<[prop::sample::Index; 4]>().prop_map(Damage::Splice),
        4 => any::<[prop::sample::Index; 2]>().prop_map(Damage::Swap),
    ]
}

impl Damage {
    fn happen(&self, datagram: &mut Vec<u8>, other: &[u8]) {
        match self {
            Self::Flip(place, bits) => {
                let length = datagram.len();
                if length > 0 {
                    datagram[place.index(length)] ^= bits;
                }
            }
            Self::Number(place, wrong) => {
                let numbers = datagram.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
                let spans = spans(numbers.map(|bytes| (bytes.len(), bytes[0].is_ascii_digit())));
                replace(datagram, &spans, place, |digits| wrong(digits.parse().unwrap_or(0)).to_string());
            }
            Self::Text(place, text) => {
                let parts = datagram.split_inclusive(|byte| *byte == b'"').enumerate();
                let quoted = parts.map(|(i, part)| (part.len(), i % 2 == 1));
                let spans = spans(quoted);
                replace(datagram, &spans, place, |_| format!("{text}\""));
            }
            Self::Empty(place) => {
                let lists = datagram.split_inclusive(|byte| matches!(byte, b'[' | b']'));
                let spans = spans(lists.map(|part| (part.len(), part.ends_with(b"]"))));
                replace(datagram, &spans, place, |_| "]".to_owned());
            }
            Self::Cut(place) => datagram.truncate(place.index(datagram.len() + 1)),
            Self::Splice([a, b, c, d]) => {
                let (lost, found) = (range(a, b, datagram), range(c, d, other));
                datagram.splice(lost, other[found].iter().copied());
            }
            Self::Swap([lost, found]) => {
                let mut parts: Vec<&[u8]> = datagram.split(|byte| *byte == b',').collect();
                let others: Vec<&[u8]> = other.split(|byte| *byte == b',').collect();
                let lost = lost.index(parts.len());
                parts[lost] = others[found.index(others.len())];
                *datagram = parts.join(&b',');
            }
        }
    }
}

/// The ranges of the wanted parts; each part is its length, and whether it is wanted.
fn spans(parts: impl Iterator<Item = (usize, bool)>) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut span = |(length, wanted)| {
        start += length;
        (start - length..start, wanted)
    };
    parts.map(&mut span).filter(|(_, wanted)| *wanted).map(|(span, _)| span).collect()
}

/// Replaces one of these parts.
fn replace(
    datagram: &mut Vec<u8>,
    spans: &[Range<usize>],
    place: &prop::sample::Index,
    new: impl Fn(&str) -> String,
) {
    if !spans.is_empty() {
        let span = place.get(spans).clone();
        let new = new(&String::from_utf8_lossy(&datagram[span.clone()]));
        datagram.splice(span, new.into_bytes());
    }
}

fn range(a: &prop::sample::Index, b: &prop::sample::Index, bytes: &[u8]) -> Range<usize> {
    let (a, b) = (a.index(bytes.len() + 1), b.index(bytes.len() + 1));
    a.min(b)..a.max(b)
}

#[test]
fn decoder_keeps_its_guarantees_for_the_seeds_of_its_fuzz_target() {
    let seeds = std::fs::read_dir("fuzz/seeds/decode").expect("the seeds are there");
    for seed in seeds {
        guarantees::check(&std::fs::read(seed.expect("a file").path()).expect("it can be read"));
    }
}

/// Scraps that form objects by chance, some of which nearly make sense.
const PIECES: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "null",
    "true",
    "-1",
    "1e400",
    "0.5",
    "9007199254740992",
    "1",
    "0",
    "\"src\":\"0001\"",
    "\"dst\":\"0000\"",
    "\"leader\":\"FFFF\"",
    "\"type\":\"append_entries\"",
    "\"term\":3",
    "\"type\":\"bundle\"",
    "\"messages\":[",
    "\"entries\":[",
    "\"entries\":[[1,1]]",
    "\"prev_log_index\":0",
    "\"prev_log_term\":0",
    "\"leader_commit\":0",
    "\"sent_at\":0",
    "\"type\":\"relay_entries\"",
    "\"leader_id\":\"0001\"",
    "\"way\":[\"0002\"]",
    "\"acknowledged\":[]",
    "\\ud800",
    "\u{e9}",
    "\n",
];
