//! The bytes of one entry of every kind, and bytes that are refused.

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::bytes::Bytes;
use crate::command::{Batch, Command, MAX_BATCH, Proposal, Watch};
use crate::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set};
use crate::replication::{Entry, Payload};
use crate::testkit::{id, request_id};
use crate::wire::MAX_ENTRY_MID_BYTES;

/// The number of the last kind of operation.
const LAST_KIND: u8 = 27;

pub(super) fn encoded(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_entry(entry, &mut bytes);
    bytes
}

fn of_client(command: impl Into<Command>) -> Entry {
    let request = Some(request_id(id(0x0102), "7"));
    let proposal = Proposal { at: 3, request, command: command.into() };
    Entry { index: 1, term: 2, payload: Payload::Command(Arc::new(proposal)) }
}

fn sets() -> Vec<Operation> {
    let conditions = [
        Condition::Absent,
        Condition::Present,
        Condition::Equal("o".into()),
        Condition::Unequal("o".into()),
        Condition::Revision(9),
    ];
    let conditions =
        conditions.map(|condition| Set { condition: Some(condition), get: true, ..Set::new("k", "v") });
    let expiries = [Expiry::Keep, Expiry::Set(Deadline::After(-1)), Expiry::Set(Deadline::At(1 << 40))];
    let expiries = expiries.map(|expiry| Set { expiry, ..Set::new("k", "v") });
    [Set::new("k", "v")].into_iter().chain(conditions).chain(expiries).map(Operation::Set).collect()
}

fn expires() -> Vec<Operation> {
    let conditions = [
        DeadlineCondition::Absent,
        DeadlineCondition::Present,
        DeadlineCondition::Later,
        DeadlineCondition::Earlier,
        DeadlineCondition::PresentAndLater,
        DeadlineCondition::PresentAndEarlier,
    ];
    let conditions = conditions.into_iter().map(Some).chain([None]);
    let deadline = Deadline::After(60_000);
    conditions.map(|condition| Operation::Expire { key: "k".into(), deadline, condition }).collect()
}

fn others() -> Vec<Operation> {
    let (key, value) = (|| Bytes::from("k"), || Bytes::from("v"));
    vec![
        Operation::Get { key: key() },
        Operation::GetRange { key: key(), start: 1, end: -1 },
        Operation::Strlen { key: key() },
        Operation::GetMany { keys: vec![key(), "l".into()] },
        Operation::Exists { keys: vec![key(), "l".into()] },
        Operation::Type { key: key() },
        Operation::TimeToLive { key: key() },
        Operation::Deadline { key: key() },
        Operation::Revision { key: key() },
        Operation::Count,
        Operation::Scan { cursor: u64::MAX, count: 10, pattern: None },
        Operation::Scan { cursor: 0, count: u32::MAX, pattern: Some("*".into()) },
        Operation::SetMany { pairs: vec![(key(), value())], if_absent: true },
        Operation::GetDelete { key: key() },
        Operation::GetExpire { key: key(), expiry: Expiry::Never },
        Operation::Delete { keys: vec![key(), "l".into()] },
        Operation::DeleteIfEqual { key: key(), value: value() },
        Operation::Increment { key: key(), by: i64::MIN },
        Operation::IncrementFloat { key: key(), by: "1.5".into() },
        Operation::Append { key: key(), value: value() },
        Operation::SetRange { key: key(), offset: 300, value: value() },
        Operation::Persist { key: key() },
        Operation::Flush,
        Operation::RemoveExpired { limit: 1_024 },
        Operation::GetWithRevision { key: key() },
    ]
}

/// Entries of all kinds.
fn entries() -> Vec<Entry> {
    let watches = vec![Watch { key: b"\xFF\x00"[..].into(), unchanged_since: 5 }];
    let batch = Batch { watches, operations: vec![Operation::set("k", "v"), Operation::Count] };
    let own = Proposal { at: 1 << 41, request: None, command: Operation::Flush.into() };
    let own = Entry { index: 1 << 40, term: 300, payload: Payload::Command(Arc::new(own)) };
    let noop = Entry { index: 1, term: 1, payload: Payload::Noop };
    let operations = sets().into_iter().chain(expires()).chain(others());
    let operations = operations.map(of_client);
    [noop, own].into_iter().chain(operations).chain([of_client(Command::Batch(batch))]).collect()
}

#[test]
fn bytes_of_an_entry_never_change() {
    let mut lines = String::new();
    for entry in entries() {
        for byte in encoded(&entry) {
            write!(lines, "{byte:02x}").expect("a string takes all");
        }
        match &entry.payload {
            Payload::Noop => lines.push_str(" no-op\n"),
            Payload::Command(proposal) => {
                let json = serde_json::to_string(&proposal.command).expect("a command has a JSON form");
                writeln!(lines, " {json}").expect("a string takes all");
            }
        }
    }
    assert_eq!(lines, include_str!("entries.golden"), "a log that was written before must be read");
}

