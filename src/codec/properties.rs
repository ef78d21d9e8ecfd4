//! Properties of every entry, and of the decoder for every sequence of bytes.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use raft::types::MAX_NUMBER;

use super::tests::encoded;
use super::*;
use crate::bytes::Bytes;
use crate::command::{Batch, Command, Proposal, Watch};
use crate::exchange::Inbound;
use crate::id::Id;
use crate::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set};
use crate::replication::{AppendEntries, Body, Entry, Message, Payload};
use crate::request::RequestId;
use crate::testkit::id;
use crate::wire;

/// A replica that sends entries, and one that receives them.
const PEER: Id = id(0xFFFD);
const OWN: Id = id(0xFFFE);

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=MAX_NUMBER, Just(MAX_NUMBER)]
}

fn position() -> impl Strategy<Value = u64> {
    number().prop_map(|number| number.max(1))
}

/// The strategies are boxed, because one that holds all others takes much of a stack.
fn bytes() -> BoxedStrategy<Bytes> {
    prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..140)].prop_map(Bytes::from).boxed()
}

fn any_number() -> impl Strategy<Value = i64> {
    prop_oneof![-200..200i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn deadline() -> impl Strategy<Value = Deadline> {
    prop_oneof![any_number().prop_map(Deadline::After), any_number().prop_map(Deadline::At)]
}

fn expiry() -> BoxedStrategy<Expiry> {
    prop_oneof![Just(Expiry::Never), Just(Expiry::Keep), deadline().prop_map(Expiry::Set)].boxed()
}

fn condition() -> BoxedStrategy<Condition> {
    prop_oneof![
        Just(Condition::Absent),
        Just(Condition::Present),
        bytes().prop_map(Condition::Equal),
        bytes().prop_map(Condition::Unequal),
        any::<u64>().prop_map(Condition::Revision),
    ]
    .boxed()
}

fn deadline_condition() -> impl Strategy<Value = Option<DeadlineCondition>> {
    prop::sample::select(vec![
        None,
        Some(DeadlineCondition::Absent),
        Some(DeadlineCondition::Present),
        Some(DeadlineCondition::Later),
        Some(DeadlineCondition::Earlier),
        Some(DeadlineCondition::PresentAndLater),
        Some(DeadlineCondition::PresentAndEarlier),
    ])
}

/// Operations on one key and up to two numbers or texts.
fn simple() -> BoxedStrategy<Operation> {
    let parts = (bytes(), bytes(), any_number(), any_number(), 0..18u8);
    parts
        .prop_map(|(key, value, number, other, kind)| match kind {
            0 => Operation::Get { key },
            1 => Operation::GetRange { key, start: number, end: other },
            2 => Operation::Strlen { key },
            3 => Operation::Type { key },
            4 => Operation::TimeToLive { key },
            5 => Operation::Deadline { key },
            6 => Operation::Revision { key },
            7 => Operation::Count,
            8 => Operation::GetDelete { key },
            9 => Operation::DeleteIfEqual { key, value },
            10 => Operation::Increment { key, by: number },
            11 => Operation::IncrementFloat { key, by: value },
            12 => Operation::Append { key, value },
            13 => Operation::SetRange { key, offset: number as u64, value },
            14 => Operation::Persist { key },
            15 => Operation::Flush,
            16 => Operation::RemoveExpired { limit: number as u32 },
            _ => Operation::set(key, value),
        })
        .boxed()
}

fn operation() -> BoxedStrategy<Operation> {
    let set = (bytes(), bytes(), prop::option::of(condition()), expiry(), any::<bool>());
    let set = set.prop_map(|(key, value, condition, expiry, get)| Set { key, value, condition, expiry, get });
    prop_oneof![
        4 => simple(),
        2 => set.prop_map(Operation::Set),
        1 => vec(bytes(), 0..4).prop_map(|keys| Operation::Exists { keys }),
        1 => vec(bytes(), 0..4).prop_map(|keys| Operation::Delete { keys }),
        1 => (vec((bytes(), bytes()), 0..4), any::<bool>())
            .prop_map(|(pairs, if_absent)| Operation::SetMany { pairs, if_absent }),
        1 => (bytes(), expiry()).prop_map(|(key, expiry)| Operation::GetExpire { key, expiry }),
        1 => (bytes(), deadline(), deadline_condition())
            .prop_map(|(key, deadline, condition)| Operation::Expire { key, deadline, condition }),
        1 => (any::<u64>(), any::<u32>(), prop::option::of(bytes()))
            .prop_map(|(cursor, count, pattern)| Operation::Scan { cursor, count, pattern }),
    ]
    .boxed()
}

fn command() -> BoxedStrategy<Command> {
    let watch = (bytes(), any::<u64>()).prop_map(|(key, unchanged_since)| Watch { key, unchanged_since });
    let batch = (vec(watch, 0..3), vec(operation(), 0..4));
    prop_oneof![
        4 => operation().prop_map(Command::One),
        1 => batch.prop_map(|(watches, operations)| Command::Batch(Batch { watches, operations })),
    ]
    .boxed()
}

fn entry() -> BoxedStrategy<Entry> {
    let client = (0..OWN.number()).prop_map(id);
    let request = (client, ".{0,40}").prop_map(|(client, mid)| RequestId { client, mid: mid.into() });
    let proposal = (number(), prop::option::of(request), command())
        .prop_map(|(at, request, command)| Proposal { at: at as i64, request, command });
    let proposal = proposal.prop_map(|proposal| Payload::Command(Arc::new(proposal)));
    let payload = prop_oneof![1 => Just(Payload::Noop), 9 => proposal];
    (position(), position(), payload)
        .prop_map(|(index, term, payload)| Entry { index, term, payload })
        .boxed()
}

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

/// If a decoded entry is not in its one form, or the other decoder would refuse it.
fn check(bytes: &[u8]) {
    let Ok(entry) = decode_entry(bytes) else { return };
    assert_eq!(encoded(&entry), bytes);
    if let Payload::Command(proposal) = &entry.payload
        && proposal.request.as_ref().is_some_and(|request| request.client >= PEER)
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
    fn signed_number_survives_its_bytes(number in any_number()) {
        let mut written = Vec::new();
        write::Writer(&mut written).signed(number);
        prop_assert_eq!(read::Reader(&written).signed("n"), Ok(number));
    }
}
