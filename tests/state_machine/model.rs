//! A naive model of the state machine: maps of the standard library, and nothing that saves time or
//! memory.

use std::collections::BTreeMap;

use kvstore::bytes::Bytes;
use kvstore::command::{Command, Proposal};
use kvstore::digest::digest;
use kvstore::operation::{
    Condition, Deadline, DeadlineCondition, Expiry, Operation, Revision, Set, UnixMillis,
};
use kvstore::reply::{Refusal, Reply};

use super::generate::MAX_VALUE_BYTES;

/// The greatest number of quarters to which the model adds.
const GREATEST: u128 = 1 << 100;

#[derive(Clone, Debug)]
struct Value {
    bytes: Vec<u8>,
    deadline: Option<UnixMillis>,
}

/// The model.
#[derive(Clone, Debug, Default)]
pub struct Model {
    index: Revision,
    pub time: UnixMillis,
    values: BTreeMap<Bytes, Value>, // with expired ones, until an operation names them
    changed: BTreeMap<Bytes, Revision>,
    flushed: Revision,
    replies: BTreeMap<(u16, String), (Command, Reply)>,
    /// A number became so large, or so precise, that the model cannot add to it.
    pub gave_up: bool,
}

fn integer(number: impl TryInto<i64>) -> Reply {
    Reply::Integer(number.try_into().unwrap_or(i64::MAX))
}

fn bytes(of: &[u8]) -> Reply {
    Reply::Bytes(of.into())
}

impl Model {
    pub fn apply(&mut self, index: u64, proposal: &Proposal) -> Reply {
        self.index = index;
        self.time = self.time.max(proposal.at);
        let command = &proposal.command;
        let Some(id) = proposal.request.as_ref().filter(|_| !command.is_read()) else {
            return self.execute(command);
        };
        let name = (id.client.number(), id.mid.to_string());
        match self.replies.get(&name) {
            Some((done, reply)) if done == command => reply.clone(),
            Some(_) => Reply::Error(Refusal::Reused),
            None => {
                let reply = self.execute(command);
                self.replies.insert(name, (command.clone(), reply.clone()));
                reply
            }
        }
    }

    fn execute(&mut self, command: &Command) -> Reply {
        match command {
            Command::One(operation) => self.operate(operation),
            Command::Batch(batch) => {
                for watch in &batch.watches {
                    self.purge(&watch.key);
                    let changed = self.changed.get(&watch.key).copied().unwrap_or(0).max(self.flushed);
                    if changed > watch.unchanged_since {
                        return Reply::Nil;
                    }
                }
                Reply::Array(batch.operations.iter().map(|operation| self.operate(operation)).collect())
            }
        }
    }

    /// Whether a read at this time finds a key that expires after the model's time.
    pub fn expires_before(&self, now: UnixMillis, operation: &Operation) -> bool {
        let keys = operation.keys();
        self.values.iter().any(|(key, value)| {
            let asked = keys.contains(&key) || *operation == Operation::Count;
            asked && value.deadline.is_some_and(|deadline| deadline > self.time && deadline <= now)
        })
    }

    fn get(&self, key: &Bytes) -> Option<&Value> {
        self.values.get(key).filter(|value| value.deadline.is_none_or(|deadline| deadline > self.time))
    }

    pub fn live(&self) -> Vec<Bytes> {
        self.values.keys().filter(|key| self.get(key).is_some()).cloned().collect()
    }

