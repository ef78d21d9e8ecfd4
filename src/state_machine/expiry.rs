//! Changes the deadlines of keys, and removes keys that have expired.

use super::StateMachine;
use super::keys::Wanted;
use crate::bytes::Bytes;
use crate::operation::{Deadline, DeadlineCondition, Expiry, UnixMillis};
use crate::reply::{Refusal, Reply};

/// The most expired keys that one entry removes, so that it takes a few milliseconds at most.
pub const MAX_REMOVED: u32 = 1_024;

impl StateMachine {
    pub(super) fn expire(
        &mut self,
        key: &Bytes,
        deadline: Deadline,
        condition: Option<DeadlineCondition>,
    ) -> Result<Reply, Refusal> {
        let deadline = self.moment(deadline).ok_or(Refusal::InvalidDeadline)?;
        let wanted = Wanted::of(key);
        let Some(old) = self.keys.get(wanted) else { return Ok(Reply::Integer(0)) };
        if condition.is_some_and(|condition| !holds(condition, old.deadline, deadline)) {
            return Ok(Reply::Integer(0));
        }
        self.set_deadline(wanted, Some(deadline));
        Ok(Reply::Integer(1))
    }

    pub(super) fn persist(&mut self, key: &Bytes) -> Reply {
        let wanted = Wanted::of(key);
        let has_deadline = self.keys.get(wanted).is_some_and(|value| value.deadline.is_some());
        if has_deadline {
            self.set_deadline(wanted, None);
        }
        Reply::Integer(i64::from(has_deadline))
    }

    pub(super) fn get_expire(&mut self, key: &Bytes, expiry: Expiry) -> Result<Reply, Refusal> {
        let wanted = Wanted::of(key);
        let Some(old) = self.keys.get(wanted) else { return Ok(Reply::Nil) };
        let reply = Reply::Bytes(old.bytes.clone());
        match expiry {
            Expiry::Keep => {}
            Expiry::Never => {
                self.persist(key);
            }
            Expiry::Set(deadline) => {
                let deadline = self.future(deadline)?;
                self.set_deadline(wanted, Some(deadline));
            }
        }
        Ok(reply)
    }

    /// Removes keys that have expired, at most so many.
    pub(super) fn remove_expired(&mut self, limit: u32) -> Reply {
        let mut removed = 0;
        while removed < limit.min(MAX_REMOVED)
            && let Some(place) = self.keys.deadlines().first_passed()
        {
            self.remove(place.wanted());
            removed += 1;
        }
        Reply::Integer(i64::from(removed))
    }

    /// The time of a deadline that an operation sets together with a value. Redis refuses one that
    /// is not after 1970, or not after now if it is relative.
    pub(super) fn future(&self, deadline: Deadline) -> Result<UnixMillis, Refusal> {
        let (Deadline::After(millis) | Deadline::At(millis)) = deadline;
        let moment = self.moment(deadline).filter(|moment| millis > 0 && *moment > 0);
        moment.ok_or(Refusal::InvalidDeadline)
    }

    /// The time of a deadline; `None` if no clock reaches it.
    fn moment(&self, deadline: Deadline) -> Option<UnixMillis> {
        match deadline {
            Deadline::After(millis) if millis < 0 => Some(self.time().saturating_add(millis)),
            Deadline::After(millis) => self.time().checked_add(millis),
            Deadline::At(moment) => Some(moment),
        }
    }

    /// Gives a key that exists another deadline, and deletes it if that has passed.
    fn set_deadline(&mut self, wanted: Wanted<'_>, deadline: Option<UnixMillis>) {
        if deadline.is_some_and(|deadline| deadline <= self.time()) {
            self.remove(wanted);
        } else if let Some(bytes) = self.keys.get(wanted).map(|value| value.bytes.clone()) {
            self.put(wanted, bytes, deadline);
        }
    }
}

/// Whether a key with deadline `old` may get deadline `new`. A key without one never expires.
fn holds(condition: DeadlineCondition, old: Option<UnixMillis>, new: UnixMillis) -> bool {
    match condition {
        DeadlineCondition::Absent => old.is_none(),
        DeadlineCondition::Present => old.is_some(),
        DeadlineCondition::Later | DeadlineCondition::PresentAndLater => old.is_some_and(|old| new > old),
        DeadlineCondition::Earlier => old.is_none_or(|old| new < old),
        DeadlineCondition::PresentAndEarlier => old.is_some_and(|old| new < old),
    }
}
