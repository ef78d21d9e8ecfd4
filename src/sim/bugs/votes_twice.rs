//! A refused vote becomes a granted one if the candidate's term and log are good enough.

use std::collections::BTreeMap;

use raft::message::RequestVote;
use raft::types::Term;

use super::{Adapter, messages};
use crate::exchange::Inbound;
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::replication::Body;

#[derive(Debug, Default)]
pub(super) struct VotesTwice {
    asked: BTreeMap<(Id, u64), (Term, RequestVote)>, // by candidate and campaign
}

impl Adapter for VotesTwice {
    fn input(&mut self, _: &Replica, _: Micros, inbound: Inbound) -> Vec<Inbound> {
        if let Inbound::Peer { from, message } = &inbound
            && let Body::RequestVote(request) = message.body
            && !request.pre_vote
        {
            self.asked.insert((*from, request.campaign), (message.term, request));
        }
        vec![inbound]
    }

    fn output(&mut self, replica: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        let log = replica.node().log();
        for (to, message) in messages(effects) {
            let Body::RequestVoteResponse(response) = &mut message.body else { continue };
            if let Some((term, request)) = self.asked.get(&(to, response.campaign))
                && !response.pre_vote
                && *term == message.term
            {
                response.granted |= log.is_up_to_date(request.last_log_index, request.last_log_term);
            }
        }
    }
}
