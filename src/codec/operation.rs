//! Commands and operations, and the numbers of their kinds.

use super::Malformed;
use super::read::Reader;
use super::write::Writer;
use crate::bytes::Bytes;
use crate::command::{Batch, Command, MAX_BATCH, Watch};
use crate::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set};

/// The numbers of the kinds of command. A kind keeps its number for ever.
mod kind {
    pub const BATCH: u8 = 0;
    pub const PLAIN_SET: u8 = 1; // a set without condition, deadline and value to return
    pub const SET: u8 = 2;
    pub const GET: u8 = 3;
    pub const GET_RANGE: u8 = 4;
    pub const STRLEN: u8 = 5;
    pub const EXISTS: u8 = 6;
    pub const TYPE: u8 = 7;
    pub const TIME_TO_LIVE: u8 = 8;
    pub const DEADLINE: u8 = 9;
    pub const REVISION: u8 = 10;
    pub const COUNT: u8 = 11;
    pub const SCAN: u8 = 12;
    pub const SET_MANY: u8 = 13;
    pub const GET_DELETE: u8 = 14;
    pub const GET_EXPIRE: u8 = 15;
    pub const DELETE: u8 = 16;
    pub const DELETE_IF_EQUAL: u8 = 17;
    pub const INCREMENT: u8 = 18;
    pub const INCREMENT_FLOAT: u8 = 19;
    pub const APPEND: u8 = 20;
    pub const SET_RANGE: u8 = 21;
    pub const EXPIRE: u8 = 22;
    pub const PERSIST: u8 = 23;
    pub const FLUSH: u8 = 24;
    pub const REMOVE_EXPIRED: u8 = 25;
    pub const GET_MANY: u8 = 26;
    pub const GET_WITH_REVISION: u8 = 27;
}

/// Stands for "none" in the place of the number of a kind.
const NONE: u8 = 0;

pub(super) fn write_command(writer: &mut Writer<'_>, command: &Command) {
    match command {
        Command::One(operation) => write_operation(writer, operation),
        Command::Batch(Batch { watches, operations }) => {
            writer.byte(kind::BATCH);
            writer.list(watches, |writer, watch| {
                writer.bytes(&watch.key);
                writer.number(watch.unchanged_since);
            });
            writer.list(operations, write_operation);
        }
    }
}

pub(super) fn read_command(reader: &mut Reader<'_>) -> Result<Command, Malformed> {
    let kind = reader.byte()?;
    if kind != kind::BATCH {
        return Ok(Command::One(read_operation(reader, kind)?));
    }
    let watch = |reader: &mut Reader<'_>| {
        Ok(Watch { key: key(reader)?, unchanged_since: reader.number("unchanged_since")? })
    };
    let watches = reader.list(MAX_BATCH, "watches", watch)?;
    let operations = reader.list(MAX_BATCH, "operations", read_one)?;
    Ok(Command::Batch(Batch { watches, operations }))
}

/// Reads one operation, where no batch may stand.
pub(super) fn read_one(reader: &mut Reader<'_>) -> Result<Operation, Malformed> {
    let kind = reader.byte()?;
    read_operation(reader, kind)
}

/// Writes the number of the operation's kind, and its fields.
pub(super) fn write_operation(writer: &mut Writer<'_>, operation: &Operation) {
    let mut kind_and_key = |kind, key: &Bytes| {
        writer.byte(kind);
        writer.bytes(key);
    };
    match operation {
        Operation::Set(set) => write_set(writer, set),
        Operation::Get { key } => kind_and_key(kind::GET, key),
        Operation::GetRange { key, start, end } => {
            kind_and_key(kind::GET_RANGE, key);
            writer.signed(*start);
            writer.signed(*end);
        }
        Operation::Strlen { key } => kind_and_key(kind::STRLEN, key),
        Operation::Type { key } => kind_and_key(kind::TYPE, key),
        Operation::TimeToLive { key } => kind_and_key(kind::TIME_TO_LIVE, key),
        Operation::Deadline { key } => kind_and_key(kind::DEADLINE, key),
        Operation::Revision { key } => kind_and_key(kind::REVISION, key),
        Operation::GetWithRevision { key } => kind_and_key(kind::GET_WITH_REVISION, key),
        Operation::GetDelete { key } => kind_and_key(kind::GET_DELETE, key),
        Operation::GetExpire { key, expiry } => {
            kind_and_key(kind::GET_EXPIRE, key);
            write_expiry(writer, *expiry);
        }
        Operation::DeleteIfEqual { key, value } => {
            kind_and_key(kind::DELETE_IF_EQUAL, key);
            writer.bytes(value);
        }
        Operation::Increment { key, by } => {
            kind_and_key(kind::INCREMENT, key);
            writer.signed(*by);
        }
        Operation::IncrementFloat { key, by } => {
            kind_and_key(kind::INCREMENT_FLOAT, key);
            writer.bytes(by);
        }
        Operation::Append { key, value } => {
            kind_and_key(kind::APPEND, key);
            writer.bytes(value);
        }
        Operation::SetRange { key, offset, value } => {
            kind_and_key(kind::SET_RANGE, key);
            writer.number(*offset);
            writer.bytes(value);
        }
        Operation::Expire { key, deadline, condition } => {
            kind_and_key(kind::EXPIRE, key);
            write_deadline(writer, *deadline);
            writer.byte(condition.map_or(NONE, deadline_condition_number));
        }
        Operation::Persist { key } => kind_and_key(kind::PERSIST, key),
        Operation::GetMany { .. }
        | Operation::Exists { .. }
        | Operation::Delete { .. }
        | Operation::SetMany { .. }
        | Operation::Count
        | Operation::Scan { .. }
        | Operation::Flush
        | Operation::RemoveExpired { .. } => write_operation_on_many(writer, operation),
    }
}

