//! Changes a value: numbers, and parts of texts. The key keeps its deadline.

use super::keys::Wanted;
use super::reads::integer;
use super::{StateMachine, float};
use crate::bytes::Bytes;
use crate::reply::{Refusal, Reply};

impl StateMachine {
    pub(super) fn increment(&mut self, key: &Bytes, by: i64) -> Result<Reply, Refusal> {
        let wanted = Wanted::of(key);
        let old = self.keys.get(wanted);
        let number = old.map_or(Some(0), |old| whole_number(&old.bytes)).ok_or(Refusal::NotAnInteger)?;
        let deadline = old.and_then(|old| old.deadline);
        let sum = number.checked_add(by).ok_or(Refusal::Overflow)?;
        self.put(wanted, sum.to_string().into(), deadline);
        Ok(Reply::Integer(sum))
    }

    pub(super) fn increment_float(&mut self, key: &Bytes, by: &Bytes) -> Result<Reply, Refusal> {
        let wanted = Wanted::of(key);
        let old = self.keys.get(wanted);
        let sum: Bytes = float::add(old.map_or(b"0", |old| &old.bytes), by)?.into();
        let deadline = old.and_then(|old| old.deadline);
        self.check_len(sum.len())?;
        self.put(wanted, sum.clone(), deadline);
        Ok(Reply::Bytes(sum))
    }

    pub(super) fn append(&mut self, key: &Bytes, value: &Bytes) -> Result<Reply, Refusal> {
        let wanted = Wanted::of(key);
        let (bytes, deadline) = match self.keys.get(wanted) {
            Some(old) => {
                self.check_len(old.bytes.len() + value.len())?;
                ([&old.bytes[..], value].concat().into(), old.deadline)
            }
            None => {
                self.check_len(value.len())?;
                (value.clone(), None)
            }
        };
        let reply = integer(bytes.len());
        self.put(wanted, bytes, deadline);
        Ok(reply)
    }

    pub(super) fn set_range(&mut self, key: &Bytes, offset: u64, value: &Bytes) -> Result<Reply, Refusal> {
        let wanted = Wanted::of(key);
        let old = self.keys.get(wanted);
        let old_len = old.map_or(0, |old| old.bytes.len());
        if value.is_empty() {
            return Ok(integer(old_len));
        }
        let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(value.len()));
        let end = end.ok_or(Refusal::TooLong)?;
        self.check_len(end)?;
        let mut bytes = Vec::with_capacity(end.max(old_len));
        bytes.extend_from_slice(old.map_or(&[], |old| &old.bytes));
        bytes.resize(end.max(old_len), 0);
        bytes[end - value.len()..end].copy_from_slice(value);
        let deadline = old.and_then(|old| old.deadline);
        let reply = integer(bytes.len());
        self.put(wanted, bytes.into(), deadline);
        Ok(reply)
    }
}

/// The number that a value is: written in the one way in which the store writes it.
fn whole_number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_without_frills_are_numbers() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(whole_number(number.to_string().as_bytes()), Some(number));
        }
        for text in ["", "-", "+1", "-0", "00", "01", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808"]
        {
            assert_eq!(whole_number(text.as_bytes()), None, "{text:?}");
        }
    }
}
