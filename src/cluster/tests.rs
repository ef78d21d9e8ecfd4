//! The bytes of one datagram of every kind, and datagrams that are refused.

use std::fmt::Write as _;

use raft::message::{
    Acknowledgement, AppendOutcome, InstallSnapshot, RelayEntriesResponse, RequestVote, RequestVoteResponse,
};
use raft::tuning::Topology;
use raft::types::{EntryId, MAX_NUMBER};

use super::*;
use crate::codec::{self, REQUESTS_VERSION};
use crate::dialect::Encode;
use crate::exchange::{Inbound, Outbound, ReadIndex, Round};
use crate::id::Id;
use crate::operation::Operation;
use crate::outbox::Outbox;
use crate::replication::{AppendEntries, Body, LogTail, Message, RelayEntries};
use crate::reply::Reply;
use crate::request::{Outcome, Response};
use crate::testkit::{self, append_response, entry, id, noop, proposal};
use crate::transport::Address;
use crate::transport::tcp::{Envelope, Kind};
use crate::wire::{Form, Limits, MAX_ENTRY_MID_BYTES, MAX_MID_BYTES, Malformed};

const OWN: Id = id(0);
const PEER: Id = id(1);
const PEERS: [Id; 3] = [PEER, id(2), id(3)];
const CLIENT: Id = id(0x0102);

fn encoder() -> Box<dyn Encode> {
    dialect(PEER, &[OWN, id(2), id(3)]).encoder
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buffer = b"of an earlier datagram".to_vec();
    write(&mut buffer);
    buffer
}

fn of_peer(messages: &[Message]) -> Vec<u8> {
    written(|buffer| encoder().peer(buffer, OWN, Some(id(2)), messages))
}

fn decode(datagram: &[u8]) -> Result<Vec<Inbound>, Malformed> {
    let mut out = Vec::new();
    dialect(OWN, &PEERS).decoder.decode(&mut datagram.to_vec(), &mut out)?;
    Ok(out)
}

fn append() -> AppendEntries {
    let entries = vec![noop(8, 4), entry(9, 5, proposal(CLIENT, "m", "k", "v"))];
    AppendEntries { prev_log_index: 7, prev_log_term: 3, leader_commit: 6, sent_at: 300, entries }
}

/// One message of each body and outcome.
fn messages() -> Vec<Message> {
    let of_term_5 = |body| Message { term: 5, body };
    let snapshot = EntryId { index: 7, term: 3 };
    let acknowledged =
        vec![Acknowledgement { id: id(3), sent_at: 299 }, Acknowledgement { id: PEER, sent_at: 300 }];
    let LogTail { prev_log_index, prev_log_term, entries } =
        LogTail { prev_log_index: 7, prev_log_term: 3, entries: append().entries };
    vec![
        of_term_5(Body::RequestVote(RequestVote {
            pre_vote: true,
            transfer: false,
            campaign: 2,
            last_log_index: 9,
            last_log_term: 4,
        })),
        of_term_5(Body::RequestVoteResponse(RequestVoteResponse {
            pre_vote: false,
            campaign: 2,
            granted: true,
        })),
        of_term_5(Body::AppendEntries(append())),
        append_response(5, 300, AppendOutcome::Matched { match_index: 9 }),
        append_response(
            5,
            300,
            AppendOutcome::Conflict { prev_log_index: 7, conflict_term: 0, conflict_index: 6 },
        ),
        append_response(5, 300, AppendOutcome::Receiving { snapshot, chunks: 4 }),
        of_term_5(Body::InstallSnapshot(InstallSnapshot {
            sent_at: 300,
            snapshot,
            chunk: 4,
            is_last: true,
            data: b"\0\xFF".to_vec(),
        })),
        of_term_5(Body::StaleTerm),
        of_term_5(Body::LogTail(LogTail { prev_log_index, prev_log_term, entries })),
        of_term_5(Body::RelayEntries(RelayEntries {
            leader: id(2),
            way: vec![],
            acknowledged: acknowledged.clone(),
            append: append(),
        })),
        of_term_5(Body::RelayEntriesResponse(RelayEntriesResponse {
            sent_at: 300,
            match_index: 9,
            acknowledged,
        })),
        of_term_5(Body::RequestVote(RequestVote {
            pre_vote: false,
            transfer: true,
            campaign: 2,
            last_log_index: 9,
            last_log_term: 4,
        })),
        of_term_5(Body::TimeoutNow),
    ]
}

const ROUND: Round = Round { life: 300, number: 7 };
const INDEX_REQUEST: ReadIndex = ReadIndex::Request { round: ROUND, applied: 8 };
const INDEX_RESPONSE: ReadIndex = ReadIndex::Response { round: ROUND, index: 9, time: -2 };

