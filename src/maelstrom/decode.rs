//! From lines to messages.

use std::borrow::Cow;

use raft::types::{Index, MAX_NUMBER};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::kind;
use super::names::Names;
use crate::bytes::Bytes;
use crate::command::{Batch, Command};
use crate::dialect::Decode;
use crate::exchange::{Inbound, ReadIndex, Round};
use crate::id::Id;
use crate::operation::{Condition, Operation, Set, UnixMillis};
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request, RequestId, Response};
use crate::wire::{Decoder, MAX_ENTRY_MID_BYTES, MAX_RECEIVED_BYTES, Malformed};

/// A message around its body.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub src: Cow<'a, str>,
    #[serde(borrow)]
    pub dest: Cow<'a, str>,
    #[serde(borrow)]
    pub body: &'a RawValue,
}

/// The keys by which a body is told from others.
#[derive(Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
    pub msg_id: Option<i64>,
}

#[derive(Deserialize)]
struct Read {
    key: Value,
}

#[derive(Deserialize)]
struct Write {
    key: Value,
    value: Value,
}

#[derive(Deserialize)]
struct Cas {
    key: Value,
    from: Value,
    to: Value,
    #[serde(default)]
    create_if_not_exists: bool,
}

/// A client's request on its way to the leader.
#[derive(Deserialize)]
struct Forward<'a> {
    #[serde(borrow)]
    client: Cow<'a, str>,
    #[serde(borrow)]
    mid: Cow<'a, str>,
    command: Command,
}

/// A follower's request for an index, or the leader's answer.
#[derive(Deserialize)]
struct IndexBody {
    life: u64,
    round: u64,
    applied: Option<Index>,
    index: Option<Index>,
    time: Option<UnixMillis>,
}

impl IndexBody {
    fn message(&self) -> Option<ReadIndex> {
        let &Self { life, round: number, applied, index, time } = self;
        let round = Round { life, number };
        let numbers = [Some(life), Some(number), applied, index, time.map(UnixMillis::unsigned_abs)];
        if numbers.into_iter().flatten().any(|number| number > MAX_NUMBER) {
            return None;
        }
        match (applied, index.zip(time)) {
            (Some(applied), None) => Some(ReadIndex::Request { round, applied }),
            (None, Some((index, time))) => Some(ReadIndex::Response { round, index, time }),
            _ => None,
        }
    }
}

/// The receiver's part of the dialect.
pub(super) struct LineDecoder {
    names: Names,
    raft: Decoder,
    body: Vec<u8>, // of a message of Raft, whose decoder scrambles it
}

impl LineDecoder {
    pub(super) fn new(names: Names) -> Self {
        let raft = Decoder::new(names.own(), names.peers());
        Self { names, raft, body: Vec::new() }
    }

    fn read_from_node(&mut self, from: Id, body: &RawValue, out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        let head: Head<'_> = parse(body).ok_or(Malformed::MissingField("type"))?;
        if let kind::READ_INDEX | kind::READ_INDEX_OK = &*head.r#type {
            let message = parse(body).and_then(|body: IndexBody| body.message());
            let message = message.ok_or(Malformed::BadField("read index"))?;
            out.push(Inbound::ReadIndex { from, message });
            return Ok(());
        }
        if head.r#type != kind::FORWARD {
            self.body.clear();
            self.body.extend_from_slice(body.get().as_bytes());
            return self.raft.decode(&mut self.body, out);
        }
        let forward: Forward<'_> = parse(body).ok_or(Malformed::BadField("forward"))?;
        let client = self.names.client(&forward.client).ok_or(Malformed::BadField("client"))?;
        if forward.mid.len() > MAX_ENTRY_MID_BYTES {
            return Err(Malformed::BadField("mid"));
        }
        if !forward.command.is_within_limits() {
            return Err(Malformed::BadField("command"));
        }
        let id = RequestId { client, mid: (*forward.mid).into() };
        out.push(Inbound::Client(Request { id, command: forward.command }));
        Ok(())
    }
}

impl Decode for LineDecoder {
    fn decode(&mut self, datagram: &mut [u8], out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        if datagram.len() > MAX_RECEIVED_BYTES {
            return Err(Malformed::TooLong);
        }
        if datagram.trim_ascii().is_empty() {
            return Err(Malformed::Empty);
        }
        let envelope: Envelope<'_> =
            serde_json::from_slice(datagram).map_err(|error| match error.is_data() {
                true => Malformed::BadField("message"),
                false => Malformed::NotJson,
            })?;
        if self.names.node(&envelope.dest) != Some(self.names.own()) {
            return Err(Malformed::NotForUs);
        }
        if let Some(node) = self.names.node(&envelope.src) {
            let is_own = node == self.names.own();
            return if is_own {
                Err(Malformed::UnknownSender)
            } else {
                self.read_from_node(node, envelope.body, out)
            };
        }
        let client = self.names.client(&envelope.src).ok_or(Malformed::UnknownSender)?;
        out.push(read_from_client(client, envelope.body)?);
        Ok(())
    }
}

/// A client's request, or its refusal. A body without a `msg_id` asks for no answer.
fn read_from_client(client: Id, body: &RawValue) -> Result<Inbound, Malformed> {
    let head: Head<'_> = parse(body).ok_or(Malformed::BadField("body"))?;
    let mid = head.msg_id.ok_or(Malformed::MissingField("msg_id"))?;
    let id = RequestId { client, mid: mid.to_string().into() };
    let command = match &*head.r#type {
        kind::READ => parse(body).map(Read::command),
        kind::WRITE => parse(body).map(Write::command),
        kind::CAS => parse(body).map(Cas::command),
        _ => return Ok(refuse(id, Refusal::UnknownCommand)),
    };
    Ok(match command {
        Some(command) => Inbound::Client(Request { id, command }),
        None => refuse(id, Refusal::Syntax),
    })
}

fn refuse(id: RequestId, refusal: Refusal) -> Inbound {
    Inbound::Refused(Response { id, outcome: Outcome::Done(Reply::Error(refusal)), leader: None })
}

pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a RawValue) -> Option<T> {
    serde_json::from_str(body.get()).ok()
}

/// The one text of a value, whatever the client's text of it is.
fn text(value: &Value) -> Bytes {
    value.to_string().into()
}

impl Read {
    fn command(self) -> Command {
        Operation::Get { key: text(&self.key) }.into()
    }
}

impl Write {
    fn command(self) -> Command {
        Operation::set(text(&self.key), text(&self.value)).into()
    }
}

impl Cas {
    fn command(self) -> Command {
        let (key, to) = (text(&self.key), text(&self.to));
        let set = |condition| {
            let condition = Some(condition);
            Operation::Set(Set { condition, ..Set::new(key.clone(), to.clone()) })
        };
        let mut operations = vec![Operation::get(key.clone()), set(Condition::Equal(text(&self.from)))];
        if self.create_if_not_exists {
            operations.push(set(Condition::Absent));
        }
        Command::Batch(Batch { watches: Vec::new(), operations })
    }
}
