//! Writes the records.

use super::super::StateMachine;
use super::super::chunk::Remembered;
use super::super::keys::{Place, Value};
use super::super::session::{Parts, Tombstone};
use super::{LENGTH_BYTES, VERSION, kind};
use crate::codec::{Writer, write_reply};
use crate::id::Id;
use crate::operation::Revision;

/// Writes a record of this kind, whose fields `fields` writes.
fn write(buffer: &mut Vec<u8>, kind: u8, fields: impl FnOnce(&mut Writer<'_>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; LENGTH_BYTES]);
    let mut writer = Writer(buffer);
    writer.byte(kind);
    fields(&mut writer);
    let len = buffer.len() - start - LENGTH_BYTES;
    let len = u32::try_from(len).expect("a value is shorter than 4 GB");
    buffer[start..start + LENGTH_BYTES].copy_from_slice(&len.to_le_bytes());
}

pub(super) fn header(buffer: &mut Vec<u8>, state: &StateMachine) {
    write(buffer, kind::HEADER, |writer| {
        writer.byte(VERSION);
        writer.number(state.applied);
        writer.signed(state.time());
        writer.number(state.deletions.floor());
    });
}

pub(super) fn key(buffer: &mut Vec<u8>, place: &Place, value: &Value) {
    let kind = if value.deadline.is_some() { kind::KEY_WITH_DEADLINE } else { kind::KEY };
    write(buffer, kind, |writer| {
        writer.bytes(place.key());
        writer.bytes(&value.bytes);
        writer.number(value.revision);
        if let Some(deadline) = value.deadline {
            writer.signed(deadline);
        }
    });
}

pub(super) fn deletion(buffer: &mut Vec<u8>, digest: &u64, revision: &Revision) {
    write(buffer, kind::DELETION, |writer| {
        writer.0.extend_from_slice(&digest.to_le_bytes());
        writer.number(*revision);
    });
}

pub(super) fn session(buffer: &mut Vec<u8>, client: Id, parts: &Parts) {
    write(buffer, kind::SESSION, |writer| {
        write_client(writer, client);
        writer.number(parts.last_used);
        writer.number(parts.first);
        writer.option(parts.settled);
        writer.option(parts.greatest);
        writer.number(parts.replies_from);
        writer.number(parts.base);
        writer.list(&parts.chunks, |writer, len| writer.number(*len));
    });
}

/// Writes requests of a session, up to about so many bytes, and returns their number.
pub(super) fn requests<'a>(
    buffer: &mut Vec<u8>,
    (client, from): (Id, u64),
    requests: impl Iterator<Item = &'a Remembered>,
    max_bytes: usize,
) -> u64 {
    let mut count = 0;
    let end = buffer.len() + max_bytes;
    write(buffer, kind::REQUESTS, |writer| {
        write_client(writer, client);
        writer.number(from);
        for request in requests {
            writer.0.extend_from_slice(&request.mid.to_le_bytes());
            writer.0.extend_from_slice(&request.content.to_le_bytes());
            writer.option(request.number);
            writer.flag(request.reply.is_some());
            if let Some(reply) = &request.reply {
                write_reply(writer, reply);
            }
            count += 1;
            if writer.0.len() >= end {
                break;
            }
        }
    });
    count
}

pub(super) fn tombstone(buffer: &mut Vec<u8>, client: &Id, tombstone: &Tombstone) {
    write(buffer, kind::TOMBSTONE, |writer| {
        write_client(writer, *client);
        writer.option(tombstone.settled);
        writer.option(tombstone.greatest);
    });
}

pub(super) fn footer(buffer: &mut Vec<u8>, state: &StateMachine) {
    write(buffer, kind::FOOTER, |writer| {
        let (sessions, _) = state.sessions.size();
        for count in [state.keys.all(), state.deletions.len(), sessions, state.sessions.tombstones()] {
            writer.number(count as u64);
        }
    });
}

fn write_client(writer: &mut Writer<'_>, client: Id) {
    writer.0.extend_from_slice(&client.number().to_le_bytes());
}
