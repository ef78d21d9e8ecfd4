//! From JSON to typed messages. One pass of simd-json turns a datagram into a flat
//! tape; this file walks the tape and believes nothing. Reading the tape rather than
//! deserializing into structs with serde gives every refusal its own reason, never takes an array
//! for an object, and skips what it does not know without recursion.

use std::collections::BTreeSet;
use std::sync::Arc;

use simd_json::prelude::*;
use simd_json::tape::{Array, Object, Value};
use simd_json::{Buffers, ErrorType, Tape};

use super::Inbound;
use super::kind;
use crate::id::{Id, IdError};
use crate::kv::Command;
use crate::raft::message::{
    AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message, RelayEntries, RelayEntriesResponse,
    RequestVote, RequestVoteResponse,
};
use crate::raft::types::{Entry, Index, MAX_NUMBER, Payload, Term};
use crate::request::{Operation, Request, RequestId};

/// The longest datagram that is looked at. A client may send more than a replica
/// may, so this is far above what any transport lets us send.
pub const MAX_RECEIVED_BYTES: usize = 256 * 1024;

/// The longest `MID` of a request. Sessions keep many of them, so they must be short.
pub const MAX_MID_BYTES: usize = 256;

/// How deep objects and arrays may nest. Our own messages need 5 levels (a bundle's
/// entry); the rest is room for keys that we do not know.
pub const MAX_NESTING: usize = 32;

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
    /// A key is not there that this type of message needs.
    #[error("no `{0}`")]
    MissingField(&'static str),
    /// A key's value has the wrong type, is out of range or contradicts another.
    #[error("impossible value of `{0}`")]
    BadField(&'static str),
    /// No message has this type where it stands.
    #[error("unknown type")]
    UnknownType,
    /// A replica's message that is not from a replica of this cluster, or a client's that is.
    #[error("sender may not send this")]
    UnknownSender,
    /// The destination is somebody else.
    #[error("not for this replica")]
    NotForUs,
    /// Entries that do not follow each other or `prev_log_index`, or whose terms decrease
    /// or exceed the message's: no log has such entries.
    #[error("entries that do not fit together")]
    Gap,
    /// Nested deeper than [`MAX_NESTING`], or a bundle within a bundle.
    #[error("nested too deep")]
    Nested,
}

/// Turns datagrams into messages for one replica. Keeps its buffers from one to the next.
pub struct Decoder {
    own: Id,
    peers: BTreeSet<Id>,
    buffers: Buffers,
    tape: Option<Tape<'static>>, // empty; only its allocation is of interest
}

impl Decoder {
    /// A decoder for the replica `own`, which takes peer messages only from `peers`.
    pub fn new(own: Id, peers: impl IntoIterator<Item = Id>) -> Self {
        let peers = peers.into_iter().filter(|&peer| peer != own).collect();
        Self { own, peers, buffers: Buffers::with_max_depth(4096, MAX_NESTING), tape: None }
    }

    /// Decodes one datagram and appends what it says to `out`, in order: more than one
    /// message if it is a bundle. The datagram's bytes are scrambled.
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
        let mut tape = self.tape.take().unwrap_or_else(Tape::null).reset();
        let before = out.len();
        let result = match simd_json::fill_tape(datagram, &mut self.buffers, &mut tape) {
            Ok(()) => self.read(tape.as_value(), out),
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

    fn read(&self, value: Value<'_, '_>, out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        let message = Fields(value.as_object().ok_or(Malformed::NotAnObject)?);
        let src = message.id("src")?.ok_or(Malformed::BadField("src"))?;
        let dst = message.id("dst")?;
        message.id("leader")?;
        let kind = message.text("type")?;
        if dst.is_some_and(|dst| dst != self.own) {
            return Err(Malformed::NotForUs);
        }
        if let kind::GET | kind::PUT = kind {
            if self.is_replica(src) {
                return Err(Malformed::UnknownSender);
            }
            out.push(Inbound::Client(read_request(&message, src, kind)?));
            return Ok(());
        }
        if !self.peers.contains(&src) {
            return Err(Malformed::UnknownSender);
        }
        if kind != kind::BUNDLE {
            out.push(Inbound::Peer { from: src, message: self.read_peer(&message, kind, src)? });
            return Ok(());
        }
        let parts = message.list("messages")?;
        if parts.is_empty() {
            return Err(Malformed::BadField("messages"));
        }
        for part in &parts {
            let part = Fields(part.as_object().ok_or(Malformed::BadField("messages"))?);
            let kind = part.text("type")?;
            if kind == kind::BUNDLE {
                return Err(Malformed::Nested);
            }
            out.push(Inbound::Peer { from: src, message: self.read_peer(&part, kind, src)? });
        }
        Ok(())
    }

    fn is_replica(&self, id: Id) -> bool {
        id == self.own || self.peers.contains(&id)
    }

    fn read_peer(&self, message: &Fields<'_, '_>, kind: &str, src: Id) -> Result<Message, Malformed> {
        let read_body = match kind {
            kind::REQUEST_VOTE => read_request_vote,
            kind::REQUEST_VOTE_RESPONSE => read_request_vote_response,
            kind::APPEND_ENTRIES_RESPONSE => read_append_entries_response,
            kind::APPEND_ENTRIES => {
                let term = message.positive("term")?;
                let body = Body::AppendEntries(self.read_append_entries(message, term)?);
                return Ok(Message { term, body });
            }
            kind::RELAY_ENTRIES => {
                let term = message.positive("term")?;
                let body = Body::RelayEntries(self.read_relay_entries(message, term, src)?);
                return Ok(Message { term, body });
            }
            kind::RELAY_ENTRIES_RESPONSE => {
                let term = message.positive("term")?;
                let body = Body::RelayEntriesResponse(self.read_relay_entries_response(message)?);
                return Ok(Message { term, body });
            }
            _ => return Err(Malformed::UnknownType),
        };
        let term = message.number("term")?;
        Ok(Message { term, body: read_body(message, term)? })
    }

    fn read_append_entries(&self, message: &Fields<'_, '_>, term: Term) -> Result<AppendEntries, Malformed> {
        let prev_log_index = message.number("prev_log_index")?;
        let prev_log_term = message.number("prev_log_term")?;
        if prev_log_term > term || !is_log_end(prev_log_index, prev_log_term) {
            return Err(Malformed::BadField("prev_log_term"));
        }
        let list = message.list("entries")?;
        let mut entries = Vec::with_capacity(list.len());
        let mut last = (prev_log_index, prev_log_term);
        for entry in &list {
            let entry = Fields(entry.as_object().ok_or(Malformed::BadField("entries"))?);
            let entry = self.read_entry(&entry)?;
            if entry.index != last.0 + 1 || entry.term < last.1.max(1) || entry.term > term {
                return Err(Malformed::Gap);
            }
            last = (entry.index, entry.term);
            entries.push(entry);
        }
        Ok(AppendEntries {
            prev_log_index,
            prev_log_term,
            leader_commit: message.number("leader_commit")?,
            sent_at: message.number("sent_at")?,
            entries,
        })
    }

    /// Whoever is on the way is there once: the leader, those who have acknowledged, of whom the last one is the
    /// sender, this replica, and those to whom it is to go.
    fn read_relay_entries(
        &self,
        message: &Fields<'_, '_>,
        term: Term,
        src: Id,
    ) -> Result<RelayEntries, Malformed> {
        let mut seen = BTreeSet::new();
        let leader = message.id("leader_id")?.filter(|leader| self.peers.contains(leader));
        let leader = leader.ok_or(Malformed::BadField("leader_id"))?;
        seen.insert(leader);
        let acknowledged = self.read_ids(message, "acknowledged", &mut seen)?;
        if *acknowledged.last().unwrap_or(&leader) != src {
            return Err(Malformed::BadField("acknowledged"));
        }
        let way = self.read_ids(message, "way", &mut seen)?;
        Ok(RelayEntries { leader, way, acknowledged, append: self.read_append_entries(message, term)? })
    }

    fn read_relay_entries_response(
        &self,
        message: &Fields<'_, '_>,
    ) -> Result<RelayEntriesResponse, Malformed> {
        let acknowledged = self.read_ids(message, "acknowledged", &mut BTreeSet::new())?;
        if acknowledged.is_empty() {
            return Err(Malformed::BadField("acknowledged"));
        }
        let (sent_at, match_index) = (message.number("sent_at")?, message.number("match_index")?);
        Ok(RelayEntriesResponse { sent_at, match_index, acknowledged })
    }

    /// Replicas of this cluster other than this one, none of them seen before.
    fn read_ids(
        &self,
        message: &Fields<'_, '_>,
        name: &'static str,
        seen: &mut BTreeSet<Id>,
    ) -> Result<Vec<Id>, Malformed> {
        let mut read = |id: Value<'_, '_>| {
            let id = id.as_str().and_then(|text| text.parse().ok());
            id.filter(|id| self.peers.contains(id) && seen.insert(*id)).ok_or(Malformed::BadField(name))
        };
        message.list(name)?.iter().map(&mut read).collect()
    }

    fn read_entry(&self, entry: &Fields<'_, '_>) -> Result<Entry, Malformed> {
        let (index, term) = (entry.number("index")?, entry.number("term")?);
        if ["client", "MID", "key", "value"].iter().all(|name| !entry.has(name)) {
            return Ok(Entry { index, term, payload: Payload::Noop });
        }
        let client = entry.id("client")?.filter(|&id| !self.is_replica(id));
        let request = RequestId { client: client.ok_or(Malformed::BadField("client"))?, mid: entry.mid()? };
        let command = Command { request, key: entry.text("key")?.into(), value: entry.text("value")?.into() };
        Ok(Entry { index, term, payload: Payload::Command(Arc::new(command)) })
    }
}

fn read_request(message: &Fields<'_, '_>, client: Id, kind: &str) -> Result<Request, Malformed> {
    let id = RequestId { client, mid: message.mid()? };
    let key = message.text("key")?.into();
    let operation = match kind {
        kind::PUT => Operation::Put { key, value: message.text("value")?.into() },
        _ => Operation::Get { key },
    };
    Ok(Request { id, operation })
}

fn read_request_vote(message: &Fields<'_, '_>, term: Term) -> Result<Body, Malformed> {
    let last_log_index = message.number("last_log_index")?;
    let last_log_term = message.number("last_log_term")?;
    // A candidate asks for a term above all that it has seen, also in a pre-vote.
    if last_log_term >= term {
        return Err(Malformed::BadField("term"));
    }
    if !is_log_end(last_log_index, last_log_term) {
        return Err(Malformed::BadField("last_log_term"));
    }
    let (pre_vote, campaign) = (message.flag("pre_vote")?, message.number("campaign")?);
    Ok(Body::RequestVote(RequestVote { pre_vote, campaign, last_log_index, last_log_term }))
}

fn read_request_vote_response(message: &Fields<'_, '_>, _term: Term) -> Result<Body, Malformed> {
    let (pre_vote, campaign) = (message.flag("pre_vote")?, message.number("campaign")?);
    let granted = message.flag("granted")?;
    Ok(Body::RequestVoteResponse(RequestVoteResponse { pre_vote, campaign, granted }))
}

fn read_append_entries_response(message: &Fields<'_, '_>, term: Term) -> Result<Body, Malformed> {
    let sent_at = message.number("sent_at")?;
    if term == 0 {
        return Err(Malformed::BadField("term"));
    }
    let outcome = if message.has("match_index") {
        // Both outcomes at once would mean what the reader likes to hear.
        if message.has("conflict_index") {
            return Err(Malformed::BadField("match_index"));
        }
        AppendOutcome::Matched { match_index: message.number("match_index")? }
    } else {
        // Index 0 equals in all logs, so a refused one is at least 1.
        let prev_log_index = message.positive("prev_log_index")?;
        let conflict_term = message.number("conflict_term")?;
        let conflict_index = message.positive("conflict_index")?;
        if conflict_term > term {
            return Err(Malformed::BadField("conflict_term"));
        }
        if conflict_index > prev_log_index {
            return Err(Malformed::BadField("conflict_index"));
        }
        AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index }
    };
    Ok(Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome }))
}

