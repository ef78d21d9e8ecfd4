//! Draws any operation, with any options. The history of its keys is not judged. Rules compare
//! each answer with a state machine that has applied the same log.

use fastrand::Rng;

use super::operations::{Known, Step, Task, lifetime_ms};
use crate::bytes::Bytes;
use crate::command::{Batch, Command};
use crate::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set};

/// The number of keys.
const KEYS: usize = 4;

/// The most operations of a batch.
const MOST_AT_ONCE: usize = 4;

/// One operation or several.
pub(super) fn draw(rng: &mut Rng, known: &Known, has_flush: bool) -> Task {
    if has_flush && rng.u8(0..100) == 0 {
        return Operation::Flush.into();
    }
    if rng.u8(0..8) > 0 {
        return one(rng, known).into();
    }
    let operations = (0..rng.usize(1..=MOST_AT_ONCE)).map(|_| one(rng, known)).collect();
    Task { command: Command::Batch(Batch { watches: Vec::new(), operations }), step: Step::Alone }
}

fn key(rng: &mut Rng) -> Bytes {
    format!("any-{}", rng.usize(0..KEYS)).into()
}

fn keys(rng: &mut Rng) -> Vec<Bytes> {
    (0..rng.usize(1..4)).map(|_| key(rng)).collect()
}

fn one(rng: &mut Rng, known: &Known) -> Operation {
    let key = key(rng);
    if known.is_long(&key) {
        return Operation::Delete { keys: vec![key] };
    }
    match rng.u8(0..28) {
        0..5 => set(rng, known, key),
        5 => Operation::SetMany {
            pairs: keys(rng).into_iter().map(|key| (key, Bytes::default())).collect(),
            if_absent: rng.bool(),
        },
        6 => Operation::GetDelete { key },
        7 => Operation::GetExpire { key, expiry: expiry(rng) },
        8 => Operation::Delete { keys: keys(rng) },
        9 => {
            let value = known.value(&key).cloned().unwrap_or_else(|| number(rng));
            Operation::DeleteIfEqual { key, value }
        }
        10..13 => Operation::Increment { key, by: rng.i64(-9..=9) },
        13 => Operation::Increment { key, by: i64::MAX },
        14 => Operation::IncrementFloat { key, by: number(rng) },
        15 => Operation::Append { key, value: Bytes::default() },
        16 => Operation::SetRange { key, offset: rng.u64(0..20), value: Bytes::default() },
        17 | 18 => Operation::Expire { key, deadline: deadline(rng), condition: deadline_condition(rng) },
        19 => Operation::Persist { key },
        _ => read(rng, key),
    }
}

fn read(rng: &mut Rng, key: Bytes) -> Operation {
    match rng.u8(0..12) {
        9 => Operation::GetMany { keys: keys(rng) },
        0 => Operation::GetRange { key, start: rng.i64(-9..9), end: rng.i64(-9..9) },
        1 => Operation::Strlen { key },
        2 => Operation::Exists { keys: keys(rng) },
        3 => Operation::Type { key },
        4 => Operation::TimeToLive { key },
        5 => Operation::Deadline { key },
        6 => Operation::Revision { key },
        7 => Operation::Count,
        8 => Operation::Scan {
            cursor: if rng.bool() { 0 } else { rng.u64(..) },
            count: rng.u32(1..4),
            pattern: rng.bool().then(|| "any-[0-2]".into()),
        },
        10 => Operation::GetWithRevision { key },
        _ => Operation::Get { key },
    }
}

fn set(rng: &mut Rng, known: &Known, key: Bytes) -> Operation {
    let value = if rng.u8(0..3) == 0 { number(rng) } else { Bytes::default() };
    let old = known.value(&key).cloned().unwrap_or_else(|| number(rng));
    let condition = match rng.u8(0..9) {
        0 => Some(Condition::Absent),
        1 => Some(Condition::Present),
        2 => Some(Condition::Equal(old)),
        3 => Some(Condition::Unequal(old)),
        4 => Some(Condition::Revision(rng.u64(1..150))),
        _ => None,
    };
    Operation::Set(Set { key, value, condition, expiry: expiry(rng), get: rng.u8(0..4) == 0 })
}

/// Text that a number can be added to.
fn number(rng: &mut Rng) -> Bytes {
    match rng.u8(0..4) {
        0 => format!("{}.5", rng.i8(..)).into(),
        _ => rng.i8(..).to_string().into(),
    }
}

fn expiry(rng: &mut Rng) -> Expiry {
    match rng.u8(0..4) {
        0 | 1 => Expiry::Never,
        2 => Expiry::Keep,
        _ => Expiry::Set(deadline(rng)),
    }
}

/// A time to live, a date of the first seconds of the run, or one that has passed.
fn deadline(rng: &mut Rng) -> Deadline {
    match rng.u8(0..8) {
        0 => Deadline::After(rng.i64(-5..=0)),
        1 => Deadline::At(super::wall_clock::START + rng.i64(-5..8_000)),
        _ => Deadline::After(lifetime_ms(rng)),
    }
}

fn deadline_condition(rng: &mut Rng) -> Option<DeadlineCondition> {
    use DeadlineCondition::{Absent, Earlier, Later, Present, PresentAndEarlier, PresentAndLater};
    let all = [Absent, Earlier, Later, Present, PresentAndEarlier, PresentAndLater];
    rng.bool().then(|| all[rng.usize(0..all.len())])
}