fn of_index(message: ReadIndex) -> Vec<u8> {
    let datagram = written(|buffer| encoder().read_index(buffer, OWN, &message));
    assert_eq!(decode(&datagram), Ok(vec![Inbound::ReadIndex { from: PEER, message }]));
    datagram
}

fn digits(bytes: &[u8]) -> String {
    let mut digits = String::new();
    bytes.iter().for_each(|byte| write!(digits, "{byte:02x}").expect("a string takes all"));
    digits
}

/// Requests and answers.
fn others() -> Vec<Vec<u8>> {
    let request = testkit::put(CLIENT, "m", "k", "v");
    let read = Operation::get("k");
    let answer = |outcome, leader| {
        let response = Response { id: request.id.clone(), outcome, leader };
        let datagram = written(|buffer| encoder().response(buffer, &response));
        assert_eq!(decode_answer(&datagram), Ok(response));
        datagram
    };
    vec![
        written(|buffer| encode_request(buffer, &request)),
        written(|buffer| encode_local_read(buffer, &request.id, &read, 300)),
        answer(Outcome::Done(Reply::Integer(7)), Some(id(2))),
        answer(Outcome::Redirect, None),
        answer(Outcome::Unknown, Some(PEER)),
        answer(Outcome::Fail, None),
        of_index(INDEX_REQUEST),
        of_index(INDEX_RESPONSE),
    ]
}

#[test]
fn bytes_of_a_datagram_never_change() {
    let of_peers = messages().into_iter().map(|message| of_peer(&[message]));
    let lines: Vec<String> = of_peers.chain(others()).map(|datagram| digits(&datagram)).collect();
    let golden = include_str!("datagrams.golden").lines();
    let expected: Vec<&str> = golden.filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, expected, "replicas of two versions must understand each other");
}

#[test]
fn several_messages_travel_in_one_datagram_in_their_order() {
    let inbounds = messages().into_iter().map(|message| Inbound::Peer { from: PEER, message });
    assert_eq!(decode(&of_peer(&messages())), Ok(inbounds.collect()));
    let mut damaged = of_peer(&messages());
    damaged.pop();
    let mut out = decode(&of_peer(&messages()[..1])).expect("well formed");
    let before = out.clone();
    let result = dialect(OWN, &PEERS).decoder.decode(&mut damaged, &mut out);
    assert_eq!(result, Err(codec::Malformed::Truncated.into()));
    assert_eq!(out, before, "a datagram is taken whole or not at all");
}

#[test]
fn messages_are_taken_only_from_members() {
    for from in [OWN, id(4), CLIENT] {
        let datagram = written(|buffer| dialect(from, &PEERS).encoder.peer(buffer, OWN, None, &messages()));
        assert_eq!(decode(&datagram), Err(Malformed::UnknownSender), "{from}");
        let datagram =
            written(|buffer| dialect(from, &PEERS).encoder.read_index(buffer, OWN, &INDEX_REQUEST));
        assert_eq!(decode(&datagram), Err(Malformed::UnknownSender), "{from}");
    }
}

#[test]
fn datagram_of_no_kind_that_a_replica_reads_is_refused() {
    let answer = Response { id: testkit::request_id(CLIENT, "m"), outcome: Outcome::Fail, leader: None };
    let answer = written(|buffer| encoder().response(buffer, &answer));
    assert_eq!(decode(&answer), Err(Malformed::UnknownType));
    for bytes in [&[][..], &[0, 1], &[5, 1, 0, 1], &[0, 0xFF, 0xFF, 1], b"{\"src\":\"0001\"}"] {
        assert_eq!(decode(bytes), Err(Malformed::UnknownType), "{bytes:?}");
        assert_eq!(decode_answer(bytes), Err(Malformed::UnknownType), "{bytes:?}");
    }
    assert_eq!(decode_answer(&of_peer(&messages())), Err(Malformed::UnknownType));
    assert_eq!(request_id(&answer), None);
}

#[test]
fn later_version_is_refused() {
    let request = testkit::get(PEER, "m", "k");
    let mut datagrams = [
        of_peer(&messages()),
        written(|buffer| encode_request(buffer, &request)),
        written(|buffer| encode_local_read(buffer, &request.id, &Operation::get("k"), 1)),
        of_index(INDEX_REQUEST),
    ];
    for datagram in &mut datagrams {
        assert!(decode(datagram).is_ok());
        datagram[3] += 1;
        let version = REQUESTS_VERSION + 1;
        assert_eq!(decode(datagram), Err(codec::Malformed::UnknownVersion(version).into()));
    }
}

