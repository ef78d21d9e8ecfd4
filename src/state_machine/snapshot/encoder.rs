//! Cuts the stream into chunks, from any position.

use super::super::StateMachine;
use super::super::keys::Place;
use super::records;
use crate::id::Id;

/// A record with requests of a session ends at about so many bytes, so that no record takes long.
const REQUESTS_BYTES: usize = 4 << 10;

/// A chunk has room for so many bytes before its records are known, and for a record that is cut.
const MAX_RESERVED_BYTES: usize = 64 << 10;
const USUAL_RECORD_BYTES: usize = 512;

/// A state as a stream of bytes, in chunks.
pub struct Encoder {
    state: StateMachine,
    position: Position,
    cut: Option<Cut>, // the record at `position`, if a part of it was returned
}

/// A position in the stream of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    record: Record,
    sent: usize, // the bytes of this record that come before the position
}

/// The next record, by the element that precedes it in its part of the stream. If no element
/// follows, it is the first record of the next part.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    Header,
    Key { after: Option<Place> },
    Deletion { after: Option<u64> },
    Session { after: Option<Id> },
    Requests { client: Id, from: u64 },
    Tombstone { after: Option<Id> },
    Footer,
    End,
}

/// A record that did not fit into a chunk.
struct Cut {
    bytes: Vec<u8>,
    next: Record,
}

/// Records that were written one after the other.
struct Run {
    last: Option<(usize, Record)>, // where the last one begins, and which it is
    next: Record,
}

impl Encoder {
    /// An encoder of this state, before its first chunk.
    pub fn new(state: StateMachine) -> Self {
        Self { state, position: Position { record: Record::Header, sent: 0 }, cut: None }
    }

    /// The state, for example to free its memory by and by
    /// ([`discard`](StateMachine::discard)).
    pub fn into_state(self) -> StateMachine {
        self.state
    }

    /// The next chunk: so many bytes, at least one, and fewer only at the end of the stream. `None`
    /// after the last.
    pub fn next_chunk(&mut self, max_bytes: usize) -> Option<Vec<u8>> {
        let max_bytes = max_bytes.max(1);
        let mut chunk = Vec::with_capacity(max_bytes.min(MAX_RESERVED_BYTES) + USUAL_RECORD_BYTES);
        let mut run = Run { last: None, next: self.position.record.clone() };
        if self.position.sent > 0 {
            let cut = self.cut.take().unwrap_or_else(|| self.write_one(&self.position.record));
            let rest = cut.bytes.get(self.position.sent..).unwrap_or_default();
            if rest.len() > max_bytes {
                chunk.extend_from_slice(&rest[..max_bytes]);
                self.position.sent += max_bytes;
                self.cut = Some(cut);
                return Some(chunk);
            }
            chunk.extend_from_slice(rest);
            run.next = cut.next;
        }
        while chunk.len() < max_bytes && run.next != Record::End {
            let Run { last, next } = self.write(&run.next, &mut chunk, max_bytes);
            run = Run { last: last.or(run.last), next };
        }
        self.position = match run.last {
            Some((start, record)) if chunk.len() > max_bytes => {
                self.cut = Some(Cut { bytes: chunk[start..].to_vec(), next: run.next });
                chunk.truncate(max_bytes);
                if chunk.capacity() > 2 * max_bytes {
                    chunk.shrink_to_fit();
                }
                Position { record, sent: max_bytes - start }
            }
            _ => Position { record: run.next, sent: 0 },
        };
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Whether the last chunk was returned.
    pub fn is_done(&self) -> bool {
        self.position.record == Record::End
    }

    /// The position of the next chunk.
    pub fn position(&self) -> Position {
        self.position.clone()
    }

    /// Goes to a position that this encoder, or one of an equal state, had before.
    pub fn seek(&mut self, position: &Position) {
        if self.position.record != position.record {
            self.cut = None;
        }
        self.position.clone_from(position);
    }

    fn write_one(&self, record: &Record) -> Cut {
        let mut bytes = Vec::new();
        let Run { next, .. } = self.write(record, &mut bytes, 1);
        Cut { bytes, next }
    }

    /// Writes some records, until the buffer has so many bytes or a part of the stream ends.
    fn write(&self, record: &Record, buffer: &mut Vec<u8>, max_bytes: usize) -> Run {
        let StateMachine { keys, deletions, sessions, .. } = &self.state;
        let start = buffer.len();
        let one = |next| Run { last: Some((start, record.clone())), next };
        match record {
            Record::Header => {
                records::header(buffer, &self.state);
                one(Record::Key { after: None })
            }
            Record::Key { after } => {
                let items = keys.after(after.as_ref());
                let wrap = |after| Record::Key { after };
                run(
                    items,
                    after.as_ref(),
                    buffer,
                    max_bytes,
                    records::key,
                    wrap,
                    Record::Deletion { after: None },
                )
            }
            Record::Deletion { after } => {
                let items = deletions.after(*after);
                let wrap = |after| Record::Deletion { after };
                run(
                    items,
                    after.as_ref(),
                    buffer,
                    max_bytes,
                    records::deletion,
                    wrap,
                    Record::Session { after: None },
                )
            }
            Record::Session { after } => match sessions.after(*after).next() {
                Some((client, session)) => {
                    let parts = session.parts();
                    records::session(buffer, *client, &parts);
                    one(Record::Requests { client: *client, from: parts.base })
                }
                None => Run { last: None, next: Record::Tombstone { after: None } },
            },
            Record::Requests { client, from } => {
                let session = sessions.get(*client).expect("the position is one of this state");
                let count =
                    records::requests(buffer, (*client, *from), session.requests(*from), REQUESTS_BYTES);
                if from + count < session.end() {
                    one(Record::Requests { client: *client, from: from + count })
                } else {
                    one(Record::Session { after: Some(*client) })
                }
            }
            Record::Tombstone { after } => {
                let items = sessions.tombstones_after(*after);
                let wrap = |after| Record::Tombstone { after };
                run(items, after.as_ref(), buffer, max_bytes, records::tombstone, wrap, Record::Footer)
            }
            Record::Footer => {
                records::footer(buffer, &self.state);
                one(Record::End)
            }
            Record::End => Run { last: None, next: Record::End },
        }
    }
}

/// Writes the records of these elements, which come after `after`, until the buffer has so many
/// bytes. The record behind the last element is `end`.
fn run<'a, K: Clone + 'a, V: 'a>(
    items: impl Iterator<Item = (&'a K, &'a V)>,
    after: Option<&'a K>,
    buffer: &mut Vec<u8>,
    max_bytes: usize,
    write: impl Fn(&mut Vec<u8>, &K, &V),
    record: impl Fn(Option<K>) -> Record,
    end: Record,
) -> Run {
    let (mut last, mut before) = (None, after);
    let begun =
        |last: Option<(usize, Option<&K>)>| last.map(|(start, before)| (start, record(before.cloned())));
    for (key, value) in items {
        if buffer.len() >= max_bytes {
            return Run { last: begun(last), next: record(before.cloned()) };
        }
        last = Some((buffer.len(), before));
        write(buffer, key, value);
        before = Some(key);
    }
    Run { last: begun(last), next: end }
}
