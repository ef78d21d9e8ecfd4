//! Reads the log, and changes nothing.
//!
//! Segments follow each other without a gap, and so do the numbers of their records. All segments
//! are sealed but the last one that has records; at most one empty segment stands behind it.
//!
//! The last record can be torn: the machine stopped while it was written. Nothing rests on it then,
//! because the sync had not returned. An invalid record can also be damage, and then acknowledged
//! writes are lost with it. To tell the two apart, recovery looks for anything that was written
//! after the sync of this record: a later record, or the mark or seal right behind it. If one
//! is there, this is damage, and the replica must not start.

use std::io;

use raft::types::{EntryId, HardState};

use super::changes::{self, Change};
use super::error::{OpenError, Reason};
use super::files::{FileHandle, Files, read_into};
use super::identity::{Owner, VERSION};
use super::record::{self, Record, Salt};
use super::segment::{self, Extent, Position};
use super::terms::Terms;
use crate::replication::Entry;

/// The log as it stands on disk.
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// The terms of the entries, and of the one before the first.
    pub terms: Terms,
    /// The entries.
    pub entries: Vec<Entry>,
    /// The segments with records, oldest first.
    pub extents: Vec<Extent>,
    /// The end of the last of them.
    pub tail: Tail,
    /// The segments without records behind it.
    pub empty: Vec<u64>,
    /// The number of the next record.
    pub next_record: u64,
}

impl Recovered {
    /// The log must not begin behind the end of the snapshot.
    pub fn check_gap<F: Files>(&self, files: &F, snapshot: EntryId) -> Result<(), OpenError> {
        let base = self.terms.base();
        if base.index <= snapshot.index {
            return Ok(());
        }
        let segment = self.extents.first().map_or(1, |extent| extent.number);
        let reason = Reason::Gap { snapshot, base };
        Err(Fault { segment, offset: segment::HEADER_BYTES, reason }.into_error(files))
    }
}

/// The end of the last segment that has records.
#[derive(Debug, Default)]
pub struct Tail {
    /// Where the last record begins.
    pub last_record_at: u64,
    /// The last record, and the seal if there is one.
    pub last_bytes: Vec<u8>,
    /// Whether the segment is sealed.
    pub is_sealed: bool,
    /// Where a record begins that was never finished.
    pub torn_at: Option<u64>,
}

impl Tail {
    /// Where the next record begins, if the segment is not sealed.
    pub fn offset(&self) -> u64 {
        self.last_record_at + self.last_bytes.len() as u64
    }
}

/// How much of the log has been read: bytes, of how many.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;

/// Damage of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The segment.
    pub segment: u64,
    /// Where the damage begins in it.
    pub offset: u64,
    /// The fault.
    pub reason: Reason,
}

impl Fault {
    /// The reason to refuse a directory with these files.
    pub fn into_error<F: Files>(self, files: &F) -> OpenError {
        let file = files.path(&segment::name(self.segment));
        match self.reason {
            Reason::Version(found) => OpenError::NewerFormat { file, found, known: VERSION },
            reason => OpenError::Damaged { file, offset: self.offset, reason },
        }
    }
}

/// Reads the log of a directory with these files.
pub fn read<F: Files>(
    files: &F,
    names: &[String],
    owner: Owner,
    progress: &mut Progress<'_>,
) -> Result<Recovered, OpenError> {
    let (replay, fault) = replay(files, names, owner, progress)?;
    let result = fault.map_or_else(|| replay.finish(), Err);
    result.map_err(|fault| fault.into_error(files))
}

/// Reads the log up to the first damage. Returns the end of the log at this place, if there is a
/// record before it, and the damage, if there is any.
pub fn examine<F: Files>(
    files: &F,
    names: &[String],
    owner: Owner,
) -> io::Result<(Option<Position>, Option<Fault>)> {
    let (replay, fault) = replay(files, names, owner, &mut |_, _| {})?;
    let hard_state = replay.hard_state;
    let position = replay.terms.as_ref().map(|terms| Position { hard_state, last: terms.last() });
    Ok((position, fault.or_else(|| replay.finish().err())))
}

/// Reads the log up to the first damage.
fn replay<F: Files>(
    files: &F,
    names: &[String],
    owner: Owner,
    progress: &mut Progress<'_>,
) -> io::Result<(Replay, Option<Fault>)> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let first = numbers.first().copied().unwrap_or(1);
    let mut total = 0;
    for &number in &numbers {
        total += files.open(&segment::name(number))?.size()?;
    }
    let mut replay = Replay::new(owner);
    let (mut bytes, mut done) = (Vec::new(), 0);
    for (segment, &number) in (first..).zip(&numbers) {
        if segment != number {
            return Ok((replay, Some(Fault { segment, offset: 0, reason: Reason::Missing })));
        }
        read_into(&mut bytes, &files.open(&segment::name(number))?, u64::MAX)?;
        if let Err(fault) = replay.read(number, &bytes) {
            return Ok((replay, Some(fault)));
        }
        done += bytes.len() as u64;
        progress(done, total);
    }
    let missing = || Fault { segment: first, offset: 0, reason: Reason::Missing };
    Ok((replay, numbers.is_empty().then(missing)))
}

/// The log up to some place.
struct Replay {
    owner: Owner,
    hard_state: HardState,
    /// `None` before the first record.
    terms: Option<Terms>,
    entries: Vec<Entry>,
    extents: Vec<Extent>,
    tail: Tail,
    empty: Vec<u64>,
    /// `None` before the first record.
    next_record: Option<u64>,
}

