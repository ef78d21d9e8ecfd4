//! Messages between replicas, and the numbers of their kinds.

use std::collections::BTreeSet;

use raft::message::{
    Acknowledgement, AppendEntriesResponse, AppendOutcome, InstallSnapshot, RelayEntriesResponse,
    RequestVote, RequestVoteResponse,
};
use raft::types::{EntryId, Index, Term};

use super::Malformed;
use super::entry::{encode_entry, read_entry};
use super::read::Reader;
use super::write::Writer;
use crate::id::Id;
use crate::replication::{AppendEntries, Body, Entry, LogTail, Message, RelayEntries};

/// The version of the form, which is the first byte.
pub const MESSAGES_VERSION: u8 = 1;

/// The numbers of the kinds of message. A kind keeps its number for ever.
mod kind {
    pub const REQUEST_VOTE: u8 = 1;
    pub const REQUEST_VOTE_RESPONSE: u8 = 2;
    pub const APPEND_ENTRIES: u8 = 3;
    pub const APPEND_ENTRIES_RESPONSE: u8 = 4;
    pub const INSTALL_SNAPSHOT: u8 = 5;
    pub const STALE_TERM: u8 = 6;
    pub const LOG_TAIL: u8 = 7;
    pub const RELAY_ENTRIES: u8 = 8;
    pub const RELAY_ENTRIES_RESPONSE: u8 = 9;
    pub const TIMEOUT_NOW: u8 = 10;
}

/// The numbers of the kinds of request for a vote.
mod ballot {
    pub const VOTE: u8 = 0;
    pub const PRE_VOTE: u8 = 1;
    pub const TRANSFER: u8 = 2;
}

/// The numbers of the outcomes of an append.
mod outcome {
    pub const MATCHED: u8 = 0;
    pub const CONFLICT: u8 = 1;
    pub const RECEIVING: u8 = 2;
}

/// Appends messages, at least one, to a buffer, with the leader that their sender knows. `note` gets
/// each message with its bytes.
pub fn encode_messages(
    leader: Option<Id>,
    messages: &[Message],
    buffer: &mut Vec<u8>,
    mut note: impl FnMut(&Message, usize),
) {
    let mut writer = Writer(buffer);
    writer.byte(MESSAGES_VERSION);
    writer.optional_id(leader);
    for message in messages {
        let before = writer.0.len();
        write_message(&mut writer, message);
        note(message, writer.0.len() - before);
    }
}

/// Reads the messages that these bytes are, and hands over each with its bytes. `from` sent them, one of `peers`,
/// which are the other replicas of the receiver's cluster.
///
/// # Errors
///
/// The first reason to refuse them; then the messages before it are handed over already. A message
/// that is handed over has values that [`wire`](crate::wire) would accept, but for the client of an
/// entry: it may have the ID of a replica, whose own clients share that ID.
pub fn decode_messages(
    bytes: &[u8],
    from: Id,
    peers: &BTreeSet<Id>,
    mut take: impl FnMut(Message, usize),
) -> Result<(), Malformed> {
    let mut reader = Reader(bytes);
    reader.version(MESSAGES_VERSION)?;
    reader.optional_id()?; // only for the eyes of an observer
    loop {
        let before = reader.0.len();
        let message = read_message(&mut reader, from, peers)?;
        take(message, before - reader.0.len());
        if reader.0.is_empty() {
            return Ok(());
        }
    }
}

