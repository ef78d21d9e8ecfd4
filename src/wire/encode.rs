//! From typed messages to JSON. The caller's buffer is emptied first and keeps its
//! capacity, so that a sender allocates only while its longest datagram grows.
//!
//! The encoder writes a datagram piece by piece, because there are few shapes and every key is
//! known. A general serializer takes twice as long and runs over more code, which an idle replica
//! has to fetch from memory first. Only a text that needs escapes goes to `serde_json`.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use raft::message::{
    Acknowledgement, AppendEntriesResponse, AppendOutcome, InstallSnapshot, RelayEntriesResponse,
};

use super::checksum;
use super::kind;
use super::size::{base64_len, clamp_time, has_escapes, plain_set};
use crate::command::Proposal;
use crate::id::{Id, NOBODY};
use crate::replication::{AppendEntries, Body, Entry, Message, Payload, RelayEntries};
use crate::reply::Reply;
use crate::request::{Outcome, Response};

/// Writes messages of `src` to the replica `dst`: one message as it is, several as one `bundle`, in
/// their order.
pub fn encode_peer(buffer: &mut Vec<u8>, src: Id, dst: Id, leader: Option<Id>, messages: &[Message]) {
    let mut json = Json::begin(buffer, src, Some(dst), leader);
    match messages {
        [message] => json.message(message),
        _ => {
            json.kind(kind::BUNDLE);
            json.list("messages", messages, |json, message| {
                json.raw("{");
                json.message(message);
                json.raw("}");
            });
        }
    }
    json.raw("}");
}

/// The same with a checksum at the end, by which the receiver sees that the network has changed it.
pub fn encode_sealed(buffer: &mut Vec<u8>, src: Id, dst: Id, leader: Option<Id>, messages: &[Message]) {
    encode_peer(buffer, src, dst, leader, messages);
    checksum::seal(buffer);
}

/// The `type` of a datagram with these messages.
pub fn kind_of(messages: &[Message]) -> &'static str {
    let [message] = messages else { return kind::BUNDLE };
    match message.body {
        Body::RequestVote(_) => kind::REQUEST_VOTE,
        Body::RequestVoteResponse(_) => kind::REQUEST_VOTE_RESPONSE,
        Body::AppendEntries(_) => kind::APPEND_ENTRIES,
        Body::AppendEntriesResponse(_) => kind::APPEND_ENTRIES_RESPONSE,
        Body::InstallSnapshot(_) => kind::INSTALL_SNAPSHOT,
        Body::LogTail(_) => kind::LOG_TAIL,
        Body::StaleTerm => kind::STALE_TERM,
        Body::TimeoutNow => kind::TIMEOUT_NOW,
        Body::RelayEntries(_) => kind::RELAY_ENTRIES,
        Body::RelayEntriesResponse(_) => kind::RELAY_ENTRIES_RESPONSE,
    }
}

/// Writes the answer of `src` to a client.
pub fn encode_response(buffer: &mut Vec<u8>, src: Id, response: &Response) {
    let kind = match &response.outcome {
        Outcome::Redirect | Outcome::Unknown => kind::REDIRECT,
        Outcome::Fail | Outcome::Done(Reply::Error(_)) => kind::FAIL,
        Outcome::Done(_) => kind::OK,
    };
    let mut json = Json::begin(buffer, src, Some(response.id.client), response.leader);
    json.kind(kind);
    json.text("MID", &response.id.mid);
    match &response.outcome {
        Outcome::Redirect | Outcome::Unknown | Outcome::Fail | Outcome::Done(Reply::Ok) => {}
        Outcome::Done(Reply::Error(refusal)) => json.text("error", &refusal.to_string()),
        Outcome::Done(reply) => json.text("value", &reply_text(reply)),
    }
    json.raw("}");
}

/// The `value` of an answer: a client of a simulator takes nothing but text.
pub(super) fn reply_text(reply: &Reply) -> Cow<'_, str> {
    match reply {
        Reply::Ok | Reply::Nil | Reply::Error(_) => Cow::Borrowed(""),
        Reply::Bytes(bytes) => bytes.to_text(),
        Reply::Integer(number) => number.to_string().into(),
        Reply::Array(_) => serde_json::to_string(reply).expect("a reply has a JSON form").into(),
    }
}

/// Writes the message by which a simulator of the datagram dialect learns where `src` listens.
pub fn encode_hello(buffer: &mut Vec<u8>, src: Id) {
    let mut json = Json::begin(buffer, src, None, None);
    json.kind(kind::HELLO);
    json.raw("}");
}

/// A datagram while it is written.
struct Json<'a>(&'a mut Vec<u8>);

