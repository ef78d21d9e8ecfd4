//! Lines in, messages out, and back.

use proptest::prelude::*;
use raft::types::MAX_NUMBER;

use super::*;
use crate::command::{Command, MAX_BATCH};
use crate::dialect::{Decode, Encode};
use crate::exchange::{Inbound, Outbound, ReadIndex, Round};
use crate::id::Id;
use crate::operation::{Condition, Operation, Set};
use crate::outbox::Outbox;
use crate::replication::{AppendEntries, Body, Message};
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request};
use crate::testkit::{self, id, request_id, response};
use crate::transport::{Address, STDIO_MAX_DATAGRAM};
use crate::wire::{Decoder, MAX_RECEIVED_BYTES, Malformed};

const CLIENT: Id = id(0x1007);

fn names(own: &str) -> Names {
    Names::new(own, ["n1", "n2", "n3"].map(str::to_owned).to_vec()).expect("good names")
}

fn decode(line: &str) -> Result<Vec<Inbound>, Malformed> {
    let mut out = Vec::new();
    LineDecoder::new(names("n1")).decode(&mut line.as_bytes().to_vec(), &mut out).map(|()| out)
}

fn from(src: &str, body: &str) -> Result<Vec<Inbound>, Malformed> {
    decode(&format!(r#"{{"id":3,"src":"{src}","dest":"n1","body":{body}}}"#))
}

fn asked(body: &str) -> Command {
    match from("c7", body).as_deref() {
        Ok([Inbound::Client(Request { id, command })]) => {
            assert_eq!(*id, request_id(CLIENT, "5"));
            command.clone()
        }
        other => panic!("{body}: {other:?}"),
    }
}

/// The error code of an answer, or its type, and the whole line.
fn answered(outcome: Outcome) -> String {
    let mut line = Vec::new();
    LineEncoder::new(names("n1")).response(&mut line, &response(CLIENT, "5", outcome));
    let line: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    assert_eq!(line["src"], "n1");
    assert_eq!(line["dest"], "c7");
    assert_eq!(line["body"]["in_reply_to"], 5);
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(3));
    let body = line["body"].as_object().expect("a body");
    match &body["type"] {
        kind if kind == "error" => {
            assert!(body["text"].as_str().is_some_and(|text| !text.is_empty()));
            body["code"].to_string()
        }
        kind => {
            let value = body.get("value").map(|value| format!(" {value}")).unwrap_or_default();
            assert_eq!(body.len(), 2 + usize::from(!value.is_empty()), "Maelstrom refuses further keys");
            format!("{}{value}", kind.as_str().expect("a type"))
        }
    }
}

#[test]
fn requests_of_clients_are_commands() {
    assert_eq!(asked(r#"{"type":"read","msg_id":5,"key":3}"#), Operation::get("3").into());
    assert_eq!(
        asked(r#"{"type":"write","msg_id":5,"key":"k","value":[1, null]}"#),
        Operation::set("\"k\"", "[1,null]").into()
    );
    assert_eq!(
        asked(r#"{"type":"write","msg_id":5,"key":1,"value":null}"#),
        Operation::set("1", "null").into()
    );
    let Command::Batch(batch) = asked(r#"{"type":"cas","msg_id":5,"key":1,"from":2,"to":3}"#) else {
        panic!("it is a batch");
    };
    let set = |condition| Operation::Set(Set { condition: Some(condition), ..Set::new("1", "3") });
    assert_eq!(batch.operations, [Operation::get("1"), set(Condition::Equal("2".into()))]);
    assert_eq!(batch.watches, []);
    let create = r#"{"type":"cas","msg_id":5,"key":1,"from":2,"to":3,"create_if_not_exists":true}"#;
    let expected = [Operation::get("1"), set(Condition::Equal("2".into())), set(Condition::Absent)];
    assert_eq!(asked(create).operations(), expected);
}

#[test]
fn equal_values_have_equal_texts() {
    let texts = ["{\"b\": [1, 2.5], \"a\":\"\\u0041\"}", "{\"a\":\"A\",\"b\":[1,2.50]}"];
    let [one, other] =
        texts.map(|text| asked(&format!(r#"{{"type":"write","msg_id":5,"key":{text},"value":{text}}}"#)));
    assert_eq!(one, other);
    assert_eq!(one, Operation::set(r#"{"a":"A","b":[1,2.5]}"#, r#"{"a":"A","b":[1,2.5]}"#).into());
}

#[test]
fn request_that_makes_no_sense_is_refused_with_a_code() {
    let refusal = |body| match from("c7", body).as_deref() {
        Ok([Inbound::Refused(response)]) => answered(response.outcome.clone()),
        other => panic!("{body}: {other:?}"),
    };
    assert_eq!(refusal(r#"{"type":"read","msg_id":5}"#), "12");
    assert_eq!(refusal(r#"{"type":"write","msg_id":5,"key":1}"#), "12");
    assert_eq!(refusal(r#"{"type":"cas","msg_id":5,"key":1,"from":1}"#), "12");
    assert_eq!(
        refusal(r#"{"type":"cas","msg_id":5,"key":1,"from":1,"to":2,"create_if_not_exists":7}"#),
        "12"
    );
    assert_eq!(refusal(r#"{"type":"txn","msg_id":5,"txn":[]}"#), "10");
    assert_eq!(
        refusal(r#"{"type":"forward","msg_id":5,"client":"c1","mid":"1","command":{"count":null}}"#),
        "10"
    );
    assert_eq!(refusal(r#"{"type":"append_entries","msg_id":5}"#), "10");
}

#[test]
fn each_outcome_has_its_answer() {
    let done = |reply| answered(Outcome::Done(reply));
    let bytes = |text: &str| Reply::Bytes(text.into());
    assert_eq!(done(bytes("3")), "read_ok 3");
    assert_eq!(done(bytes(r#"{"a":[null]}"#)), r#"read_ok {"a":[null]}"#);
    assert_eq!(done(Reply::Nil), "20");
    assert_eq!(done(Reply::Ok), "write_ok");
    assert_eq!(done(Reply::Array(vec![bytes("1"), Reply::Ok])), "cas_ok");
    assert_eq!(done(Reply::Array(vec![bytes("1"), Reply::Nil])), "22");
    assert_eq!(done(Reply::Array(vec![Reply::Nil, Reply::Nil])), "20");
    assert_eq!(done(Reply::Array(vec![Reply::Nil, Reply::Nil, Reply::Ok])), "cas_ok", "it was created");
    assert_eq!(done(Reply::Array(vec![bytes("1"), Reply::Nil, Reply::Nil])), "22");
    assert_eq!(answered(Outcome::Redirect), "11");
    assert_eq!(answered(Outcome::Fail), "11");
    assert_eq!(answered(Outcome::Unknown), "13");
    for (refusal, code) in [
        (Refusal::Forgotten, "13"),
        (Refusal::SessionExpired, "13"),
        (Refusal::ReplyForgotten, "13"),
        (Refusal::Reused, "12"),
        (Refusal::TooLong, "12"),
        (Refusal::NotAnInteger, "14"),
    ] {
        assert_eq!(done(Reply::Error(refusal)), code, "{refusal:?}");
    }
}

#[test]
fn forwarded_request_keeps_its_name_and_command() {
    for body in [
        r#"{"type":"read","msg_id":5,"key":"\"\\\n"}"#,
        r#"{"type":"write","msg_id":5,"key":1,"value":{"x":"y"}}"#,
        r#"{"type":"cas","msg_id":5,"key":1,"from":2,"to":3,"create_if_not_exists":true}"#,
    ] {
        let request = Request { id: request_id(CLIENT, "5"), command: asked(body) };
        let mut line = Vec::new();
        LineEncoder::new(names("n2")).forward(&mut line, id(0), &request);
        let mut out = Vec::new();
        LineDecoder::new(names("n1")).decode(&mut line, &mut out).expect("well formed");
        assert_eq!(out, [Inbound::Client(request)], "{body}");
    }
}

#[test]
fn messages_of_raft_are_those_of_the_simulators() {
    let (prev_log_index, prev_log_term, leader_commit, sent_at) = (0, 0, 0, 9);
    let entries = vec![testkit::entry(1, 1, testkit::proposal(CLIENT, "5", "\"k\"", "[\"v\"]"))];
    let append = AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, entries };
    let messages = [testkit::append(1, append), Message { term: 2, body: Body::StaleTerm }];
    let mut line = Vec::new();
    let encoder = LineEncoder::new(names("n2"));
    encoder.peer(&mut line, id(0), Some(id(1)), &messages);
    let mut expected = Vec::new();
    let mut wire = Vec::new();
    crate::wire::encode_peer(&mut wire, id(1), id(0), Some(id(1)), &messages);
    assert!(line.len() <= wire.len() + encoder.envelope_bytes());
    Decoder::new(id(0), [id(1), id(2)]).decode(&mut wire, &mut expected).expect("well formed");
    let mut out = Vec::new();
    LineDecoder::new(names("n1")).decode(&mut line, &mut out).expect("well formed");
    assert_eq!(out, expected);
    assert!(
        matches!(&out[0], Inbound::Peer { message, .. } if matches!(message.body, Body::AppendEntries(_)))
    );
}

#[test]
fn message_about_reads_survives_its_line() {
    let round = Round { life: MAX_NUMBER, number: 7 };
    for message in [
        ReadIndex::Request { round, applied: 8 },
        ReadIndex::Response { round, index: 9, time: -1_764_000_000_000 },
    ] {
        let mut line = Vec::new();
        LineEncoder::new(names("n2")).read_index(&mut line, id(0), &message);
        let mut out = Vec::new();
        LineDecoder::new(names("n1")).decode(&mut line, &mut out).expect("well formed");
        assert_eq!(out, [Inbound::ReadIndex { from: id(1), message }]);
    }
    let malformed = Err(Malformed::BadField("read index"));
    for rest in ["", r#","applied":1,"index":1,"time":1"#, r#","index":1"#, r#","applied":9007199254740993"#]
    {
        let body = format!(r#"{{"type":"read_index","life":1,"round":1{rest}}}"#);
        assert_eq!(from("n2", &body), malformed, "{body}");
    }
    let body = r#"{"type":"read_index","msg_id":5,"life":1,"round":1,"applied":1}"#;
    assert!(matches!(from("c7", body).as_deref(), Ok([Inbound::Refused(_)])), "a client asks for none");
}

#[test]
fn request_that_is_too_long_to_be_forwarded_is_refused() {
    let encoder = Box::new(LineEncoder::new(names("n1")));
    let mut outbox = Outbox::with_encoder(encoder, STDIO_MAX_DATAGRAM, true);
    let mut line = Vec::new();
    for (length, expected) in [(1, Address::Peer(id(1))), (STDIO_MAX_DATAGRAM, Address::Client(CLIENT))] {
        let request = testkit::put(CLIENT, "5", "1", "7".repeat(length));
        outbox.push(Outbound::Forward { to: id(1), request });
        assert_eq!(outbox.next(&mut line), Some(expected));
        assert!(line.len() <= STDIO_MAX_DATAGRAM);
    }
    assert!(String::from_utf8(line).expect("UTF-8").contains(r#""code":11"#));
    assert_eq!(outbox.counts().oversized, 1);
}

proptest! {
    #[test]
    fn any_line_is_decoded_or_dropped(
        src in "n1|n2|c1|x|.*",
        kind in "read|write|cas|forward|read_index|init|append_entries|.*",
        rest in "|,\"key\":.{0,8}|,\"key\":1,\"value\":\\[{0,200}|,\"client\":\"c1\",\"mid\":.{0,8}",
        garbage in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let _dropped = decode(&String::from_utf8_lossy(&garbage));
        let body = format!(r#"{{"type":"{kind}","msg_id":1{rest}}}"#);
        let _dropped = from(&src, &body);
    }
}

#[test]
fn line_that_is_no_message_is_dropped() {
    for line in ["", "  ", "\r"] {
        assert_eq!(decode(line), Err(Malformed::Empty));
    }
    assert_eq!(decode(&"x".repeat(MAX_RECEIVED_BYTES + 1)), Err(Malformed::TooLong));
    for line in ["x", "{", "\u{fffd}", r#"{"src":"#] {
        assert_eq!(decode(line), Err(Malformed::NotJson), "{line}");
    }
    assert_eq!(decode(&"[".repeat(100_000)).map(drop), Err(Malformed::BadField("message")));
    for line in ["1", "[]", "{}", r#"{"src":"c1","dest":"n1"}"#, r#"{"src":1,"dest":"n1","body":{}}"#] {
        assert_eq!(decode(line), Err(Malformed::BadField("message")), "{line}");
    }
    assert_eq!(decode(r#"{"src":"c1","dest":"n2","body":{}}"#), Err(Malformed::NotForUs));
    assert_eq!(from("x1", "{}"), Err(Malformed::UnknownSender));
    assert_eq!(from("n1", r#"{"type":"forward"}"#), Err(Malformed::UnknownSender));
    assert_eq!(from("c7", r#"{"type":"read","key":1}"#), Err(Malformed::MissingField("msg_id")));
    assert_eq!(from("c7", r#"{"msg_id":1}"#), Err(Malformed::BadField("body")));
    assert_eq!(from("c7", "7"), Err(Malformed::BadField("body")));
    assert_eq!(from("n2", "{}"), Err(Malformed::MissingField("type")));
    assert_eq!(from("n2", r#"{"type":"forward"}"#), Err(Malformed::BadField("forward")));
    let forward = |client: &str, mid: &str, command: &str| {
        from("n2", &format!(r#"{{"type":"forward","client":"{client}","mid":"{mid}","command":{command}}}"#))
    };
    let command = r#"{"get":{"key":"1"}}"#;
    assert!(forward("c7", "5", command).is_ok());
    assert_eq!(forward("n3", "5", command), Err(Malformed::BadField("client")));
    assert_eq!(forward("c7", &"5".repeat(257), command), Err(Malformed::BadField("mid")));
    assert_eq!(forward("c7", "5", r#"{"got":{}}"#), Err(Malformed::BadField("forward")));
    let batch = |length| {
        let operations = vec![command; length].join(",");
        forward("c7", "5", &format!(r#"{{"watches":[],"operations":[{operations}]}}"#))
    };
    assert!(batch(MAX_BATCH).is_ok());
    assert_eq!(batch(MAX_BATCH + 1), Err(Malformed::BadField("command")));
}
