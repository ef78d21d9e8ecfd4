//! Where a request goes: the leader's core takes it, a follower sends it on to the leader, and a
//! replica that knows no leader holds it for a while.

use tracing::info;

use super::pending::PendingState;
use super::{ELECTION_TIMEOUT_US, Effect, Replica, SENT_ON_AT_ONCE, Seen};
use crate::command::Command;
use crate::exchange::Outbound;
use crate::id::Id;
use crate::micros::Micros;
use crate::replication::Input;
use crate::request::{Outcome, Request, RequestId};

/// How long a client may need to reach the leader to which it was redirected and to come back in
/// vain. A request that comes sooner is from another client, and says nothing about the leader.
pub(super) const REDIRECT_US: Micros = ELECTION_TIMEOUT_US / 12;

/// How long a request usually waits for a leader to be known
/// ([`Options::hold_us`](super::Options::hold_us)). Then the replica redirects its client without
/// naming one. This is a little longer than an election takes. The request may have come to the
/// smaller side of a partition.
pub const HOLD_US: Micros = ELECTION_TIMEOUT_US / 4 * 5;

/// How long a request waits at a replica that has known no leader for [`HOLD_US`]. That replica is
/// cut off, and the next one may know the leader. If every replica is cut off, the wait keeps
/// clients from going round all the time.
pub(super) const LATE_HOLD_US: Micros = ELECTION_TIMEOUT_US / 4;

/// A request that waits for a leader to be known, or for the leader's answer.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) request: Request,
    pub(super) until: Micros,
}

impl Replica {
    /// Deadline of a request that arrives now and waits for a leader. Of two requests that wait,
    /// the one that came first has no later deadline.
    pub(super) fn hold_until(&self, now: Micros) -> Micros {
        match self.leaderless_since {
            Some(since) if self.node.leader().is_none() => (since + self.hold_us).max(now + LATE_HOLD_US),
            _ => now + self.hold_us,
        }
    }

    /// A request that this leader had taken waits for the next leader after all.
    pub(super) fn hold_for_successor(&mut self, now: Micros, id: RequestId, command: Command) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.state = PendingState::AwaitingLeader;
        }
        let until = self.hold_until(now);
        self.held.push_back(Held { request: Request { id, command }, until });
    }

    /// Serves a request, or redirects it to the leader, or holds it until a leader is known that
    /// takes it.
    pub(super) fn route(&mut self, now: Micros, request: Request, until: Micros) {
        match self.node.leader() {
            Some(leader) if leader == self.node.id() && !self.node.is_transferring() => {
                self.ask_core(now, request);
            }
            Some(leader)
                if leader != self.node.id()
                    && !self.node.is_probing_leader()
                    && !self.suspects_leader(now, request.id.client) =>
            {
                let contact = self.node.last_leader_contact();
                let earlier = self.redirected.filter(|(_, redirected_at)| Some(*redirected_at) > contact);
                self.redirected = earlier.or(Some((request.id.client, now)));
                self.send_on(now, Held { request, until }, leader);
            }
            _ if now >= until => self.answer(&request.id, Outcome::Redirect, None),
            _ => {
                self.node.step(now, Input::Suspect);
                self.held.push_back(Held { request, until });
            }
        }
    }

    /// Sends a request on to the leader: by way of its client, or directly. A replica that forwards
    /// serves reads by itself, and asks the leader for an index only.
    fn send_on(&mut self, now: Micros, held: Held, leader: Id) {
        let Held { request: Request { id, command }, until } = &held;
        match () {
            () if !self.forwards => self.answer(id, Outcome::Redirect, Some(leader)),
            () if !command.is_read() => self.forward(held.request, leader),
            () if now < *until => self.follower_reads.join_next_round(held),
            () => self.answer(id, Outcome::Redirect, None),
        }
    }

    /// Forwards a request to the leader, which answers it.
    pub(super) fn forward(&mut self, request: Request, leader: Id) {
        if let Some(pending) = self.pending.remove(&request.id) {
            self.pending_bytes -= pending.bytes;
            self.out.push(Effect::Send(Outbound::Forward { to: leader, request }));
        }
    }

    /// Whether the leader may be dead, so that naming it could send this client in circles. Either
    /// the leader has been silent for so long that its followers may have elected another one, or a
    /// client was redirected to it since it was last heard. That client need not come back to say
    /// so: it may give up, or return under another ID.
    ///
    /// Where heartbeats detect a dead leader, the core does not probe it for a request. A request that
    /// could be forwarded would only wait for the next heartbeat.
    fn suspects_leader(&self, now: Micros, client: Id) -> bool {
        let contact = self.node.last_leader_contact().unwrap_or(0);
        let comes_back = |&(earlier, redirected_at): &(Id, Micros)| {
            // A client whose request was forwarded has its answer when it asks again.
            let is_same = client == earlier && !self.forwards;
            redirected_at > contact && (is_same || now >= redirected_at + REDIRECT_US)
        };
        let counts = self.probes_on_demand || !self.forwards;
        now >= contact + ELECTION_TIMEOUT_US || counts && self.redirected.as_ref().is_some_and(comes_back)
    }

    /// This replica leads: a write goes into the log, a read waits for proof of leadership.
    fn ask_core(&mut self, now: Micros, request: Request) {
        let Request { id, command } = request;
        let lost_leads = self.lost_leads;
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.state = PendingState::Proposed { lost_leads };
        }
        match command {
            Command::One(operation) if operation.is_read() => {
                self.reads.insert(self.next_read, (id, operation));
                self.node.step(now, Input::Read(self.next_read));
                self.next_read += 1;
            }
            _ => self.propose(now, id, command),
        }
    }

    /// Holds requests that were sent on in vain. They are routed once more.
    pub(super) fn hold_again(&mut self, requests: Vec<Held>) {
        if !requests.is_empty() {
            self.held.extend(requests);
            self.held.make_contiguous().sort_by_key(|held| held.until);
            self.to_review = self.held.len();
        }
    }

    pub(super) fn hold_deadline(&self) -> Option<Micros> {
        self.held.front().map(|held| held.until)
    }

    /// Routes some of the held requests once more. A request that still finds no leader stays held.
    pub(super) fn review_held(&mut self, now: Micros) {
        for _ in 0..self.to_review.min(SENT_ON_AT_ONCE) {
            self.to_review -= 1;
            let Some(Held { request, until }) = self.held.pop_front() else { return };
            let pending = self.pending.get(&request.id);
            if pending.is_some_and(|pending| pending.state == PendingState::AwaitingLeader) {
                self.route(now, request, until);
            }
        }
    }

    pub(super) fn note_leader(&mut self, now: Micros, seen: Seen) {
        if seen.leader != self.seen.leader {
            let term = self.node.hard_state().current_term;
            info!(term, leader = ?seen.leader, "leader changed");
            self.leaderless_since = seen.leader.is_none().then_some(now);
            if seen.leader.is_some() && seen.leader != self.known_leader {
                self.known_leader = seen.leader;
                self.leader_changes += 1;
            }
        }
        self.seen = seen;
    }
}
