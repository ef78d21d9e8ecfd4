//! Numbers of fixed size, little endian, as all files of the storage have them.

use raft::id::Id;
use raft::types::EntryId;

use super::error::Reason;

/// Takes bytes from the front.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all bytes have been taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Reason> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Reason::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes, as many as the array has.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Reason::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next number.
    pub fn u32(&mut self) -> Result<u32, Reason> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next number.
    pub fn u64(&mut self) -> Result<u64, Reason> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next replica, or none.
    pub fn id(&mut self) -> Result<Option<Id>, Reason> {
        self.array().map(u16::from_le_bytes).map(Id::new)
    }

    /// The next name of an entry.
    pub fn entry_id(&mut self) -> Result<EntryId, Reason> {
        Ok(EntryId { index: self.u64()?, term: self.u64()? })
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), Reason> {
        if self.is_empty() { Ok(()) } else { Err(Reason::Contents) }
    }
}

/// Appends the name of an entry.
pub fn push_entry_id(out: &mut Vec<u8>, id: EntryId) {
    out.extend(id.index.to_le_bytes());
    out.extend(id.term.to_le_bytes());
}
