//! A follower serves reads from a state that the leader has not proven to be new enough.

use super::Adapter;
use crate::exchange::{Inbound, Outbound, ReadIndex, Round};
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};

/// A follower does not wait until it has applied the entries up to the index.
#[derive(Debug)]
pub(super) struct IgnoresIndex;

impl Adapter for IgnoresIndex {
    fn input(&mut self, _: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        vec![match inbound {
            Inbound::ReadIndex { from, message: ReadIndex::Response { round, time, .. } } => {
                Inbound::ReadIndex { from, message: ReadIndex::Response { round, index: 0, time } }
            }
            inbound => inbound,
        }]
    }
}

/// A follower takes the answer to any of its rounds, by any leader, for the answer to the latest one.
#[derive(Debug, Default)]
pub(super) struct TakesEarlierIndex {
    latest: Option<(Id, Round)>, // the round that began last, and the leader that it asks
}

impl Adapter for TakesEarlierIndex {
    fn input(&mut self, _: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        let taken = match (&inbound, self.latest) {
            (&Inbound::ReadIndex { message: ReadIndex::Response { index, time, .. }, .. }, Some(latest)) => {
                let (from, round) = latest;
                Some(Inbound::ReadIndex { from, message: ReadIndex::Response { round, index, time } })
            }
            _ => None,
        };
        vec![taken.unwrap_or(inbound)]
    }

    fn output(&mut self, _: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        for effect in effects {
            if let Effect::Send(Outbound::ReadIndex { to, message: ReadIndex::Request { round, .. } }) =
                effect
            {
                self.latest = Some((*to, *round));
            }
        }
    }
}

/// A leader answers a follower at once, without proof that it still leads.
#[derive(Debug, Default)]
pub(super) struct GrantsUnproven {
    asked: Vec<(Id, Round)>,
}

impl Adapter for GrantsUnproven {
    fn input(&mut self, replica: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        match inbound {
            Inbound::ReadIndex { from, message: ReadIndex::Request { round, .. } }
                if replica.node().is_leader() =>
            {
                self.asked.push((from, round));
                Vec::new()
            }
            inbound => vec![inbound],
        }
    }

    fn output(&mut self, replica: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        let (index, time) = (replica.applied(), replica.state_machine().time());
        let answer = |(to, round)| {
            let message = ReadIndex::Response { round, index, time };
            Effect::Send(Outbound::ReadIndex { to, message })
        };
        effects.extend(self.asked.drain(..).map(answer));
    }
}
