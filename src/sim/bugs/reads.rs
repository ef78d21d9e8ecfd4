//! A read is answered from the state machine at the end of its batch, without a question to the core,
//! or with the answer to an earlier one.

use std::collections::BTreeMap;

use raft::types::Term;

use super::Adapter;
use crate::command::Command;
use crate::exchange::{Inbound, Outbound};
use crate::micros::Micros;
use crate::operation::{Operation, UnixMillis};
use crate::replica::{Effect, Replica};
use crate::reply::Reply;
use crate::request::{Outcome, Request, RequestId, Response};

/// The replica that answers so.
#[derive(Debug)]
pub(super) enum Serves {
    /// A leader that may serve reads once it has proof of its leadership.
    Unproven,
    /// A leader that must commit its no-op first.
    BeforeNoop,
    /// A replica that had a lease when it stepped down, until it knows another leader.
    AfterLeading,
}

#[derive(Debug)]
pub(super) struct Reads {
    serves: Serves,
    had_lease: bool, // when the replica last knew a leader
    served: Vec<(RequestId, Operation)>,
}

impl Reads {
    pub(super) fn new(serves: Serves) -> Self {
        Self { serves, had_lease: false, served: Vec::new() }
    }

    fn note_lease(&mut self, replica: &Replica, now: Micros) {
        let node = replica.node();
        if node.leader().is_some() {
            self.had_lease = node.leased_until().is_some_and(|until| now < until);
        }
    }
}

impl Adapter for Reads {
    fn input(&mut self, replica: &Replica, now: Micros, inbound: Inbound) -> Vec<Inbound> {
        self.note_lease(replica, now);
        let node = replica.node();
        let serves = match self.serves {
            Serves::Unproven => node.leased_until().is_some(),
            Serves::BeforeNoop => node.is_leader() && node.leased_until().is_none(),
            Serves::AfterLeading => self.had_lease && !node.is_leader(),
        };
        match inbound {
            Inbound::Client(Request { id, command: Command::One(operation) })
                if serves && operation.is_read() =>
            {
                self.served.push((id, operation));
                Vec::new()
            }
            inbound => vec![inbound],
        }
    }

    fn output(&mut self, replica: &mut Replica, now: Micros, effects: &mut Vec<Effect>) {
        self.note_lease(replica, now);
        for (id, operation) in self.served.drain(..) {
            let Some(reply) = replica.state_machine().read(UnixMillis::MIN, &operation) else { continue };
            let outcome = Outcome::Done(reply);
            let response = Response { id, outcome, leader: replica.node().leader() };
            effects.push(Effect::Send(Outbound::Client(response)));
        }
    }
}

/// A client repeats a read when the replica has lost its leadership and won it again. The replica
/// answers with the state that it noted for the first round, as if the answers to the second round
/// proved that, too.
#[derive(Debug, Default)]
pub(super) struct EarlierRound {
    noted: BTreeMap<RequestId, (Term, Reply)>, // of reads that came while it led
}

impl Adapter for EarlierRound {
    fn input(&mut self, replica: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        let node = replica.node();
        if let Inbound::Client(Request { id, command: Command::One(operation) }) = &inbound
            && node.is_leader()
            && let Some(reply) = replica.state_machine().read(UnixMillis::MIN, operation)
        {
            self.noted.entry(id.clone()).or_insert((node.hard_state().current_term, reply));
        }
        vec![inbound]
    }

    fn output(&mut self, replica: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        let current_term = replica.node().hard_state().current_term;
        for effect in effects {
            if let Effect::Send(Outbound::Client(response)) = effect
                && let Some((term, reply)) = self.noted.get(&response.id)
                && matches!(response.outcome, Outcome::Done(_))
                && *term < current_term
            {
                response.outcome = Outcome::Done(reply.clone());
            }
        }
    }
}
