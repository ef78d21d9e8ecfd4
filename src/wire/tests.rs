//! Every reason to refuse a datagram, and the oddities that the decoder tolerates.

use raft::message::{Acknowledgement, AppendOutcome};
use raft::tuning::Topology;
use raft::types::MAX_NUMBER;
use serde_json::{Value, json};

use super::*;
use crate::command::{Batch, Command, MAX_BATCH, Watch};
use crate::exchange::Inbound;
use crate::operation::{Condition, Operation, Set};
use crate::replication::{Body, Payload};
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request};
use crate::testkit::{self, REDIRECT, id, proposal, response};
use crate::transport::SEQPACKET_MAX_DATAGRAM;

fn decode(datagram: &[u8]) -> Result<Vec<Inbound>, Malformed> {
    let mut out = Vec::new();
    let result = Decoder::new(id(0), [id(0), id(1), id(2)]).decode(&mut datagram.to_vec(), &mut out);
    assert!(result.is_ok() || out.is_empty(), "something was taken from a refused datagram");
    result.map(|()| out)
}

/// `base` with the keys of `changes`; a null removes the key.
fn with(mut base: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().expect("changes are an object") {
        if value.is_null() {
            base.as_object_mut().expect("a message is an object").remove(key);
        } else {
            base[key] = value.clone();
        }
    }
    base
}

fn refusal(message: Value) -> Malformed {
    decode(message.to_string().as_bytes()).expect_err("it should be refused")
}

fn accepted(message: Value) -> Vec<Inbound> {
    decode(message.to_string().as_bytes()).expect("it should be accepted")
}

fn peer_body(message: Value) -> Body {
    match accepted(message).pop() {
        Some(Inbound::Peer { message, .. }) => message.body,
        other => panic!("not a peer message: {other:?}"),
    }
}

fn put() -> Value {
    json!({"src": "0010", "dst": "0000", "leader": "FFFF", "type": "put", "MID": "m", "key": "k", "value": "v"})
}

fn append() -> Value {
    json!({
        "src": "0001", "dst": "0000", "leader": "0001", "type": "append_entries", "term": 5,
        "prev_log_index": 7, "prev_log_term": 3, "leader_commit": 6, "sent_at": 1000,
        "entries": [
            [8, 3],
            [9, 5, 70, "0010", "m", "k", "v"],
        ],
    })
}

fn vote() -> Value {
    json!({
        "src": "0001", "dst": "0000", "leader": "FFFF", "type": "request_vote", "term": 5,
        "pre_vote": false, "campaign": 1, "last_log_index": 7, "last_log_term": 3,
    })
}

fn conflict() -> Value {
    json!({
        "src": "0001", "dst": "0000", "leader": "0000", "type": "append_entries_response", "term": 5,
        "sent_at": 1000, "prev_log_index": 7, "conflict_term": 3, "conflict_index": 6,
    })
}

fn bundle(messages: Value) -> Value {
    json!({"src": "0001", "dst": "0000", "leader": "0000", "type": "bundle", "messages": messages})
}

const BAD_NUMBERS: [&str; 9] =
    ["-1", "0.5", "1.0", "1e3", "9007199254740992", "1e300", "\"1\"", "null", "[1]"];

#[test]
fn request_is_read() {
    assert_eq!(accepted(put()), [Inbound::Client(testkit::put(id(0x10), "m", "k", "v"))]);
    let get = with(put(), json!({"type": "get", "value": null}));
    assert_eq!(accepted(get), [Inbound::Client(testkit::get(id(0x10), "m", "k"))]);
}

#[test]
fn white_space_around_a_message_is_tolerated() {
    assert!(decode(format!(" {}\r\n", put()).as_bytes()).is_ok());
}

#[test]
fn unknown_keys_are_tolerated_and_skipped() {
    let extra = json!({"trace": {"key": "wrong", "hops": [1, {"MID": []}]}, "version": 2});
    assert_eq!(accepted(with(put(), extra)), accepted(put()));
}

