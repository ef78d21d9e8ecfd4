//! The log writer: appends batches of changes to the log. When [`LogWriter::write`] returns, they
//! are durable.
//!
//! The writer syncs each record before it writes the next one. So a crash leaves at most one record
//! in doubt, the last one; recovery builds on that. The first error is final: the contents of a file
//! are unknown after a failed sync, and a second sync may succeed without having written anything.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use raft::types::{EntryId, HardState, Index};

use super::changes;
use super::counters::Counters;
use super::files::{FileHandle, Files, write_zeros};
use super::pool::{Prepared, Worker};
use super::record::{self, Salt};
use super::segment::{self, Extent, Position};
use super::terms::Terms;
use crate::clock::BootTime;
use crate::replication::Persist;

/// A batch with more bytes becomes several records.
const MAX_RECORD_BYTES: u64 = 4 << 20;
/// A segment has room for several full records, so that its end is not left empty.
const RECORDS_PER_SEGMENT: u64 = 4;
/// A buffer that has become larger is given back.
const MAX_IDLE_BUFFER_BYTES: usize = 8 << 20;

/// The segment to which records are appended.
pub(super) struct Current<F: Files> {
    pub extent: Extent,
    pub file: F::File,
    /// Its length.
    pub file_bytes: u64,
    /// Where the next record begins.
    pub offset: u64,
}

/// Appends to the log. One owner, one thread.
pub struct LogWriter<F: Files> {
    pub(super) owner: u64,
    pub(super) current: Current<F>,
    /// The segments before the current one, oldest first.
    pub(super) earlier: VecDeque<Extent>,
    /// The number of the next record.
    pub(super) next_record: u64,
    /// The terms of the log, changes that are not written yet included.
    pub(super) terms: Terms,
    /// The end of the log on disk.
    pub(super) position: Position,
    pub(super) worker: Worker<F>,
    pub(super) max_record_bytes: u64,
    pub(super) staged: Staged,
    pub(super) has_failed: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) _lock: Arc<F::Lock>,
}

/// Changes that are not written yet: the next record.
pub(super) struct Staged {
    /// Room for the record's header, and the changes.
    buffer: Vec<u8>,
    hard_state: HardState,
    /// The greatest index of an entry that counts.
    last_index: Index,
    /// Whether all entries before this record are gone.
    begins_anew: bool,
}

impl Staged {
    pub fn new(hard_state: HardState) -> Self {
        Self { buffer: vec![0; record::HEADER_BYTES], hard_state, last_index: 0, begins_anew: false }
    }

    fn is_empty(&self) -> bool {
        self.buffer.len() == record::HEADER_BYTES
    }

    fn clear(&mut self) {
        if self.buffer.capacity() > MAX_IDLE_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        self.buffer.resize(record::HEADER_BYTES, 0);
        self.last_index = 0;
        self.begins_anew = false;
    }
}

/// The greatest record in a log with segments of this length, but for single large entries.
pub(super) fn max_record_bytes(segment_bytes: u64) -> u64 {
    MAX_RECORD_BYTES.min((segment_bytes - segment::HEADER_BYTES) / RECORDS_PER_SEGMENT)
}

impl<F: Files> LogWriter<F> {
    /// Makes these changes durable, all with one write and one sync. A batch above 4 MB becomes
    /// several writes and syncs; a crash between them leaves the first part of the batch.
    ///
    /// # Errors
    ///
    /// The first error is final. The process must end: later calls fail, too.
    ///
    /// # Panics
    ///
    /// If a change does not continue the log.
    pub fn write(&mut self, persists: &[Persist]) -> io::Result<()> {
        self.guard(|log| {
            log.worker.check()?;
            for persist in persists {
                log.stage(persist)?;
            }
            log.commit()
        })
    }

    /// Gives back the segments whose entries all have this index or lower ones. A snapshot that
    /// covers them must be durable.
    ///
    /// # Errors
    ///
    /// As for [`Self::write`].
    pub fn compact(&mut self, index: Index) -> io::Result<()> {
        self.guard(|log| {
            while let Some(extent) = log.earlier.front().copied().filter(|extent| extent.last_index <= index)
            {
                log.earlier.pop_front();
                log.worker.free(extent.number)?;
            }
            Ok(())
        })?;
        self.terms.compact(index.min(self.terms.last().index));
        Ok(())
    }

    /// Notes on disk that the log ends here. After that, recovery can tell a damaged last record
    /// from one that was never finished.
    ///
    /// # Errors
    ///
    /// If the note could not be written. All acknowledged changes are durable even so.
    pub fn close(mut self) -> io::Result<()> {
        self.guard(|log| log.current.file.sync())
    }

    /// Statistics.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The last entry of the log.
    pub fn last(&self) -> EntryId {
        self.terms.last()
    }

