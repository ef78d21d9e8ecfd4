//! The requests that are owed an answer. Each gets one, also when this replica stops leading.

use std::ops::Bound;

use tracing::{debug, warn};

use super::{Effect, Replica, SENT_ON_AT_ONCE};
use crate::exchange::Outbound;
use crate::id::Id;
use crate::micros::Micros;
use crate::request::{Outcome, Request, RequestId, Response};

/// How many requests may be owed an answer; further ones are refused at once.
pub(super) const MAX_PENDING: usize = 65_536;

/// How many bytes of MIDs, keys and values these requests may have together.
pub(super) const MAX_PENDING_BYTES: usize = 32 << 20;

/// A request that is owed an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    content: u64,            // the digest of what it asks
    pub(super) bytes: usize, // of its MID, keys and values
    pub(super) state: PendingState,
}

/// Why a request has not been answered so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PendingState {
    /// It waits for a leader to be known.
    AwaitingLeader,
    /// The core has it, and applies or serves it unless this replica stops leading. It had stopped
    /// leading `lost_leads` times before.
    Proposed { lost_leads: u64 },
}

impl Replica {
    /// A redirect that names no leader for each request that is owed an answer, because this
    /// replica stops.
    pub fn stop(&mut self) -> Vec<Response> {
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending).into_iter();
        let answer = |(id, pending): (RequestId, Pending)| {
            let outcome = match pending.state {
                PendingState::AwaitingLeader => Outcome::Redirect,
                PendingState::Proposed { .. } => self.abandoned_outcome(),
            };
            Response { id, outcome, leader: None }
        };
        pending.map(answer).collect()
    }

    /// How many requests are owed an answer.
    pub fn owes(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn receive_request(&mut self, now: Micros, request: Request) {
        let content = request.command.digest();
        if let Some(pending) = self.pending.get(&request.id) {
            if pending.content != content {
                warn!(client = %request.id.client, "refused a request: another one with its MID waits");
                self.send_answer(request.id, Outcome::Fail, self.node.leader());
            }
            return; // a repetition: the answer to the first one answers both
        }
        let bytes = request.id.mid.len() + request.command.text_len();
        if self.pending.len() >= MAX_PENDING || self.pending_bytes + bytes > MAX_PENDING_BYTES {
            let (others, waiting) = (self.pending.len(), self.pending_bytes);
            warn!(client = %request.id.client, "refused a request: {others} others with {waiting} bytes wait");
            return self.send_answer(request.id, Outcome::Fail, self.node.leader());
        }
        self.pending_bytes += bytes;
        self.pending
            .insert(request.id.clone(), Pending { content, bytes, state: PendingState::AwaitingLeader });
        self.route(now, request, self.hold_until(now));
    }

    /// This replica leads no more. The requests that it had taken on are for the next leader.
    pub(super) fn abandon(&mut self) {
        self.reads.clear();
        self.index_requests.clear();
        self.lost_leads += 1;
        self.abandoned_from = Some(Bound::Unbounded);
        debug!(requests = self.pending.len(), "leads no more");
    }

    /// Sends the clients of some requests that this replica has abandoned on to another replica. One
    /// batch looks at a part of the requests only, because there may be [`MAX_PENDING`].
    pub(super) fn send_abandoned_on(&mut self) {
        let Some(from) = self.abandoned_from.take() else { return };
        let seen: Vec<(&RequestId, &Pending)> =
            self.pending.range((from, Bound::Unbounded)).take(SENT_ON_AT_ONCE).collect();
        if let Some((last, _)) = seen.get(SENT_ON_AT_ONCE - 1) {
            self.abandoned_from = Some(Bound::Excluded((*last).clone()));
        }
        let is_abandoned = |pending: &Pending| match pending.state {
            PendingState::AwaitingLeader => false,
            PendingState::Proposed { lost_leads } => lost_leads < self.lost_leads,
        };
        let abandoned = seen.into_iter().filter(|(_, pending)| is_abandoned(pending));
        let abandoned: Vec<RequestId> = abandoned.map(|(id, _)| id.clone()).collect();
        for id in abandoned {
            self.answer(&id, self.abandoned_outcome(), self.node.leader());
        }
    }

    /// The outcome of a request that this replica took on while it led. A client that follows
    /// redirects asks again under another name, and so learns nothing from more than that.
    fn abandoned_outcome(&self) -> Outcome {
        if self.forwards { Outcome::Unknown } else { Outcome::Redirect }
    }

    /// Answers a request if it is owed an answer.
    pub(super) fn answer(&mut self, id: &RequestId, outcome: Outcome, leader: Option<Id>) {
        if let Some((id, pending)) = self.pending.remove_entry(id) {
            self.pending_bytes -= pending.bytes;
            self.send_answer(id, outcome, leader);
        }
    }

    pub(super) fn send_answer(&mut self, id: RequestId, outcome: Outcome, leader: Option<Id>) {
        self.out.push(Effect::Send(Outbound::Client(Response { id, outcome, leader })));
    }
}
