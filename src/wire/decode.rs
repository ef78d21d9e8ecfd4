//! From JSON to typed messages. One pass of simd-json turns a datagram into a flat tape; this file
//! walks the tape and trusts no value. A walk over the tape gives every refusal its own reason,
//! never takes an array for an object, and skips unknown keys without recursion. That is why
//! the decoder does not deserialize into structs with serde.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use raft::message::{
    Acknowledgement, AppendEntriesResponse, AppendOutcome, InstallSnapshot, RelayEntriesResponse,
    RequestVote, RequestVoteResponse,
};
use raft::types::{EntryId, Index, MAX_NUMBER, Term};
use serde::Deserialize;
use simd_json::lazy;
use simd_json::prelude::*;
use simd_json::tape::{Array, Object, Value};
use simd_json::{Buffers, ErrorType, Tape};

use super::checksum;
use super::encode::encode_peer;
use super::kind;
use super::size::escaped_len;
use crate::bytes::Bytes;
use crate::codec;
use crate::command::{Command, Proposal};
use crate::exchange::Inbound;
use crate::id::{Id, IdError};
use crate::operation::{Condition, Operation, Set, UnixMillis};
use crate::replication::{AppendEntries, Body, Entry, LogTail, Message, Payload, RelayEntries};
use crate::request::{Request, RequestId};

/// The longest datagram that the decoder looks at. A client may send more than a replica may, so
/// this is far above the limits of all transports.
pub const MAX_RECEIVED_BYTES: usize = 256 * 1024;

/// The longest `MID` of a request, as it is written in an answer. The shortest answer with it still
/// fits into the 16 KB that every transport carries.
pub const MAX_MID_BYTES: usize = 15 * 1024;

/// The longest `MID` of an entry. It leaves room for the value in the answer to a get with such a
/// MID.
pub const MAX_ENTRY_MID_BYTES: usize = 256;

/// How deep objects and arrays may nest. Our own messages need 12 levels (a batch in a bundle); the
/// rest is room for keys that we do not know.
pub const MAX_NESTING: usize = 32;

/// How many values an entry has if it is a no-op: its index and its term.
const NOOP_VALUES: usize = 2;

/// How many it has if a leader proposed it of its own accord: its time and the command besides.
const OWN_VALUES: usize = 4;

/// How many it has if a client asked for it: the client and its `MID` besides.
const COMMAND_VALUES: usize = 6;

/// How many it has if it sets a key without further options: the key and the value in place of the
/// command.
const SET_VALUES: usize = 7;

