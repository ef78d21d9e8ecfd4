//! Snapshots: the state machine's state, as a file per snapshot.
//!
//! ```text
//! "kvs-snp\n" | version u32 | owner u64 | index u64 | term u64 | CRC u32
//! length u32 | CRC u32 | bytes                                    a chunk, any number of them
//! u32::MAX | chunks u64 | bytes u64 | CRC of all before u32       the end of the file
//! ```
//!
//! A snapshot is written under a temporary name, synced, renamed, and the directory is synced. Only
//! then older ones are removed. So a crash leaves the old one or the new one, and a file with the
//! name of a snapshot is complete.

use std::io;
use std::sync::Arc;

use crc32fast::Hasher;
use raft::types::EntryId;

use super::bytes::{Reader, push_entry_id};
use super::counters::Counters;
use super::error::{OpenError, Reason};
use super::files::{FileHandle, Files, temporary};
use super::identity::{Owner, VERSION};

const MAGIC: [u8; 8] = *b"kvs-snp\n";
const HEADER_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 4;
const FOOTER_BYTES: usize = 4 + 8 + 8 + 4;
/// Stands in the place of a chunk's length.
const END: u32 = u32::MAX;
/// No chunk is longer.
pub const MAX_CHUNK_BYTES: usize = 64 << 20;

const PREFIX: &str = "snapshot-";
/// Chunks are gathered to writes of this size.
const WRITE_BYTES: usize = 256 << 10;
/// The file is synced each time it has grown by this, because the log writer's syncs wait behind it.
/// Their 99th percentile beside snapshots of 150 MB: 24 ms with one sync, 14 ms with one per 8 MiB,
/// 7 ms with one per MiB. With one per 256 KiB a snapshot takes 0.6 s, and a pause after each sync
/// would gain nothing.
const SYNC_BYTES: u64 = 256 << 10;

/// The name of the snapshot that ends with this entry.
pub fn name(id: EntryId) -> String {
    format!("{PREFIX}{}-{}", id.index, id.term)
}

/// The last entry of the snapshot with this name.
pub fn id(file: &str) -> Option<EntryId> {
    let (index, term) = file.strip_prefix(PREFIX)?.split_once('-')?;
    let id = EntryId { index: index.parse().ok()?, term: term.parse().ok()? };
    (name(id) == file).then_some(id)
}

/// The snapshots of a replica. One owner.
pub struct Snapshots<F: Files> {
    pub(super) files: F,
    pub(super) owner: Owner,
    pub(super) newest: Option<EntryId>,
    /// Distinguishes the names of snapshots that are not finished.
    pub(super) begun: u64,
    pub(super) has_failed: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) _lock: Arc<F::Lock>,
}

impl<F: Files> Snapshots<F> {
    /// The last entry that the newest snapshot covers.
    pub fn newest(&self) -> Option<EntryId> {
        self.newest
    }

    /// Saves a snapshot of the state after this entry. `next` returns its chunks. When this returns,
    /// the snapshot is durable and older ones are gone.
    ///
    /// # Errors
    ///
    /// The first error is final. The process must end: later calls fail, too.
    pub fn save(&mut self, id: EntryId, mut next: impl FnMut() -> Option<Vec<u8>>) -> io::Result<()> {
        let mut unfinished = self.begin(id)?;
        while let Some(chunk) = next() {
            self.guard(|_| unfinished.push(&chunk))?;
        }
        self.finish(unfinished)
    }

    /// Begins a snapshot whose chunks come one by one. Several can be written at a time; dropping
    /// one is fine.
    ///
    /// # Errors
    ///
    /// As for [`Self::save`].
    pub fn begin(&mut self, id: EntryId) -> io::Result<Unfinished<F>> {
        self.guard(|snapshots| {
            snapshots.begun += 1;
            let name = temporary(&format!("{}.{}", name(id), snapshots.begun));
            let file = snapshots.files.create(&name)?;
            Ok(Unfinished::new(snapshots.owner, id, name, file))
        })
    }