#[test]
fn repeated_key_has_the_first_of_its_values() {
    let text = put().to_string().replacen('{', r#"{"key":"first","#, 1);
    let first = Inbound::Client(testkit::put(id(0x10), "m", "first", "v"));
    assert_eq!(decode(text.as_bytes()), Ok(vec![first]));
}

#[test]
fn broadcast_is_accepted() {
    assert_eq!(accepted(with(vote(), json!({"dst": "FFFF"}))).len(), 1);
}

#[test]
fn keys_and_values_may_be_empty_and_long() {
    accepted(with(put(), json!({"key": "", "value": ""})));
    accepted(with(put(), json!({"value": "v".repeat(200_000)})));
}

#[test]
fn empty_datagram_is_refused() {
    for nothing in ["", "\n", " \t\r\n"] {
        assert_eq!(decode(nothing.as_bytes()), Err(Malformed::Empty));
    }
}

#[test]
fn datagram_above_the_bound_is_refused() {
    let message = put().to_string();
    let padded = |length: usize| format!("{message}{}", " ".repeat(length - message.len()));
    assert!(decode(padded(MAX_RECEIVED_BYTES).as_bytes()).is_ok());
    assert_eq!(decode(padded(MAX_RECEIVED_BYTES + 1).as_bytes()), Err(Malformed::TooLong));
}

#[test]
fn datagram_that_is_not_json_is_refused() {
    let whole = put().to_string();
    for text in ["x", "{", "}", "nul", "{\"a\":1,}", "'a'", "\u{feff}{}", &whole[..whole.len() - 1]] {
        assert_eq!(decode(text.as_bytes()), Err(Malformed::NotJson), "{text}");
    }
    assert_eq!(decode(format!("{whole}{whole}").as_bytes()), Err(Malformed::NotJson));
    assert_eq!(decode(format!("{whole}\0").as_bytes()), Err(Malformed::NotJson));
}

#[test]
fn invalid_utf8_is_refused() {
    for bad in [&b"\xFF"[..], b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\xE2\x82"] {
        let mut text = put().to_string().into_bytes();
        let at = text.windows(3).position(|w| w == b"\"k\"").expect("the key") + 1;
        text.splice(at..at, bad.iter().copied());
        assert_eq!(decode(&text), Err(Malformed::NotJson), "{bad:?}");
    }
    let lone_surrogate = put().to_string().replace("\"k\"", "\"\\ud800\"");
    assert_eq!(decode(lone_surrogate.as_bytes()), Err(Malformed::NotJson));
}

#[test]
fn array_is_never_taken_for_an_object() {
    for text in ["[]", "null", "1", "\"put\"", "true"] {
        assert_eq!(decode(text.as_bytes()), Err(Malformed::NotAnObject), "{text}");
    }
    let values: Vec<Value> = put().as_object().expect("object").values().cloned().collect();
    assert_eq!(refusal(json!(values)), Malformed::NotAnObject);
    assert_eq!(
        refusal(with(append(), json!({"entries": [{"index": 8, "term": 3}]}))),
        Malformed::BadField("entries")
    );
    assert_eq!(refusal(with(append(), json!({"entries": {"index": 8}}))), Malformed::BadField("entries"));
    assert_eq!(refusal(bundle(json!([["request_vote", 5]]))), Malformed::BadField("messages"));
    assert_eq!(refusal(bundle(json!({"0": {}}))), Malformed::BadField("messages"));
}

#[test]
fn acknowledgements_are_an_id_of_the_cluster_and_a_time_each_and_the_sender_comes_last() {
    let relay = |acknowledged: Value| {
        let way =
            json!({"type": "relay_entries", "leader_id": "0002", "way": [], "acknowledged": acknowledged});
        with(append(), way)
    };
    let Body::RelayEntries(taken) = peer_body(relay(json!([["0001", 990]]))) else { panic!("no relay") };
    assert_eq!(taken.acknowledged, [Acknowledgement { id: id(1), sent_at: 990 }]);
    let too_large = MAX_NUMBER + 1;
    for bad in [
        json!([]),
        json!(["0001"]),
        json!([["0001"]]),
        json!([["0001", 990, 0]]),
        json!([[990, "0001"]]),
        json!([["0001", -1]]),
        json!([["0001", too_large]]),
        json!([{"id": "0001", "sent_at": 990}]),
        json!([["0000", 990], ["0001", 990]]),
        json!([["0002", 990], ["0001", 990]]),
        json!([["0009", 990], ["0001", 990]]),
        json!([["0001", 980], ["0001", 990]]),
    ] {
        assert_eq!(refusal(relay(bad.clone())), Malformed::BadField("acknowledged"), "{bad}");
    }
}

#[test]
fn message_with_a_key_missing_or_of_a_wrong_type_is_refused() {
    for base in [put(), append(), vote(), conflict(), bundle(json!([]))] {
        for name in base.as_object().expect("object").keys().cloned().collect::<Vec<_>>() {
            let missing = refusal(with(base.clone(), json!({name.as_str(): null})));
            assert!(matches!(missing, Malformed::MissingField(field) if field == name), "{name}: {missing}");
            let wrong = refusal(with(base.clone(), json!({name.as_str(): {"a": [1.5]}})));
            assert!(matches!(wrong, Malformed::BadField(field) if field == name), "{name}: {wrong}");
        }
    }
}

#[test]
fn ids_must_be_four_upper_case_hexadecimal_digits() {
    for name in ["src", "dst", "leader"] {
        for bad in ["", "0", "00000", "00a0", "GGGG", " 001"] {
            assert_eq!(refusal(with(put(), json!({name: bad}))), Malformed::BadField(name), "{bad:?}");
        }
    }
    assert_eq!(refusal(with(put(), json!({"src": "FFFF"}))), Malformed::BadField("src"));
}

#[test]
fn message_for_another_replica_is_refused() {
    assert_eq!(refusal(with(vote(), json!({"dst": "0002"}))), Malformed::NotForUs);
}

#[test]
fn replicas_speak_only_as_replicas_and_clients_only_as_clients() {
    for src in ["0000", "0010", "0003"] {
        assert_eq!(refusal(with(vote(), json!({"src": src}))), Malformed::UnknownSender, "{src}");
    }
    for src in ["0000", "0001"] {
        assert_eq!(refusal(with(put(), json!({"src": src}))), Malformed::UnknownSender, "{src}");
    }
    assert_eq!(refusal(with(bundle(json!([])), json!({"src": "0010"}))), Malformed::UnknownSender);
}

#[test]
fn type_that_no_sender_may_use_is_refused() {
    for kind in ["hello", "ok", "fail", "redirect", "PUT", "", "append_entries\0"] {
        assert_eq!(refusal(with(vote(), json!({"type": kind}))), Malformed::UnknownType, "{kind}");
    }
    assert_eq!(refusal(bundle(json!([put()]))), Malformed::UnknownType);
}

#[test]
fn request_is_accepted_if_its_mid_fits_into_an_answer() {
    for good in
        [String::new(), "m".repeat(10 * 1024), "m".repeat(MAX_MID_BYTES), "\n".repeat(MAX_MID_BYTES / 2)]
    {
        accepted(with(put(), json!({"MID": good})));
        let mut answer = Vec::new();
        encode_response(&mut answer, id(0), &response(id(0x10), good, REDIRECT));
        assert!(answer.len() <= SEQPACKET_MAX_DATAGRAM, "{} bytes", answer.len());
    }
    for bad in
        ["m".repeat(MAX_MID_BYTES + 1), "\n".repeat(MAX_MID_BYTES / 2 + 1), "\0".repeat(MAX_MID_BYTES / 5)]
    {
        assert_eq!(refusal(with(put(), json!({"MID": bad}))), Malformed::BadField("MID"));
    }
}

#[test]
fn entry_has_a_mid_of_up_to_256_bytes() {
    let with_mid = |mid: String| {
        let mut append = append();
        append["entries"][1][4] = json!(mid);
        append
    };
    accepted(with_mid("m".repeat(MAX_ENTRY_MID_BYTES)));
    for bad in ["m".repeat(MAX_ENTRY_MID_BYTES + 1), "\u{20ac}".repeat(86)] {
        assert_eq!(refusal(with_mid(bad)), Malformed::BadField("MID"));
    }
}

#[test]
fn numbers_are_whole_and_within_2_to_the_53() {
    let names = [
        (append(), &["term", "prev_log_index", "prev_log_term", "leader_commit", "sent_at"][..]),
        (vote(), &["term", "campaign", "last_log_index", "last_log_term"]),
        (conflict(), &["term", "sent_at", "prev_log_index", "conflict_term", "conflict_index"]),
    ];
    for (base, names) in names {
        for &name in names {
            for bad in BAD_NUMBERS {
                let text = with(base.clone(), json!({name: "@"})).to_string().replace("\"@\"", bad);
                assert_eq!(decode(text.as_bytes()), Err(Malformed::BadField(name)), "{name} {bad}");
            }
        }
    }
    accepted(with(append(), json!({"leader_commit": MAX_NUMBER})));
    // Not even a float any more.
    let text = with(append(), json!({"term": "@"})).to_string().replace("\"@\"", "1e999");
    assert_eq!(decode(text.as_bytes()), Err(Malformed::NotJson));
}

#[test]
fn index_0_and_only_index_0_has_term_0() {
    for (index, term) in [(0, 3), (7, 0)] {
        let prev = json!({"prev_log_index": index, "prev_log_term": term, "entries": []});
        assert_eq!(refusal(with(append(), prev)), Malformed::BadField("prev_log_term"));
        let last = json!({"last_log_index": index, "last_log_term": term});
        assert_eq!(refusal(with(vote(), last)), Malformed::BadField("last_log_term"));
    }
    accepted(with(vote(), json!({"last_log_index": 0, "last_log_term": 0})));
}

#[test]
fn term_too_low_for_the_log_of_its_message_is_refused() {
    let empty = json!({"term": 0, "prev_log_index": 0, "prev_log_term": 0, "entries": []});
    assert_eq!(refusal(with(append(), empty)), Malformed::BadField("term"));
    assert_eq!(refusal(with(append(), json!({"term": 2}))), Malformed::BadField("prev_log_term"));
    accepted(with(append(), json!({"term": 5})));
    assert_eq!(refusal(with(vote(), json!({"term": 3}))), Malformed::BadField("term"));
    let empty = json!({"term": 0, "last_log_index": 0, "last_log_term": 0});
    assert_eq!(refusal(with(vote(), empty)), Malformed::BadField("term"));
    assert_eq!(refusal(with(conflict(), json!({"term": 0}))), Malformed::BadField("term"));
}

#[test]
fn entries_must_follow_each_other() {
    let Body::AppendEntries(read) = peer_body(append()) else { panic!("an append") };
    assert_eq!(read.entries.len(), 2);
    assert_eq!(read.entries[0].payload, Payload::Noop);
    for (index, term) in [(8, 5), (10, 5), (0, 5), (9, 2), (9, 6)] {
        let mut append = append();
        append["entries"][1] = json!([index, term]);
        assert_eq!(refusal(append), Malformed::Gap, "{index} {term}");
    }
    for (index, term) in [(7, 3), (9, 3), (8, 2)] {
        let first = json!({"entries": [[index, term]]});
        assert_eq!(refusal(with(append(), first)), Malformed::Gap, "{index} {term}");
    }
    let of_term_0 = json!({"prev_log_index": 0, "prev_log_term": 0, "entries": [[1, 0]]});
    assert_eq!(refusal(with(append(), of_term_0)), Malformed::Gap);
}

#[test]
fn entry_states_its_index_and_is_a_whole_command_or_none() {
    let whole = append()["entries"][1].as_array().expect("an entry").clone();
    for values in [0, 1] {
        let missing = Malformed::MissingField(["index", "term"][values]);
        assert_eq!(refusal(with(append(), json!({"entries": [whole[..values]]}))), missing);
    }
    for (values, name) in [(3, "entries"), (4, "command"), (5, "entries"), (6, "command")] {
        let entries = json!({"entries": [[8, 3], whole[..values]]});
        assert_eq!(refusal(with(append(), entries)), Malformed::BadField(name), "{values} values");
    }
    let longer = [&whole[..], &[json!("x")]].concat();
    assert_eq!(refusal(with(append(), json!({"entries": [[8, 3], longer]}))), Malformed::BadField("entries"));
    for (at, name) in ["index", "term", "at", "client", "MID", "key", "value"].into_iter().enumerate() {
        let mut append = append();
        append["entries"][1][at] = json!(null);
        assert_eq!(refusal(append), Malformed::BadField(name));
    }
    for client in ["FFFF", "0000", "0001"] {
        let mut append = append();
        append["entries"][1][3] = json!(client);
        assert_eq!(refusal(append), Malformed::BadField("client"), "{client}");
    }
    for bad in BAD_NUMBERS {
        let text = append().to_string().replace("[9,", &format!("[{bad},"));
        assert_eq!(decode(text.as_bytes()), Err(Malformed::BadField("index")), "{bad}");
    }
}

#[test]
fn entry_has_a_command_that_some_client_could_send() {
    let decoded = |command: Value| {
        let datagram = with(append(), json!({"entries": [[8, 3, 70, "0010", "m", command]]}));
        let Body::AppendEntries(append) = peer_body(datagram) else { panic!("an append") };
        let Payload::Command(proposal) = &append.entries[0].payload else { panic!("a command") };
        (proposal.at, proposal.command.clone())
    };
    let increment = || json!({"increment": {"key": "k", "by": -1}});
    let expected = Operation::Increment { key: "k".into(), by: -1 };
    assert_eq!(decoded(increment()), (70, expected.clone().into()));
    let batch = json!({"watches": [{"key": "k", "unchanged_since": 7}], "operations": [increment()]});
    let watches = vec![Watch { key: "k".into(), unchanged_since: 7 }];
    assert_eq!(decoded(batch), (70, Command::Batch(Batch { watches, operations: vec![expected] })));
    let too_many = json!({"watches": [], "operations": vec![increment(); MAX_BATCH + 1]});
    let nested = json!({"watches": [], "operations": [{"watches": [], "operations": []}]});
    let unknown = json!({"increment": {"key": "k", "by": 1, "twice": true}});
    for bad in
        [json!("k"), json!({}), json!({"no": {}}), json!({"get": {"key": 1}}), unknown, nested, too_many]
    {
        let datagram = with(append(), json!({"entries": [[8, 3, 70, "0010", "m", bad]]}));
        assert_eq!(refusal(datagram), Malformed::BadField("command"), "{bad}");
    }
}

#[test]
fn clients_of_simulators_have_four_operations_besides_get_and_put() {
    let request = |kind: &str, keys: Value| {
        let base =
            json!({"src": "0010", "dst": "0000", "leader": "FFFF", "type": kind, "MID": "m", "key": "k"});
        with(base, keys)
    };
    let accepted_command = |kind: &str, keys: Value| match &accepted(request(kind, keys))[..] {
        [Inbound::Client(Request { command: Command::One(operation), .. })] => operation.clone(),
        other => panic!("{other:?}"),
    };
    let condition = Some(Condition::Equal("a".into()));
    assert_eq!(
        accepted_command("cas", json!({"from": "a", "to": "b"})),
        Operation::Set(Set { condition, ..Set::new("k", "b") })
    );
    assert_eq!(
        accepted_command("increment", json!({"by": -3})),
        Operation::Increment { key: "k".into(), by: -3 }
    );
    assert_eq!(
        accepted_command("append", json!({"value": "v"})),
        Operation::Append { key: "k".into(), value: "v".into() }
    );
    assert_eq!(accepted_command("delete", json!({})), Operation::Delete { keys: vec!["k".into()] });
    for (kind, missing) in [("cas", "from"), ("increment", "by"), ("append", "value")] {
        assert_eq!(refusal(request(kind, json!({}))), Malformed::MissingField(missing));
    }
    for by in [json!(1.5), json!("1"), json!(u64::MAX)] {
        assert_eq!(refusal(request("increment", json!({"by": by}))), Malformed::BadField("by"));
    }
}

#[test]
fn answer_has_the_reply_as_text() {
    let answer = |outcome| {
        let mut buffer = Vec::new();
        encode_response(&mut buffer, id(0), &response(id(0x10), "m", outcome));
        let answer: Value = serde_json::from_slice(&buffer).expect("JSON");
        (answer["type"].clone(), answer["value"].clone(), answer["error"].clone())
    };
    let texts = |reply| answer(Outcome::Done(reply));
    assert_eq!(texts(Reply::Ok), (json!("ok"), json!(null), json!(null)));
    assert_eq!(texts(Reply::Nil), (json!("ok"), json!(""), json!(null)));
    assert_eq!(texts(Reply::Integer(-7)), (json!("ok"), json!("-7"), json!(null)));
    assert_eq!(texts(Reply::Bytes("v".into())), (json!("ok"), json!("v"), json!(null)));
    let refused = Refusal::NotAnInteger;
    assert_eq!(texts(Reply::Error(refused)), (json!("fail"), json!(null), json!(refused.to_string())));
}

#[test]
fn conflict_lies_within_the_log_that_was_asked_about() {
    let Body::AppendEntriesResponse(read) = peer_body(conflict()) else { panic!("a response") };
    let expected = AppendOutcome::Conflict { prev_log_index: 7, conflict_term: 3, conflict_index: 6 };
    assert_eq!(read.outcome, expected);
    accepted(with(conflict(), json!({"conflict_index": 7})));
    for (changes, name) in [
        (json!({"conflict_index": 8}), "conflict_index"),
        (json!({"conflict_index": 0}), "conflict_index"),
        (json!({"prev_log_index": 0}), "prev_log_index"),
        (json!({"conflict_term": 6}), "conflict_term"),
        (json!({"match_index": 7}), "match_index"),
    ] {
        assert_eq!(refusal(with(conflict(), changes)), Malformed::BadField(name));
    }
}

#[test]
fn storable_command_can_be_replicated_and_read_again() {
    let storable_by = |limits: Limits, key: usize, value: usize| {
        limits.is_storable(&proposal(id(0x10), "m", "k".repeat(key), "v".repeat(value)))
    };
    let relay = |peers| Limits::new(2_000, Topology::Relay, peers);
    let storable = |key, value| storable_by(Limits::new(2_000, Topology::Star, 37), key, value);
    assert!(storable(1_500, 0));
    assert!(storable_by(relay(2), 1_500, 0));
    assert!(!storable_by(relay(10), 1_500, 0), "no append can carry it the longer way");
    assert!(storable_by(relay(37), 1, 300), "and an answer goes no longer way");
    assert!(!storable(1_750, 0), "no append can carry it");
    assert!(storable(1, 300));
    assert!(!storable(1, 500), "an answer with it to a request with the longest MID does not fit");
}

#[test]
fn bundle_is_taken_whole_or_not_at_all() {
    assert_eq!(accepted(bundle(json!([vote(), append()]))).len(), 2);
    assert_eq!(refusal(bundle(json!([]))), Malformed::BadField("messages"));
    let damaged = with(append(), json!({"term": null}));
    assert_eq!(refusal(bundle(json!([vote(), damaged]))), Malformed::MissingField("term"));
    let mut out = accepted(put());
    let text = bundle(json!([vote(), {"type": "get"}])).to_string();
    let result = Decoder::new(id(0), [id(1)]).decode(&mut text.into_bytes(), &mut out);
    assert_eq!(result, Err(Malformed::UnknownType));
    assert_eq!(out, accepted(put()), "earlier messages are still there");
}

#[test]
fn bundle_holds_no_bundle() {
    assert_eq!(refusal(bundle(json!([bundle(json!([vote()]))]))), Malformed::Nested);
}

#[test]
fn deepest_message_is_well_within_the_nesting_bound() {
    let set = json!({"set": {"key": {"hex": "ff"}, "value": "v", "condition": {"equal": {"hex": "ff"}}}});
    let batch = json!({"watches": [], "operations": [set]});
    let entries = json!({"entries": [[8, 3, 70, "0010", "m", batch]]});
    assert_eq!(accepted(bundle(json!([with(append(), entries)]))).len(), 1);
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let extra = |depth| put().to_string().replacen('{', &format!("{{\"extra\":{},", nest(depth)), 1);
    assert!(decode(extra(MAX_NESTING - 1).as_bytes()).is_ok());
    assert_eq!(decode(extra(MAX_NESTING).as_bytes()), Err(Malformed::Nested));
}

/// A parser that recursed would need far more than this stack for any of these.
#[test]
fn deep_nesting_needs_no_stack() {
    let deepest = MAX_RECEIVED_BYTES / 16;
    let arrays = format!("{}{}", "[".repeat(deepest), "]".repeat(deepest));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(deepest), "}".repeat(deepest));
    let in_front =
        |name: &str, value: &str| append().to_string().replacen('{', &format!("{{\"{name}\":{value},"), 1);
    let hostile = [
        "[".repeat(MAX_RECEIVED_BYTES),
        "{\"a\":".repeat(MAX_RECEIVED_BYTES / 5),
        arrays.clone(),
        objects.clone(),
        in_front("extra", &arrays),
        in_front("extra", &objects),
        in_front("entries", &arrays),
        in_front("entries", &format!("[{objects}]")),
    ];
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let thread = small.spawn(move || {
        for text in hostile {
            assert_eq!(decode(text.as_bytes()), Err(Malformed::Nested), "{:.30}", text);
        }
    });
    thread.expect("a thread").join().expect("no refusal panics");
}
