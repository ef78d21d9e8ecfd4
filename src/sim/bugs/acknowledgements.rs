//! An acknowledgement says more than is true, or counts for more than the follower that sent it.

use raft::message::AppendOutcome;

use super::{Adapter, messages};
use crate::exchange::Inbound;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::replication::Body;

#[derive(Debug)]
pub(super) struct AcksBeyond;

impl Adapter for AcksBeyond {
    fn output(&mut self, replica: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        let last_index = replica.node().log().last_index();
        for (_, message) in messages(effects) {
            if let Body::AppendEntriesResponse(response) = &mut message.body
                && let AppendOutcome::Matched { match_index } = &mut response.outcome
            {
                *match_index = last_index;
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct AckTwice;

impl Adapter for AckTwice {
    fn input(&mut self, replica: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        let mut inputs = vec![inbound];
        if let Inbound::Peer { from, message } = &inputs[0]
            && let Body::AppendEntriesResponse(response) = message.body
            && let AppendOutcome::Matched { match_index } = response.outcome
        {
            let node = replica.node();
            let is_known = node.match_indexes().any(|known| known == (*from, match_index));
            let other = node.match_indexes().find(|(_, known)| *known < match_index);
            if let Some((from, _)) = other.filter(|_| is_known) {
                let message = message.clone();
                inputs.push(Inbound::Peer { from, message });
            }
        }
        inputs
    }
}
