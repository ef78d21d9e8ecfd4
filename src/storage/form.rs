//! The form of a snapshot: a header, chunks, an end. A file of the directory has it, and so has a
//! backup.
//!
//! ```text
//! "kvs-snp\n" | version u32 | owner u64 | index u64 | term u64 | CRC u32
//! length u32 | CRC u32 | bytes                                    a chunk, any number of them
//! u32::MAX | chunks u64 | bytes u64 | CRC of all before u32       the end
//! ```

use std::io;

use crc32fast::Hasher;
use raft::types::EntryId;

use super::bytes::{Reader, push_entry_id};
use super::error::{OpenError, Reason};
use super::files::{FileHandle, Files};
use super::identity::{Owner, VERSION};

const MAGIC: [u8; 8] = *b"kvs-snp\n";
const HEADER_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 4;
const FOOTER_BYTES: usize = 4 + 8 + 8 + 4;
/// Stands in the place of a chunk's length.
const END: u32 = u32::MAX;
/// No chunk is longer.
pub const MAX_CHUNK_BYTES: usize = 64 << 20;

/// Writes a snapshot as bytes.
pub struct Form {
    /// The bytes that no one has taken yet.
    pub pending: Vec<u8>,
    hasher: Hasher, // of all bytes so far
    chunks: u64,
    chunk_bytes: u64,
}

impl Form {
    /// The beginning of the snapshot of this owner that ends with this entry.
    pub fn new(owner: Owner, id: EntryId) -> Self {
        let mut form = Self { pending: Vec::new(), hasher: Hasher::new(), chunks: 0, chunk_bytes: 0 };
        form.add(&header(owner, id));
        form
    }

    /// Adds a chunk.
    ///
    /// # Panics
    ///
    /// If it is longer than [`MAX_CHUNK_BYTES`].
    pub fn push(&mut self, chunk: &[u8]) {
        assert!(chunk.len() <= MAX_CHUNK_BYTES, "a chunk of {} bytes", chunk.len());
        self.add(&(chunk.len() as u32).to_le_bytes());
        self.add(&chunk_checksum(self.chunks, chunk).to_le_bytes());
        self.add(chunk);
        self.chunks += 1;
        self.chunk_bytes += chunk.len() as u64;
    }

    /// Adds the end.
    pub fn end(&mut self) {
        self.add(&END.to_le_bytes());
        self.add(&self.chunks.to_le_bytes());
        self.add(&self.chunk_bytes.to_le_bytes());
        self.pending.extend(self.hasher.clone().finalize().to_le_bytes());
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.pending.extend_from_slice(bytes);
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

/// The owner and the last entry of the snapshot with this header.
fn read_header(bytes: &[u8]) -> Result<(Owner, EntryId), Reason> {
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
        () => Ok(found),
    }
}

/// Chunks that have changed places are damage, too.
fn chunk_checksum(place: u64, chunk: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(chunk);
    hasher.finalize()
}

/// Reads a file of this form and checks all of it. `accept` judges the owner and the last entry,
/// which are returned, before `take` gets the chunks.
///
/// # Errors
///
/// If the file is damaged, unreadable, or refused by `accept` or `take`.
pub fn read<F: Files>(
    files: &F,
    name: &str,
    accept: impl FnOnce(Owner, EntryId) -> Result<(), Reason>,
    take: impl FnMut(&[u8]) -> Result<(), Reason>,
) -> Result<EntryId, OpenError> {
    let file = files.open(name)?;
    let mut source = Source { rest: file.size()?, file, offset: 0, hasher: Hasher::new() };
    match source.read(accept, take) {
        Ok(id) => Ok(id),
        Err(Stop::Io(error)) => Err(OpenError::Io(error)),
        Err(Stop::Damage(Reason::Version(found))) => {
            Err(OpenError::NewerFormat { file: files.path(name), found, known: VERSION })
        }
        Err(Stop::Damage(reason)) => {
            Err(OpenError::Damaged { file: files.path(name), offset: source.offset, reason })
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
        accept: impl FnOnce(Owner, EntryId) -> Result<(), Reason>,
        mut take: impl FnMut(&[u8]) -> Result<(), Reason>,
    ) -> Result<EntryId, Stop> {
        let mut buffer = Vec::new();
        self.next(&mut buffer, HEADER_BYTES)?;
        let (owner, id) = read_header(&buffer)?;
        accept(owner, id)?;
        self.advance(&buffer);
        let (mut chunks, mut chunk_bytes) = (0, 0);
        loop {
            self.next(&mut buffer, 8)?;
            let mut reader = Reader::new(&buffer);
            let (length, checksum) = (reader.u32()?, reader.u32()?);
            if length == END {
                return self.read_end(chunks, chunk_bytes).map(|()| id);
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
