//! An entry, its proposal and its request.

use std::sync::Arc;

use raft::types::MAX_NUMBER;

use super::Malformed;
use super::operation::{read_command, write_command};
use super::read::Reader;
use super::write::Writer;
use crate::command::Proposal;
use crate::id::Id;
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
        writer.0.extend_from_slice(&request.client.number().to_le_bytes());
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
    let version = reader.byte()?;
    if version != VERSION {
        return Err(Malformed::UnknownVersion(version));
    }
    let index = position(&mut reader, "index")?;
    let term = position(&mut reader, "term")?;
    let payload = match reader.byte()? {
        NOOP => Payload::Noop,
        OWN_COMMAND => Payload::Command(Arc::new(proposal(&mut reader, |_| Ok(None))?)),
        COMMAND => Payload::Command(Arc::new(proposal(&mut reader, |reader| request(reader).map(Some))?)),
        _ => return Err(Malformed::UnknownKind("payload")),
    };
    reader.end()?;
    Ok(Entry { index, term, payload })
}

/// An index or a term of an entry, which counts from 1.
fn position(reader: &mut Reader<'_>, name: &'static str) -> Result<u64, Malformed> {
    let number = reader.number_up_to(MAX_NUMBER, name)?;
    if number > 0 { Ok(number) } else { Err(Malformed::BadField(name)) }
}

fn proposal(
    reader: &mut Reader<'_>,
    request: impl FnOnce(&mut Reader<'_>) -> Result<Option<RequestId>, Malformed>,
) -> Result<Proposal, Malformed> {
    let at = reader.number_up_to(MAX_NUMBER, "at")? as UnixMillis;
    Ok(Proposal { at, request: request(reader)?, command: read_command(reader)? })
}

fn request(reader: &mut Reader<'_>) -> Result<RequestId, Malformed> {
    let client = Id::new(u16::from_le_bytes(reader.array()?)).ok_or(Malformed::BadField("client"))?;
    let mid = reader.text("MID")?;
    if mid.len() > MAX_ENTRY_MID_BYTES {
        return Err(Malformed::BadField("MID"));
    }
    Ok(RequestId { client, mid: mid.into() })
}