/// Writes an operation that does not name exactly one key.
fn write_operation_on_many(writer: &mut Writer<'_>, operation: &Operation) {
    let mut kind_and_keys = |kind, keys: &[Bytes]| {
        writer.byte(kind);
        writer.list(keys, |writer, key| writer.bytes(key));
    };
    match operation {
        Operation::GetMany { keys } => kind_and_keys(kind::GET_MANY, keys),
        Operation::Exists { keys } => kind_and_keys(kind::EXISTS, keys),
        Operation::Delete { keys } => kind_and_keys(kind::DELETE, keys),
        Operation::SetMany { pairs, if_absent } => {
            writer.byte(kind::SET_MANY);
            writer.list(pairs, |writer, (key, value)| {
                writer.bytes(key);
                writer.bytes(value);
            });
            writer.flag(*if_absent);
        }
        Operation::Count => writer.byte(kind::COUNT),
        Operation::Scan { cursor, count, pattern } => {
            writer.byte(kind::SCAN);
            writer.number(*cursor);
            writer.number(u64::from(*count));
            writer.flag(pattern.is_some());
            if let Some(pattern) = pattern {
                writer.bytes(pattern);
            }
        }
        Operation::Flush => writer.byte(kind::FLUSH),
        Operation::RemoveExpired { limit } => {
            writer.byte(kind::REMOVE_EXPIRED);
            writer.number(u64::from(*limit));
        }
        _ => unreachable!("it names one key"),
    }
}

/// Reads the fields of an operation of this kind.
fn read_operation(reader: &mut Reader<'_>, kind: u8) -> Result<Operation, Malformed> {
    Ok(match kind {
        kind::PLAIN_SET => Operation::set(key(reader)?, bytes(reader, "value")?),
        kind::SET => Operation::Set(read_set(reader)?),
        kind::GET => Operation::Get { key: key(reader)? },
        kind::GET_RANGE => {
            let key = key(reader)?;
            Operation::GetRange { key, start: reader.signed("start")?, end: reader.signed("end")? }
        }
        kind::STRLEN => Operation::Strlen { key: key(reader)? },
        kind::GET_MANY => Operation::GetMany { keys: keys(reader)? },
        kind::EXISTS => Operation::Exists { keys: keys(reader)? },
        kind::TYPE => Operation::Type { key: key(reader)? },
        kind::TIME_TO_LIVE => Operation::TimeToLive { key: key(reader)? },
        kind::DEADLINE => Operation::Deadline { key: key(reader)? },
        kind::REVISION => Operation::Revision { key: key(reader)? },
        kind::GET_WITH_REVISION => Operation::GetWithRevision { key: key(reader)? },
        kind::COUNT => Operation::Count,
        kind::SCAN => {
            let (cursor, count) = (reader.number("cursor")?, small(reader, "count")?);
            let pattern = if reader.flag("pattern")? { Some(bytes(reader, "pattern")?) } else { None };
            Operation::Scan { cursor, count, pattern }
        }
        kind::SET_MANY => {
            let pair = |reader: &mut Reader<'_>| Ok((key(reader)?, bytes(reader, "value")?));
            let pairs = reader.list(usize::MAX, "pairs", pair)?;
            Operation::SetMany { pairs, if_absent: reader.flag("if_absent")? }
        }
        kind::GET_DELETE => Operation::GetDelete { key: key(reader)? },
        kind::GET_EXPIRE => Operation::GetExpire { key: key(reader)?, expiry: read_expiry(reader)? },
        kind::DELETE => Operation::Delete { keys: keys(reader)? },
        kind::DELETE_IF_EQUAL => {
            Operation::DeleteIfEqual { key: key(reader)?, value: bytes(reader, "value")? }
        }
        kind::INCREMENT => Operation::Increment { key: key(reader)?, by: reader.signed("by")? },
        kind::INCREMENT_FLOAT => Operation::IncrementFloat { key: key(reader)?, by: bytes(reader, "by")? },
        kind::APPEND => Operation::Append { key: key(reader)?, value: bytes(reader, "value")? },
        kind::SET_RANGE => {
            let (key, offset) = (key(reader)?, reader.number("offset")?);
            Operation::SetRange { key, offset, value: bytes(reader, "value")? }
        }
        kind::EXPIRE => {
            let (key, deadline) = (key(reader)?, read_deadline(reader)?);
            Operation::Expire { key, deadline, condition: read_deadline_condition(reader)? }
        }
        kind::PERSIST => Operation::Persist { key: key(reader)? },
        kind::FLUSH => Operation::Flush,
        kind::REMOVE_EXPIRED => Operation::RemoveExpired { limit: small(reader, "limit")? },
        _ => return Err(Malformed::UnknownKind("operation")),
    })
}

