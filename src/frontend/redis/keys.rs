//! Commands on keys: which exist, until when, and their end.

use super::arguments::{Call, is};
use super::failure::Failure;
use super::translate::{Shape, Translation};
use crate::bytes::Bytes;
use crate::operation::{Deadline, DeadlineCondition, Operation};

type Translated = Result<Translation, Failure>;

/// SCAN looks at so many keys if the client does not say.
const SCAN_COUNT: u32 = 10;

/// DEL, UNLINK
pub fn delete(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Delete { keys: call.rest(1).to_vec() })
}

/// DELIFEQ
pub fn delete_if_equal(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::DeleteIfEqual { key: call.word(1), value: call.word(2) })
}

/// DELEX
pub fn delete_if(call: &Call<'_>) -> Translated {
    let key = call.word(1);
    match call.rest(2) {
        [] => Translation::plain(Operation::Delete { keys: vec![key] }),
        [option, value] if is(option, "IFEQ") => {
            Translation::plain(Operation::DeleteIfEqual { key, value: value.clone() })
        }
        [_, _] => Err(Failure::SYNTAX),
        _ => Err(Failure::arity(call.name)),
    }
}

/// EXISTS, TOUCH
pub fn exists(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Exists { keys: call.rest(1).to_vec() })
}

/// TYPE
pub fn kind(call: &Call<'_>) -> Translated {
    Ok(Translation::one(Operation::Type { key: call.word(1) }, Shape::Status))
}

/// KV.REV
pub fn revision(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Revision { key: call.word(1) })
}

/// DBSIZE
pub fn count(_: &Call<'_>) -> Translated {
    Translation::plain(Operation::Count)
}

/// FLUSHALL, FLUSHDB
pub fn flush(call: &Call<'_>) -> Translated {
    match call.rest(1) {
        [] => Translation::plain(Operation::Flush),
        [how] if is(how, "ASYNC") || is(how, "SYNC") => Translation::plain(Operation::Flush),
        _ => Err(Failure::SYNTAX),
    }
}

/// TTL
pub fn seconds_left(call: &Call<'_>) -> Translated {
    Ok(Translation::one(Operation::TimeToLive { key: call.word(1) }, Shape::Seconds))
}

/// PTTL
pub fn millis_left(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::TimeToLive { key: call.word(1) })
}

/// EXPIRETIME
pub fn deadline_seconds(call: &Call<'_>) -> Translated {
    Ok(Translation::one(Operation::Deadline { key: call.word(1) }, Shape::Seconds))
}

/// PEXPIRETIME
pub fn deadline_millis(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Deadline { key: call.word(1) })
}

/// PERSIST
pub fn persist(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Persist { key: call.word(1) })
}

/// EXPIRE
pub fn expire(call: &Call<'_>) -> Translated {
    expire_at(call, 1_000, Deadline::After)
}

/// PEXPIRE
pub fn expire_millis(call: &Call<'_>) -> Translated {
    expire_at(call, 1, Deadline::After)
}

/// EXPIREAT
pub fn expire_at_seconds(call: &Call<'_>) -> Translated {
    expire_at(call, 1_000, Deadline::At)
}

/// PEXPIREAT
pub fn expire_at_millis(call: &Call<'_>) -> Translated {
    expire_at(call, 1, Deadline::At)
}

fn expire_at(call: &Call<'_>, factor: i64, deadline: fn(i64) -> Deadline) -> Translated {
    let condition = condition(call.rest(3))?;
    let millis = call.integer(2)?.checked_mul(factor).ok_or_else(|| Failure::expire_time(call.name))?;
    Translation::plain(Operation::Expire { key: call.word(1), deadline: deadline(millis), condition })
}

fn condition(words: &[Bytes]) -> Result<Option<DeadlineCondition>, Failure> {
    let (mut absent, mut present, mut later, mut earlier) = (false, false, false, false);
    for word in words {
        match word {
            _ if is(word, "NX") => absent = true,
            _ if is(word, "XX") => present = true,
            _ if is(word, "GT") => later = true,
            _ if is(word, "LT") => earlier = true,
            _ => return Err(Failure::about("Unsupported option ", word, "")),
        }
    }
    if absent && (present || later || earlier) {
        let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
        return Err(Failure::new(text));
    }
    match (present, later, earlier) {
        (_, true, true) => Err(Failure::new("ERR GT and LT options at the same time are not compatible")),
        (true, true, _) => Ok(Some(DeadlineCondition::PresentAndLater)),
        (true, _, true) => Ok(Some(DeadlineCondition::PresentAndEarlier)),
        (true, false, false) => Ok(Some(DeadlineCondition::Present)),
        (false, true, _) => Ok(Some(DeadlineCondition::Later)),
        (false, _, true) => Ok(Some(DeadlineCondition::Earlier)),
        (false, false, false) => Ok(absent.then_some(DeadlineCondition::Absent)),
    }
}

/// SCAN
pub fn scan(call: &Call<'_>) -> Translated {
    let cursor = cursor(&call.word(1)).ok_or(Failure::new("ERR invalid cursor"))?;
    let (mut count, mut pattern, mut shape) = (SCAN_COUNT, None, Shape::Plain);
    let mut rest = call.rest(2);
    while let [option, value, after @ ..] = rest {
        if is(option, "COUNT") {
            let number = super::arguments::whole_number(value).ok_or(Failure::NOT_AN_INTEGER)?;
            if number < 1 {
                return Err(Failure::SYNTAX);
            }
            count = u32::try_from(number).unwrap_or(u32::MAX);
        } else if is(option, "MATCH") {
            pattern = Some(value.clone());
        } else if is(option, "TYPE") {
            shape = if is(value, "string") { Shape::Plain } else { Shape::NoKeys };
        } else {
            return Err(Failure::SYNTAX);
        }
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Failure::SYNTAX);
    }
    Ok(Translation::one(Operation::Scan { cursor, count, pattern }, shape))
}

/// A cursor as `strtoul` of C reads it, but for leading spaces: a sign may stand before it.
fn cursor(word: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(word).ok()?;
    match text.strip_prefix('-') {
        Some(digits) if !digits.starts_with('+') => digits.parse::<u64>().ok().map(u64::wrapping_neg),
        Some(_) => None,
        None => text.parse().ok(),
    }
}
