//! Clients get false answers, or answers in another order.

use std::collections::BTreeSet;

use super::Adapter;
use crate::exchange::{Inbound, Outbound};
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::request::{Outcome, Request, RequestId};

#[derive(Debug, Default)]
pub(super) struct StaleLeaderAnswersOk {
    puts: BTreeSet<RequestId>, // that came while the replica led and were not answered so far
}

impl Adapter for StaleLeaderAnswersOk {
    fn input(&mut self, replica: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        if let Inbound::Client(Request { id, command }) = &inbound
            && !command.is_read()
            && replica.node().is_leader()
        {
            self.puts.insert(id.clone());
        }
        vec![inbound]
    }

    fn output(&mut self, _: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        for effect in effects {
            if let Effect::Send(Outbound::Client(response)) = effect
                && self.puts.remove(&response.id)
                && response.outcome == Outcome::Redirect
            {
                response.outcome = Outcome::OK;
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct OutOfOrder;

impl Adapter for OutOfOrder {
    fn output(&mut self, _: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        let is_stored = |effect: &Effect| matches!(effect, Effect::Send(Outbound::Client(response)) if response.outcome == Outcome::OK);
        effects.sort_by_key(is_stored);
    }
}