    fn guard(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("a write to the log failed before"));
        }
        let result = work(self);
        self.has_failed = result.is_err();
        result
    }

    fn stage(&mut self, persist: &Persist) -> io::Result<()> {
        if persist.hard_state != self.staged.hard_state {
            self.staged.hard_state = persist.hard_state;
            changes::push_hard_state(&mut self.staged.buffer, persist.hard_state);
        }
        if let Some(base) = persist.base {
            self.begin(base);
        }
        let kept = persist.first_index.saturating_sub(1);
        if kept != self.terms.last().index {
            let last = self.terms.get(kept).expect("a change keeps entries that the log has");
            self.terms.truncate(kept);
            self.staged.last_index = self.staged.last_index.min(kept);
            changes::push_end(&mut self.staged.buffer, last);
        }
        for entry in &persist.entries {
            let id = EntryId { index: entry.index, term: entry.term };
            assert!(self.terms.can_push(id), "entry {id} behind entry {}", self.terms.last());
            self.terms.push(id);
            self.staged.last_index = self.staged.last_index.max(id.index);
            changes::push_entry(&mut self.staged.buffer, entry);
            if self.staged.buffer.len() as u64 >= self.max_record_bytes {
                self.commit()?;
            }
        }
        Ok(())
    }

    /// The log begins anew behind this entry.
    pub(super) fn begin(&mut self, base: EntryId) {
        self.terms = Terms::new(base);
        self.staged.last_index = 0;
        self.staged.begins_anew = true;
        changes::push_begin(&mut self.staged.buffer, base);
    }

    /// Writes the staged changes as one record.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let record_bytes = record::size_of(self.staged.buffer.len() - record::HEADER_BYTES) as u64;
        if !self.has_room(record_bytes) {
            self.switch(record_bytes)?;
        }
        let mut buffer = std::mem::take(&mut self.staged.buffer);
        self.append(&mut buffer)?;
        self.staged.buffer = buffer;
        self.note_extents();
        self.position = Position { hard_state: self.staged.hard_state, last: self.terms.last() };
        self.staged.clear();
        Ok(())
    }

    /// Which segments have entries that count, after the staged record.
    fn note_extents(&mut self) {
        let current = &mut self.current.extent.last_index;
        if self.staged.begins_anew {
            self.earlier.iter_mut().for_each(|extent| extent.last_index = 0);
            *current = 0;
        }
        *current = self.staged.last_index.max(*current);
    }

    /// Whether the current segment has room for a record and a mark or a seal.
    fn has_room(&self, record_bytes: u64) -> bool {
        let end = self.current.offset + record_bytes + record::HEADER_BYTES as u64;
        end <= segment::capacity(self.current.file_bytes)
    }

    /// Ends the current segment, and begins the next one.
    fn switch(&mut self, record_bytes: u64) -> io::Result<()> {
        // The next segment is there before this one is sealed, so recovery knows that a sealed
        // segment has a successor.
        let mut next = self.worker.take()?;
        self.grow(&mut next, record_bytes)?;
        let seal = record::seal(self.salt(), self.next_record - 1);
        self.current.file.write_at(&seal, self.current.offset)?;
        self.sync()?;
        let next_number = next.number + 1;
        self.earlier.push_back(self.current.extent);
        self.current = Current {
            extent: Extent::new(next.number),
            file: next.file,
            file_bytes: next.file_bytes,
            offset: segment::HEADER_BYTES,
        };
        self.write_position()?;
        self.worker.prepare(next_number)
    }

    /// Gives a segment room for a single large record.
    fn grow(&self, next: &mut Prepared<F>, record_bytes: u64) -> io::Result<()> {
        let first = record::size_of(POSITION_BYTES) as u64;
        let needed = segment::HEADER_BYTES + first + record_bytes + record::HEADER_BYTES as u64;
        if needed > segment::capacity(next.file_bytes) {
            write_zeros(&mut next.file, next.file_bytes, needed)?;
            next.file.sync()?;
            // The header must not name a length that a crash can take back.
            let salt = Salt { segment: next.number, owner: self.owner };
            next.file.write_at(&segment::header(salt, needed), 0)?;
            next.file.sync()?;
            self.counters.count_bytes(needed - next.file_bytes);
            next.file_bytes = needed;
        }
        Ok(())
    }

    /// Writes the first record of the current segment.
    pub(super) fn write_position(&mut self) -> io::Result<()> {
        self.append(&mut position_record(self.position))
    }

    /// Writes a record and syncs it. Then it notes behind the record, without a sync, that the
    /// record is durable.
    fn append(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let salt = self.salt();
        record::finish(salt, self.next_record, buffer);
        self.current.file.write_at(buffer, self.current.offset)?;
        self.sync()?;
        self.counters.count_record(buffer.len() as u64);
        self.current.offset += buffer.len() as u64;
        self.next_record += 1;
        self.write_mark()
    }

    /// Notes that the last record is durable.
    pub(super) fn write_mark(&mut self) -> io::Result<()> {
        let mark = record::mark(self.salt(), self.next_record - 1);
        self.current.file.write_at(&mark, self.current.offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        let began = BootTime::now().as_micros();
        let synced = self.current.file.sync();
        self.counters.count_sync(BootTime::now().as_micros() - began);
        synced
    }

    fn salt(&self) -> Salt {
        Salt { segment: self.current.extent.number, owner: self.owner }
    }
}

/// The size of the changes in the first record of a segment: term, vote, and the last entry.
pub(super) const POSITION_BYTES: usize = 1 + 8 + 2 + 1 + 16;

/// The first record of a segment, not finished: how the records of earlier segments leave the log.
/// So recovery needs no earlier segment.
pub(super) fn position_record(position: Position) -> Vec<u8> {
    let mut buffer = vec![0; record::HEADER_BYTES];
    changes::push_hard_state(&mut buffer, position.hard_state);
    changes::push_end(&mut buffer, position.last);
    debug_assert_eq!(buffer.len() - record::HEADER_BYTES, POSITION_BYTES);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_segment_has_room_for_records() {
        let first = record::size_of(POSITION_BYTES) as u64;
        let largest = record::size_of(max_record_bytes(segment::MIN_BYTES) as usize) as u64;
        assert!(first + largest + record::HEADER_BYTES as u64 <= segment::MIN_BYTES - segment::HEADER_BYTES);
    }
}
