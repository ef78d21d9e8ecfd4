//! Datagrams to validated messages, and back.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::codec;
use crate::dialect::{Decode, Dialect, Encode};
use crate::exchange::{Inbound, ReadIndex};
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::Operation;
use crate::replication::Message;
use crate::request::{Request, RequestId, Response};
use crate::transport::tcp::{Direction, Envelope, Kind, MessageKind, Traffic};
use crate::wire::{Form, Malformed};

/// The binary dialect of the replica `own` among these others.
pub fn dialect(own: Id, peers: &[Id]) -> Dialect {
    counting_dialect(own, peers, &Arc::default())
}

/// The same, with the counts of all messages of Raft.
pub fn counting_dialect(own: Id, peers: &[Id], traffic: &Arc<Traffic>) -> Dialect {
    let peers = peers.iter().copied().filter(|&peer| peer != own).collect();
    let [decoder, encoder] = [traffic, traffic].map(Arc::clone);
    Dialect {
        decoder: Box::new(BinaryDecoder { peers, traffic: decoder }),
        encoder: Box::new(BinaryEncoder { own, traffic: encoder }),
    }
}

/// Writes a request as its client's front end or a follower sends it. Empties the buffer first.
pub fn encode_request(buffer: &mut Vec<u8>, request: &Request) {
    begin(buffer, Kind::Request, request.id.client);
    codec::encode_request(request, buffer);
}

/// Writes a read that a replica serves from its own state if that is not older than `max_age_us`.
/// Empties the buffer first.
pub fn encode_local_read(buffer: &mut Vec<u8>, id: &RequestId, operation: &Operation, max_age_us: Micros) {
    begin(buffer, Kind::LocalRead, id.client);
    codec::encode_local_read(id, operation, max_age_us, buffer);
}

/// Reads an answer.
///
/// # Errors
///
/// The first reason to refuse it; a datagram of another kind is one.
pub fn decode_answer(datagram: &[u8]) -> Result<Response, Malformed> {
    match Envelope::read(datagram) {
        Some((Envelope { kind: Kind::Answer, id }, content)) => Ok(codec::decode_answer(content, id)?),
        _ => Err(Malformed::UnknownType),
    }
}

/// The name of the request that a datagram of the kind [`Kind::Request`] is. This reads no command.
pub fn request_id(datagram: &[u8]) -> Option<RequestId> {
    match Envelope::read(datagram)? {
        (Envelope { kind: Kind::Request, id }, content) => codec::decode_request_id(content, id).ok(),
        _ => None,
    }
}

/// Empties a buffer and writes the envelope.
fn begin(buffer: &mut Vec<u8>, kind: Kind, id: Id) {
    buffer.clear();
    Envelope { kind, id }.write(buffer);
}

/// The receiver's part of the dialect.
struct BinaryDecoder {
    peers: BTreeSet<Id>,
    traffic: Arc<Traffic>,
}

impl BinaryDecoder {
    fn read(&self, datagram: &[u8], out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        let (Envelope { kind, id }, content) = Envelope::read(datagram).ok_or(Malformed::UnknownType)?;
        match kind {
            Kind::Peer if !self.peers.contains(&id) => return Err(Malformed::UnknownSender),
            Kind::Peer => codec::decode_messages(content, id, &self.peers, |message, bytes| {
                self.traffic.count(id, Direction::In, MessageKind::of(&message), bytes);
                out.push(Inbound::Peer { from: id, message });
            })?,
            Kind::Request => out.push(Inbound::Client(codec::decode_request(content, id)?)),
            Kind::LocalRead => {
                let (id, operation, max_age_us) = codec::decode_local_read(content, id)?;
                out.push(Inbound::LocalRead { id, operation, max_age_us });
            }
            Kind::ReadIndex if !self.peers.contains(&id) => return Err(Malformed::UnknownSender),
            Kind::ReadIndex => {
                let message = codec::decode_read_index(content)?;
                out.push(Inbound::ReadIndex { from: id, message });
            }
            Kind::Answer => return Err(Malformed::UnknownType),
        }
        Ok(())
    }
}

impl Decode for BinaryDecoder {
    fn decode(&mut self, datagram: &mut [u8], out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        let before = out.len();
        let result = self.read(datagram, out);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }
}

/// The sender's part of the dialect.
#[derive(Debug)]
struct BinaryEncoder {
    own: Id,
    traffic: Arc<Traffic>,
}

impl Encode for BinaryEncoder {
    fn peer(&self, buffer: &mut Vec<u8>, to: Id, leader: Option<Id>, messages: &[Message]) {
        begin(buffer, Kind::Peer, self.own);
        codec::encode_messages(leader, messages, buffer, |message, bytes| {
            self.traffic.count(to, Direction::Out, MessageKind::of(message), bytes);
        });
    }

    fn response(&self, buffer: &mut Vec<u8>, response: &Response) {
        begin(buffer, Kind::Answer, response.id.client);
        codec::encode_answer(response, buffer);
    }

    fn forward(&self, buffer: &mut Vec<u8>, _to: Id, request: &Request) {
        encode_request(buffer, request);
    }

    fn read_index(&self, buffer: &mut Vec<u8>, _to: Id, message: &ReadIndex) {
        begin(buffer, Kind::ReadIndex, self.own);
        codec::encode_read_index(message, buffer);
    }

    /// The envelope is shorter than that of JSON, which [`wire::Limits`](crate::wire::Limits) counts.
    fn envelope_bytes(&self) -> usize {
        0
    }

    fn form(&self) -> Form {
        Form::Binary
    }
}