    /// Makes a snapshot durable that is complete, and removes older ones. A snapshot that is not
    /// newer than the newest one is dropped.
    ///
    /// # Errors
    ///
    /// As for [`Self::save`].
    pub fn finish(&mut self, unfinished: Unfinished<F>) -> io::Result<()> {
        self.guard(|snapshots| {
            let (id, temporary) = (unfinished.id, unfinished.name.clone());
            if snapshots.newest.is_some_and(|newest| id.index <= newest.index) {
                return snapshots.files.remove(&temporary);
            }
            let bytes = unfinished.finish()?;
            snapshots.files.rename(&temporary, &name(id))?;
            snapshots.files.sync_directory()?;
            snapshots.counters.count_bytes(bytes);
            if let Some(older) = snapshots.newest.replace(id) {
                snapshots.files.remove(&name(older))?;
            }
            Ok(())
        })
    }

    /// Reads the newest snapshot, if there is one, and hands each chunk to `take`. A chunk that
    /// `take` refuses is damage.
    ///
    /// # Errors
    ///
    /// If the file is damaged or unreadable.
    pub fn load(&self, take: impl FnMut(&[u8]) -> Result<(), Reason>) -> Result<(), OpenError> {
        match self.newest {
            Some(id) => load(&self.files, self.owner, id, take),
            None => Ok(()),
        }
    }

    /// The refusal of a newest snapshot that makes no sense, although its checksums fit.
    pub fn damaged(&self, reason: Reason) -> OpenError {
        let file = self.files.path(&name(self.newest.unwrap_or_default()));
        OpenError::Damaged { file, offset: 0, reason }
    }

    fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.has_failed {
            return Err(io::Error::other("a write of a snapshot failed before"));
        }
        let result = work(self);
        self.has_failed = result.is_err();
        result
    }
}

/// A snapshot that is not complete.
pub struct Unfinished<F: Files> {
    id: EntryId,
    name: String,
    file: F::File,
    buffer: Vec<u8>,
    hasher: Hasher,
    /// How much of the file is written, and how much is synced.
    written: u64,
    synced: u64,
    chunks: u64,
    chunk_bytes: u64,
}

impl<F: Files> Unfinished<F> {
    fn new(owner: Owner, id: EntryId, name: String, file: F::File) -> Self {
        let hasher = Hasher::new();
        let buffer = header(owner, id);
        Self { id, name, file, buffer, hasher, written: 0, synced: 0, chunks: 0, chunk_bytes: 0 }
    }

    /// The last entry that it covers.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Appends a chunk.
    ///
    /// # Errors
    ///
    /// The first error is final, as for [`Snapshots::save`].
    ///
    /// # Panics
    ///
    /// If the chunk is longer than [`MAX_CHUNK_BYTES`].
    pub fn push(&mut self, chunk: &[u8]) -> io::Result<()> {
        assert!(chunk.len() <= MAX_CHUNK_BYTES, "a chunk of {} bytes", chunk.len());
        self.buffer.extend((chunk.len() as u32).to_le_bytes());
        self.buffer.extend(chunk_checksum(self.chunks, chunk).to_le_bytes());
        self.buffer.extend(chunk);
        self.chunks += 1;
        self.chunk_bytes += chunk.len() as u64;
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written - self.synced >= SYNC_BYTES {
            self.synced = self.written;
            self.file.sync()?;
        }
        Ok(())
    }

    /// Writes the end of the file, and returns the length of the file.
    fn finish(mut self) -> io::Result<u64> {
        self.buffer.extend(END.to_le_bytes());
        self.buffer.extend(self.chunks.to_le_bytes());
        self.buffer.extend(self.chunk_bytes.to_le_bytes());
        let mut hasher = self.hasher.clone();
        hasher.update(&self.buffer);
        self.buffer.extend(hasher.finalize().to_le_bytes());
        self.flush()?;
        self.file.sync()?;
        Ok(self.written)
    }
}

fn header(owner: Owner, id: EntryId) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(owner.to_le_bytes());
    push_entry_id(&mut bytes, id);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn check_header(bytes: &[u8], owner: Owner, id: EntryId) -> Result<(), Reason> {
    let mut reader = Reader::new(bytes);
    let magic = reader.array()?;
    let version = reader.u32()?;
    let found = (reader.u64()?, reader.entry_id()?);
    if reader.u32()? != crc32fast::hash(&bytes[..HEADER_BYTES - 4]) {
        return Err(Reason::Checksum);
    }
    match () {
        () if magic != MAGIC => Err(Reason::Magic),
        () if version != VERSION => Err(Reason::Version(version)),
        () if found.0 != owner => Err(Reason::Owner),
        () if found.1 != id => Err(Reason::Place),
        () => Ok(()),
    }
}