fn write_message(writer: &mut Writer<'_>, message: &Message) {
    let mut begin = |kind| {
        writer.byte(kind);
        writer.number(message.term);
    };
    match &message.body {
        Body::RequestVote(vote) => {
            begin(kind::REQUEST_VOTE);
            writer.byte(match vote {
                RequestVote { pre_vote: true, .. } => ballot::PRE_VOTE,
                RequestVote { transfer: true, .. } => ballot::TRANSFER,
                _ => ballot::VOTE,
            });
            writer.number(vote.campaign);
            writer.number(vote.last_log_index);
            writer.number(vote.last_log_term);
        }
        Body::RequestVoteResponse(response) => {
            begin(kind::REQUEST_VOTE_RESPONSE);
            writer.flag(response.pre_vote);
            writer.number(response.campaign);
            writer.flag(response.granted);
        }
        Body::AppendEntries(append) => {
            begin(kind::APPEND_ENTRIES);
            write_append(writer, append);
        }
        Body::AppendEntriesResponse(response) => {
            begin(kind::APPEND_ENTRIES_RESPONSE);
            writer.number(response.sent_at);
            write_outcome(writer, &response.outcome);
        }
        Body::InstallSnapshot(install) => {
            begin(kind::INSTALL_SNAPSHOT);
            writer.number(install.sent_at);
            write_entry_id(writer, install.snapshot);
            writer.number(install.chunk);
            writer.flag(install.is_last);
            writer.bytes(&install.data);
        }
        Body::StaleTerm => begin(kind::STALE_TERM),
        Body::TimeoutNow => begin(kind::TIMEOUT_NOW),
        Body::LogTail(tail) => {
            begin(kind::LOG_TAIL);
            write_entries(writer, tail.prev_log_index, tail.prev_log_term, &tail.entries);
        }
        Body::RelayEntries(relay) => {
            begin(kind::RELAY_ENTRIES);
            writer.id(relay.leader);
            writer.list(&relay.way, |writer, id| writer.id(*id));
            writer.list(&relay.acknowledged, write_acknowledgement);
            write_append(writer, &relay.append);
        }
        Body::RelayEntriesResponse(response) => {
            begin(kind::RELAY_ENTRIES_RESPONSE);
            writer.number(response.sent_at);
            writer.number(response.match_index);
            writer.list(&response.acknowledged, write_acknowledgement);
        }
    }
}

fn read_message(reader: &mut Reader<'_>, from: Id, peers: &BTreeSet<Id>) -> Result<Message, Malformed> {
    let kind = reader.byte()?;
    let term = match kind {
        kind::REQUEST_VOTE | kind::REQUEST_VOTE_RESPONSE => reader.bounded("term")?,
        _ => reader.position("term")?,
    };
    let body = match kind {
        kind::REQUEST_VOTE => Body::RequestVote(read_vote(reader, term)?),
        kind::REQUEST_VOTE_RESPONSE => {
            let (pre_vote, campaign) = (reader.flag("pre_vote")?, reader.bounded("campaign")?);
            let granted = reader.flag("granted")?;
            Body::RequestVoteResponse(RequestVoteResponse { pre_vote, campaign, granted })
        }
        kind::APPEND_ENTRIES => Body::AppendEntries(read_append(reader, term)?),
        kind::APPEND_ENTRIES_RESPONSE => {
            let (sent_at, outcome) = (reader.bounded("sent_at")?, read_outcome(reader, term)?);
            Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome })
        }
        kind::INSTALL_SNAPSHOT => Body::InstallSnapshot(read_install_snapshot(reader, term)?),
        kind::STALE_TERM => Body::StaleTerm,
        kind::TIMEOUT_NOW => Body::TimeoutNow,
        kind::LOG_TAIL => Body::LogTail(read_log_tail(reader, term)?),
        kind::RELAY_ENTRIES => Body::RelayEntries(read_relay(reader, term, from, peers)?),
        kind::RELAY_ENTRIES_RESPONSE => Body::RelayEntriesResponse(read_relay_response(reader, peers)?),
        _ => return Err(Malformed::UnknownKind("message")),
    };
    Ok(Message { term, body })
}

/// A candidate asks for a term above all that it has seen, also in a pre-vote.
fn read_vote(reader: &mut Reader<'_>, term: Term) -> Result<RequestVote, Malformed> {
    let (pre_vote, transfer) = match reader.byte()? {
        ballot::VOTE => (false, false),
        ballot::PRE_VOTE => (true, false),
        ballot::TRANSFER => (false, true),
        _ => return Err(Malformed::BadField("pre_vote")),
    };
    let campaign = reader.bounded("campaign")?;
    let (last_log_index, last_log_term) = read_log_end(reader, "last_log_index", "last_log_term")?;
    if last_log_term >= term {
        return Err(Malformed::BadField("term"));
    }
    Ok(RequestVote { pre_vote, transfer, campaign, last_log_index, last_log_term })
}

