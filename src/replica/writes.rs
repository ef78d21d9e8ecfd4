//! What a leader proposes: the writes of clients, and the removal of expired keys.

use std::sync::Arc;

use tracing::warn;

use super::{MILLI_US, Replica};
use crate::command::{Command, Proposal};
use crate::micros::Micros;
use crate::operation::{Deadline, Operation};
use crate::replication::Input;
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, RequestId};
use crate::state_machine::MAX_REMOVED;

/// How long expired keys stay before an entry removes them: those that expire within this time share
/// an entry. A leader without expired keys proposes none.
pub(super) const EXPIRY_INTERVAL_US: Micros = 1_000_000;

impl Replica {
    /// Whether the keys and values take more memory than this replica allows.
    pub fn is_full(&self) -> bool {
        self.max_data_bytes.is_some_and(|most| self.state_machine.data_bytes() > most)
    }

    /// Proposes a write, unless its size, the session of its client or a lack of memory decides its
    /// outcome.
    pub(super) fn propose(&mut self, now: Micros, request: RequestId, command: Command) {
        let remembered = || self.state_machine.remembered(&request, &command);
        if let Some(reply) = (!command.is_read()).then(remembered).flatten() {
            if let Reply::Error(refusal) = &reply {
                warn!(client = %request.client, "refused a request: {refusal}");
            }
            return self.answer(&request, Outcome::Done(reply), self.node.leader());
        }
        if command.may_grow() && self.is_full() {
            let refused = Outcome::Done(Reply::Error(Refusal::OutOfMemory));
            return self.answer(&request, refused, self.node.leader());
        }
        let proposal = Proposal { at: self.unix_time(now), request: Some(request), command };
        let is_full = self.node.uncommitted_bytes() >= self.log_limits.max_uncommitted_bytes;
        if let Some(request) = proposal.request.as_ref().filter(|_| is_full) {
            warn!(client = %request.client, "refused a request: too many entries are not committed");
            return self.answer(request, Outcome::Fail, self.node.leader());
        }
        if self.limits.is_storable(&proposal) {
            self.note_deadline(&proposal);
            return self.node.step(now, Input::Propose(Arc::new(proposal)));
        }
        if let Some(request) = &proposal.request {
            warn!(client = %request.client, "refused a request: its MID or its entry is too long");
            self.answer(request, Outcome::Fail, self.node.leader());
        }
    }

    /// Remembers the first deadline that an entry gives to a key which is not applied yet.
    fn note_deadline(&mut self, proposal: &Proposal) {
        if self.node.log().last_index() == self.node.commit_index() {
            self.proposed_deadline = None;
        }
        let deadlines = proposal.command.operations().iter().filter_map(Operation::deadline);
        let deadlines = deadlines.map(|deadline| match deadline {
            Deadline::After(millis) => proposal.at.saturating_add(millis),
            Deadline::At(time) => time,
        });
        self.proposed_deadline = self.proposed_deadline.into_iter().chain(deadlines).min();
    }

    /// A leader removes keys whose deadline has passed, so that their memory comes back although no
    /// client asks for them. Expiry is an entry like any other write.
    pub(super) fn remove_expired(&mut self, now: Micros) {
        let takes_writes = self.node.is_leader() && !self.node.is_transferring();
        if takes_writes && self.removal_deadline().is_some_and(|due| due <= now) {
            self.next_removal = now + EXPIRY_INTERVAL_US;
            let command = Command::One(Operation::RemoveExpired { limit: MAX_REMOVED });
            let proposal = Proposal { at: self.unix_time(now), request: None, command };
            self.node.step(now, Input::Propose(Arc::new(proposal)));
        }
    }

    /// When expired keys are to be removed, if this replica leads then.
    pub(super) fn removal_deadline(&self) -> Option<Micros> {
        let expires_at = self.state_machine.next_deadline()?.saturating_sub(self.wall_clock_offset_ms);
        let expires_us = u64::try_from(expires_at).unwrap_or(0).saturating_mul(MILLI_US);
        Some(expires_us.saturating_add(EXPIRY_INTERVAL_US).max(self.next_removal))
    }
}