/// In a real cluster, the front ends of a replica share its ID.
#[test]
fn client_may_have_the_id_of_a_replica() {
    let request = testkit::put(OWN, "m", "k", "v");
    let datagram = written(|buffer| encode_request(buffer, &request));
    assert_eq!(request_id(&datagram), Some(request.id.clone()));
    assert_eq!(decode(&datagram), Ok(vec![Inbound::Client(request)]));
    let entries = vec![entry(8, 5, proposal(OWN, "m", "k", "v")), entry(9, 5, proposal(PEER, "m", "k", "v"))];
    let message = Message { term: 5, body: Body::AppendEntries(AppendEntries { entries, ..append() }) };
    let datagram = of_peer(std::slice::from_ref(&message));
    assert_eq!(decode(&datagram), Ok(vec![Inbound::Peer { from: PEER, message }]));
}

fn refusal(body: Body) -> Malformed {
    decode(&of_peer(&[Message { term: 5, body }])).expect_err("it is refused")
}

fn bad(name: &'static str) -> Malformed {
    codec::Malformed::BadField(name).into()
}

#[test]
fn message_out_of_bounds_is_refused() {
    let above = MAX_NUMBER + 1;
    let stale = |term| decode(&of_peer(&[Message { term, body: Body::StaleTerm }]));
    assert!(stale(MAX_NUMBER).is_ok());
    assert_eq!((stale(0), stale(above)), (Err(bad("term")), Err(bad("term"))));

    let vote = |last_log_index, last_log_term| {
        refusal(Body::RequestVote(RequestVote {
            pre_vote: false,
            transfer: false,
            campaign: 1,
            last_log_index,
            last_log_term,
        }))
    };
    assert_eq!(vote(9, 5), bad("term"), "a candidate asks for a later term than that of its log");
    assert_eq!((vote(0, 1), vote(9, 0)), (bad("last_log_term"), bad("last_log_term")));
    assert_eq!(vote(above, 4), bad("last_log_index"));

    let append = |prev_log_index, prev_log_term, entries| {
        refusal(Body::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, ..append() }))
    };
    assert_eq!(append(7, 6, vec![]), bad("prev_log_term"));
    assert_eq!((append(7, 0, vec![]), append(0, 1, vec![])), (bad("prev_log_term"), bad("prev_log_term")));
    for entries in [vec![noop(9, 4)], vec![noop(7, 4)], vec![noop(8, 2)], vec![noop(8, 6)]] {
        assert_eq!(append(7, 3, entries), bad("entries"));
    }
    let tail = LogTail { prev_log_index: 7, prev_log_term: 3, entries: vec![] };
    assert_eq!(refusal(Body::LogTail(tail)), bad("entries"), "it shows nothing");

    let outcome = |outcome| decode(&of_peer(&[append_response(5, 300, outcome)])).expect_err("it is refused");
    let conflict = |prev_log_index, conflict_term, conflict_index| {
        outcome(AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index })
    };
    assert_eq!(conflict(0, 0, 0), bad("prev_log_index"));
    assert_eq!(conflict(7, 6, 7), bad("conflict_term"));
    assert_eq!((conflict(7, 3, 0), conflict(7, 3, 8)), (bad("conflict_index"), bad("conflict_index")));
    let receiving =
        |index, term| outcome(AppendOutcome::Receiving { snapshot: EntryId { index, term }, chunks: 1 });
    assert_eq!((receiving(0, 1), receiving(1, 0)), (bad("snapshot_index"), bad("snapshot_term")));
    assert_eq!(receiving(1, 6), bad("snapshot_term"));
}

#[test]
fn relay_names_each_replica_once() {
    let relay = |leader, way: &[Id], acknowledged: &[Id]| {
        let acknowledged = acknowledged.iter().map(|&id| Acknowledgement { id, sent_at: 300 }).collect();
        let relay = RelayEntries { leader, way: way.to_vec(), acknowledged, append: append() };
        decode(&of_peer(&[Message { term: 5, body: Body::RelayEntries(relay) }])).map(drop)
    };
    let [second, third] = [id(2), id(3)];
    assert_eq!(relay(PEER, &[third, second], &[]), Ok(()));
    assert_eq!(relay(second, &[third], &[PEER]), Ok(()));
    for (leader, way, acknowledged, name) in [
        (id(4), &[][..], &[PEER][..], "leader_id"),
        (OWN, &[], &[PEER], "leader_id"),
        (PEER, &[PEER], &[], "way"),
        (PEER, &[second, second], &[], "way"),
        (PEER, &[OWN], &[], "way"),
        (PEER, &[second, third, PEER, second], &[], "way"),
        (second, &[third], &[third, PEER], "acknowledged"),
        (second, &[], &[PEER, third], "acknowledged"),
        (second, &[], &[], "acknowledged"),
    ] {
        assert_eq!(relay(leader, way, acknowledged), Err(bad(name)), "{leader} {way:?} {acknowledged:?}");
    }
    let answer = |acknowledged| {
        refusal(Body::RelayEntriesResponse(RelayEntriesResponse { sent_at: 1, match_index: 1, acknowledged }))
    };
    let twice = Acknowledgement { id: PEER, sent_at: 1 };
    assert_eq!((answer(vec![]), answer(vec![twice; 2])), (bad("acknowledged"), bad("acknowledged")));
}

