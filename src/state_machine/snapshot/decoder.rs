//! Puts records together from chunks, and the state from records.

use super::super::chunk::Remembered;
use super::super::keys::{Load, Value};
use super::super::revisions::Deletions;
use super::super::session::{Parts, Session, Tombstone};
use super::super::{NAMES_WINDOW, Settings, StateMachine};
use super::{LENGTH_BYTES, Malformed, VERSION, kind};
use crate::codec::{Reader, read_reply};
use crate::id::Id;
use crate::operation::Revision;

/// A state machine that is put together from a stream.
pub struct Decoder {
    state: StateMachine, // without its keys
    keys: Load,
    partial: Vec<u8>, // the beginning of the next record
    part: Part,
    last_deletion: Option<u64>,
    last_client: Option<Id>, // in this part of the stream
    open: Option<Open>,
    refused: Option<Malformed>,
}

/// A part of the stream. The order of the parts is that of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Begin,
    Keys,
    Deletions,
    Sessions,
    Tombstones,
    End,
}

/// A session, some of whose requests are still to come.
struct Open {
    client: Id,
    parts: Parts,
    requests: Vec<Remembered>,
    expected: usize, // the number of all requests
}

impl Decoder {
    /// A decoder for a state with these settings, which are those of the state that was encoded.
    pub fn new(settings: Settings) -> Self {
        Self {
            state: StateMachine::new(settings),
            keys: Load::default(),
            partial: Vec::new(),
            part: Part::Begin,
            last_deletion: None,
            last_client: None,
            open: None,
            refused: None,
        }
    }