/// Whether a log can have an entry of this term at this index, or begin there.
fn is_log_end(index: Index, term: Term) -> bool {
    (index == 0) == (term == 0)
}

/// An object of the tape whose keys are asked for by name. Of a key that is there
/// twice, the first counts.
struct Fields<'tape, 'input>(Object<'tape, 'input>);

impl<'tape, 'input> Fields<'tape, 'input> {
    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    fn get(&self, name: &'static str) -> Result<Value<'tape, 'input>, Malformed> {
        self.0.get(name).ok_or(Malformed::MissingField(name))
    }

    fn text(&self, name: &'static str) -> Result<&'input str, Malformed> {
        self.get(name)?.into_string().ok_or(Malformed::BadField(name))
    }

    fn flag(&self, name: &'static str) -> Result<bool, Malformed> {
        self.get(name)?.as_bool().ok_or(Malformed::BadField(name))
    }

    fn number(&self, name: &'static str) -> Result<u64, Malformed> {
        let number = self.get(name)?.as_u64().filter(|&number| number <= MAX_NUMBER);
        number.ok_or(Malformed::BadField(name))
    }

    fn positive(&self, name: &'static str) -> Result<u64, Malformed> {
        Some(self.number(name)?).filter(|&number| number > 0).ok_or(Malformed::BadField(name))
    }

    /// `None` is `FFFF`.
    fn id(&self, name: &'static str) -> Result<Option<Id>, Malformed> {
        match self.text(name)?.parse() {
            Ok(id) => Ok(Some(id)),
            Err(IdError::Reserved) => Ok(None),
            Err(IdError::Malformed) => Err(Malformed::BadField(name)),
        }
    }

    fn mid(&self) -> Result<Arc<str>, Malformed> {
        let mid = self.text("MID")?;
        if mid.is_empty() || mid.len() > MAX_MID_BYTES {
            Err(Malformed::BadField("MID"))
        } else {
            Ok(mid.into())
        }
    }

    fn list(&self, name: &'static str) -> Result<Array<'tape, 'input>, Malformed> {
        self.get(name)?.as_array().ok_or(Malformed::BadField(name))
    }
}