#[test]
fn request_out_of_bounds_is_refused() {
    let put =
        |mid: String| decode(&written(|buffer| encode_request(buffer, &testkit::put(CLIENT, mid, "k", "v"))));
    assert!(put("m".repeat(MAX_MID_BYTES)).is_ok());
    for mid in ["m".repeat(MAX_MID_BYTES + 1), "\n".repeat(MAX_MID_BYTES / 2 + 1)] {
        assert_eq!(put(mid), Err(bad("MID")), "the answer would not fit");
    }
    let id = testkit::request_id(CLIENT, "m");
    let read = |operation, max_age_us| {
        decode(&written(|buffer| encode_local_read(buffer, &id, &operation, max_age_us)))
    };
    assert_eq!(read(Operation::set("k", "v"), 1), Err(bad("operation")), "it is no read");
    let operation = Operation::get("k");
    let expected =
        Inbound::LocalRead { id: id.clone(), operation: operation.clone(), max_age_us: MAX_NUMBER };
    assert_eq!(read(operation, u64::MAX), Ok(vec![expected]), "the greatest age that can be added to a time");
    let mut trailing = written(|buffer| encode_request(buffer, &testkit::get(CLIENT, "m", "k")));
    trailing.push(0);
    assert_eq!(decode(&trailing), Err(codec::Malformed::Trailing.into()));
    let content = [REQUESTS_VERSION, 1, b'm', 2, 0, 4];
    let mut answer = Vec::new();
    Envelope { kind: Kind::Answer, id: CLIENT }.write(&mut answer);
    answer.extend(content);
    assert_eq!(decode_answer(&answer), Err(codec::Malformed::UnknownKind("outcome").into()));
}

#[test]
fn message_about_reads_that_is_out_of_bounds_is_refused() {
    let refusal = |message| {
        let datagram = written(|buffer| encoder().read_index(buffer, OWN, &message));
        decode(&datagram).expect_err("it is refused")
    };
    let above = MAX_NUMBER + 1;
    let request = |round, applied| refusal(ReadIndex::Request { round, applied });
    assert_eq!(request(Round { life: above, ..ROUND }, 1), bad("life"));
    assert_eq!(request(Round { number: above, ..ROUND }, 1), bad("round"));
    assert_eq!(request(ROUND, above), bad("applied"));
    let response = |index, time| refusal(ReadIndex::Response { round: ROUND, index, time });
    assert_eq!(response(above, 1), bad("index"));
    assert_eq!((response(1, i64::MIN), response(1, i64::MAX)), (bad("time"), bad("time")));
    let mut datagram = of_index(INDEX_REQUEST);
    datagram[4] = 2;
    assert_eq!(decode(&datagram), Err(codec::Malformed::UnknownKind("read index").into()));
    datagram[4] = 0;
    datagram.push(0);
    assert_eq!(decode(&datagram), Err(codec::Malformed::Trailing.into()));
}

#[test]
fn message_about_reads_does_not_wait_for_others_to_coalesce() {
    let mut outbox = Outbox::with_encoder(encoder(), 2_000, true);
    let [message, ..] = &messages()[..] else { panic!("there are some") };
    outbox.push(Outbound::Peer { to: OWN, leader: None, message: message.clone() });
    outbox.push(Outbound::ReadIndex { to: OWN, message: INDEX_REQUEST });
    let mut buffer = Vec::new();
    assert_eq!(outbox.next_answer(&mut buffer), Some(Address::Peer(OWN)));
    assert_eq!(buffer, of_index(INDEX_REQUEST));
    assert_eq!(outbox.next_answer(&mut buffer), None);
    outbox.push(Outbound::ReadIndex { to: OWN, message: INDEX_RESPONSE });
    let kinds = [Kind::Peer, Kind::ReadIndex].map(|kind| {
        outbox.next(&mut buffer).expect("a datagram");
        (Envelope::read(&buffer).map(|(envelope, _)| envelope.kind), kind)
    });
    assert!(kinds.iter().all(|(sent, expected)| *sent == Some(*expected)), "{kinds:?}");
}

#[test]
fn longest_value_that_the_state_machine_takes_can_be_read() {
    for most in [2_000, 8 << 20] {
        let limits = Limits::new(most, Topology::Star, 2).in_form(Form::Binary);
        let mid = "\0".repeat(MAX_ENTRY_MID_BYTES);
        let value = |bytes| Reply::Bytes(vec![0xFF; bytes].into());
        assert!(limits.is_readable(&mid, &value(limits.max_value_bytes())));
        assert!(!limits.is_readable(&mid, &value(limits.max_value_bytes() + 1)));
    }
}
