//! The payload of a record: a list of changes of the log. All the changes of a record take effect,
//! or none.

use raft::id::Id;
use raft::types::{EntryId, HardState};

use super::bytes::{Reader, push_entry_id};
use super::error::Reason;
use crate::codec;
use crate::replication::Entry;

const HARD_STATE: u8 = 1;
const BEGIN: u8 = 2;
const END: u8 = 3;
const ENTRY: u8 = 4;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Term and vote from now on.
    HardState(HardState),
    /// The whole log is gone; the next entry follows this one.
    Begin(EntryId),
    /// The log ends with this entry; later ones are gone. The first record of each segment has this
    /// change, too, and thereby says how long the log is at this place.
    End(EntryId),
    /// The next entry.
    Entry(Entry),
}

/// Appends term and vote.
pub fn push_hard_state(out: &mut Vec<u8>, hard_state: HardState) {
    out.push(HARD_STATE);
    out.extend(hard_state.current_term.to_le_bytes());
    out.extend(hard_state.voted_for.map_or(u16::MAX, Id::number).to_le_bytes());
}

/// Appends that the log begins anew behind this entry.
pub fn push_begin(out: &mut Vec<u8>, base: EntryId) {
    out.push(BEGIN);
    push_entry_id(out, base);
}

/// Appends that the log ends with this entry.
pub fn push_end(out: &mut Vec<u8>, last: EntryId) {
    out.push(END);
    push_entry_id(out, last);
}

/// Appends an entry.
pub fn push_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.push(ENTRY);
    let at = out.len();
    out.extend([0; 4]);
    codec::encode_entry(entry, out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// The changes of a payload, in their order.
pub fn decode(payload: &[u8]) -> impl Iterator<Item = Result<Change, Reason>> {
    let mut reader = Reader::new(payload);
    std::iter::from_fn(move || (!reader.is_empty()).then(|| decode_one(&mut reader)))
}

fn decode_one(reader: &mut Reader<'_>) -> Result<Change, Reason> {
    match reader.array()? {
        [HARD_STATE] => {
            Ok(Change::HardState(HardState { current_term: reader.u64()?, voted_for: reader.id()? }))
        }
        [BEGIN] => reader.entry_id().map(Change::Begin),
        [END] => reader.entry_id().map(Change::End),
        [ENTRY] => {
            let length = reader.u32()? as usize;
            codec::decode_entry(reader.take(length)?).map(Change::Entry).map_err(|_| Reason::Entry)
        }
        _ => Err(Reason::Contents),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{id, noop};

    #[test]
    fn changes_are_read_as_they_were_written() {
        let (begin, end) = (EntryId { index: 9, term: 2 }, EntryId { index: 10, term: 3 });
        let hard_state = HardState { current_term: 7, voted_for: Some(id(3)) };
        let mut payload = Vec::new();
        push_hard_state(&mut payload, hard_state);
        push_hard_state(&mut payload, HardState::default());
        push_begin(&mut payload, begin);
        push_end(&mut payload, end);
        push_entry(&mut payload, &noop(11, 3));
        let changes: Result<Vec<_>, _> = decode(&payload).collect();
        let expected = vec![
            Change::HardState(hard_state),
            Change::HardState(HardState::default()),
            Change::Begin(begin),
            Change::End(end),
            Change::Entry(noop(11, 3)),
        ];
        assert_eq!(changes, Ok(expected));
    }
}
