//! What holds for every message and for every sequence of bytes.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Inbound;
use super::*;
use crate::id::Id;
use crate::kv::Command;
use crate::raft::message::{
    AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message, RequestVote, RequestVoteResponse,
};
use crate::raft::types::{Entry, MAX_NUMBER, Payload};
use crate::request::{Outcome, RequestId, Response};

const OWN: Id = Id::new(0).expect("not reserved");
const PEER: Id = Id::new(1).expect("not reserved");

fn decoder() -> Decoder {
    Decoder::new(OWN, [PEER])
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=MAX_NUMBER, Just(MAX_NUMBER)]
}

fn positive() -> impl Strategy<Value = u64> {
    number().prop_map(|number| number.max(1))
}

/// Texts with everything that JSON escapes, and with what it does not.
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
    (2..u16::MAX).prop_map(|number| Id::new(number).expect("not reserved"))
}

fn payload() -> impl Strategy<Value = Payload> {
    let command = (client(), mid(), text(), text()).prop_map(|(client, mid, key, value)| {
        Payload::Command(Arc::new(Command { request: RequestId { client, mid }, key, value }))
    });
    prop_oneof![1 => Just(Payload::Noop), 4 => command]
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
        Message { term: (last.1 + newer).max(1), body: Body::AppendEntries(append) }
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
    let append_response =
        (positive(), number(), prop_oneof![matched, conflict]).prop_map(|(term, sent_at, outcome)| {
            let body = Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome });
            Message { term, body }
        });
    prop_oneof![vote, vote_response, append_entries(), append_response]
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
        let id = RequestId { client, mid };
        for outcome in [Outcome::Value(value), Outcome::Stored, Outcome::Redirect, Outcome::Fail] {
            let response = Response { id: id.clone(), outcome, leader: Some(PEER) };
            let mut datagram = Vec::new();
            encode_response(&mut datagram, OWN, &response);
            let json: serde_json::Value = serde_json::from_slice(&datagram).expect("JSON");
            let (kind, value) = match &response.outcome {
                Outcome::Value(value) => ("ok", Some(&**value)),
                Outcome::Stored => ("ok", None),
                Outcome::Redirect => ("redirect", None),
                Outcome::Fail => ("fail", None),
            };
            prop_assert_eq!(json["type"].as_str(), Some(kind));
            prop_assert_eq!(json["MID"].as_str(), Some(&*id.mid));
            prop_assert_eq!(json.get("value").and_then(|v| v.as_str()), value);
            prop_assert_eq!(&json["dst"], &serde_json::json!(client));
        }
    }

    #[test]
    fn an_entry_takes_exactly_the_predicted_bytes(index in number(), term in number(), payload in payload()) {
        let entry = Entry { index, term, payload };
        let append = |entries| {
            let append = AppendEntries { prev_log_index: 0, prev_log_term: 0, leader_commit: 0, sent_at: 0, entries };
            encoded(&[Message { term: 1, body: Body::AppendEntries(append) }]).len()
        };
        let comma = 1;
        prop_assert_eq!(append(vec![entry.clone()]) + comma, append(vec![]) + entry_len(&entry));
    }

    #[test]
    fn no_datagram_is_longer_than_predicted(messages in vec(message(), 1..5)) {
        let lengths = messages.iter().map(message_len_at_most);
        prop_assert!(encoded(&messages).len() <= BUNDLE_ENVELOPE_BYTES + lengths.sum::<usize>());
        for message in messages {
            if let Body::AppendEntries(append) = &message.body {
                let entries: usize = append.entries.iter().map(entry_len).sum();
                let length = encoded(std::slice::from_ref(&message)).len();
                prop_assert!(length <= APPEND_ENVELOPE_BYTES + entries);
            }
        }
    }

    #[test]
    fn what_is_storable_fits_into_one_append_and_one_response(payload in payload(), spare in 0..1000usize) {
        let Payload::Command(command) = &payload else { return Ok(()) };
        let limit = 2_000 + spare;
        let (index, term) = (MAX_NUMBER, MAX_NUMBER);
        let entries = vec![Entry { index, term, payload: payload.clone() }];
        let (prev_log_index, prev_log_term) = (index - 1, term);
        let append = AppendEntries { prev_log_index, prev_log_term, leader_commit: term, sent_at: term, entries };
        let append = encoded(&[Message { term, body: Body::AppendEntries(append) }]).len();
        let id = RequestId { client: command.request.client, mid: "\0".repeat(MAX_MID_BYTES).into() };
        let outcome = Outcome::Value(Arc::clone(&command.value));
        let mut response = Vec::new();
        encode_response(&mut response, OWN, &Response { id, outcome, leader: None });
        if is_storable(command, limit) {
            prop_assert!(append.max(response.len()) <= limit);
        } else {
            // It must not refuse what has a kilobyte to spare.
            prop_assert!(append.max(response.len()) + 1_000 > limit);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(mut datagram in vec(any::<u8>(), 0..600)) {
        let mut out = Vec::new();
        let result = decoder().decode(&mut datagram, &mut out);
        prop_assert_eq!(result.is_ok(), !out.is_empty());
    }

    #[test]
    fn no_json_like_text_makes_it_panic(pieces in vec(prop::sample::select(&PIECES[..]), 0..60)) {
        let mut datagram = pieces.concat().into_bytes();
        let mut out = Vec::new();
        let result = decoder().decode(&mut datagram, &mut out);
        prop_assert_eq!(result.is_ok(), !out.is_empty());
    }

    #[test]
    fn no_damage_to_a_message_makes_it_panic(
        messages in vec(message(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        kept in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut datagram = encoded(&messages);
        for (position, byte) in damage {
            let position = position.index(datagram.len());
            datagram[position] = byte;
        }
        if cut {
            datagram.truncate(kept.index(datagram.len()));
        }
        let mut out = Vec::new();
        let result = decoder().decode(&mut datagram, &mut out);
        prop_assert_eq!(result.is_ok(), !out.is_empty());
    }
}

/// Scraps from which objects that nearly make sense can come about by chance.
const PIECES: [&str; 32] = [
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
    "\"entries\":[{\"index\":1,\"term\":1}]",
    "\"prev_log_index\":0",
    "\"prev_log_term\":0",
    "\"leader_commit\":0",
    "\"sent_at\":0",
    "\\ud800",
    "\u{e9}",
    "\n",
];
