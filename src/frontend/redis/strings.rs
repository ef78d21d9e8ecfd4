//! Commands on values: reads, writes with their options, numbers, parts of texts.

use super::arguments::{Call, is};
use super::failure::Failure;
use super::translate::{Shape, Translation};
use crate::bytes::Bytes;
use crate::operation::{Condition, Deadline, Expiry, Operation, Set};

type Translated = Result<Translation, Failure>;

/// GET
pub fn get(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Get { key: call.word(1) })
}

/// MGET
pub fn mget(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::GetMany { keys: call.rest(1).to_vec() })
}

/// STRLEN
pub fn strlen(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Strlen { key: call.word(1) })
}

/// GETRANGE, SUBSTR
pub fn get_range(call: &Call<'_>) -> Translated {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    Translation::plain(Operation::GetRange { key: call.word(1), start, end })
}

/// GETDEL
pub fn get_delete(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::GetDelete { key: call.word(1) })
}

/// GETEX
pub fn get_expire(call: &Call<'_>) -> Translated {
    let options = Options::of_get(call.rest(2))?;
    let key = call.word(1);
    let expiry = match options.expiry(call.name) {
        Err(failure) => return Ok(Translation::one(Operation::Get { key }, Shape::NilOr(failure))),
        Ok(_) if options.persists => Expiry::Never,
        Ok(Expiry::Never) => return Translation::plain(Operation::Get { key }),
        Ok(expiry) => expiry,
    };
    Translation::plain(Operation::GetExpire { key, expiry })
}

/// SET
pub fn set(call: &Call<'_>) -> Translated {
    let options = Options::of_set(call.rest(3))?;
    let expiry = options.expiry(call.name)?;
    let Options { condition, gets, .. } = options;
    let set = Set { condition, expiry, get: gets, ..Set::new(call.word(1), call.word(2)) };
    Translation::plain(Operation::Set(set))
}

/// GETSET
pub fn get_set(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Set(Set { get: true, ..Set::new(call.word(1), call.word(2)) }))
}

/// SETNX
pub fn set_if_absent(call: &Call<'_>) -> Translated {
    let condition = Some(Condition::Absent);
    let set = Set { condition, ..Set::new(call.word(1), call.word(2)) };
    Ok(Translation::one(Operation::Set(set), Shape::Flag))
}

/// SETEX
pub fn set_seconds(call: &Call<'_>) -> Translated {
    set_for(call, Unit::Seconds)
}

/// PSETEX
pub fn set_millis(call: &Call<'_>) -> Translated {
    set_for(call, Unit::Millis)
}

fn set_for(call: &Call<'_>, unit: Unit) -> Translated {
    let deadline = Moment { unit, is_absolute: false, text: call.word(2) }.deadline(call.name)?;
    let set = Set { expiry: Expiry::Set(deadline), ..Set::new(call.word(1), call.word(3)) };
    Translation::plain(Operation::Set(set))
}

/// MSET
pub fn set_many(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::SetMany { pairs: pairs(call)?, if_absent: false })
}

/// MSETNX
pub fn set_many_if_absent(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::SetMany { pairs: pairs(call)?, if_absent: true })
}

fn pairs(call: &Call<'_>) -> Result<Vec<(Bytes, Bytes)>, Failure> {
    match call.rest(1).as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (key.clone(), value.clone())).collect()),
        _ => Err(Failure::arity(call.name)),
    }
}

/// INCR
pub fn increment(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Increment { key: call.word(1), by: 1 })
}

/// DECR
pub fn decrement(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Increment { key: call.word(1), by: -1 })
}

/// INCRBY
pub fn increment_by(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Increment { key: call.word(1), by: call.integer(2)? })
}

/// DECRBY
pub fn decrement_by(call: &Call<'_>) -> Translated {
    let by = call.integer(2)?.checked_neg().ok_or(Failure::new("ERR decrement would overflow"))?;
    Translation::plain(Operation::Increment { key: call.word(1), by })
}

/// INCRBYFLOAT
pub fn increment_by_float(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::IncrementFloat { key: call.word(1), by: call.word(2) })
}

