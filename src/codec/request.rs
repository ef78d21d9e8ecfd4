//! Requests of clients, reads from a replica's own state, and answers. None of them names its
//! client: the envelope around it does ([`transport::tcp`](crate::transport::tcp)).

use raft::types::MAX_NUMBER;

use super::Malformed;
use super::operation::{read_command, read_one, write_command, write_operation};
use super::read::Reader;
use super::reply::{read_reply, write_reply};
use super::write::Writer;
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::Operation;
use crate::request::{Outcome, Request, RequestId, Response};
use crate::wire::is_answerable;

/// The version of the form, which is the first byte.
pub const REQUESTS_VERSION: u8 = 1;

/// The numbers of the outcomes. An outcome keeps its number for ever.
mod outcome {
    pub const DONE: u8 = 0;
    pub const REDIRECT: u8 = 1;
    pub const UNKNOWN: u8 = 2;
    pub const FAIL: u8 = 3;
}

/// Appends a request to a buffer, without its client.
pub fn encode_request(request: &Request, buffer: &mut Vec<u8>) {
    write_command(&mut begin(&request.id, buffer), &request.command);
}

/// Reads the request of this client that these bytes are.
///
/// # Errors
///
/// The first reason to refuse them.
pub fn decode_request(bytes: &[u8], client: Id) -> Result<Request, Malformed> {
    let mut reader = Reader(bytes);
    let id = read_request_id(&mut reader, client)?;
    let command = read_command(&mut reader)?;
    reader.end()?;
    Ok(Request { id, command })
}

/// Reads only the name of the request of this client that these bytes are.
///
/// # Errors
///
/// The first reason to refuse its name. The rest may still be malformed.
pub fn decode_request_id(bytes: &[u8], client: Id) -> Result<RequestId, Malformed> {
    read_request_id(&mut Reader(bytes), client)
}

/// Appends a read that is served from a replica's own state, without its client.
pub fn encode_local_read(id: &RequestId, operation: &Operation, max_age_us: Micros, buffer: &mut Vec<u8>) {
    let mut writer = begin(id, buffer);
    writer.number(max_age_us.min(MAX_NUMBER));
    write_operation(&mut writer, operation);
}

/// Reads such a read of this client: its name, its operation, and how old the state may be.
///
/// # Errors
///
/// The first reason to refuse it. An operation that is no read is one.
pub fn decode_local_read(bytes: &[u8], client: Id) -> Result<(RequestId, Operation, Micros), Malformed> {
    let mut reader = Reader(bytes);
    let id = read_request_id(&mut reader, client)?;
    let max_age_us = reader.bounded("max_age_us")?;
    let operation = read_one(&mut reader)?;
    reader.end()?;
    if operation.is_read() { Ok((id, operation, max_age_us)) } else { Err(Malformed::BadField("operation")) }
}

/// Appends an answer to a buffer, without its client.
pub fn encode_answer(response: &Response, buffer: &mut Vec<u8>) {
    let mut writer = begin(&response.id, buffer);
    writer.optional_id(response.leader);
    match &response.outcome {
        Outcome::Done(reply) => {
            writer.byte(outcome::DONE);
            write_reply(&mut writer, reply);
        }
        Outcome::Redirect => writer.byte(outcome::REDIRECT),
        Outcome::Unknown => writer.byte(outcome::UNKNOWN),
        Outcome::Fail => writer.byte(outcome::FAIL),
    }
}

/// Reads the answer to this client that these bytes are.
///
/// # Errors
///
/// The first reason to refuse them.
pub fn decode_answer(bytes: &[u8], client: Id) -> Result<Response, Malformed> {
    let mut reader = Reader(bytes);
    let id = read_request_id(&mut reader, client)?;
    let leader = reader.optional_id()?;
    let outcome = match reader.byte()? {
        outcome::DONE => Outcome::Done(read_reply(&mut reader)?),
        outcome::REDIRECT => Outcome::Redirect,
        outcome::UNKNOWN => Outcome::Unknown,
        outcome::FAIL => Outcome::Fail,
        _ => return Err(Malformed::UnknownKind("outcome")),
    };
    reader.end()?;
    Ok(Response { id, outcome, leader })
}

/// Writes the beginning of all of them.
fn begin<'a>(id: &RequestId, buffer: &'a mut Vec<u8>) -> Writer<'a> {
    let mut writer = Writer(buffer);
    writer.byte(REQUESTS_VERSION);
    writer.bytes(id.mid.as_bytes());
    writer
}

/// A MID of a request may be longer than one of an entry: the replica then answers that it stores no
/// such entry.
fn read_request_id(reader: &mut Reader<'_>, client: Id) -> Result<RequestId, Malformed> {
    reader.version(REQUESTS_VERSION)?;
    let mid = reader.text("MID")?;
    if is_answerable(mid) {
        Ok(RequestId { client, mid: mid.into() })
    } else {
        Err(Malformed::BadField("MID"))
    }
}
