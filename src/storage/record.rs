//! Records: the unit in which the log is written, synced and checked.
//!
//! ```text
//!  0      4        8          16
//! | CRC  | length | number   | payload ...                       | zeros up to a multiple of 8 |
//! ```
//!
//! The CRC covers the length, the number, the payload, and a salt: the segment's number and its
//! owner. So a record of another segment is never valid here, although a recycled segment is full
//! of them. Numbers rise by one from record to record through all segments.
//!
//! Two records have no payload, and the number of the record before them. A **mark** says that this
//! record is durable. The next record overwrites it. A **seal** says that this record is durable
//! and the last one of its segment.

use crc32fast::Hasher;

/// The size of CRC, length and number.
pub const HEADER_BYTES: usize = 16;
/// Each record begins at a multiple of this many bytes.
pub const ALIGNMENT: usize = 8;
/// The largest payload. Greater lengths stand for marks and seals.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 30;

const MARK_LENGTH: u32 = u32::MAX;
const SEAL_LENGTH: u32 = u32::MAX - 1;

/// The segment that a record belongs to, and the owner of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt {
    /// The number of the segment.
    pub segment: u64,
    /// Differs from replica to replica ([`Owner`](super::identity::Owner)).
    pub owner: u64,
}

/// A valid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Changes of the log.
    Changes {
        /// The record's number.
        number: u64,
        /// The changes.
        payload: &'a [u8],
    },
    /// The record with this number is durable.
    Mark(u64),
    /// The record with this number is durable and the last one of this segment.
    Seal(u64),
}

/// The size in a segment of a record with this payload.
pub fn size_of(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Turns a buffer that starts with [`HEADER_BYTES`] free bytes, and has the payload behind them,
/// into a record.
pub fn finish(salt: Salt, number: u64, buffer: &mut Vec<u8>) {
    let payload_bytes = buffer.len() - HEADER_BYTES;
    assert!(payload_bytes <= MAX_PAYLOAD_BYTES, "a record of {payload_bytes} bytes");
    let header = header(salt, payload_bytes as u32, number, &buffer[HEADER_BYTES..]);
    buffer[..HEADER_BYTES].copy_from_slice(&header);
    buffer.resize(size_of(payload_bytes), 0);
}

/// A mark behind the record with this number.
pub fn mark(salt: Salt, number: u64) -> [u8; HEADER_BYTES] {
    header(salt, MARK_LENGTH, number, &[])
}

/// A seal behind the record with this number.
pub fn seal(salt: Salt, number: u64) -> [u8; HEADER_BYTES] {
    header(salt, SEAL_LENGTH, number, &[])
}

fn header(salt: Salt, length: u32, number: u64, payload: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..].copy_from_slice(&number.to_le_bytes());
    let checksum = checksum(salt, &header, payload);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn checksum(salt: Salt, header: &[u8; HEADER_BYTES], payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.segment.to_le_bytes());
    hasher.update(&salt.owner.to_le_bytes());
    hasher.update(&header[4..]);
    hasher.update(payload);
    hasher.finalize()
}

/// The number that stands at the front of these bytes if they are a record, valid or not.
pub fn number_at(bytes: &[u8]) -> Option<u64> {
    let number = bytes.get(8..HEADER_BYTES)?;
    Some(u64::from_le_bytes(number.try_into().ok()?))
}

/// The valid record at the front of these bytes.
pub fn parse(salt: Salt, bytes: &[u8]) -> Option<Record<'_>> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let length = u32::from_le_bytes(*header[4..].first_chunk()?);
    let number = number_at(header)?;
    let payload = match length {
        MARK_LENGTH | SEAL_LENGTH => &[],
        _ => bytes.get(HEADER_BYTES..)?.get(..length as usize)?,
    };
    if u32::from_le_bytes(*header.first_chunk()?) != checksum(salt, header, payload) {
        return None;
    }
    Some(match length {
        MARK_LENGTH => Record::Mark(number),
        SEAL_LENGTH => Record::Seal(number),
        _ => Record::Changes { number, payload },
    })
}

/// The place of a valid record with this number or a greater one, at or behind `from`. It shows
/// that the record with this number was durable once, because the writer syncs each record before
/// it writes the next byte.
pub fn find(salt: Salt, bytes: &[u8], from: usize, number: u64) -> Option<usize> {
    // Numbers rise by one per record, so a segment cannot hold greater ones. This keeps the scan
    // from computing checksums at places that are no record.
    let numbers = number..number.saturating_add((bytes.len() / HEADER_BYTES) as u64);
    (from..bytes.len()).step_by(ALIGNMENT).find(|&at| {
        let is_plausible = number_at(&bytes[at..]).is_some_and(|number| numbers.contains(&number));
        is_plausible && parse(salt, &bytes[at..]).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt { segment: 7, owner: 99 };

    fn record(salt: Salt, number: u64, payload: &[u8]) -> Vec<u8> {
        let mut buffer = [&[0; HEADER_BYTES], payload].concat();
        finish(salt, number, &mut buffer);
        buffer
    }

    #[test]
    fn record_is_read_as_it_was_written() {
        for payload in [&b""[..], b"1", b"12345678", b"123456789"] {
            let bytes = record(SALT, 3, payload);
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            assert_eq!(parse(SALT, &bytes), Some(Record::Changes { number: 3, payload }));
        }
        assert_eq!(parse(SALT, &mark(SALT, 4)), Some(Record::Mark(4)));
        assert_eq!(parse(SALT, &seal(SALT, 5)), Some(Record::Seal(5)));
    }

    #[test]
    fn record_of_another_segment_or_owner_is_not_valid() {
        let bytes = record(SALT, 3, b"payload");
        assert_eq!(parse(Salt { segment: 8, ..SALT }, &bytes), None);
        assert_eq!(parse(Salt { owner: 98, ..SALT }, &bytes), None);
    }

    #[test]
    fn record_with_a_flipped_bit_or_without_its_end_is_not_valid() {
        let whole = record(SALT, 3, b"payload");
        for bytes in [&whole[..], &mark(SALT, 3), &seal(SALT, 3)] {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let is_padding = bit / 8 >= HEADER_BYTES + b"payload".len();
                assert_eq!(parse(SALT, &flipped).is_some(), is_padding, "bit {bit}");
            }
        }
        for length in 0..HEADER_BYTES + b"payload".len() {
            assert_eq!(parse(SALT, &whole[..length]), None);
        }
        assert_eq!(parse(SALT, &[0; 64]), None, "zeros");
    }

    #[test]
    fn search_finds_records_and_marks_that_are_not_older() {
        let bytes = [record(SALT, 3, b"three"), vec![1; 40], mark(SALT, 4).to_vec()].concat();
        let at = bytes.len() - HEADER_BYTES;
        assert_eq!(find(SALT, &bytes, 0, 3), Some(0));
        assert_eq!(find(SALT, &bytes, 0, 4), Some(at));
        assert_eq!(find(SALT, &bytes, 8, 3), Some(at));
        assert_eq!(find(SALT, &bytes, 0, 5), None);
        assert_eq!(find(Salt { segment: 6, ..SALT }, &bytes, 0, 3), None);
    }
}