/// Chunks that have changed places are damage, too.
fn chunk_checksum(place: u64, chunk: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(chunk);
    hasher.finalize()
}

/// Reads a snapshot and checks all of it.
pub fn load<F: Files>(
    files: &F,
    owner: Owner,
    id: EntryId,
    take: impl FnMut(&[u8]) -> Result<(), Reason>,
) -> Result<(), OpenError> {
    let name = name(id);
    let file = files.open(&name)?;
    let mut source = Source { rest: file.size()?, file, offset: 0, hasher: Hasher::new() };
    match source.read(owner, id, take) {
        Ok(()) => Ok(()),
        Err(Stop::Io(error)) => Err(OpenError::Io(error)),
        Err(Stop::Damage(Reason::Version(found))) => {
            Err(OpenError::NewerFormat { file: files.path(&name), found, known: VERSION })
        }
        Err(Stop::Damage(reason)) => {
            Err(OpenError::Damaged { file: files.path(&name), offset: source.offset, reason })
        }
    }
}

/// Why reading stopped.
enum Stop {
    Damage(Reason),
    Io(io::Error),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Damage(reason)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A snapshot that is read from its beginning to its end.
struct Source<H> {
    file: H,
    /// Where the next bytes are read.
    offset: u64,
    /// How many bytes are left.
    rest: u64,
    hasher: Hasher,
}

impl<H: FileHandle> Source<H> {
    fn read(
        &mut self,
        owner: Owner,
        id: EntryId,
        mut take: impl FnMut(&[u8]) -> Result<(), Reason>,
    ) -> Result<(), Stop> {
        let mut buffer = Vec::new();
        self.next(&mut buffer, HEADER_BYTES)?;
        check_header(&buffer, owner, id)?;
        self.advance(&buffer);
        let (mut chunks, mut chunk_bytes) = (0, 0);
        loop {
            self.next(&mut buffer, 8)?;
            let mut reader = Reader::new(&buffer);
            let (length, checksum) = (reader.u32()?, reader.u32()?);
            if length == END {
                return self.read_end(chunks, chunk_bytes);
            }
            let length = length as usize;
            if length > MAX_CHUNK_BYTES {
                return Err(Reason::Checksum.into());
            }
            self.next(&mut buffer, 8 + length)?;
            if checksum != chunk_checksum(chunks, &buffer[8..]) {
                return Err(Reason::Checksum.into());
            }
            take(&buffer[8..])?;
            self.advance(&buffer);
            chunks += 1;
            chunk_bytes += length as u64;
        }
    }

    fn read_end(&mut self, chunks: u64, chunk_bytes: u64) -> Result<(), Stop> {
        let mut buffer = Vec::new();
        self.next(&mut buffer, FOOTER_BYTES)?;
        self.hasher.update(&buffer[..FOOTER_BYTES - 4]);
        let mut reader = Reader::new(&buffer);
        let end = (reader.u32()?, reader.u64()?, reader.u64()?);
        if reader.u32()? != self.hasher.clone().finalize() {
            return Err(Reason::Checksum.into());
        }
        if end != (END, chunks, chunk_bytes) || self.rest != FOOTER_BYTES as u64 {
            return Err(Reason::Contents.into());
        }
        Ok(())
    }

    /// Reads the next bytes, and leaves them the next.
    fn next(&mut self, buffer: &mut Vec<u8>, length: usize) -> Result<(), Stop> {
        if self.rest < length as u64 {
            return Err(Reason::Short.into());
        }
        buffer.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut buffer[filled..], self.offset + filled as u64)? {
                0 => return Err(Reason::Short.into()),
                more => filled += more,
            }
        }
        Ok(())
    }

    fn advance(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        self.rest -= bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_finished_snapshots_only() {
        let entry = EntryId { index: 12, term: 3 };
        assert_eq!(id(&name(entry)), Some(entry));
        for wrong in ["snapshot-12", "snapshot-12-", "snapshot-012-3", "snapshot-12-3.1.tmp", "log-12-3"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }
}
