//! From messages to lines. The transport adds the newline.

use std::io::Write;

use super::kind;
use super::names::Names;
use crate::dialect::Encode;
use crate::exchange::{ReadIndex, Round};
use crate::id::Id;
use crate::replication::Message;
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request, Response};
use crate::wire;

/// The sender's part of the dialect.
#[derive(Debug)]
pub(super) struct LineEncoder {
    names: Names,
}

/// An error that Maelstrom knows. Below 13 and above it, the request was not done and will not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    NotSupported = 10,
    TemporarilyUnavailable = 11,
    MalformedRequest = 12,
    Crash = 13,
    Abort = 14,
    KeyDoesNotExist = 20,
    PreconditionFailed = 22,
}

impl LineEncoder {
    pub(super) fn new(names: Names) -> Self {
        Self { names }
    }

    /// Writes a message whose body is what `body` writes.
    fn line(&self, buffer: &mut Vec<u8>, to: Id, body: impl FnOnce(&mut Vec<u8>)) {
        buffer.clear();
        buffer.extend_from_slice(br#"{"src":"#);
        json(buffer, &self.names.name(self.names.own()));
        buffer.extend_from_slice(br#","dest":"#);
        json(buffer, &self.names.name(to));
        buffer.extend_from_slice(br#","body":"#);
        body(buffer);
        buffer.push(b'}');
    }
}

impl Encode for LineEncoder {
    fn peer(&self, buffer: &mut Vec<u8>, to: Id, leader: Option<Id>, messages: &[Message]) {
        let mut message = Vec::new();
        wire::encode_peer(&mut message, self.names.own(), to, leader, messages);
        self.line(buffer, to, |line| line.extend_from_slice(&message));
    }

    fn response(&self, buffer: &mut Vec<u8>, response: &Response) {
        let mid = &response.id.mid; // digits, as the decoder wrote them
        let done = |kind: &str| format!(r#"{{"type":"{kind}","in_reply_to":{mid}}}"#);
        let body = match answer(&response.outcome) {
            Answer::Read(value) => {
                format!(r#"{{"type":"read_ok","in_reply_to":{mid},"value":{value}}}"#)
            }
            Answer::Written => done("write_ok"),
            Answer::Swapped => done("cas_ok"),
            Answer::Error(code, text) => {
                let code = code as u16;
                format!(r#"{{"type":"error","in_reply_to":{mid},"code":{code},"text":"{text}"}}"#)
            }
        };
        self.line(buffer, response.id.client, |line| line.extend_from_slice(body.as_bytes()));
    }

    fn forward(&self, buffer: &mut Vec<u8>, to: Id, request: &Request) {
        let client = self.names.name(request.id.client);
        self.line(buffer, to, |line| {
            write(line, format_args!(r#"{{"type":"{}","client":"#, kind::FORWARD));
            json(line, &client);
            line.extend_from_slice(br#","mid":"#);
            json(line, &*request.id.mid);
            line.extend_from_slice(br#","command":"#);
            json(line, &request.command);
            line.push(b'}');
        });
    }

    fn read_index(&self, buffer: &mut Vec<u8>, to: Id, message: &ReadIndex) {
        let ((kind, round), rest) = match message {
            ReadIndex::Request { round, applied } => {
                ((kind::READ_INDEX, round), format!(r#""applied":{applied}"#))
            }
            ReadIndex::Response { round, index, time } => {
                ((kind::READ_INDEX_OK, round), format!(r#""index":{index},"time":{time}"#))
            }
        };
        let Round { life, number } = round;
        self.line(buffer, to, |line| {
            let body = format_args!(r#"{{"type":"{kind}","life":{life},"round":{number},{rest}}}"#);
            write(line, body);
        });
    }

    fn envelope_bytes(&self) -> usize {
        // A name that needs escapes has six bytes for one.
        r#"{"src":"","dest":"","body":}"#.len() + 12 * self.names.longest()
    }
}

fn json<T: serde::Serialize + ?Sized>(buffer: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(buffer, value).expect("a Vec takes all bytes");
}

fn write(buffer: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    buffer.write_fmt(text).expect("a Vec takes all bytes");
}

/// The answer to a client.
enum Answer<'a> {
    Read(std::borrow::Cow<'a, str>),
    Written,
    Swapped,
    Error(Code, &'static str),
}

/// The shape of a reply tells what was asked for: a get returns bytes, a set `Ok`, and the batch of
/// a compare-and-set an array.
fn answer(outcome: &Outcome) -> Answer<'_> {
    let reply = match outcome {
        Outcome::Done(reply) => reply,
        Outcome::Redirect => return Answer::Error(Code::TemporarilyUnavailable, "no leader is known"),
        Outcome::Fail => {
            return Answer::Error(Code::TemporarilyUnavailable, "refused: it is too long, or too many wait");
        }
        Outcome::Unknown => {
            return Answer::Error(Code::Crash, "the leader stepped down; the request may take effect");
        }
    };
    match reply {
        Reply::Bytes(value) => Answer::Read(value.to_text()),
        Reply::Ok => Answer::Written,
        Reply::Array(replies) if replies.contains(&Reply::Ok) => Answer::Swapped,
        Reply::Array(replies) if replies.first().is_some_and(|first| *first != Reply::Nil) => {
            Answer::Error(Code::PreconditionFailed, "the key has another value")
        }
        Reply::Nil | Reply::Array(_) => Answer::Error(Code::KeyDoesNotExist, "the key does not exist"),
        Reply::Integer(_) => Answer::Error(Code::Crash, "an answer to another request"),
        Reply::Error(refusal) => refused(*refusal),
    }
}

fn refused(refusal: Refusal) -> Answer<'static> {
    match refusal {
        Refusal::UnknownCommand => Answer::Error(Code::NotSupported, "no such request"),
        Refusal::Syntax => {
            Answer::Error(Code::MalformedRequest, "the request lacks a key, or one makes no sense")
        }
        Refusal::Reused => {
            Answer::Error(Code::MalformedRequest, "the client has used this msg_id for another request")
        }
        Refusal::TooLong => Answer::Error(Code::MalformedRequest, "the value is too long"),
        refusal if refusal.is_by_session() => {
            Answer::Error(Code::Crash, "the request may have been done before")
        }
        _ => Answer::Error(Code::Abort, "the request cannot be done"),
    }
}