/// The last entry of a log or of a part of one: only index 0 has term 0.
fn read_log_end(
    reader: &mut Reader<'_>,
    index_name: &'static str,
    term_name: &'static str,
) -> Result<(Index, Term), Malformed> {
    let (index, term) = (reader.bounded(index_name)?, reader.bounded(term_name)?);
    if (index == 0) == (term == 0) { Ok((index, term)) } else { Err(Malformed::BadField(term_name)) }
}

fn write_append(writer: &mut Writer<'_>, append: &AppendEntries) {
    writer.number(append.leader_commit);
    writer.number(append.sent_at);
    write_entries(writer, append.prev_log_index, append.prev_log_term, &append.entries);
}

fn read_append(reader: &mut Reader<'_>, term: Term) -> Result<AppendEntries, Malformed> {
    let (leader_commit, sent_at) = (reader.bounded("leader_commit")?, reader.bounded("sent_at")?);
    let LogTail { prev_log_index, prev_log_term, entries } = read_entries(reader, term)?;
    Ok(AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, entries })
}

fn read_log_tail(reader: &mut Reader<'_>, term: Term) -> Result<LogTail, Malformed> {
    let tail = read_entries(reader, term)?;
    if tail.entries.is_empty() { Err(Malformed::BadField("entries")) } else { Ok(tail) }
}

fn write_entries(writer: &mut Writer<'_>, prev_log_index: Index, prev_log_term: Term, entries: &[Entry]) {
    writer.number(prev_log_index);
    writer.number(prev_log_term);
    writer.list(entries, |writer, entry| encode_entry(entry, writer.0));
}

/// The part of a log that a message of this term shows. Each entry states its index, although that
/// follows from the one before: so the receiver notices when a sender has joined entries that do not
/// belong together.
fn read_entries(reader: &mut Reader<'_>, term: Term) -> Result<LogTail, Malformed> {
    let (prev_log_index, prev_log_term) = read_log_end(reader, "prev_log_index", "prev_log_term")?;
    if prev_log_term > term {
        return Err(Malformed::BadField("prev_log_term"));
    }
    let mut last = (prev_log_index, prev_log_term);
    let entries = reader.list(usize::MAX, "entries", |reader| {
        let entry = read_entry(reader)?;
        if entry.index != last.0 + 1 || entry.term < last.1 || entry.term > term {
            return Err(Malformed::BadField("entries"));
        }
        last = (entry.index, entry.term);
        Ok(entry)
    })?;
    Ok(LogTail { prev_log_index, prev_log_term, entries })
}

fn write_outcome(writer: &mut Writer<'_>, outcome: &AppendOutcome) {
    match *outcome {
        AppendOutcome::Matched { match_index } => {
            writer.byte(outcome::MATCHED);
            writer.number(match_index);
        }
        AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
            writer.byte(outcome::CONFLICT);
            writer.number(prev_log_index);
            writer.number(conflict_term);
            writer.number(conflict_index);
        }
        AppendOutcome::Receiving { snapshot, chunks } => {
            writer.byte(outcome::RECEIVING);
            write_entry_id(writer, snapshot);
            writer.number(chunks);
        }
    }
}

fn read_outcome(reader: &mut Reader<'_>, term: Term) -> Result<AppendOutcome, Malformed> {
    match reader.byte()? {
        outcome::MATCHED => Ok(AppendOutcome::Matched { match_index: reader.bounded("match_index")? }),
        outcome::CONFLICT => {
            // Index 0 equals in all logs, so a refused one is at least 1.
            let prev_log_index = reader.position("prev_log_index")?;
            let conflict_term = reader.number_up_to(term, "conflict_term")?;
            let conflict_index = reader.position("conflict_index")?;
            if conflict_index > prev_log_index {
                return Err(Malformed::BadField("conflict_index"));
            }
            Ok(AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index })
        }
        outcome::RECEIVING => {
            let snapshot = read_snapshot_id(reader, term)?;
            Ok(AppendOutcome::Receiving { snapshot, chunks: reader.bounded("chunks")? })
        }
        _ => Err(Malformed::UnknownKind("outcome")),
    }
}

