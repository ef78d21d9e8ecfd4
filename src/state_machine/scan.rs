//! Some keys after a cursor.
//!
//! The cursor is the digest of the first key that the scan has not looked at. The keys stand in the
//! order of their digests, so a key that is added or deleted during a scan moves no other, and any
//! number is a valid cursor. Keys with the same digest come in the same step.

use super::StateMachine;
use super::glob;
use crate::bytes::Bytes;
use crate::operation::UnixMillis;
use crate::reply::Reply;

/// The most keys that a step looks at.
const MAX_COUNT: usize = 1_024;

/// A step ends when its keys have more bytes, so its reply is short.
const MAX_BYTES: usize = 32 << 10;

/// A step ends when the lengths of its keys times that of the pattern are more. Then it takes a few
/// milliseconds at most, unless a single key has so many bytes.
const MAX_COMPARISONS: usize = 4 << 20;

impl StateMachine {
    /// The next cursor, and the keys that match.
    pub(super) fn scan(
        &self,
        now: UnixMillis,
        cursor: u64,
        count: u32,
        pattern: Option<&[u8]>,
    ) -> Option<Reply> {
        let count = (count as usize).clamp(1, MAX_COUNT);
        let (mut looked_at, mut bytes, mut comparisons) = (0, 0, 0);
        let (mut before, mut next) = (None, 0);
        let mut found = Vec::new();
        for (digest, key, value) in self.keys.from(cursor) {
            let full = looked_at >= count || bytes > MAX_BYTES || comparisons > MAX_COMPARISONS;
            if full && before != Some(digest) {
                next = digest;
                break;
            }
            before = Some(digest);
            looked_at += 1;
            comparisons += key.len() * pattern.map_or(0, <[u8]>::len);
            if self.is_there(value, now)? && pattern.is_none_or(|pattern| glob::matches(pattern, key)) {
                bytes += key.len();
                found.push(Reply::Bytes(key.clone()));
            }
        }
        let next = Bytes::from(next.to_string());
        Some(Reply::Array(vec![Reply::Bytes(next), Reply::Array(found)]))
    }
}
