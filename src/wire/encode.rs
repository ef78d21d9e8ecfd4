//! From typed messages to JSON. The caller's buffer is emptied first and keeps its
//! capacity, so that a sender allocates only while its longest datagram grows.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::kind;
use crate::id::{Id, NOBODY};
use crate::raft::message::{
    AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message, RelayEntries, RequestVote,
    RequestVoteResponse,
};
use crate::raft::types::{Entry, Payload};
use crate::request::{Outcome, Response};

/// What every message begins with.
#[derive(Serialize)]
struct Envelope<T> {
    src: Id,
    dst: Name,
    leader: Name,
    #[serde(flatten)]
    content: T,
}

/// An ID, or `FFFF` for all or unknown.
struct Name(Option<Id>);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(id) => id.serialize(serializer),
            None => serializer.serialize_str(NOBODY),
        }
    }
}

#[derive(Serialize)]
struct Bundle<'a> {
    r#type: &'static str,
    messages: Parts<'a>,
}

struct Parts<'a>(&'a [Message]);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Part::from))
    }
}

/// One peer message, with the keys that its type has.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    RequestVote {
        r#type: &'static str,
        term: u64,
        pre_vote: bool,
        campaign: u64,
        last_log_index: u64,
        last_log_term: u64,
    },
    RequestVoteResponse {
        r#type: &'static str,
        term: u64,
        pre_vote: bool,
        campaign: u64,
        granted: bool,
    },
    AppendEntries {
        r#type: &'static str,
        term: u64,
        prev_log_index: u64,
        prev_log_term: u64,
        leader_commit: u64,
        sent_at: u64,
        entries: Entries<'a>,
    },
    Matched {
        r#type: &'static str,
        term: u64,
        sent_at: u64,
        match_index: u64,
    },
    Conflict {
        r#type: &'static str,
        term: u64,
        sent_at: u64,
        prev_log_index: u64,
        conflict_term: u64,
        conflict_index: u64,
    },
    RelayEntries {
        r#type: &'static str,
        term: u64,
        leader_id: Id,
        way: &'a [Id],
        acknowledged: &'a [Id],
        prev_log_index: u64,
        prev_log_term: u64,
        leader_commit: u64,
        sent_at: u64,
        entries: Entries<'a>,
    },
    RelayEntriesResponse {
        r#type: &'static str,
        term: u64,
        sent_at: u64,
        match_index: u64,
        acknowledged: &'a [Id],
    },
}

impl<'a> From<&'a Message> for Part<'a> {
    fn from(message: &'a Message) -> Self {
        let term = message.term;
        match &message.body {
            Body::RequestVote(vote) => {
                let &RequestVote { pre_vote, campaign, last_log_index, last_log_term } = vote;
                Self::RequestVote {
                    r#type: kind::REQUEST_VOTE,
                    term,
                    pre_vote,
                    campaign,
                    last_log_index,
                    last_log_term,
                }
            }
            Body::RequestVoteResponse(answer) => {
                let &RequestVoteResponse { pre_vote, campaign, granted } = answer;
                Self::RequestVoteResponse {
                    r#type: kind::REQUEST_VOTE_RESPONSE,
                    term,
                    pre_vote,
                    campaign,
                    granted,
                }
            }
            Body::AppendEntries(append) => {
                let &AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, ref entries } =
                    append;
                Self::AppendEntries {
                    r#type: kind::APPEND_ENTRIES,
                    term,
                    prev_log_index,
                    prev_log_term,
                    leader_commit,
                    sent_at,
                    entries: Entries(entries),
                }
            }
            Body::AppendEntriesResponse(answer) => Self::from_append_response(term, answer),
            Body::RelayEntries(relay) => Self::from_relay(term, relay),
            Body::RelayEntriesResponse(answer) => Self::RelayEntriesResponse {
                r#type: kind::RELAY_ENTRIES_RESPONSE,
                term,
                sent_at: answer.sent_at,
                match_index: answer.match_index,
                acknowledged: &answer.acknowledged,
            },
        }
    }
}

impl<'a> Part<'a> {
    fn from_relay(term: u64, relay: &'a RelayEntries) -> Self {
        let &AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, ref entries } =
            &relay.append;
        Self::RelayEntries {
            r#type: kind::RELAY_ENTRIES,
            term,
            leader_id: relay.leader,
            way: &relay.way,
            acknowledged: &relay.acknowledged,
            prev_log_index,
            prev_log_term,
            leader_commit,
            sent_at,
            entries: Entries(entries),
        }
    }

    fn from_append_response(term: u64, answer: &AppendEntriesResponse) -> Self {
        let (r#type, sent_at) = (kind::APPEND_ENTRIES_RESPONSE, answer.sent_at);
        match answer.outcome {
            AppendOutcome::Matched { match_index } => Self::Matched { r#type, term, sent_at, match_index },
            AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
                Self::Conflict { r#type, term, sent_at, prev_log_index, conflict_term, conflict_index }
            }
        }
    }
}

struct Entries<'a>(&'a [Entry]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for &Entry { index, term, ref payload } in self.0 {
            match payload {
                Payload::Noop => list.serialize_element(&Noop { index, term })?,
                Payload::Command(command) => list.serialize_element(&Write {
                    index,
                    term,
                    client: command.request.client,
                    mid: &command.request.mid,
                    key: &command.key,
                    value: &command.value,
                })?,
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Noop {
    index: u64,
    term: u64,
}

#[derive(Serialize)]
struct Write<'a> {
    index: u64,
    term: u64,
    client: Id,
    #[serde(rename = "MID")]
    mid: &'a str,
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Answer<'a> {
    r#type: &'static str,
    #[serde(rename = "MID")]
    mid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

#[derive(Serialize)]
struct Hello {
    r#type: &'static str,
}

/// Writes what `src` has to say to the replica `dst`: one message as it is, several
/// as one `bundle`, in their order.
pub fn encode_peer(buffer: &mut Vec<u8>, src: Id, dst: Id, leader: Option<Id>, messages: &[Message]) {
    let (dst, leader) = (Name(Some(dst)), Name(leader));
    match messages {
        [message] => write(buffer, &Envelope { src, dst, leader, content: Part::from(message) }),
        _ => {
            let content = Bundle { r#type: kind::BUNDLE, messages: Parts(messages) };
            write(buffer, &Envelope { src, dst, leader, content });
        }
    }
}

/// Writes the answer of `src` to a client.
pub fn encode_response(buffer: &mut Vec<u8>, src: Id, response: &Response) {
    let (r#type, value) = match &response.outcome {
        Outcome::Stored => (kind::OK, None),
        Outcome::Value(value) => (kind::OK, Some(&**value)),
        Outcome::Redirect => (kind::REDIRECT, None),
        Outcome::Fail => (kind::FAIL, None),
    };
    let content = Answer { r#type, mid: &response.id.mid, value };
    let (dst, leader) = (Name(Some(response.id.client)), Name(response.leader));
    write(buffer, &Envelope { src, dst, leader, content });
}

/// Writes the message by which a simulator of the datagram dialect learns where `src` listens.
pub fn encode_hello(buffer: &mut Vec<u8>, src: Id) {
    let content = Hello { r#type: kind::HELLO };
    write(buffer, &Envelope { src, dst: Name(None), leader: Name(None), content });
}

fn write<T: Serialize>(buffer: &mut Vec<u8>, message: &T) {
    buffer.clear();
    serde_json::to_writer(buffer, message).expect("a Vec takes all bytes, and every key here is a string");
}
