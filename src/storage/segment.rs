//! Segments: the files of the log. Each has a header and then records, one behind the other.
//!
//! ```text
//!  0                                                              4096
//! | "kvs-log\n" | version | number | owner | length | CRC | zeros | record | record | mark | ... |
//! ```
//!
//! The header fills a page of its own, so that a write of records never touches its page.

use raft::types::EntryId;

use super::bytes::Reader;
use super::error::Reason;
use super::identity::VERSION;
use super::record::{self, Salt};

/// The offset of the first record.
pub const HEADER_BYTES: u64 = 4_096;
/// The smallest segment has room for its first record, another one and a mark.
pub const MIN_BYTES: u64 = HEADER_BYTES + 512;

const MAGIC: [u8; 8] = *b"kvs-log\n";
const PREFIX: &str = "log-";
const SPARE_PREFIX: &str = "spare-";

/// The name of a segment.
pub fn name(number: u64) -> String {
    format!("{PREFIX}{number:010}")
}

/// The number of the segment with this name.
pub fn number(name: &str) -> Option<u64> {
    number_behind(PREFIX, name)
}

/// The name of a segment that waits to become another one.
pub fn spare_name(number: u64) -> String {
    format!("{SPARE_PREFIX}{number:010}")
}

/// The number of the spare segment with this name.
pub fn spare_number(name: &str) -> Option<u64> {
    number_behind(SPARE_PREFIX, name)
}

fn number_behind(prefix: &str, name: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    (format!("{prefix}{number:010}") == name).then_some(number)
}

/// The header of a segment of this length.
pub fn header(salt: Salt, file_bytes: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(salt.segment.to_le_bytes());
    bytes.extend(salt.owner.to_le_bytes());
    bytes.extend(file_bytes.to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(HEADER_BYTES as usize, 0);
    bytes
}

/// Checks the header of a segment and its length.
pub fn check_header(bytes: &[u8], salt: Salt) -> Result<(), Reason> {
    let mut reader = Reader::new(bytes);
    let magic: [u8; 8] = reader.array()?;
    let version = reader.u32()?;
    let found = Salt { segment: reader.u64()?, owner: reader.u64()? };
    let file_bytes = reader.u64()?;
    let covered = MAGIC.len() + 4 + 8 + 8 + 8;
    if reader.u32()? != crc32fast::hash(&bytes[..covered]) {
        return Err(Reason::Checksum);
    }
    match () {
        () if magic != MAGIC => Err(Reason::Magic),
        () if version != VERSION => Err(Reason::Version(version)),
        () if found.owner != salt.owner => Err(Reason::Owner),
        () if found.segment != salt.segment => Err(Reason::Place),
        () if (bytes.len() as u64) < file_bytes.max(HEADER_BYTES) => Err(Reason::Short),
        () => Ok(()),
    }
}

/// How much of a file of this size is for records and the last mark.
pub fn capacity(file_bytes: u64) -> u64 {
    file_bytes - file_bytes % record::ALIGNMENT as u64
}

/// A segment that is full, or the current one: its number, and the last entry that it needs to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The number of the segment.
    pub number: u64,
    /// No entry in it has a greater index. 0 if it has no entry that counts.
    pub last_index: u64,
}

impl Extent {
    /// A new segment.
    pub fn new(number: u64) -> Self {
        Self { number, last_index: 0 }
    }
}

/// The end of the log, as all records before some place leave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Term and vote.
    pub hard_state: raft::types::HardState,
    /// The last entry.
    pub last: EntryId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_segments_only() {
        assert_eq!(number(&name(12)), Some(12));
        assert_eq!(number(&name(u64::MAX)), Some(u64::MAX));
        assert_eq!(spare_number(&spare_name(12)), Some(12));
        for wrong in
            ["log-", "log-12", "log-+000000012", "log-000000001x", "log-00000000012", "spare-0000000012"]
        {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn header_of_another_segment_or_owner_is_refused() {
        let salt = Salt { segment: 5, owner: 8 };
        let bytes = header(salt, HEADER_BYTES);
        assert_eq!(check_header(&bytes, salt), Ok(()));
        assert_eq!(check_header(&bytes, Salt { segment: 6, ..salt }), Err(Reason::Place));
        assert_eq!(check_header(&bytes, Salt { owner: 9, ..salt }), Err(Reason::Owner));
        for length in [10, 100, bytes.len() - 1] {
            assert_eq!(check_header(&bytes[..length], salt), Err(Reason::Short));
        }
        let mut flipped = bytes.clone();
        flipped[9] ^= 1;
        assert_eq!(check_header(&flipped, salt), Err(Reason::Checksum));
    }
}
