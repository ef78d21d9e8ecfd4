//! Crashes in the moment in which a replica does something.

use super::cluster::Cluster;
use super::faults::Undo;
use super::invariants::{Before, Violation};
use super::plan::{FaultKind, Trigger};
use crate::exchange::Outbound;
use crate::outbox::Datagram;
use crate::replica::{Effect, Replica};
use crate::replication::Body;
use crate::request::{Outcome, Response};

impl Cluster {
    /// The fault whose trigger this replica has just pulled, if one waits for it.
    pub(super) fn strike_on(&mut self, at: usize, before: &Before, effects: &[Effect]) -> Option<usize> {
        if self.faults.armed.is_empty() {
            return None;
        }
        let node = self.servers[at].replica().map(Replica::node)?;
        let begins = !before.led && node.is_leader();
        let commits = before.led && node.is_leader() && node.commit_index() > before.commit_index;
        let does = |trigger: Trigger| {
            match trigger {
            Trigger::Lead => begins,
            Trigger::Commit => commits,
            Trigger::Ack => effects.iter().any(|effect| {
                matches!(effect, Effect::Send(Outbound::Client(response)) if self.acknowledges(response))
            }),
            Trigger::Vote => effects.iter().any(votes),
        }
        };
        let position = self.faults.armed.iter().position(|&(_, trigger)| does(trigger))?;
        Some(self.faults.armed.remove(position).0)
    }

    /// Whether this response tells a client that its write took effect.
    pub(super) fn acknowledges(&self, response: &Response) -> bool {
        let asked = self.clients.asked(&response.id);
        matches!(response.outcome, Outcome::Done(_))
            && !response.outcome.is_declined()
            && asked.is_some_and(|asked| !asked.request.command.is_read())
    }

    /// Sends only the message that the trigger is about, and stops the replica.
    pub(super) fn trigger(&mut self, at: usize, number: usize) -> Result<(), Violation> {
        let &FaultKind::CrashOn(trigger) = self.plan.faults[number].kind.begins() else { return Ok(()) };
        let mut left = usize::from(self.rng.bool());
        self.servers[at].release();
        while let Some(datagram) = self.servers[at].take_datagram() {
            let leaves = match (trigger, &datagram) {
                (Trigger::Ack, Datagram::Client(_)) | (Trigger::Vote, Datagram::Peer { .. }) => true,
                (Trigger::Lead, Datagram::Peer { .. }) => std::mem::replace(&mut left, 0) > 0,
                _ => false,
            };
            if leaves {
                self.send(at, datagram)?;
            }
        }
        let crashed = self.crash(at);
        self.clients.forget_leader();
        self.undo_later(number, crashed.then_some(Undo::Start(at)));
        Ok(())
    }
}

/// Whether this effect is a vote for another replica.
fn votes(effect: &Effect) -> bool {
    let Effect::Send(Outbound::Peer { message, .. }) = effect else { return false };
    matches!(&message.body, Body::RequestVoteResponse(response) if response.granted && !response.pre_vote)
}
