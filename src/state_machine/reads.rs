//! The operations that change nothing, but for a scan.

use super::StateMachine;
use super::keys::{Value, Wanted};
use crate::bytes::Bytes;
use crate::operation::{Operation, UnixMillis};
use crate::reply::Reply;

impl StateMachine {
    /// The reply to a read at a time that is not before the state machine's. `None` if the operation
    /// is no read, or finds a key that has expired at this time and not at the state machine's.
    pub(super) fn answer(&self, now: UnixMillis, operation: &Operation) -> Option<Reply> {
        let reply = match operation {
            Operation::Get { key } => match self.find(key, now)? {
                Some(value) => Reply::Bytes(value.bytes.clone()),
                None => Reply::Nil,
            },
            Operation::GetMany { keys } => {
                let value = |key: &Bytes| {
                    let value = self.find(key, now)?;
                    Some(value.map_or(Reply::Nil, |value| Reply::Bytes(value.bytes.clone())))
                };
                Reply::Array(keys.iter().map(value).collect::<Option<_>>()?)
            }
            Operation::GetRange { key, start, end } => {
                let part = self.find(key, now)?.map(|value| range(&value.bytes, *start, *end));
                Reply::Bytes(part.unwrap_or_default().into())
            }
            Operation::Strlen { key } => integer(self.find(key, now)?.map_or(0, |value| value.bytes.len())),
            Operation::Exists { keys } => {
                let found: Option<Vec<bool>> =
                    keys.iter().map(|key| Some(self.find(key, now)?.is_some())).collect();
                integer(found?.into_iter().filter(|found| *found).count())
            }
            Operation::Type { key } => {
                Reply::Bytes(if self.find(key, now)?.is_some() { "string" } else { "none" }.into())
            }
            Operation::TimeToLive { key } => {
                self.deadline(key, now, |deadline| deadline.saturating_sub(now))?
            }
            Operation::Deadline { key } => self.deadline(key, now, |deadline| deadline)?,
            Operation::Revision { key } => {
                integer(self.find(key, now)?.map_or(self.applied, |value| value.revision))
            }
            Operation::GetWithRevision { key } => match self.find(key, now)? {
                Some(Value { bytes, deadline, revision }) => {
                    let left = deadline.map_or(-1, |deadline| deadline.saturating_sub(now));
                    let value = Reply::Bytes(bytes.clone());
                    Reply::Array(vec![value, integer(*revision), Reply::Integer(left)])
                }
                None => Reply::Nil,
            },
            Operation::Count => {
                if self.keys.deadlines().any_until(now) {
                    return None;
                }
                integer(self.keys.len())
            }
            Operation::Scan { cursor, count, pattern } => {
                self.scan(now, *cursor, *count, pattern.as_deref())?
            }
            _ => return None,
        };
        Some(reply)
    }

    /// The record of a key, if the key exists.
    fn find(&self, key: &Bytes, now: UnixMillis) -> Option<Option<&Value>> {
        let Some(value) = self.keys.get(Wanted::of(key)) else { return Some(None) };
        Some(self.is_there(value, now)?.then_some(value))
    }

    /// Whether a key with this value exists; `None` if it has expired now, and not at the state
    /// machine's time.
    pub(super) fn is_there(&self, value: &Value, now: UnixMillis) -> Option<bool> {
        match value.deadline {
            Some(deadline) if deadline <= self.time() => Some(false),
            Some(deadline) if deadline <= now => None,
            _ => Some(true),
        }
    }

    fn deadline(&self, key: &Bytes, now: UnixMillis, of: impl FnOnce(UnixMillis) -> i64) -> Option<Reply> {
        let value = self.find(key, now)?;
        Some(Reply::Integer(value.map_or(-2, |value| value.deadline.map_or(-1, of))))
    }
}

/// A number of keys or bytes, or an index of the log.
pub(super) fn integer(number: impl TryInto<i64>) -> Reply {
    Reply::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// The part of a text between two positions, which count from the end if they are negative. One
/// before the beginning means the beginning, also where the part ends: Redis does so.
fn range(text: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let len = text.len() as i64;
    let place = |position: i64| if position < 0 { (len + position).max(0) } else { position };
    let (start, end) = (place(start), place(end).min(len - 1));
    if start > end { &[] } else { &text[start as usize..=end as usize] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_the_one_that_redis_returns() {
        let cases = [
            (0, -1, "hello"),
            (0, 0, "h"),
            (1, 3, "ell"),
            (-3, -2, "ll"),
            (-2, -3, ""),
            (3, 1, ""),
            (5, 9, ""),
            (4, i64::MAX, "o"),
            (i64::MIN, i64::MAX, "hello"),
            (0, -9, "h"),
            (-9, -9, "h"),
            (-9, -8, "h"),
        ];
        for (start, end, expected) in cases {
            assert_eq!(range(b"hello", start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(range(b"", 0, -1), b"");
    }
}
