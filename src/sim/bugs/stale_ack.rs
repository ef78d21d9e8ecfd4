//! An acknowledgement of an earlier term arrives as one of this term, for the leader's last append.

use raft::types::Term;

use super::{Adapter, messages};
use crate::exchange::Inbound;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::replication::{Body, Message};

#[derive(Debug, Default)]
pub(super) struct CountsStaleAck {
    last_sent: (Term, Micros), // the last append of this leader
}

impl Adapter for CountsStaleAck {
    fn input(&mut self, replica: &Replica, _: Micros, mut inbound: Inbound) -> Vec<Inbound> {
        let current_term = replica.node().hard_state().current_term;
        let (term, sent_at) = self.last_sent;
        if let Inbound::Peer {
            message: Message { term: of_message, body: Body::AppendEntriesResponse(response) },
            ..
        } = &mut inbound
            && *of_message < current_term
            && term == current_term
        {
            *of_message = current_term;
            response.sent_at = sent_at;
        }
        vec![inbound]
    }

    fn output(&mut self, _: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        for (_, message) in messages(effects) {
            if let Body::AppendEntries(append) = &message.body {
                self.last_sent = self.last_sent.max((message.term, append.sent_at));
            }
        }
    }
}
