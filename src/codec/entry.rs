//! An entry, its proposal and its request.

use std::sync::Arc;

use raft::types::MAX_NUMBER;

use super::Malformed;
use super::operation::{read_command, write_command};
use super::read::Reader;
use super::write::Writer;
use crate::command::Proposal;
use crate::operation::UnixMillis;
use crate::replication::{Entry, Payload};
use crate::request::RequestId;
use crate::wire::MAX_ENTRY_MID_BYTES;

/// The version of the form, which is the first byte of an entry.
pub const VERSION: u8 = 1;

const NOOP: u8 = 0;
const OWN_COMMAND: u8 = 1;
const COMMAND: u8 = 2;

/// Appends an entry to a buffer.
///
/// A time before 1970 counts as 1970, as in [`wire`](crate::wire): the state machine takes both for
/// the same.
pub fn encode_entry(entry: &Entry, buffer: &mut Vec<u8>) {
    let mut writer = Writer(buffer);
    writer.byte(VERSION);
    writer.number(entry.index);
    writer.number(entry.term);
    let Payload::Command(proposal) = &entry.payload else {
        writer.byte(NOOP);
        return;
    };
    writer.byte(if proposal.request.is_some() { COMMAND } else { OWN_COMMAND });
    writer.number(u64::try_from(proposal.at).unwrap_or(0).min(MAX_NUMBER));
    if let Some(request) = &proposal.request {
        writer.id(request.client);
        writer.bytes(request.mid.as_bytes());
    }
    write_command(&mut writer, &proposal.command);
}

/// Reads the entry that these bytes are.
///
/// # Errors
///
/// The first reason to refuse them. An entry that is not refused has values that
/// [`wire`](crate::wire) would accept. The exception is the client: it may have the ID of a
/// replica, since the decoder knows no cluster.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, Malformed> {
    let mut reader = Reader(bytes);
    let entry = read_entry(&mut reader)?;
    reader.end()?;
    Ok(entry)
}

/// Reads an entry that other values may follow.
pub(super) fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    reader.version(VERSION)?;
    let (index, term) = (reader.position("index")?, reader.position("term")?);
    let payload = match reader.byte()? {
        NOOP => Payload::Noop,
        OWN_COMMAND => Payload::Command(Arc::new(proposal(reader, |_| Ok(None))?)),
        COMMAND => Payload::Command(Arc::new(proposal(reader, |reader| request(reader).map(Some))?)),
        _ => return Err(Malformed::UnknownKind("payload")),
    };
    Ok(Entry { index, term, payload })
}

fn proposal(
    reader: &mut Reader<'_>,
    request: impl FnOnce(&mut Reader<'_>) -> Result<Option<RequestId>, Malformed>,
) -> Result<Proposal, Malformed> {
    let at = reader.bounded("at")? as UnixMillis;
    Ok(Proposal { at, request: request(reader)?, command: read_command(reader)? })
}

fn request(reader: &mut Reader<'_>) -> Result<RequestId, Malformed> {
    let client = reader.id("client")?;
    let mid = reader.text("MID")?;
    if mid.len() > MAX_ENTRY_MID_BYTES {
        return Err(Malformed::BadField("MID"));
    }
    Ok(RequestId { client, mid: mid.into() })
}
