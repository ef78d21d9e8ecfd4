//! Sets keys if a condition holds, and deletes them.

use super::StateMachine;
use super::keys::{Value, Wanted};
use super::reads::integer;
use crate::bytes::Bytes;
use crate::operation::{Condition, Expiry, Set};
use crate::reply::{Refusal, Reply};

impl StateMachine {
    pub(super) fn set(&mut self, set: &Set) -> Result<Reply, Refusal> {
        let deadline = match set.expiry {
            Expiry::Set(deadline) => Some(self.future(deadline)?),
            Expiry::Never | Expiry::Keep => None,
        };
        self.check_len(set.value.len())?;
        let wanted = Wanted::of(&set.key);
        if set.is_plain() {
            self.put(wanted, set.value.clone(), None);
            return Ok(Reply::Ok);
        }
        let old = self.keys.get(wanted);
        let old_bytes = set.get.then(|| old.map_or(Reply::Nil, |old| Reply::Bytes(old.bytes.clone())));
        if !holds(set.condition.as_ref(), old) {
            return Ok(old_bytes.unwrap_or(Reply::Nil));
        }
        let deadline = match set.expiry {
            Expiry::Keep => old.and_then(|old| old.deadline),
            Expiry::Never | Expiry::Set(_) => deadline,
        };
        if deadline.is_some_and(|deadline| deadline <= self.time()) {
            // Redis sets the key, which has expired then. So it has changed even if it was absent.
            self.keys.remove(wanted);
            self.deletions.add(wanted.digest, self.applied, self.settings.deletions);
        } else {
            self.put(wanted, set.value.clone(), deadline);
        }
        Ok(old_bytes.unwrap_or(Reply::Ok))
    }

    pub(super) fn set_many(&mut self, pairs: &[(Bytes, Bytes)], if_absent: bool) -> Result<Reply, Refusal> {
        pairs.iter().try_for_each(|(_, value)| self.check_len(value.len()))?;
        if if_absent && pairs.iter().any(|(key, _)| self.keys.get(Wanted::of(key)).is_some()) {
            return Ok(Reply::Integer(0));
        }
        for (key, value) in pairs {
            self.put(Wanted::of(key), value.clone(), None);
        }
        Ok(if if_absent { Reply::Integer(1) } else { Reply::Ok })
    }

    pub(super) fn get_delete(&mut self, key: &Bytes) -> Reply {
        self.remove(Wanted::of(key)).map_or(Reply::Nil, |value| Reply::Bytes(value.bytes))
    }

    pub(super) fn delete(&mut self, keys: &[Bytes]) -> Reply {
        integer(keys.iter().filter(|key| self.remove(Wanted::of(key)).is_some()).count())
    }

    pub(super) fn delete_if_equal(&mut self, key: &Bytes, value: &Bytes) -> Reply {
        let wanted = Wanted::of(key);
        let equal = self.keys.get(wanted).is_some_and(|found| found.bytes == *value);
        Reply::Integer(i64::from(equal && self.remove(wanted).is_some()))
    }

    pub(super) fn flush(&mut self) -> Reply {
        self.keys.clear();
        self.deletions.add_all(self.applied);
        Reply::Ok
    }
}

fn holds(condition: Option<&Condition>, value: Option<&Value>) -> bool {
    match condition {
        None => true,
        Some(Condition::Absent) => value.is_none(),
        Some(Condition::Present) => value.is_some(),
        Some(Condition::Equal(bytes)) => value.is_some_and(|value| value.bytes == *bytes),
        Some(Condition::Unequal(bytes)) => value.is_none_or(|value| value.bytes != *bytes),
        Some(Condition::Revision(revision)) => value.is_some_and(|value| value.revision == *revision),
    }
}
