//! Logs are compared by a wrong rule. A candidate's request for votes arrives with the last entry that
//! brings about the result of this rule.

use super::Adapter;
use crate::exchange::Inbound;
use crate::micros::Micros;
use crate::replica::Replica;
use crate::replication::{Body, Message};

#[derive(Debug)]
pub(super) enum UpToDate {
    ByTermAlone,
    ByIndexFirst,
}

impl Adapter for UpToDate {
    fn input(&mut self, replica: &Replica, _: Micros, mut inbound: Inbound) -> Vec<Inbound> {
        let log = replica.node().log();
        let (own_index, own_term) = (log.last_index(), log.last_term());
        if let Inbound::Peer { message: Message { body: Body::RequestVote(request), .. }, .. } = &mut inbound
        {
            let (index, term) = (&mut request.last_log_index, &mut request.last_log_term);
            match self {
                Self::ByTermAlone if *term == own_term => *index = own_index.max(*index),
                Self::ByTermAlone => {}
                Self::ByIndexFirst if (*index, *term) >= (own_index, own_term) => *term = own_term.max(*term),
                Self::ByIndexFirst => *term = own_term.min(*term),
            }
        }
        vec![inbound]
    }
}
