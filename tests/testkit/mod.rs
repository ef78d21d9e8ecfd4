//! The words of tests and benches: IDs, requests, commands, entries and answers, each built in one
//! place, and a cluster of replicas in memory. Tests in `src/` have this module as
//! `crate::testkit`; tests and benches outside of it include the file by its path.

#![allow(dead_code, reason = "each test, bench and fuzz target needs a part of it")]

pub mod cluster;

use std::ops::RangeInclusive;
use std::sync::Arc;

use kvstore::bytes::Bytes;
use kvstore::command::Proposal;
use kvstore::id::Id;
use kvstore::operation::Operation;
use kvstore::replication::{AppendEntries, Body, Entry, Message, Payload};
use kvstore::reply::Reply;
use kvstore::request::{Outcome, Request, RequestId, Response};
use raft::message::{AppendEntriesResponse, AppendOutcome};
use raft::types::{Index, Term};

/// The client of tests that need no more than one.
pub const CLIENT: Id = id(0x15);

/// The answer to a put that took effect.
pub const STORED: Outcome = Outcome::OK;
/// The answer of a replica that does not lead.
pub const REDIRECT: Outcome = Outcome::Redirect;
/// The answer of a replica that refuses a request.
pub const FAIL: Outcome = Outcome::Fail;

/// The replica or client with this number.
pub const fn id(number: u16) -> Id {
    Id::new(number).expect("not reserved")
}

/// A client's name for a request.
pub fn request_id(client: Id, mid: impl Into<Arc<str>>) -> RequestId {
    RequestId { client, mid: mid.into() }
}

/// A request to read a key.
pub fn get(client: Id, mid: impl Into<Arc<str>>, key: impl Into<Bytes>) -> Request {
    Request { id: request_id(client, mid), command: Operation::get(key).into() }
}

/// A request to set a key.
pub fn put(client: Id, mid: impl Into<Arc<str>>, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Request {
    Request { id: request_id(client, mid), command: Operation::set(key, value).into() }
}

/// The write of such a request, as the log carries it: a leader proposed it at time 0.
pub fn proposal(
    client: Id,
    mid: impl Into<Arc<str>>,
    key: impl Into<Bytes>,
    value: impl Into<Bytes>,
) -> Proposal {
    let Request { id, command } = put(client, mid, key, value);
    Proposal { at: 0, request: Some(id), command }
}

/// The answer to a get of a key that does not exist.
pub const NIL: Outcome = Outcome::Done(Reply::Nil);

/// The answer to a get that found this value.
pub fn value(text: impl Into<Bytes>) -> Outcome {
    Outcome::Done(Reply::Bytes(text.into()))
}

/// An answer that names no leader.
pub fn response(client: Id, mid: impl Into<Arc<str>>, outcome: Outcome) -> Response {
    Response { id: request_id(client, mid), outcome, leader: None }
}

/// An entry without effect.
pub fn noop(index: Index, term: Term) -> Entry {
    Entry { index, term, payload: Payload::Noop }
}

/// Entries of one term without effect.
pub fn noops(range: RangeInclusive<Index>, term: Term) -> Vec<Entry> {
    range.map(|index| noop(index, term)).collect()
}

/// An entry with a command.
pub fn entry(index: Index, term: Term, proposal: Proposal) -> Entry {
    Entry { index, term, payload: Payload::Command(Arc::new(proposal)) }
}

/// The leader's log, or the part of it that a follower lacks.
pub fn append(term: Term, append: AppendEntries) -> Message {
    Message { term, body: Body::AppendEntries(append) }
}

/// A follower's answer to an append.
pub fn append_response(term: Term, sent_at: u64, outcome: AppendOutcome) -> Message {
    Message { term, body: Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome }) }
}
