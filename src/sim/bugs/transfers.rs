//! A leadership transfer counts where it must not.

use super::Adapter;
use crate::exchange::Inbound;
use crate::micros::Micros;
use crate::replica::Replica;
use crate::replication::Body;

/// The order to stand for election counts as one of the present leader, although an earlier one
/// gave it.
#[derive(Debug)]
pub(super) struct OldTimeoutNow;

impl Adapter for OldTimeoutNow {
    fn input(&mut self, replica: &Replica, _: Micros, mut inbound: Inbound) -> Vec<Inbound> {
        let node = replica.node();
        if let Inbound::Peer { from, message } = &mut inbound
            && message.body == Body::TimeoutNow
            && let Some(leader) = node.leader().filter(|leader| *leader != node.id())
        {
            message.term = message.term.max(node.hard_state().current_term);
            *from = leader;
        }
        vec![inbound]
    }
}

/// A voter takes each request for a vote for one of a transfer.
#[derive(Debug)]
pub(super) struct VotesAsInTransfers;

impl Adapter for VotesAsInTransfers {
    fn input(&mut self, _: &Replica, _: Micros, mut inbound: Inbound) -> Vec<Inbound> {
        if let Inbound::Peer { message, .. } = &mut inbound
            && let Body::RequestVote(request) = &mut message.body
        {
            request.transfer |= !request.pre_vote;
        }
        vec![inbound]
    }
}