impl Replay {
    fn new(owner: Owner) -> Self {
        Self {
            owner,
            hard_state: HardState::default(),
            terms: None,
            entries: Vec::new(),
            extents: Vec::new(),
            tail: Tail { is_sealed: true, ..Tail::default() },
            empty: Vec::new(),
            next_record: None,
        }
    }

    /// Reads the next segment.
    fn read(&mut self, number: u64, bytes: &[u8]) -> Result<(), Fault> {
        let salt = Salt { segment: number, owner: self.owner };
        segment::check_header(bytes, salt).map_err(|reason| Fault { segment: number, offset: 0, reason })?;
        // Records of this segment may stand here only if the segment before it is sealed.
        let follows = self.tail.is_sealed && self.empty.is_empty();
        if !follows {
            return match record::find(salt, bytes, segment::HEADER_BYTES as usize, 0) {
                None => {
                    self.empty.push(number);
                    Ok(())
                }
                Some(_) => Err(self.fault_at_tail()),
            };
        }
        let (extent, tail) = self.read_records(salt, bytes)?;
        match tail {
            Some(tail) => {
                self.extents.push(extent);
                self.tail = tail;
            }
            None => self.empty.push(number),
        }
        Ok(())
    }

    /// Reads the records of a segment, and returns its end if it has records.
    fn read_records(&mut self, salt: Salt, bytes: &[u8]) -> Result<(Extent, Option<Tail>), Fault> {
        let fault = |at: usize, reason| Fault { segment: salt.segment, offset: at as u64, reason };
        let mut extent = Extent::new(salt.segment);
        let mut at = segment::HEADER_BYTES as usize;
        let mut last_record_at = None;
        let mut is_sealed = false;
        while let Some(record) = record::parse(salt, &bytes[at..]) {
            match record {
                Record::Changes { number, payload } if self.next_record.is_none_or(|next| next == number) => {
                    let is_first = last_record_at.is_none();
                    self.apply(payload, is_first, &mut extent).map_err(|reason| fault(at, reason))?;
                    self.next_record = Some(number + 1);
                    last_record_at = Some(at);
                    at = bytes.len().min(at + record::size_of(payload.len()));
                }
                Record::Seal(number) if last_record_at.is_some() && self.next_record == Some(number + 1) => {
                    is_sealed = true;
                    at += record::HEADER_BYTES;
                    break;
                }
                _ => break,
            }
        }
        let next = self.next_record.unwrap_or(0);
        if !is_sealed && record::find(salt, bytes, at, next).is_some() {
            return Err(fault(at, Reason::Middle));
        }
        let tail = last_record_at.map(|last_record_at| {
            let is_torn = !is_sealed && record::number_at(&bytes[at..]) == Some(next);
            let torn_at = is_torn.then_some(at as u64);
            let last_bytes = bytes[last_record_at..at].to_vec();
            Tail { last_record_at: last_record_at as u64, last_bytes, is_sealed, torn_at }
        });
        Ok((extent, tail))
    }

    /// The record behind the last one is not there, but its successors are.
    fn fault_at_tail(&self) -> Fault {
        let (segment, offset) = match (self.extents.last(), self.empty.first()) {
            (Some(last), _) if !self.tail.is_sealed => (last.number, self.tail.offset()),
            (_, empty) => (empty.copied().unwrap_or(1), segment::HEADER_BYTES),
        };
        Fault { segment, offset, reason: Reason::Middle }
    }

    fn apply(&mut self, payload: &[u8], is_first: bool, extent: &mut Extent) -> Result<(), Reason> {
        for change in changes::decode(payload) {
            match change? {
                Change::HardState(hard_state) => self.hard_state = hard_state,
                Change::Begin(base) => {
                    self.begin(base);
                    self.extents.iter_mut().for_each(|extent| extent.last_index = 0);
                    extent.last_index = 0;
                }
                // The first record says how long the log is; the log must be as long.
                Change::End(last)
                    if is_first && self.terms.as_ref().is_some_and(|terms| terms.last() != last) =>
                {
                    return Err(Reason::Order);
                }
                Change::End(last) => self.end(last)?,
                Change::Entry(entry) => {
                    let id = EntryId { index: entry.index, term: entry.term };
                    let terms =
                        self.terms.as_mut().filter(|terms| terms.can_push(id)).ok_or(Reason::Order)?;
                    terms.push(id);
                    self.entries.push(entry);
                    extent.last_index = extent.last_index.max(id.index);
                }
            }
        }
        if self.terms.is_some() { Ok(()) } else { Err(Reason::Order) }
    }

    fn begin(&mut self, base: EntryId) {
        self.terms = Some(Terms::new(base));
        self.entries.clear();
    }

    /// The log ends with this entry. If it stood in a segment that is gone, the log begins behind
    /// it.
    fn end(&mut self, last: EntryId) -> Result<(), Reason> {
        match &mut self.terms {
            Some(terms) if last.index >= terms.base().index => {
                if terms.get(last.index) != Some(last) {
                    return Err(Reason::Order);
                }
                terms.truncate(last.index);
                self.entries.truncate((last.index - terms.base().index) as usize);
            }
            _ => self.begin(last),
        }
        Ok(())
    }

    fn finish(self) -> Result<Recovered, Fault> {
        let Some((terms, next_record)) = self.terms.clone().zip(self.next_record) else {
            return Err(Fault { reason: Reason::Empty, ..self.fault_at_tail() });
        };
        if self.tail.is_sealed && self.empty.is_empty() {
            let segment = self.extents.last().map_or(1, |extent| extent.number + 1);
            return Err(Fault { segment, offset: 0, reason: Reason::Missing });
        }
        Ok(Recovered {
            hard_state: self.hard_state,
            terms,
            entries: self.entries,
            extents: self.extents,
            tail: self.tail,
            empty: self.empty,
            next_record,
        })
    }
}
