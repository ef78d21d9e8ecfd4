//! Properties of every entry, and of the decoder for every sequence of bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::encoded;
use super::*;
use crate::exchange::Inbound;
use crate::generators::{entry, reply, signed};
use crate::replication::{AppendEntries, Body, Message, Payload};
use crate::wire;
use crate::wire::guarantees::{OWN, PEER};

/// Good bytes after some damage.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    (entry(), vec(damage, 0..4)).prop_map(|(entry, damage)| {
        let mut bytes = encoded(&entry);
        for (at, byte, kind) in damage {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

/// If a decoded entry is not in its one form, or the other decoder would refuse it for another reason
/// than its client.
fn check(bytes: &[u8]) {
    let Ok(entry) = decode_entry(bytes) else { return };
    assert_eq!(encoded(&entry), bytes);
    if let Payload::Command(proposal) = &entry.payload
        && proposal.request.as_ref().is_some_and(|request| [OWN, PEER].contains(&request.client))
    {
        return;
    }
    let (prev_log_index, prev_log_term) = (entry.index - 1, u64::from(entry.index > 1));
    let term = entry.term;
    let entries = vec![entry];
    let append = AppendEntries { prev_log_index, prev_log_term, leader_commit: 0, sent_at: 0, entries };
    let message = Message { term, body: Body::AppendEntries(append) };
    let mut datagram = Vec::new();
    wire::encode_peer(&mut datagram, PEER, OWN, None, std::slice::from_ref(&message));
    let mut decoded = Vec::new();
    let result = wire::Decoder::new(OWN, [PEER]).decode(&mut datagram, &mut decoded);
    assert_eq!((result, decoded), (Ok(()), vec![Inbound::Peer { from: PEER, message }]));
}

proptest! {
    #[test]
    fn entry_survives_its_bytes(entry in entry()) {
        let bytes = encoded(&entry);
        prop_assert_eq!(decode_entry(&bytes), Ok(entry));
        check(&bytes);
    }

    #[test]
    fn entry_that_is_cut_or_followed_by_more_is_refused(entry in entry(), more in any::<u8>()) {
        let mut bytes = encoded(&entry);
        for len in 0..bytes.len() {
            prop_assert!(decode_entry(&bytes[..len]).is_err(), "cut to {len}");
        }
        bytes.push(more);
        prop_assert!(decode_entry(&bytes).is_err());
    }

    #[test]
    fn damaged_bytes_are_refused_or_an_entry_in_its_one_form(bytes in damaged()) {
        check(&bytes);
    }

    #[test]
    fn any_bytes_are_refused_or_an_entry_in_its_one_form(
        head in prop::sample::select(vec![&[][..], &[1], &[1, 1, 1, 1, 1], &[1, 1, 1, 2, 1, 1, 0, 0]]),
        rest in vec(prop_oneof![0..30u8, any::<u8>()], 0..60),
    ) {
        check(&[head, &rest].concat());
    }

    #[test]
    fn reply_takes_no_more_bytes_than_counted(reply in reply()) {
        let mut written = Vec::new();
        write_reply(&mut Writer(&mut written), &reply);
        prop_assert!(written.len() <= reply_len_at_most(&reply));
    }

    #[test]
    fn number_has_one_form(number in any::<u64>(), bytes in vec(any::<u8>(), 0..12)) {
        let mut written = Vec::new();
        write::Writer(&mut written).number(number);
        prop_assert_eq!(read::Reader(&written).number("n"), Ok(number));
        let mut reader = read::Reader(&bytes);
        if let Ok(number) = reader.number("n") {
            written.clear();
            write::Writer(&mut written).number(number);
            prop_assert_eq!(written, &bytes[..bytes.len() - reader.0.len()]);
        }
    }

    #[test]
    fn signed_number_survives_its_bytes(number in signed()) {
        let mut written = Vec::new();
        write::Writer(&mut written).signed(number);
        prop_assert_eq!(read::Reader(&written).signed("n"), Ok(number));
    }
}