fn read_install_snapshot(reader: &mut Reader<'_>, term: Term) -> Result<InstallSnapshot, Malformed> {
    let (sent_at, snapshot) = (reader.bounded("sent_at")?, read_snapshot_id(reader, term)?);
    let (chunk, is_last) = (reader.bounded("chunk")?, reader.flag("is_last")?);
    Ok(InstallSnapshot { sent_at, snapshot, chunk, is_last, data: reader.bytes("data")?.to_vec() })
}

fn write_entry_id(writer: &mut Writer<'_>, id: EntryId) {
    writer.number(id.index);
    writer.number(id.term);
}

/// The last entry of a snapshot, in a message of this term. A snapshot covers at least one entry.
fn read_snapshot_id(reader: &mut Reader<'_>, term: Term) -> Result<EntryId, Malformed> {
    let id = EntryId { index: reader.position("snapshot_index")?, term: reader.position("snapshot_term")? };
    if id.term > term { Err(Malformed::BadField("snapshot_term")) } else { Ok(id) }
}

/// Each replica on the way is there once: the leader, the followers that have acknowledged, this
/// replica, and the followers to come. The last acknowledgement is the sender's.
fn read_relay(
    reader: &mut Reader<'_>,
    term: Term,
    from: Id,
    peers: &BTreeSet<Id>,
) -> Result<RelayEntries, Malformed> {
    let mut members = Members { peers, seen: BTreeSet::new() };
    let leader = members.read(reader, "leader_id")?;
    let way = reader.list(peers.len(), "way", |reader| members.read(reader, "way"))?;
    let acknowledged = read_acknowledged(reader, &mut members)?;
    if acknowledged.last().map_or(leader, |last| last.id) != from {
        return Err(Malformed::BadField("acknowledged"));
    }
    Ok(RelayEntries { leader, way, acknowledged, append: read_append(reader, term)? })
}

fn read_relay_response(
    reader: &mut Reader<'_>,
    peers: &BTreeSet<Id>,
) -> Result<RelayEntriesResponse, Malformed> {
    let (sent_at, match_index) = (reader.bounded("sent_at")?, reader.bounded("match_index")?);
    let acknowledged = read_acknowledged(reader, &mut Members { peers, seen: BTreeSet::new() })?;
    if acknowledged.is_empty() {
        return Err(Malformed::BadField("acknowledged"));
    }
    Ok(RelayEntriesResponse { sent_at, match_index, acknowledged })
}

fn write_acknowledgement(writer: &mut Writer<'_>, acknowledgement: &Acknowledgement) {
    writer.id(acknowledgement.id);
    writer.number(acknowledgement.sent_at);
}

fn read_acknowledged(
    reader: &mut Reader<'_>,
    members: &mut Members<'_>,
) -> Result<Vec<Acknowledgement>, Malformed> {
    let most = members.peers.len();
    let acknowledgement = |reader: &mut Reader<'_>| {
        let id = members.read(reader, "acknowledged")?;
        Ok(Acknowledgement { id, sent_at: reader.bounded("acknowledged")? })
    };
    reader.list(most, "acknowledged", acknowledgement)
}

/// The replicas that a message may name: those of this cluster other than the receiver, each once.
struct Members<'a> {
    peers: &'a BTreeSet<Id>,
    seen: BTreeSet<Id>,
}

impl Members<'_> {
    fn read(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Result<Id, Malformed> {
        let id = reader.id(name)?;
        if self.peers.contains(&id) && self.seen.insert(id) { Ok(id) } else { Err(Malformed::BadField(name)) }
    }
}