impl<'a> Json<'a> {
    /// The keys at the beginning of every message; `None` stands for all replicas or for an unknown
    /// leader.
    fn begin(buffer: &'a mut Vec<u8>, src: Id, dst: Option<Id>, leader: Option<Id>) -> Self {
        buffer.clear();
        let mut json = Self(buffer);
        json.raw(r#"{"src":""#);
        json.raw_id(src);
        for (key, id) in [(r#"","dst":""#, dst), (r#"","leader":""#, leader)] {
            json.raw(key);
            match id {
                Some(id) => json.raw_id(id),
                None => json.raw(NOBODY),
            }
        }
        json.raw(r#"","#);
        json
    }

    fn message(&mut self, message: &Message) {
        self.kind(kind_of(std::slice::from_ref(message)));
        self.number("term", message.term);
        match &message.body {
            Body::RequestVote(vote) => {
                self.flag("pre_vote", vote.pre_vote);
                self.number("campaign", vote.campaign);
                self.number("last_log_index", vote.last_log_index);
                self.number("last_log_term", vote.last_log_term);
                if vote.transfer {
                    self.flag("transfer", true);
                }
            }
            Body::RequestVoteResponse(answer) => {
                self.flag("pre_vote", answer.pre_vote);
                self.number("campaign", answer.campaign);
                self.flag("granted", answer.granted);
            }
            Body::AppendEntries(append) => self.append_entries(append),
            Body::AppendEntriesResponse(answer) => self.append_entries_response(answer),
            Body::InstallSnapshot(install) => self.install_snapshot(install),
            Body::LogTail(tail) => {
                self.number("prev_log_index", tail.prev_log_index);
                self.number("prev_log_term", tail.prev_log_term);
                self.list("entries", &tail.entries, Self::entry);
            }
            Body::StaleTerm | Body::TimeoutNow => {}
            Body::RelayEntries(relay) => self.relay_entries(relay),
            Body::RelayEntriesResponse(answer) => self.relay_entries_response(answer),
        }
    }

    fn append_entries(&mut self, append: &AppendEntries) {
        self.number("prev_log_index", append.prev_log_index);
        self.number("prev_log_term", append.prev_log_term);
        self.number("leader_commit", append.leader_commit);
        self.number("sent_at", append.sent_at);
        self.list("entries", &append.entries, Self::entry);
    }

    fn append_entries_response(&mut self, answer: &AppendEntriesResponse) {
        self.number("sent_at", answer.sent_at);
        match answer.outcome {
            AppendOutcome::Matched { match_index } => self.number("match_index", match_index),
            AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
                self.number("prev_log_index", prev_log_index);
                self.number("conflict_term", conflict_term);
                self.number("conflict_index", conflict_index);
            }
            AppendOutcome::Receiving { snapshot, chunks } => {
                self.number("snapshot_index", snapshot.index);
                self.number("snapshot_term", snapshot.term);
                self.number("chunks", chunks);
            }
        }
    }

    fn install_snapshot(&mut self, install: &InstallSnapshot) {
        self.number("sent_at", install.sent_at);
        self.number("snapshot_index", install.snapshot.index);
        self.number("snapshot_term", install.snapshot.term);
        self.number("chunk", install.chunk);
        self.flag("is_last", install.is_last);
        self.key("data");
        self.raw("\"");
        let start = self.0.len();
        self.0.resize(start + base64_len(install.data.len()), 0);
        BASE64.encode_slice(&install.data, &mut self.0[start..]).expect("there is room for all of it");
        self.raw("\"");
    }

    fn relay_entries(&mut self, relay: &RelayEntries) {
        self.key("leader_id");
        self.id(&relay.leader);
        self.list("way", &relay.way, Self::id);
        self.list("acknowledged", &relay.acknowledged, Self::acknowledgement);
        self.append_entries(&relay.append);
    }

    fn relay_entries_response(&mut self, answer: &RelayEntriesResponse) {
        self.number("sent_at", answer.sent_at);
        self.number("match_index", answer.match_index);
        self.list("acknowledged", &answer.acknowledged, Self::acknowledgement);
    }

    fn acknowledgement(&mut self, acknowledgement: &Acknowledgement) {
        self.raw("[");
        self.id(&acknowledgement.id);
        self.raw(",");
        self.digits(acknowledgement.sent_at);
        self.raw("]");
    }

    fn entry(&mut self, entry: &Entry) {
        self.raw("[");
        self.digits(entry.index);
        self.raw(",");
        self.digits(entry.term);
        if let Payload::Command(proposal) = &entry.payload {
            self.proposal(proposal);
        }
        self.raw("]");
    }

    fn proposal(&mut self, proposal: &Proposal) {
        self.raw(",");
        self.digits(clamp_time(proposal.at));
        if let Some(request) = &proposal.request {
            self.raw(",");
            self.id(&request.client);
            self.raw(",");
            self.string(&request.mid);
        }
        self.raw(",");
        match plain_set(proposal) {
            Some((key, value)) => {
                self.string(key);
                self.raw(",");
                self.string(value);
            }
            None => serde_json::to_writer(&mut *self.0, &proposal.command).expect("a Vec takes all bytes"),
        }
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn raw_id(&mut self, id: Id) {
        self.0.extend_from_slice(&id.digits());
    }

    fn id(&mut self, id: &Id) {
        self.raw("\"");
        self.raw_id(*id);
        self.raw("\"");
    }

    fn digits(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut from = digits.len();
        loop {
            from -= 1;
            digits[from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[from..]);
    }

    /// The first key of an object that is no entry.
    fn kind(&mut self, kind: &str) {
        self.raw(r#""type":""#);
        self.raw(kind);
        self.raw("\"");
    }

    fn key(&mut self, key: &str) {
        self.raw(",\"");
        self.raw(key);
        self.raw("\":");
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        self.digits(number);
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.key(key);
        self.raw(if flag { "true" } else { "false" });
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    fn string(&mut self, text: &str) {
        if has_escapes(text) {
            serde_json::to_writer(&mut *self.0, text).expect("a Vec takes all bytes");
        } else {
            self.raw("\"");
            self.raw(text);
            self.raw("\"");
        }
    }

    fn list<T>(&mut self, key: &str, items: &[T], item: impl Fn(&mut Self, &T)) {
        self.key(key);
        self.raw("[");
        for (n, one) in items.iter().enumerate() {
            if n > 0 {
                self.raw(",");
            }
            item(self, one);
        }
        self.raw("]");
    }
}
