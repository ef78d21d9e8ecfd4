//! The dialect between a replica and its network: the receiver decodes by it, and the sender
//! encodes. The simulators of protocol.md speak one, and Maelstrom another.

use std::fmt;

use crate::exchange::{Inbound, ReadIndex};
use crate::id::Id;
use crate::replication::Message;
use crate::request::{Outcome, Request, Response};
use crate::wire::{self, CHECKSUM_BYTES, Decoder, Form, Malformed};

/// From bytes to validated messages.
pub trait Decode: Send {
    /// Decodes one datagram and appends its messages to `out`, in order. This scrambles the
    /// datagram's bytes.
    ///
    /// # Errors
    ///
    /// The first reason to refuse it; then `out` is as it was.
    fn decode(&mut self, datagram: &mut [u8], out: &mut Vec<Inbound>) -> Result<(), Malformed>;
}

/// From messages to bytes. Each method empties the buffer first.
pub trait Encode: fmt::Debug + Send {
    /// Writes messages to another replica as one datagram. `leader` is the leader that this replica
    /// knows.
    fn peer(&self, buffer: &mut Vec<u8>, to: Id, leader: Option<Id>, messages: &[Message]);

    /// Writes the answer to a client.
    fn response(&self, buffer: &mut Vec<u8>, response: &Response);

    /// Writes a client's request to the leader `to`.
    fn forward(&self, buffer: &mut Vec<u8>, to: Id, request: &Request);

    /// Writes a message to the replica `to` about reads that a follower serves.
    fn read_index(&self, buffer: &mut Vec<u8>, to: Id, message: &ReadIndex);

    /// How many bytes a datagram has at most besides those that [`wire::Limits`] counts.
    fn envelope_bytes(&self) -> usize;

    /// The form of messages, by which their bytes are counted.
    fn form(&self) -> Form {
        Form::Json
    }
}

/// Both directions of a dialect, for one replica.
pub struct Dialect {
    /// The receiver's part.
    pub decoder: Box<dyn Decode>,
    /// The sender's part.
    pub encoder: Box<dyn Encode>,
}

impl Dialect {
    /// The JSON of the simulators.
    pub fn of_simulators(own: Id, peers: &[Id]) -> Self {
        let decoder = Decoder::new(own, peers.iter().copied()).with_checksums();
        Self { decoder: Box::new(decoder), encoder: Box::new(Simulators::new(own)) }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, datagram: &mut [u8], out: &mut Vec<Inbound>) -> Result<(), Malformed> {
        Decoder::decode(self, datagram, out)
    }
}

/// Writes the JSON of the simulators.
#[derive(Debug)]
pub struct Simulators {
    own: Id,
}

impl Simulators {
    /// For messages of this replica.
    pub fn new(own: Id) -> Self {
        Self { own }
    }
}

impl Encode for Simulators {
    fn peer(&self, buffer: &mut Vec<u8>, to: Id, leader: Option<Id>, messages: &[Message]) {
        wire::encode_sealed(buffer, self.own, to, leader, messages);
    }

    fn response(&self, buffer: &mut Vec<u8>, response: &Response) {
        wire::encode_response(buffer, self.own, response);
    }

    /// The clients of simulators carry their requests to the leader themselves.
    fn forward(&self, buffer: &mut Vec<u8>, to: Id, request: &Request) {
        let redirect = Response { id: request.id.clone(), outcome: Outcome::Redirect, leader: Some(to) };
        self.response(buffer, &redirect);
    }

    /// A replica whose clients follow redirects serves no reads while it follows.
    fn read_index(&self, _: &mut Vec<u8>, to: Id, message: &ReadIndex) {
        unreachable!("{message:?} for {to}, and no message asked for it");
    }

    fn envelope_bytes(&self) -> usize {
        CHECKSUM_BYTES
    }
}