fn write_set(writer: &mut Writer<'_>, set: &Set) {
    writer.byte(if set.is_plain() { kind::PLAIN_SET } else { kind::SET });
    writer.bytes(&set.key);
    writer.bytes(&set.value);
    if set.is_plain() {
        return;
    }
    match &set.condition {
        None => writer.byte(NONE),
        Some(Condition::Absent) => writer.byte(1),
        Some(Condition::Present) => writer.byte(2),
        Some(Condition::Equal(value)) => {
            writer.byte(3);
            writer.bytes(value);
        }
        Some(Condition::Unequal(value)) => {
            writer.byte(4);
            writer.bytes(value);
        }
        Some(Condition::Revision(revision)) => {
            writer.byte(5);
            writer.number(*revision);
        }
    }
    write_expiry(writer, set.expiry);
    writer.flag(set.get);
}

fn read_set(reader: &mut Reader<'_>) -> Result<Set, Malformed> {
    let (key, value) = (key(reader)?, bytes(reader, "value")?);
    let condition = match reader.byte()? {
        NONE => None,
        1 => Some(Condition::Absent),
        2 => Some(Condition::Present),
        3 => Some(Condition::Equal(bytes(reader, "condition")?)),
        4 => Some(Condition::Unequal(bytes(reader, "condition")?)),
        5 => Some(Condition::Revision(reader.number("condition")?)),
        _ => return Err(Malformed::UnknownKind("condition")),
    };
    let set = Set { key, value, condition, expiry: read_expiry(reader)?, get: reader.flag("get")? };
    if set.is_plain() { Err(Malformed::BadField("set")) } else { Ok(set) }
}

fn write_expiry(writer: &mut Writer<'_>, expiry: Expiry) {
    match expiry {
        Expiry::Never => writer.byte(NONE),
        Expiry::Keep => writer.byte(1),
        Expiry::Set(deadline) => {
            writer.byte(2);
            write_deadline(writer, deadline);
        }
    }
}

fn read_expiry(reader: &mut Reader<'_>) -> Result<Expiry, Malformed> {
    match reader.byte()? {
        NONE => Ok(Expiry::Never),
        1 => Ok(Expiry::Keep),
        2 => Ok(Expiry::Set(read_deadline(reader)?)),
        _ => Err(Malformed::UnknownKind("expiry")),
    }
}

fn write_deadline(writer: &mut Writer<'_>, deadline: Deadline) {
    let (kind, millis) = match deadline {
        Deadline::After(millis) => (1, millis),
        Deadline::At(millis) => (2, millis),
    };
    writer.byte(kind);
    writer.signed(millis);
}

fn read_deadline(reader: &mut Reader<'_>) -> Result<Deadline, Malformed> {
    match reader.byte()? {
        1 => Ok(Deadline::After(reader.signed("deadline")?)),
        2 => Ok(Deadline::At(reader.signed("deadline")?)),
        _ => Err(Malformed::UnknownKind("deadline")),
    }
}

fn deadline_condition_number(condition: DeadlineCondition) -> u8 {
    match condition {
        DeadlineCondition::Absent => 1,
        DeadlineCondition::Present => 2,
        DeadlineCondition::Later => 3,
        DeadlineCondition::Earlier => 4,
        DeadlineCondition::PresentAndLater => 5,
        DeadlineCondition::PresentAndEarlier => 6,
    }
}

fn read_deadline_condition(reader: &mut Reader<'_>) -> Result<Option<DeadlineCondition>, Malformed> {
    Ok(Some(match reader.byte()? {
        NONE => return Ok(None),
        1 => DeadlineCondition::Absent,
        2 => DeadlineCondition::Present,
        3 => DeadlineCondition::Later,
        4 => DeadlineCondition::Earlier,
        5 => DeadlineCondition::PresentAndLater,
        6 => DeadlineCondition::PresentAndEarlier,
        _ => return Err(Malformed::UnknownKind("condition")),
    }))
}

fn key(reader: &mut Reader<'_>) -> Result<Bytes, Malformed> {
    bytes(reader, "key")
}

fn keys(reader: &mut Reader<'_>) -> Result<Vec<Bytes>, Malformed> {
    reader.list(usize::MAX, "keys", key)
}

fn bytes(reader: &mut Reader<'_>, name: &'static str) -> Result<Bytes, Malformed> {
    Ok(reader.bytes(name)?.into())
}

/// A number of 32 bits.
fn small(reader: &mut Reader<'_>, name: &'static str) -> Result<u32, Malformed> {
    Ok(reader.number_up_to(u64::from(u32::MAX), name)? as u32)
}
