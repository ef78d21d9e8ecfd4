//! The guarantees of the decoder for any bytes, written down once for two users: `properties.rs`
//! damages good datagrams at random, and the fuzz target `datagram` looks for bytes that lead the
//! decoder to new places.
//!
//! * It never panics.
//! * A refused datagram leaves the messages that were decoded before it as they were; an accepted
//!   one adds to them.
//! * An accepted datagram is in its one form: its messages, written again, have the same bytes.
//! * The decoder of the simulators' JSON accepts the same messages, so they are within the bounds
//!   that everything behind it relies on. The exception is the client of an entry: in a real
//!   cluster, it may have the ID of a replica.
//! * No datagram is longer than an outbox counts.

use super::{decode_answer, dialect, encode_local_read, encode_request};
use crate::dialect::Dialect;
use crate::exchange::Inbound;
use crate::id::Id;
use crate::replication::{Body, Entry, Message, Payload};
use crate::wire::guarantees::{OWN, PEER, PEERS, read};
use crate::wire::{self, BUNDLE_ENVELOPE_BYTES, Form, MESSAGE_ENVELOPE_BYTES};

/// Where a datagram to another replica has the leader: after its envelope and its version.
const LEADER_AT: usize = 4;

/// If one of them breaks a guarantee.
pub fn check(datagram: &[u8]) {
    check_answer(datagram);
    let Ok(said) = read(dialect(OWN, &PEERS).decoder.as_mut(), datagram) else { return };
    let mut again = Vec::new();
    match &said[..] {
        [Inbound::Client(request)] => encode_request(&mut again, request),
        [Inbound::LocalRead { id, operation, max_age_us }] => {
            assert!(operation.is_read(), "{operation:?}");
            encode_local_read(&mut again, id, operation, *max_age_us);
        }
        [Inbound::ReadIndex { from, message }] => {
            dialect(*from, &PEERS).encoder.read_index(&mut again, OWN, message);
        }
        [Inbound::Peer { from, .. }, ..] => {
            let messages: Vec<Message> = said.iter().map(|inbound| message_of(inbound, *from)).collect();
            check_messages(*from, &messages, datagram.len());
            let leader = datagram[LEADER_AT..].first_chunk().expect("the decoder has read it");
            let leader = Id::new(u16::from_le_bytes(*leader));
            let Dialect { encoder, .. } = dialect(*from, &PEERS);
            encoder.peer(&mut again, OWN, leader, &messages);
        }
        other => panic!("{other:?} in one datagram"),
    }
    assert_eq!(again, datagram, "{said:?} written again");
}

fn message_of(inbound: &Inbound, sender: Id) -> Message {
    match inbound {
        Inbound::Peer { from, message } if *from == sender => message.clone(),
        other => panic!("{other:?} among the messages of {sender}"),
    }
}

fn check_messages(from: Id, messages: &[Message], length: usize) {
    let counted: usize = messages.iter().map(|message| Form::Binary.message_len_at_most(message)).sum();
    let envelope = if messages.len() == 1 { MESSAGE_ENVELOPE_BYTES } else { BUNDLE_ENVELOPE_BYTES };
    assert!(length <= envelope + counted, "{length} bytes of {messages:?}");
    if messages.iter().flat_map(entries).any(has_client_of_a_replica) {
        return;
    }
    let mut json = Vec::new();
    wire::encode_peer(&mut json, from, OWN, None, messages);
    let mut decoded = Vec::new();
    let result = wire::Decoder::new(OWN, PEERS).decode(&mut json, &mut decoded);
    assert_eq!(result, Ok(()), "{messages:?}");
    let decoded: Vec<Message> = decoded.iter().map(|inbound| message_of(inbound, from)).collect();
    assert_eq!(decoded, messages, "by way of JSON");
}

fn entries(message: &Message) -> &[Entry] {
    match &message.body {
        Body::AppendEntries(append) => &append.entries,
        Body::RelayEntries(relay) => &relay.append.entries,
        Body::LogTail(tail) => &tail.entries,
        _ => &[],
    }
}

fn has_client_of_a_replica(entry: &Entry) -> bool {
    let Payload::Command(proposal) = &entry.payload else { return false };
    let client = proposal.request.as_ref().map(|request| request.client);
    client.is_some_and(|client| client == OWN || PEERS.contains(&client))
}

fn check_answer(datagram: &[u8]) {
    if let Ok(response) = decode_answer(datagram) {
        let mut again = Vec::new();
        dialect(PEER, &PEERS).encoder.response(&mut again, &response);
        assert_eq!(again, datagram, "{response:?} written again");
    }
}