#[test]
fn entry_of_every_kind_is_read_as_it_was_written() {
    let entries = entries();
    for entry in &entries {
        assert_eq!(decode_entry(&encoded(entry)).as_ref(), Ok(entry));
    }
    // Version, index, term, payload, time, client and MID stand before the kind.
    let kinds = entries.iter().filter_map(|entry| encoded(entry).get(9).copied());
    let kinds: std::collections::BTreeSet<u8> = kinds.collect();
    assert!((0..=LAST_KIND).all(|kind| kinds.contains(&kind)), "{kinds:?}");
    let mut next = encoded(&of_client(Operation::Flush));
    next[9] = LAST_KIND + 1;
    assert_eq!(decode_entry(&next), Err(Malformed::UnknownKind("operation")), "it has no entry above");
}

#[test]
fn time_before_1970_is_written_as_1970() {
    let mut entry = of_client(Operation::Flush);
    let at = |entry: &mut Entry, at| {
        let Payload::Command(proposal) = &mut entry.payload else { panic!("a command") };
        Arc::make_mut(proposal).at = at;
    };
    at(&mut entry, -1);
    let bytes = encoded(&entry);
    at(&mut entry, 0);
    assert_eq!(decode_entry(&bytes), Ok(entry));
}

#[test]
fn entry_out_of_bounds_is_refused() {
    let mut long_mid = of_client(Operation::Flush);
    let Payload::Command(proposal) = &mut long_mid.payload else { panic!("a command") };
    Arc::make_mut(proposal).request = Some(request_id(id(1), "m".repeat(MAX_ENTRY_MID_BYTES + 1)));
    let batch = |watches: usize, operations: usize| {
        let watch = Watch { key: "k".into(), unchanged_since: 0 };
        of_client(Command::Batch(Batch {
            watches: vec![watch; watches],
            operations: vec![Operation::Count; operations],
        }))
    };
    assert!(decode_entry(&encoded(&batch(MAX_BATCH, MAX_BATCH))).is_ok());
    let number = raft::types::MAX_NUMBER + 1;
    for (entry, name) in [
        (long_mid, "MID"),
        (batch(MAX_BATCH + 1, 0), "watches"),
        (batch(0, MAX_BATCH + 1), "operations"),
        (Entry { index: 0, term: 1, payload: Payload::Noop }, "index"),
        (Entry { index: number, term: 1, payload: Payload::Noop }, "index"),
        (Entry { index: 1, term: 0, payload: Payload::Noop }, "term"),
        (Entry { index: 1, term: number, payload: Payload::Noop }, "term"),
    ] {
        assert_eq!(decode_entry(&encoded(&entry)), Err(Malformed::BadField(name)));
    }
}

#[test]
fn bytes_that_no_encoder_writes_are_refused() {
    let head = [VERSION, 1, 2, 2, 3, 2, 1, 1, b'7'];
    let with = |rest: &[u8]| decode_entry(&[&head, rest].concat());
    assert_eq!(with(&[24]), Ok(of_client(Operation::Flush)));
    let cases: [(&[u8], Malformed); 12] = [
        (&[], Malformed::Truncated),
        (&[24, 0], Malformed::Trailing),
        (&[28], Malformed::UnknownKind("operation")),
        (&[0, 0, 1, 0, 0, 0], Malformed::UnknownKind("operation")), // a batch in a batch
        (&[2, 1, b'k', 1, b'v', 0, 0, 0], Malformed::BadField("set")), // a plain one
        (&[2, 1, b'k', 1, b'v', 6, 0, 0], Malformed::UnknownKind("condition")),
        (&[2, 1, b'k', 1, b'v', 1, 3, 0], Malformed::UnknownKind("expiry")),
        (&[2, 1, b'k', 1, b'v', 1, 0, 2], Malformed::BadField("get")),
        (&[3, 0x81, 0, b'k'], Malformed::BadField("key")), // 1 in two bytes
        (&[16, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], Malformed::Truncated),
        (&[16, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2], Malformed::BadField("keys")),
        (&[25, 0x80, 0x80, 0x80, 0x80, 0x10], Malformed::BadField("limit")), // 2^32
    ];
    for (rest, expected) in cases {
        assert_eq!(with(rest), Err(expected), "{rest:?}");
    }
    assert_eq!(decode_entry(&[2, 1, 2, 0]), Err(Malformed::UnknownVersion(2)));
    assert_eq!(decode_entry(&[VERSION, 1, 2, 3]), Err(Malformed::UnknownKind("payload")));
    let reserved = [VERSION, 1, 2, 2, 3, 0xFF, 0xFF, 1, b'7', 24];
    assert_eq!(decode_entry(&reserved), Err(Malformed::BadField("client")));
    let not_text = [VERSION, 1, 2, 2, 3, 2, 1, 1, 0xFF, 24];
    assert_eq!(decode_entry(&not_text), Err(Malformed::BadField("MID")));
}