/// Why a datagram was refused. There are few different values, however hostile the
/// input, so that they can be counted by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Malformed {
    /// Nothing but white space.
    #[error("empty datagram")]
    Empty,
    /// More than [`MAX_RECEIVED_BYTES`].
    #[error("datagram too long")]
    TooLong,
    /// Not UTF-8, or not JSON.
    #[error("not JSON")]
    NotJson,
    /// JSON, but not an object.
    #[error("not an object")]
    NotAnObject,
    /// The message lacks a key that its type needs.
    #[error("no `{0}`")]
    MissingField(&'static str),
    /// A key's value has the wrong type, is out of range or contradicts another.
    #[error("impossible value of `{0}`")]
    BadField(&'static str),
    /// No message has this type where it stands.
    #[error("unknown type")]
    UnknownType,
    /// A replica's message from outside the cluster, or a client's message from a replica.
    #[error("sender may not send this")]
    UnknownSender,
    /// The destination is another replica.
    #[error("not for this replica")]
    NotForUs,
    /// Entries that do not follow each other or `prev_log_index`, or whose terms decrease
    /// or exceed the message's: no log has such entries.
    #[error("entries that do not fit together")]
    Gap,
    /// Nested deeper than [`MAX_NESTING`], or a bundle within a bundle.
    #[error("nested too deep")]
    Nested,
    /// A replica's message has changed on its way: its checksum is another one, or missing.
    #[error("wrong checksum")]
    Damaged,
    /// Binary content that is refused.
    #[error(transparent)]
    Binary(#[from] codec::Malformed),
}

/// Turns datagrams into messages for one replica. Keeps its buffers from one to the next.
pub struct Decoder {
    own: Id,
    peers: BTreeSet<Id>,
    wants_checksums: bool,
    buffers: Buffers,
    tape: Option<Tape<'static>>, // empty; only its allocation is of interest
}

impl Decoder {
    /// A decoder for the replica `own`, which takes peer messages only from `peers`.
    pub fn new(own: Id, peers: impl IntoIterator<Item = Id>) -> Self {
        let peers = peers.into_iter().filter(|&peer| peer != own).collect();
        let buffers = Buffers::with_max_depth(4096, MAX_NESTING);
        Self { own, peers, wants_checksums: false, buffers, tape: None }
    }

    /// The same, but it takes a peer message only with the checksum of
    /// [`encode_sealed`](super::encode_sealed).
    pub fn with_checksums(self) -> Self {
        Self { wants_checksums: true, ..self }
    }

    /// Decodes one datagram and appends its messages to `out`, in order: more than one if it is a
    /// bundle. This scrambles the datagram's bytes.
    ///
    /// # Errors
    ///
    /// The first reason to refuse it; then `out` is as it was.
    pub fn decode(&mut self, datagram: &mut [u8], out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        if datagram.len() > MAX_RECEIVED_BYTES {
            return Err(Malformed::TooLong);
        }
        if datagram.trim_ascii().is_empty() {
            return Err(Malformed::Empty);
        }
        let is_intact = !self.wants_checksums || checksum::is_right(datagram);
        let mut tape = self.tape.take().unwrap_or_else(Tape::null).reset();
        let before = out.len();
        let result = match simd_json::fill_tape(datagram, &mut self.buffers, &mut tape) {
            Ok(()) => self.read(tape.as_value(), is_intact, out),
            Err(error) => Err(match error.error() {
                ErrorType::DepthLimitExceeded => Malformed::Nested,
                _ => Malformed::NotJson,
            }),
        };
        self.tape = Some(tape.reset());
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    /// `is_intact` says that no peer's message can have changed on its way.
    fn read(&self, value: Value<'_, '_>, is_intact: bool, out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        let message = value.as_object().ok_or(Malformed::NotAnObject)?;
        let [src, dst, leader, kind] = pick(&message, ["src", "dst", "leader", "type"]);
        let src = src.id()?.ok_or(Malformed::BadField("src"))?;
        let dst = dst.id()?;
        let leader = leader.id()?;
        let kind = kind.text()?;
        if dst.is_some_and(|dst| dst != self.own) {
            return Err(Malformed::NotForUs);
        }
        if kind::OF_CLIENTS.contains(&kind) {
            if self.is_replica(src) {
                return Err(Malformed::UnknownSender);
            }
            out.push(Inbound::Client(read_request(&message, src, kind)?));
            return Ok(());
        }
        if !self.peers.contains(&src) {
            return Err(Malformed::UnknownSender);
        }
        let before = out.len();
        self.read_peers(&message, kind, src, out)?;
        if is_intact || self.says(&message, src, leader, &out[before..]) {
            Ok(())
        } else {
            Err(Malformed::Damaged)
        }
    }

    /// The messages of a replica: one, or those of a bundle.
    fn read_peers(
        &self,
        message: &Object<'_, '_>,
        kind: &str,
        src: Id,
        out: &mut Vec<Inbound>,
    ) -> Result<(), Malformed> {
        if kind != kind::BUNDLE {
            out.push(Inbound::Peer { from: src, message: self.read_peer(message, kind, src)? });
            return Ok(());
        }
        let [parts] = pick(message, ["messages"]);
        let parts = parts.list()?;
        if parts.is_empty() {
            return Err(Malformed::BadField("messages"));
        }
        for part in &parts {
            let part = part.as_object().ok_or(Malformed::BadField("messages"))?;
            let [kind] = pick(&part, ["type"]);
            let kind = kind.text()?;
            if kind == kind::BUNDLE {
                return Err(Malformed::Nested);
            }
            out.push(Inbound::Peer { from: src, message: self.read_peer(&part, kind, src)? });
        }
        Ok(())
    }

    /// Whether the checksum of an object is that of these messages, however the object is written.
    fn says(&self, object: &Object<'_, '_>, src: Id, leader: Option<Id>, read: &[Inbound]) -> bool {
        let [crc] = pick(object, ["crc"]);
        let message = |inbound: &Inbound| match inbound {
            Inbound::Peer { message, .. } => Some(message.clone()),
            _ => None,
        };
        let messages: Vec<Message> = read.iter().filter_map(message).collect();
        let mut again = Vec::new();
        encode_peer(&mut again, src, self.own, leader, &messages);
        crc.text().is_ok_and(|digits| checksum::is_of(digits, &again))
    }

    fn is_replica(&self, id: Id) -> bool {
        id == self.own || self.peers.contains(&id)
    }

    fn read_peer(&self, message: &Object<'_, '_>, kind: &str, src: Id) -> Result<Message, Malformed> {
        match kind {
            kind::REQUEST_VOTE => read_request_vote(message),
            kind::REQUEST_VOTE_RESPONSE => read_request_vote_response(message),
            kind::APPEND_ENTRIES_RESPONSE => read_append_entries_response(message),
            kind::INSTALL_SNAPSHOT => read_install_snapshot(message),
            kind::LOG_TAIL => self.read_log_tail(message),
            kind::STALE_TERM => read_term(message, Body::StaleTerm),
            kind::TIMEOUT_NOW => read_term(message, Body::TimeoutNow),
            kind::APPEND_ENTRIES => {
                let (term, append) = self.read_append_entries(message)?;
                Ok(Message { term, body: Body::AppendEntries(append) })
            }
            kind::RELAY_ENTRIES => self.read_relay_entries(message, src),
            kind::RELAY_ENTRIES_RESPONSE => self.read_relay_entries_response(message),
            _ => Err(Malformed::UnknownType),
        }
    }

    fn read_append_entries(&self, message: &Object<'_, '_>) -> Result<(Term, AppendEntries), Malformed> {
        let [leader_commit, sent_at] = pick(message, ["leader_commit", "sent_at"]);
        let (term, LogTail { prev_log_index, prev_log_term, entries }) = self.read_entries(message)?;
        let (leader_commit, sent_at) = (leader_commit.number()?, sent_at.number()?);
        Ok((term, AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, entries }))
    }

    fn read_log_tail(&self, message: &Object<'_, '_>) -> Result<Message, Malformed> {
        let (term, tail) = self.read_entries(message)?;
        if tail.entries.is_empty() {
            return Err(Malformed::BadField("entries"));
        }
        Ok(Message { term, body: Body::LogTail(tail) })
    }

    /// The term of a message and the part of a log that it shows.
    fn read_entries(&self, message: &Object<'_, '_>) -> Result<(Term, LogTail), Malformed> {
        let [term, prev_log_index, prev_log_term, entries] =
            pick(message, ["term", "prev_log_index", "prev_log_term", "entries"]);
        let term = term.positive()?;
        let (prev_log_index, prev_log_term) = (prev_log_index.number()?, prev_log_term.number()?);
        if prev_log_term > term || !is_log_end(prev_log_index, prev_log_term) {
            return Err(Malformed::BadField("prev_log_term"));
        }
        let list = entries.list()?;
        let mut entries = Vec::with_capacity(list.len());
        let mut last = (prev_log_index, prev_log_term);
        for entry in &list {
            let entry = self.read_entry(&entry.as_array().ok_or(Malformed::BadField("entries"))?)?;
            if entry.index != last.0 + 1 || entry.term < last.1.max(1) || entry.term > term {
                return Err(Malformed::Gap);
            }
            last = (entry.index, entry.term);
            entries.push(entry);
        }
        Ok((term, LogTail { prev_log_index, prev_log_term, entries }))
    }

    /// Each replica on the way is there once: the leader, the followers that have acknowledged,
    /// this replica, and the followers to come. The last acknowledgement is the sender's.
    fn read_relay_entries(&self, message: &Object<'_, '_>, src: Id) -> Result<Message, Malformed> {
        let [leader, way, acknowledged] = pick(message, ["leader_id", "way", "acknowledged"]);
        let mut seen = BTreeSet::new();
        let leader = leader.id()?.filter(|leader| self.peers.contains(leader));
        let leader = leader.ok_or(Malformed::BadField("leader_id"))?;
        seen.insert(leader);
        let acknowledged = self.read_acknowledged(&acknowledged, &mut seen)?;
        if acknowledged.last().map_or(leader, |last| last.id) != src {
            return Err(Malformed::BadField("acknowledged"));
        }
        let way = way.list()?.iter().map(|id| self.read_member(id, &mut seen)).collect::<Option<_>>();
        let way = way.ok_or(Malformed::BadField("way"))?;
        let (term, append) = self.read_append_entries(message)?;
        let relay = RelayEntries { leader, way, acknowledged, append };
        Ok(Message { term, body: Body::RelayEntries(relay) })
    }

    fn read_relay_entries_response(&self, message: &Object<'_, '_>) -> Result<Message, Malformed> {
        let [term, sent_at, match_index, acknowledged] =
            pick(message, ["term", "sent_at", "match_index", "acknowledged"]);
        let term = term.positive()?;
        let acknowledged = self.read_acknowledged(&acknowledged, &mut BTreeSet::new())?;
        if acknowledged.is_empty() {
            return Err(Malformed::BadField("acknowledged"));
        }
        let (sent_at, match_index) = (sent_at.number()?, match_index.number()?);
        let response = RelayEntriesResponse { sent_at, match_index, acknowledged };
        Ok(Message { term, body: Body::RelayEntriesResponse(response) })
    }

    /// Lists of a replica and a time.
    fn read_acknowledged(
        &self,
        field: &Field<'_, '_>,
        seen: &mut BTreeSet<Id>,
    ) -> Result<Vec<Acknowledgement>, Malformed> {
        let mut read = |pair: Value<'_, '_>| {
            let pair = pair.as_array().filter(|pair| pair.len() == 2)?;
            let [id, sent_at] = [0, 1].map(|at| pair.get(at));
            let sent_at = Field { name: field.name, value: sent_at }.number().ok()?;
            Some(Acknowledgement { id: self.read_member(id?, seen)?, sent_at })
        };
        let acknowledged = field.list()?.iter().map(&mut read).collect::<Option<_>>();
        acknowledged.ok_or(Malformed::BadField(field.name))
    }

    /// A replica of this cluster other than this one, and none of those seen before.
    fn read_member(&self, id: Value<'_, '_>, seen: &mut BTreeSet<Id>) -> Option<Id> {
        let id = id.as_str().and_then(|text| text.parse().ok());
        id.filter(|id| self.peers.contains(id) && seen.insert(*id))
    }

    fn read_entry(&self, entry: &Array<'_, '_>) -> Result<Entry, Malformed> {
        let mut values = entry.iter();
        let mut next = |name| Field { name, value: values.next() };
        let (index, term) = (next("index").number()?, next("term").number()?);
        if entry.len() == NOOP_VALUES {
            return Ok(Entry { index, term, payload: Payload::Noop });
        }
        let at = next("at").number()? as UnixMillis;
        let request = match entry.len() {
            OWN_VALUES => None,
            COMMAND_VALUES | SET_VALUES => Some(self.read_request_id(&next("client"), &next("MID"))?),
            _ => return Err(Malformed::BadField("entries")),
        };
        let command = match entry.len() {
            SET_VALUES => Operation::set(next("key").text()?, next("value").text()?).into(),
            _ => next("command").command()?,
        };
        Ok(Entry { index, term, payload: Payload::Command(Arc::new(Proposal { at, request, command })) })
    }

    fn read_request_id(&self, client: &Field<'_, '_>, mid: &Field<'_, '_>) -> Result<RequestId, Malformed> {
        let client = client.id()?.filter(|&id| !self.is_replica(id));
        let mid = mid.get(|mid| mid.into_string().filter(|mid| mid.len() <= MAX_ENTRY_MID_BYTES))?;
        Ok(RequestId { client: client.ok_or(Malformed::BadField("client"))?, mid: mid.into() })
    }
}

fn read_request(message: &Object<'_, '_>, client: Id, kind: &str) -> Result<Request, Malformed> {
    let [mid, key, value, from, to, by] = pick(message, ["MID", "key", "value", "from", "to", "by"]);
    let id = RequestId { client, mid: mid.mid()? };
    let key: Bytes = key.text()?.into();
    let operation = match kind {
        kind::PUT => Operation::set(key, value.text()?),
        kind::CAS => {
            let condition = Some(Condition::Equal(from.text()?.into()));
            Operation::Set(Set { condition, ..Set::new(key, to.text()?) })
        }
        kind::INCREMENT => Operation::Increment { key, by: by.get(|by| by.as_i64())? },
        kind::APPEND => Operation::Append { key, value: value.text()?.into() },
        kind::DELETE => Operation::Delete { keys: vec![key] },
        _ => Operation::Get { key },
    };
    Ok(Request { id, command: operation.into() })
}

fn read_request_vote(message: &Object<'_, '_>) -> Result<Message, Malformed> {
    let [term, pre_vote, campaign, last_log_index, last_log_term, transfer] =
        pick(message, ["term", "pre_vote", "campaign", "last_log_index", "last_log_term", "transfer"]);
    let term = term.number()?;
    let (last_log_index, last_log_term) = (last_log_index.number()?, last_log_term.number()?);
    // A candidate asks for a term above all that it has seen, also in a pre-vote.
    if last_log_term >= term {
        return Err(Malformed::BadField("term"));
    }
    if !is_log_end(last_log_index, last_log_term) {
        return Err(Malformed::BadField("last_log_term"));
    }
    let (pre_vote, campaign) = (pre_vote.flag()?, campaign.number()?);
    let transfer = transfer.optional_flag()?;
    if pre_vote && transfer {
        return Err(Malformed::BadField("transfer"));
    }
    let vote = RequestVote { pre_vote, transfer, campaign, last_log_index, last_log_term };
    Ok(Message { term, body: Body::RequestVote(vote) })
}

fn read_request_vote_response(message: &Object<'_, '_>) -> Result<Message, Malformed> {
    let [term, pre_vote, campaign, granted] = pick(message, ["term", "pre_vote", "campaign", "granted"]);
    let term = term.number()?;
    let (pre_vote, campaign) = (pre_vote.flag()?, campaign.number()?);
    let response = RequestVoteResponse { pre_vote, campaign, granted: granted.flag()? };
    Ok(Message { term, body: Body::RequestVoteResponse(response) })
}

fn read_install_snapshot(message: &Object<'_, '_>) -> Result<Message, Malformed> {
    let [term, sent_at, index, snapshot_term, chunk, is_last, data] =
        pick(message, ["term", "sent_at", "snapshot_index", "snapshot_term", "chunk", "is_last", "data"]);
    let term = term.positive()?;
    let snapshot = read_snapshot_id(&index, &snapshot_term, term)?;
    let (sent_at, chunk, is_last) = (sent_at.number()?, chunk.number()?, is_last.flag()?);
    let data = data.get(|data| BASE64.decode(data.as_str()?).ok())?;
    Ok(Message {
        term,
        body: Body::InstallSnapshot(InstallSnapshot { sent_at, snapshot, chunk, is_last, data }),
    })
}

/// The last entry of a snapshot, in a message of this term. A snapshot covers at least one entry.
fn read_snapshot_id(
    index: &Field<'_, '_>,
    snapshot_term: &Field<'_, '_>,
    term: Term,
) -> Result<EntryId, Malformed> {
    let id = EntryId { index: index.positive()?, term: snapshot_term.positive()? };
    if id.term > term { Err(Malformed::BadField(snapshot_term.name)) } else { Ok(id) }
}

/// A message that has nothing but its term.
fn read_term(message: &Object<'_, '_>, body: Body) -> Result<Message, Malformed> {
    let [term] = pick(message, ["term"]);
    Ok(Message { term: term.positive()?, body })
}

fn read_append_entries_response(message: &Object<'_, '_>) -> Result<Message, Malformed> {
    let [term, sent_at, match_index, prev_log_index, conflict_term, conflict_index] = pick(
        message,
        ["term", "sent_at", "match_index", "prev_log_index", "conflict_term", "conflict_index"],
    );
    let [snapshot_index, snapshot_term, chunks] =
        pick(message, ["snapshot_index", "snapshot_term", "chunks"]);
    let (term, sent_at) = (term.number()?, sent_at.number()?);
    if term == 0 {
        return Err(Malformed::BadField("term"));
    }
    let outcome = if match_index.is_there() {
        // A message with two outcomes would contradict itself.
        if conflict_index.is_there() || chunks.is_there() {
            return Err(Malformed::BadField("match_index"));
        }
        AppendOutcome::Matched { match_index: match_index.number()? }
    } else if chunks.is_there() {
        if conflict_index.is_there() {
            return Err(Malformed::BadField("chunks"));
        }
        let snapshot = read_snapshot_id(&snapshot_index, &snapshot_term, term)?;
        AppendOutcome::Receiving { snapshot, chunks: chunks.number()? }
    } else {
        // Index 0 equals in all logs, so a refused one is at least 1.
        let prev_log_index = prev_log_index.positive()?;
        let conflict_term = conflict_term.number()?;
        let conflict_index = conflict_index.positive()?;
        if conflict_term > term {
            return Err(Malformed::BadField("conflict_term"));
        }
        if conflict_index > prev_log_index {
            return Err(Malformed::BadField("conflict_index"));
        }
        AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index }
    };
    let response = AppendEntriesResponse { sent_at, outcome };
    Ok(Message { term, body: Body::AppendEntriesResponse(response) })
}

/// Whether an answer with the `MID` of its request fits into a datagram.
pub(crate) fn is_answerable(mid: &str) -> bool {
    escaped_len(mid) <= MAX_MID_BYTES
}

/// Whether a log can have an entry of this term at this index, or begin there.
fn is_log_end(index: Index, term: Term) -> bool {
    (index == 0) == (term == 0)
}

/// The value of one key of an object of the tape, if it is there.
struct Field<'tape, 'input> {
    name: &'static str,
    value: Option<Value<'tape, 'input>>,
}

/// Takes the values of these keys out of an object in one pass. Of a key that is there twice, the
/// first counts.
fn pick<'tape, 'input, const N: usize>(
    object: &Object<'tape, 'input>,
    names: [&'static str; N],
) -> [Field<'tape, 'input>; N] {
    let mut fields = names.map(|name| Field { name, value: None });
    let mut next = 0; // where the next key belongs if they come in the order in which they are asked for
    for (key, value) in object {
        let in_order = names.get(next).is_some_and(|name| *name == key);
        let at = if in_order { Some(next) } else { names.iter().position(|name| *name == key) };
        if let Some(at) = at {
            fields[at].value.get_or_insert(value);
            next = at + 1;
        }
    }
    fields
}

impl<'tape, 'input> Field<'tape, 'input> {
    fn is_there(&self) -> bool {
        self.value.is_some()
    }

    /// The value as `read` finds it.
    fn get<T>(&self, read: impl Fn(&Value<'tape, 'input>) -> Option<T>) -> Result<T, Malformed> {
        let value = self.value.as_ref().ok_or(Malformed::MissingField(self.name))?;
        read(value).ok_or(Malformed::BadField(self.name))
    }

    fn text(&self) -> Result<&'input str, Malformed> {
        self.get(|value| value.into_string())
    }

    fn flag(&self) -> Result<bool, Malformed> {
        self.get(|value| value.as_bool())
    }

    /// A key that is missing says no.
    fn optional_flag(&self) -> Result<bool, Malformed> {
        if self.is_there() { self.flag() } else { Ok(false) }
    }

    fn number(&self) -> Result<u64, Malformed> {
        self.get(|value| value.as_u64().filter(|&number| number <= MAX_NUMBER))
    }

    fn positive(&self) -> Result<u64, Malformed> {
        Some(self.number()?).filter(|&number| number > 0).ok_or(Malformed::BadField(self.name))
    }

    /// `None` is `FFFF`.
    fn id(&self) -> Result<Option<Id>, Malformed> {
        match self.text()?.parse() {
            Ok(id) => Ok(Some(id)),
            Err(IdError::Reserved) => Ok(None),
            Err(IdError::Malformed) => Err(Malformed::BadField(self.name)),
        }
    }

    /// A command that clients or leaders may propose.
    fn command(&self) -> Result<Command, Malformed> {
        let read = |value: &Value<'tape, 'input>| {
            let object = lazy::Value::from_tape(*value).into_value();
            Command::deserialize(&object).ok().filter(Command::is_within_limits)
        };
        self.get(read)
    }

    fn mid(&self) -> Result<Arc<str>, Malformed> {
        self.get(|mid| mid.into_string().filter(|mid| is_answerable(mid))).map(Arc::from)
    }

    fn list(&self) -> Result<Array<'tape, 'input>, Malformed> {
        self.get(|value| value.as_array())
    }
}
