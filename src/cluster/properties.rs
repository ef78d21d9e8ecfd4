//! Properties of every datagram, and of the decoder for every sequence of bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use raft::tuning::Topology;
use raft::types::MAX_NUMBER;

use super::*;
use crate::codec;
use crate::exchange::{Inbound, ReadIndex};
use crate::generators::{self, entry, message, number, read, read_index, request, response};
use crate::operation::Operation;
use crate::replication::{AppendEntries, Message, Payload};
use crate::reply::Reply;
use crate::request::Outcome;
use crate::testkit;
use crate::wire::guarantees::{OWN, PEER, PEERS};
use crate::wire::{
    BUNDLE_ENVELOPE_BYTES, Form, Limits, MAX_ENTRY_MID_BYTES, MESSAGE_ENVELOPE_BYTES, message_len_at_most,
};

fn decoded(datagram: &[u8]) -> Result<Vec<Inbound>, crate::wire::Malformed> {
    let mut out = Vec::new();
    dialect(OWN, &PEERS).decoder.decode(&mut datagram.to_vec(), &mut out)?;
    Ok(out)
}

fn of_peer(messages: &[Message]) -> Vec<u8> {
    let mut datagram = Vec::new();
    dialect(PEER, &[OWN]).encoder.peer(&mut datagram, OWN, Some(PEER), messages);
    datagram
}

fn of_index(buffer: &mut Vec<u8>, message: &ReadIndex) {
    dialect(PEER, &[OWN]).encoder.read_index(buffer, OWN, message);
}