    /// Takes the next chunk of the stream.
    ///
    /// # Errors
    ///
    /// The first reason to refuse the stream. Then the decoder refuses all further chunks.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let result = self.take(chunk);
        self.refused = result.err();
        result
    }

    /// The state, after the last chunk.
    ///
    /// # Errors
    ///
    /// The stream was refused, or it has not ended.
    pub fn finish(self) -> Result<StateMachine, Malformed> {
        match self.refused {
            Some(refused) => Err(refused),
            None if self.part != Part::End => Err(Malformed::Truncated),
            None => Ok(self.give_up()),
        }
    }

    /// The part of the state that has been read, to free its memory by and by
    /// ([`discard`](StateMachine::discard)).
    pub fn give_up(self) -> StateMachine {
        StateMachine { keys: self.keys.finish(), ..self.state }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        let mut rest = chunk;
        while !self.partial.is_empty() {
            let missing = record_len(&self.partial) - self.partial.len();
            let (more, after) = rest.split_at(missing.min(rest.len()));
            self.partial.extend_from_slice(more);
            rest = after;
            if self.partial.len() < record_len(&self.partial) {
                if rest.is_empty() {
                    return Ok(());
                }
                continue; // the length is complete, the record is not
            }
            let record = std::mem::take(&mut self.partial);
            self.read(&record[LENGTH_BYTES..])?;
        }
        while rest.len() >= record_len(rest) {
            let (record, after) = rest.split_at(record_len(rest));
            self.read(&record[LENGTH_BYTES..])?;
            rest = after;
        }
        if self.part == Part::End && !rest.is_empty() {
            return Err(Malformed::Trailing);
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// Reads a record without its length.
    fn read(&mut self, record: &[u8]) -> Result<(), Malformed> {
        if self.part == Part::End {
            return Err(Malformed::Trailing);
        }
        let mut reader = Reader(record);
        let kind = reader.byte()?;
        let part = match kind {
            kind::HEADER => Part::Begin,
            kind::KEY | kind::KEY_WITH_DEADLINE => Part::Keys,
            kind::DELETION => Part::Deletions,
            kind::SESSION | kind::REQUESTS => Part::Sessions,
            kind::TOMBSTONE => Part::Tombstones,
            kind::FOOTER => Part::End,
            _ => return Err(Malformed::UnknownKind("record")),
        };
        let begins = self.part == Part::Begin;
        if part < self.part
            || (kind == kind::HEADER) != begins
            || self.open.is_some() != (kind == kind::REQUESTS)
        {
            return Err(Malformed::BadField("kind"));
        }
        if part > self.part {
            self.last_client = None;
        }
        self.part = if begins { Part::Keys } else { part };
        match kind {
            kind::HEADER => self.read_header(&mut reader)?,
            kind::KEY | kind::KEY_WITH_DEADLINE => self.read_key(&mut reader, kind)?,
            kind::DELETION => self.read_deletion(&mut reader)?,
            kind::SESSION => self.read_session(&mut reader)?,
            kind::REQUESTS => self.read_requests(&mut reader)?,
            kind::TOMBSTONE => self.read_tombstone(&mut reader)?,
            _ => self.read_footer(&mut reader)?,
        }
        reader.end()
    }

    fn read_header(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let version = reader.byte()?;
        if version != VERSION {
            return Err(Malformed::UnknownVersion(version));
        }
        self.state.applied = reader.number("applied")?;
        let time = reader.signed("time")?;
        if time < 0 {
            return Err(Malformed::BadField("time"));
        }
        self.keys = Load::new(time);
        self.state.deletions = Deletions::restored(self.revision(reader, "floor")?);
        Ok(())
    }

    fn read_key(&mut self, reader: &mut Reader<'_>, kind: u8) -> Result<(), Malformed> {
        let (key, bytes) = (reader.bytes("key")?.into(), reader.bytes("value")?.into());
        let revision = self.revision(reader, "revision")?;
        let deadline = if kind == kind::KEY { None } else { Some(reader.signed("deadline")?) };
        if deadline.is_some_and(|deadline| deadline <= 0) {
            return Err(Malformed::BadField("deadline"));
        }
        if self.keys.push(key, Value { bytes, deadline, revision }) {
            Ok(())
        } else {
            Err(Malformed::BadField("key"))
        }
    }

    fn read_deletion(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let digest = u64::from_le_bytes(reader.array()?);
        if self.last_deletion.replace(digest).is_some_and(|last| last >= digest) {
            return Err(Malformed::BadField("digest"));
        }
        let revision = self.revision(reader, "revision")?;
        self.state.deletions.restore(digest, revision);
        Ok(())
    }

    fn read_session(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let client = self.client(reader)?;
        let parts = Parts {
            last_used: self.revision(reader, "last_used")?,
            first: reader.number("first")?,
            settled: reader.option("settled")?,
            greatest: reader.option("greatest")?,
            replies_from: reader.number("replies_from")?,
            base: reader.number("base")?,
            chunks: reader.list(NAMES_WINDOW, "chunks", |reader| reader.number("chunks"))?,
        };
        let expected = parts.len();
        self.open = Some(Open { client, parts, requests: Vec::new(), expected });
        Ok(())
    }

    fn read_requests(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let Some(mut open) = self.open.take() else { return Err(Malformed::BadField("kind")) };
        let client = u16::from_le_bytes(reader.array()?);
        let from = reader.number("from")?;
        let next = open.parts.base.checked_add(open.requests.len() as u64);
        if client != open.client.number() || Some(from) != next {
            return Err(Malformed::BadField("from"));
        }
        while !reader.0.is_empty() {
            let request = Remembered {
                mid: u64::from_le_bytes(reader.array()?),
                content: u64::from_le_bytes(reader.array()?),
                number: reader.option("number")?,
                reply: if reader.flag("reply")? { Some(read_reply(reader)?) } else { None },
            };
            open.requests.push(request);
        }
        if open.requests.len() < open.expected {
            self.open = Some(open);
            return Ok(());
        }
        let session = Session::restore(&open.parts, open.requests).ok_or(Malformed::BadField("session"))?;
        self.state.sessions.restore(open.client, session);
        Ok(())
    }

    fn read_tombstone(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let client = self.client(reader)?;
        if self.state.sessions.get(client).is_some() {
            return Err(Malformed::BadField("client"));
        }
        let tombstone =
            Tombstone { settled: reader.option("settled")?, greatest: reader.option("greatest")? };
        self.state.sessions.restore_tombstone(client, tombstone);
        Ok(())
    }

    /// All elements have come if the footer knows their numbers.
    fn read_footer(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let (sessions, _) = self.state.sessions.size();
        let tombstones = self.state.sessions.tombstones();
        for count in [self.keys.len(), self.state.deletions.len(), sessions, tombstones] {
            if reader.number("footer")? != count as u64 {
                return Err(Malformed::BadField("footer"));
            }
        }
        Ok(())
    }

    /// The index of an entry that has been applied.
    fn revision(&self, reader: &mut Reader<'_>, name: &'static str) -> Result<Revision, Malformed> {
        reader.number_up_to(self.state.applied, name)
    }

    /// A client after the last one.
    fn client(&mut self, reader: &mut Reader<'_>) -> Result<Id, Malformed> {
        let client = Id::new(u16::from_le_bytes(reader.array()?)).ok_or(Malformed::BadField("client"))?;
        if self.last_client.replace(client).is_some_and(|last| last >= client) {
            return Err(Malformed::BadField("client"));
        }
        Ok(client)
    }
}

/// How many bytes the record has that begins here, as far as its length is there.
fn record_len(bytes: &[u8]) -> usize {
    let length = bytes.first_chunk::<LENGTH_BYTES>();
    LENGTH_BYTES + length.map_or(0, |length| u32::from_le_bytes(*length) as usize)
}
