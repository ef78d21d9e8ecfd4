//! After a request for a pre-vote comes a message of the term that the request is about.

use super::Adapter;
use crate::exchange::Inbound;
use crate::micros::Micros;
use crate::replica::{ELECTION_TIMEOUT_US, Replica};
use crate::replication::{Body, Message};

#[derive(Debug)]
pub(super) struct PreVoteRaisesTerm;

impl Adapter for PreVoteRaisesTerm {
    fn input(&mut self, replica: &Replica, now: Micros, inbound: Inbound) -> Vec<Inbound> {
        let node = replica.node();
        let may_vote =
            !node.is_leader() && node.last_leader_contact().is_none_or(|at| at + ELECTION_TIMEOUT_US <= now);
        let mut inputs = vec![inbound];
        if let Inbound::Peer { from, message: Message { term, body: Body::RequestVote(request) } } = inputs[0]
            && request.pre_vote
            && may_vote
        {
            inputs.push(Inbound::Peer { from, message: Message { term, body: Body::StaleTerm } });
        }
        inputs
    }
}