    fn purge(&mut self, key: &Bytes) {
        if self.values.contains_key(key) && self.get(key).is_none() {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: &Bytes) -> Option<Value> {
        let value = self.values.remove(key)?;
        self.changed.insert(key.clone(), self.index);
        Some(value)
    }

    fn put(&mut self, key: &Bytes, bytes: Vec<u8>, deadline: Option<UnixMillis>) {
        self.values.insert(key.clone(), Value { bytes, deadline });
        self.changed.insert(key.clone(), self.index);
        self.purge(key);
    }

    fn moment(&self, deadline: Deadline) -> Option<i64> {
        let moment = match deadline {
            Deadline::After(millis) => i128::from(self.time) + i128::from(millis),
            Deadline::At(moment) => moment.into(),
        };
        (moment <= i64::MAX.into()).then_some(moment.max(i64::MIN.into()) as i64)
    }

    fn positive(&self, deadline: Deadline) -> Option<i64> {
        let (Deadline::After(millis) | Deadline::At(millis)) = deadline;
        self.moment(deadline).filter(|_| millis > 0)
    }

    fn operate(&mut self, operation: &Operation) -> Reply {
        if !operation.is_read() {
            operation.keys().into_iter().for_each(|key| self.purge(key));
        }
        self.read(operation).unwrap_or_else(|| self.write(operation).unwrap_or_else(Reply::Error))
    }

    pub fn read(&self, operation: &Operation) -> Option<Reply> {
        Some(match operation {
            Operation::Get { key } => self.get(key).map_or(Reply::Nil, |value| bytes(&value.bytes)),
            Operation::GetRange { key, start, end } => {
                let value = self.get(key).map_or(vec![], |value| value.bytes.clone());
                let len = value.len() as i128;
                let [start, end] = [*start, *end].map(i128::from);
                if start < 0 && end < 0 && start > end {
                    return Some(bytes(b""));
                }
                let [start, end] = [start, end].map(|at| if at < 0 { (at + len).max(0) } else { at });
                let part: Vec<u8> = (start..=end.min(len - 1)).map(|at| value[at as usize]).collect();
                bytes(&part)
            }
            Operation::Strlen { key } => integer(self.get(key).map_or(0, |value| value.bytes.len())),
            Operation::GetMany { keys } => {
                let value = |key| self.get(key).map_or(Reply::Nil, |value| bytes(&value.bytes));
                Reply::Array(keys.iter().map(value).collect())
            }
            Operation::Exists { keys } => integer(keys.iter().filter(|key| self.get(key).is_some()).count()),
            Operation::Type { key } => bytes(if self.get(key).is_some() { b"string" } else { b"none" }),
            Operation::TimeToLive { key } => integer(match self.get(key) {
                None => -2,
                Some(value) => value.deadline.map_or(-1, |deadline| deadline - self.time),
            }),
            Operation::Deadline { key } => {
                integer(self.get(key).map_or(-2, |value| value.deadline.unwrap_or(-1)))
            }
            Operation::Revision { key } => {
                integer(if self.get(key).is_some() { self.changed[key] } else { self.index })
            }
            Operation::GetWithRevision { key } => match self.get(key) {
                None => Reply::Nil,
                Some(value) => {
                    let left = value.deadline.map_or(-1, |deadline| deadline - self.time);
                    Reply::Array(vec![bytes(&value.bytes), integer(self.changed[key]), integer(left)])
                }
            },
            Operation::Count => integer(self.live().len()),
            _ => return None,
        })
    }

    fn write(&mut self, operation: &Operation) -> Result<Reply, Refusal> {
        let key = operation.keys().first().copied().cloned().unwrap_or_default();
        let old = self.get(&key).cloned();
        let deadline = old.as_ref().and_then(|old| old.deadline);
        let old_bytes = old.as_ref().map_or(vec![], |old| old.bytes.clone());
        let old_reply = old.as_ref().map_or(Reply::Nil, |old| bytes(&old.bytes));
        Ok(match operation {
            Operation::Set(set) => return self.set(set, old.as_ref()),
            Operation::SetMany { pairs, if_absent } => {
                if *if_absent && pairs.iter().any(|(key, _)| self.get(key).is_some()) {
                    return Ok(integer(0));
                }
                pairs.iter().for_each(|(key, value)| self.put(key, value.to_vec(), None));
                if *if_absent { integer(1) } else { Reply::Ok }
            }
            Operation::GetDelete { .. } => {
                self.remove(&key);
                old_reply
            }
            Operation::Delete { keys } => integer(keys.iter().filter_map(|key| self.remove(key)).count()),
            Operation::DeleteIfEqual { value, .. } => {
                let equal = old.is_some() && old_bytes == **value;
                integer(i64::from(equal && self.remove(&key).is_some()))
            }
            Operation::GetExpire { expiry, .. } => {
                match expiry {
                    _ if old.is_none() => {}
                    Expiry::Never if deadline.is_some() => self.put(&key, old_bytes, None),
                    Expiry::Never | Expiry::Keep => {}
                    Expiry::Set(deadline) => {
                        let deadline = self.positive(*deadline).ok_or(Refusal::InvalidDeadline)?;
                        self.put(&key, old_bytes, Some(deadline));
                    }
                }
                old_reply
            }
            Operation::Increment { by, .. } => {
                let number: i64 = match &old {
                    None => 0,
                    Some(_) => std::str::from_utf8(&old_bytes)
                        .ok()
                        .and_then(|text| text.parse().ok().filter(|number: &i64| number.to_string() == text))
                        .ok_or(Refusal::NotAnInteger)?,
                };
                let sum = i128::from(number) + i128::from(*by);
                let sum = i64::try_from(sum).map_err(|_| Refusal::Overflow)?;
                self.put(&key, sum.to_string().into(), deadline);
                integer(sum)
            }
            Operation::IncrementFloat { by, .. } => return self.add_float(&key, old.as_ref(), by),
            Operation::Append { value, .. } => {
                let value = [&old_bytes, &**value].concat();
                let len = value.len();
                if len > MAX_VALUE_BYTES {
                    return Err(Refusal::TooLong);
                }
                self.put(&key, value, deadline);
                integer(len)
            }
            Operation::SetRange { offset, value, .. } => {
                if value.is_empty() {
                    return Ok(integer(old_bytes.len()));
                }
                if *offset > 2_000_000 || *offset as usize + value.len() > MAX_VALUE_BYTES {
                    return Err(Refusal::TooLong);
                }
                let mut new = old_bytes;
                for (at, byte) in (*offset as usize..).zip(value.iter()) {
                    new.resize(new.len().max(at + 1), 0);
                    new[at] = *byte;
                }
                let len = new.len();
                self.put(&key, new, deadline);
                integer(len)
            }
            Operation::Expire { deadline: wanted, condition, .. } => {
                let new = self.moment(*wanted).ok_or(Refusal::InvalidDeadline)?;
                let infinite = i128::from(i64::MAX) + 1;
                let before = deadline.map_or(infinite, i128::from);
                let later = i128::from(new) > before;
                let earlier = i128::from(new) < before;
                let holds = match condition {
                    None => true,
                    Some(DeadlineCondition::Absent) => deadline.is_none(),
                    Some(DeadlineCondition::Present) => deadline.is_some(),
                    Some(DeadlineCondition::Later) => later,
                    Some(DeadlineCondition::Earlier) => earlier,
                    Some(DeadlineCondition::PresentAndLater) => deadline.is_some() && later,
                    Some(DeadlineCondition::PresentAndEarlier) => deadline.is_some() && earlier,
                };
                if old.is_some() && holds {
                    self.put(&key, old_bytes, Some(new));
                }
                integer(i64::from(old.is_some() && holds))
            }
            Operation::Persist { .. } => {
                if deadline.is_some() {
                    self.put(&key, old_bytes, None);
                }
                integer(i64::from(deadline.is_some()))
            }
            Operation::Flush => {
                self.values.clear();
                self.flushed = self.index;
                Reply::Ok
            }
            Operation::RemoveExpired { limit } => {
                let mut expired: Vec<_> = self
                    .values
                    .iter()
                    .filter(|(key, _)| self.get(key).is_none())
                    .map(|(key, value)| (value.deadline, digest(&[&**key]), key.clone()))
                    .collect();
                expired.sort();
                expired.truncate(*limit as usize);
                expired.iter().for_each(|(_, _, key)| drop(self.remove(key)));
                integer(expired.len())
            }
            _ => unreachable!("it is a read"),
        })
    }

    fn set(&mut self, set: &Set, old: Option<&Value>) -> Result<Reply, Refusal> {
        let deadline = match set.expiry {
            Expiry::Never => None,
            Expiry::Keep => old.and_then(|old| old.deadline),
            Expiry::Set(deadline) => Some(self.positive(deadline).ok_or(Refusal::InvalidDeadline)?),
        };
        let holds = match &set.condition {
            None => true,
            Some(Condition::Absent) => old.is_none(),
            Some(Condition::Present) => old.is_some(),
            Some(Condition::Equal(value)) => old.is_some_and(|old| old.bytes == **value),
            Some(Condition::Unequal(value)) => old.is_none_or(|old| old.bytes != **value),
            Some(Condition::Revision(revision)) => old.is_some() && self.changed[&set.key] == *revision,
        };
        if holds {
            self.put(&set.key, set.value.to_vec(), deadline);
        }
        Ok(match old {
            Some(old) if set.get => bytes(&old.bytes),
            None if set.get => Reply::Nil,
            _ if holds => Reply::Ok,
            _ => Reply::Nil,
        })
    }

    fn add_float(&mut self, key: &Bytes, old: Option<&Value>, by: &Bytes) -> Result<Reply, Refusal> {
        let number = old.map_or(Some(Some(0)), |old| quarters(&old.bytes)).ok_or(Refusal::NotAFloat)?;
        self.gave_up |= number.is_some_and(|number| number.unsigned_abs() > GREATEST);
        let by = quarters(by).ok_or(Refusal::NotAFloat)?;
        let sum = number
            .zip(by)
            .map(|(number, by)| rounded(rounded(number).saturating_add(by)))
            .ok_or(Refusal::NanOrInfinity)?;
        let whole = sum.unsigned_abs() / 4;
        let part = ["", ".25", ".5", ".75"][(sum.unsigned_abs() % 4) as usize];
        let text = format!("{}{whole}{part}", if sum < 0 { "-" } else { "" });
        self.put(key, text.clone().into(), old.and_then(|old| old.deadline));
        Ok(Reply::Bytes(text.into()))
    }
}

/// A decimal number in quarters, as most are in the tests with the model; `Some(None)` if it is
/// infinite, and the greatest of all if the model cannot tell.
fn quarters(text: &[u8]) -> Option<Option<i128>> {
    let text = std::str::from_utf8(text).ok()?;
    let number: f64 = text.parse().ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    match (whole.parse::<i128>(), part) {
        _ if number.is_nan() => None,
        _ if text.ends_with("inf") => Some(None),
        _ if number.abs() > 1e30 => Some(Some(i128::MAX)),
        (_, part) if !matches!(part.trim_end_matches('0'), "" | "25" | "5" | "75" | "0e3") => {
            Some(Some(i128::MAX))
        }
        (Ok(whole), "") => Some(Some(whole * 4)),
        _ if number.abs() < 1e15 => Some(Some((number * 4.0) as i128)),
        (_, "0e3") => Some(Some(i128::MAX)),
        (Ok(whole), part) => {
            let part: f64 = format!("0.{part}").parse().ok()?;
            Some(Some(whole * 4 + (part * 4.0) as i128 * whole.signum()))
        }
        _ => panic!("no number of these tests: {text}"),
    }
}

/// The nearest number whose mantissa has 64 bits; the even one if two are as near.
fn rounded(number: i128) -> i128 {
    let magnitude = number.unsigned_abs();
    let dropped = (128 - magnitude.leading_zeros()).saturating_sub(64);
    if dropped == 0 {
        return number;
    }
    let (kept, rest, half) = (magnitude >> dropped, magnitude & ((1 << dropped) - 1), 1 << (dropped - 1));
    let up = rest > half || rest == half && kept % 2 == 1;
    ((kept + u128::from(up)) << dropped).min(GREATEST) as i128 * number.signum()
}
