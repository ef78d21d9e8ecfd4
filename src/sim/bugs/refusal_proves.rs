//! A replica tells the leader of an earlier term of its term with an acknowledgement.

use std::collections::{BTreeMap, VecDeque};

use raft::message::{AppendEntriesResponse, AppendOutcome};

use super::{Adapter, messages};
use crate::exchange::Inbound;
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::replication::Body;

#[derive(Debug, Default)]
pub(super) struct RefusalProves {
    refused: BTreeMap<Id, VecDeque<Micros>>, // by leader: when each refused append was sent
}

impl Adapter for RefusalProves {
    fn input(&mut self, replica: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        if let Inbound::Peer { from, message } = &inbound
            && message.term < replica.node().hard_state().current_term
        {
            match &message.body {
                Body::AppendEntries(append) => {
                    self.refused.entry(*from).or_default().push_back(append.sent_at)
                }
                Body::RelayEntries(relay) => {
                    self.refused.entry(relay.leader).or_default().push_back(relay.append.sent_at);
                }
                _ => {}
            }
        }
        vec![inbound]
    }

    fn output(&mut self, _: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        for (to, message) in messages(effects).filter(|(_, message)| message.body == Body::StaleTerm) {
            if let Some(sent_at) = self.refused.get_mut(&to).and_then(VecDeque::pop_front) {
                let outcome = AppendOutcome::Matched { match_index: 0 };
                message.body = Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome });
            }
        }
    }
}