/// A good datagram of any kind.
fn datagram() -> BoxedStrategy<Vec<u8>> {
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut datagram = Vec::new();
        write(&mut datagram);
        datagram
    };
    prop_oneof![
        4 => vec(message(), 1..4).prop_map(|messages| of_peer(&messages)),
        1 => request().prop_map(move |request| written(&|buffer| encode_request(buffer, &request))),
        1 => (generators::request_id(), read(), number()).prop_map(move |(id, operation, max_age_us)| {
            written(&|buffer| encode_local_read(buffer, &id, &operation, max_age_us))
        }),
        1 => response().prop_map(move |response| {
            written(&|buffer| dialect(PEER, &[OWN]).encoder.response(buffer, &response))
        }),
        1 => read_index().prop_map(move |message| written(&|buffer| of_index(buffer, &message))),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn peer_messages_survive_their_datagram(messages in vec(message(), 1..5)) {
        let sent: Vec<_> =
            messages.iter().cloned().map(|message| Inbound::Peer { from: PEER, message }).collect();
        prop_assert_eq!(decoded(&of_peer(&messages)), Ok(sent));
    }

    #[test]
    fn request_survives_its_datagram(request in request()) {
        let mut datagram = Vec::new();
        dialect(PEER, &[OWN]).encoder.forward(&mut datagram, OWN, &request);
        prop_assert_eq!(request_id(&datagram), Some(request.id.clone()));
        prop_assert_eq!(decoded(&datagram), Ok(vec![Inbound::Client(request)]));
    }

    #[test]
    fn local_read_survives_its_datagram(id in generators::request_id(), operation in read(), max_age_us in number()) {
        let mut datagram = Vec::new();
        encode_local_read(&mut datagram, &id, &operation, max_age_us);
        prop_assert_eq!(decoded(&datagram), Ok(vec![Inbound::LocalRead { id, operation, max_age_us }]));
    }

    #[test]
    fn message_about_reads_survives_its_datagram(message in read_index()) {
        let mut datagram = Vec::new();
        of_index(&mut datagram, &message);
        prop_assert_eq!(decoded(&datagram), Ok(vec![Inbound::ReadIndex { from: PEER, message }]));
    }

    #[test]
    fn answer_survives_its_datagram(response in response()) {
        let mut datagram = Vec::new();
        dialect(PEER, &[OWN]).encoder.response(&mut datagram, &response);
        prop_assert_eq!(decode_answer(&datagram), Ok(response));
    }

    #[test]
    fn no_datagram_is_longer_than_counted(messages in vec(message(), 1..5)) {
        let counted: usize = messages.iter().map(|message| Form::Binary.message_len_at_most(message)).sum();
        prop_assert!(of_peer(&messages).len() <= BUNDLE_ENVELOPE_BYTES + counted);
        for message in messages {
            let datagram = of_peer(std::slice::from_ref(&message));
            prop_assert!(datagram.len() <= MESSAGE_ENVELOPE_BYTES + Form::Binary.message_len_at_most(&message));
            prop_assert!(datagram.len() <= MESSAGE_ENVELOPE_BYTES + message_len_at_most(&message), "nor than JSON");
        }
    }

    #[test]
    fn entry_takes_no_more_bytes_than_counted(entry in entry(), spare in 0..200usize) {
        let mut bytes = Vec::new();
        codec::encode_entry(&entry, &mut bytes);
        prop_assert!(bytes.len() <= Form::Binary.entry_len()(&entry));
        let Payload::Command(proposal) = &entry.payload else { return Ok(()) };
        let limits = Limits::new(2_000 + spare, Topology::Star, PEERS.len()).in_form(Form::Binary);
        let values = proposal.command.operations().iter().flat_map(Operation::values);
        let longest = values.max_by_key(|value| value.len()).cloned().unwrap_or_default();
        if limits.is_storable(proposal) {
            let append = AppendEntries {
                prev_log_index: entry.index - 1,
                prev_log_term: u64::from(entry.index > 1),
                leader_commit: MAX_NUMBER,
                sent_at: MAX_NUMBER,
                entries: vec![entry.clone()],
            };
            prop_assert!(of_peer(&[testkit::append(MAX_NUMBER, append)]).len() <= 2_000 + spare);
            let mid = "\0".repeat(MAX_ENTRY_MID_BYTES);
            prop_assert!(limits.is_readable(&mid, &Reply::Bytes(longest)), "what is stored can be read");
        } else {
            prop_assert!(bytes.len().max(longest.len() + 6 * MAX_ENTRY_MID_BYTES) + 600 > 2_000 + spare);
        }
    }

    #[test]
    fn readable_reply_fits_into_its_datagram(response in response(), most in 100..2_000usize) {
        let Outcome::Done(reply) = &response.outcome else { return Ok(()) };
        let limits = Limits::new(most, Topology::Star, PEERS.len()).in_form(Form::Binary);
        let mut datagram = Vec::new();
        dialect(PEER, &[OWN]).encoder.response(&mut datagram, &response);
        prop_assert!(!limits.is_readable(&response.id.mid, reply) || datagram.len() <= most);
    }

    #[test]
    fn datagram_that_is_cut_within_a_message_is_refused(message in message(), more in any::<u8>()) {
        let mut datagram = of_peer(&[message]);
        for len in 0..datagram.len() {
            prop_assert!(decoded(&datagram[..len]).is_err(), "cut to {}", len);
        }
        datagram.push(more);
        prop_assert!(decoded(&datagram).is_err());
    }

    #[test]
    fn decoder_keeps_its_guarantees_for_any_bytes(
        head in prop::sample::select(vec![&[][..], &[0, 1, 0, 1, 2, 0], &[1, 9, 0, 1], &[2, 9, 0, 1], &[3, 9, 0, 1], &[4, 1, 0, 1]]),
        rest in vec(prop_oneof![0..30u8, any::<u8>()], 0..60),
    ) {
        guarantees::check(&[head, &rest].concat());
    }
}

proptest! {
    // Most damage only makes a datagram invalid.
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn decoder_keeps_its_guarantees_for_damaged_datagrams(
        datagram in datagram(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..4),
    ) {
        let mut datagram = datagram;
        for (at, byte, kind) in damage {
            let at = at.index(datagram.len().max(1));
            match kind {
                0 if at < datagram.len() => datagram[at] = byte,
                1 if at < datagram.len() => datagram[at] ^= 1 << (byte % 8),
                2 => datagram.insert(at, byte),
                _ => datagram.truncate(at),
            }
        }
        guarantees::check(&datagram);
    }
}

#[test]
fn decoder_keeps_its_guarantees_for_the_seeds_of_its_fuzz_target() {
    let seeds = std::fs::read_dir("fuzz/seeds/datagram").expect("the seeds are there");
    for seed in seeds {
        let seed = std::fs::read(seed.expect("a file").path()).expect("it can be read");
        guarantees::check(&seed);
        assert!(decoded(&seed).is_ok() || decode_answer(&seed).is_ok(), "{seed:?}");
    }
}
