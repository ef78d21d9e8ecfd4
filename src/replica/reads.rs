//! Reads: those that the core has ordered, and those that need no leader because they may be old.

use raft::ReadId;
use raft::types::Index;

use super::Replica;
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::Operation;
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, RequestId};

impl Replica {
    /// Serves a read from this replica's own state, unless that may be too old.
    pub(super) fn read_locally(
        &mut self,
        now: Micros,
        id: RequestId,
        operation: &Operation,
        max_age_us: Micros,
    ) {
        let is_current =
            self.node.is_leader() || self.current_at.is_some_and(|current_at| now <= current_at + max_age_us);
        // At the time of the state machine a read needs no entry.
        let reply = || self.state_machine.read(self.state_machine.time(), operation);
        let reply = is_current.then(reply).flatten().filter(|reply| self.limits.is_readable(&id.mid, reply));
        let outcome = reply.map_or(Outcome::Fail, Outcome::Done);
        self.send_answer(id, outcome, self.node.leader());
    }

    /// Remembers when this replica had all that its leader had told it to be committed.
    pub(super) fn note_current(&mut self) {
        let leader = self.node.leader();
        let reached =
            |&(from, commit, _): &(Id, Index, Micros)| Some(from) == leader && commit <= self.applied;
        if let Some((_, _, told_at)) = self.told.take_if(|told| reached(told)) {
            self.current_at = Some(told_at);
        }
    }

    /// Whether a key may have expired by this leader's clock since it proposed an entry that is not
    /// applied yet. That entry still finds the key, because its own time counts. So a read that is
    /// served now, before the entry, would see a moment after the deadline and the entry a moment
    /// before it, although the entry takes effect later. Such a read takes its turn in the log.
    pub(super) fn expired_behind_entries(&self, now: Micros) -> bool {
        let now = self.unix_time(now);
        let has_unapplied = self.node.log().last_index() > self.node.commit_index();
        let in_flight = self.proposed_deadline.is_some_and(|deadline| deadline <= now);
        has_unapplied && (in_flight || self.state_machine.expires_by(now))
    }

    /// Serves a read, and returns it if it must go through the log: a key has expired by this
    /// leader's clock, and no entry says so. Once an entry does, every later leader agrees.
    pub(super) fn serve(&mut self, now: Micros, read: ReadId) -> Option<(RequestId, Operation)> {
        let (id, operation) = self.reads.remove(&read)?;
        if self.expired_behind_entries(now) {
            return Some((id, operation));
        }
        let Some(reply) = self.state_machine.read(self.unix_time(now), &operation) else {
            return Some((id, operation));
        };
        self.answer_read(&id, reply);
        None
    }

    /// Answers a request with the reply of the state machine, if a message can carry the reply.
    pub(super) fn answer_read(&mut self, id: &RequestId, reply: Reply) {
        let is_readable = self.limits.is_readable(&id.mid, &reply);
        let reply = if is_readable { reply } else { Reply::Error(Refusal::ReplyTooLong) };
        self.answer(id, Outcome::Done(reply), self.node.leader());
    }
}
