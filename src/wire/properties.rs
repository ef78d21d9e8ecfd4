//! Properties of every message, and of the decoder for every sequence of bytes.

use std::ops::Range;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use raft::tuning::Topology;
use raft::types::MAX_NUMBER;

use super::guarantees::{self, OWN, PEER, PEERS};
use super::size::{APPEND_ENVELOPE_BYTES, escaped_len, relay_extra_bytes};
use super::*;
use crate::exchange::Inbound;
use crate::generators::{client, message, mid, number, payload, text};
use crate::operation::Operation;
use crate::replication::{AppendEntries, Body, Entry, Message, Payload};
use crate::reply::Reply;
use crate::testkit::{self, FAIL, REDIRECT, STORED, response};

fn decoder() -> Decoder {
    Decoder::new(OWN, PEERS)
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