/// APPEND
pub fn append(call: &Call<'_>) -> Translated {
    Translation::plain(Operation::Append { key: call.word(1), value: call.word(2) })
}

/// SETRANGE
pub fn set_range(call: &Call<'_>) -> Translated {
    let offset = u64::try_from(call.integer(2)?).map_err(|_| Failure::new("ERR offset is out of range"))?;
    Translation::plain(Operation::SetRange { key: call.word(1), offset, value: call.word(3) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
}

/// A deadline as the client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    unit: Unit,
    is_absolute: bool,
    text: Bytes,
}

/// The options of SET and GETEX. One that comes twice counts once, with its last value.
#[derive(Debug, Default)]
struct Options {
    condition: Option<Condition>,
    gets: bool,
    keeps: bool,
    persists: bool,
    moment: Option<Moment>,
}

impl Options {
    fn of_set(words: &[Bytes]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = match after {
                _ if is(word, "NX") => options.require(Condition::Absent, after)?,
                _ if is(word, "XX") => options.require(Condition::Present, after)?,
                [value, after @ ..] if is(word, "IFEQ") => {
                    options.require(Condition::Equal(value.clone()), after)?
                }
                [value, after @ ..] if is(word, "IFNE") => {
                    options.require(Condition::Unequal(value.clone()), after)?
                }
                _ if is(word, "GET") => {
                    options.gets = true;
                    after
                }
                _ if is(word, "KEEPTTL") && options.moment.is_none() => {
                    options.keeps = true;
                    after
                }
                _ => options.moment(word, after)?,
            };
        }
        Ok(options)
    }

    fn of_get(words: &[Bytes]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = if is(word, "PERSIST") && options.moment.is_none() {
                options.persists = true;
                after
            } else {
                options.moment(word, after)?
            };
        }
        Ok(options)
    }

    /// Takes a condition, which may be the only one. Returns the words after it.
    fn require<'a>(&mut self, condition: Condition, after: &'a [Bytes]) -> Result<&'a [Bytes], Failure> {
        let same = |other: &Condition| std::mem::discriminant(other) == std::mem::discriminant(&condition);
        if !self.condition.as_ref().is_none_or(same) {
            return Err(Failure::SYNTAX);
        }
        self.condition = Some(condition);
        Ok(after)
    }

    /// Takes a deadline, which may be the only one. Returns the words after it.
    fn moment<'a>(&mut self, word: &Bytes, after: &'a [Bytes]) -> Result<&'a [Bytes], Failure> {
        const NAMES: [(&str, Unit, bool); 4] = [
            ("EX", Unit::Seconds, false),
            ("PX", Unit::Millis, false),
            ("EXAT", Unit::Seconds, true),
            ("PXAT", Unit::Millis, true),
        ];
        let found = NAMES.iter().find(|(name, ..)| is(word, name));
        let (Some(&(_, unit, is_absolute)), [text, after @ ..]) = (found, after) else {
            return Err(Failure::SYNTAX);
        };
        let moment = Moment { unit, is_absolute, text: text.clone() };
        let same = |other: &Moment| (other.unit, other.is_absolute) == (unit, is_absolute);
        if self.keeps || self.persists || !self.moment.as_ref().is_none_or(same) {
            return Err(Failure::SYNTAX);
        }
        self.moment = Some(moment);
        Ok(after)
    }

    fn expiry(&self, name: &str) -> Result<Expiry, Failure> {
        match &self.moment {
            Some(moment) => Ok(Expiry::Set(moment.deadline(name)?)),
            None if self.keeps => Ok(Expiry::Keep),
            None => Ok(Expiry::Never),
        }
    }
}

impl Moment {
    fn deadline(&self, name: &str) -> Result<Deadline, Failure> {
        let number = super::arguments::whole_number(&self.text).ok_or(Failure::NOT_AN_INTEGER)?;
        let factor = if self.unit == Unit::Seconds { 1_000 } else { 1 };
        let millis = number.checked_mul(factor).filter(|millis| *millis > 0);
        let millis = millis.ok_or_else(|| Failure::expire_time(name))?;
        Ok(if self.is_absolute { Deadline::At(millis) } else { Deadline::After(millis) })
    }
}
