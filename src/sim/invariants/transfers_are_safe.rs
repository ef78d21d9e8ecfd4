//! A leader that tells another replica to stand for election has no lease any more, and the other
//! replica has its whole log (dissertation, 3.10). Only a replica that was told says in its requests
//! for votes that voters may disregard their vote leases.

use std::collections::BTreeMap;

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};
use crate::replica::Replica;
use crate::replication::Body;
use crate::sim::leadership::LeadershipTransfers;

#[derive(Debug, Default)]
pub(super) struct TransfersAreSafe {
    transfers: LeadershipTransfers,
    without_lease: BTreeMap<usize, Term>, // by leader, the latest term in which it has told a replica
}

impl Invariant for TransfersAreSafe {
    fn name(&self) -> &'static str {
        "transfers are safe"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (at, term) = (moment.at, moment.term());
        self.transfers.note(moment);
        for (to, message) in moment.messages() {
            match &message.body {
                Body::TimeoutNow => {
                    self.without_lease.insert(at, message.term);
                    check_log(moment, to)?;
                }
                Body::RequestVote(request)
                    if request.transfer && !self.transfers.allows(message.term, at) =>
                {
                    return Err(format!("no leader has told it to stand in term {}", message.term));
                }
                _ => {}
            }
        }
        let leased = moment.server().leased_until().filter(|until| *until > moment.now);
        match leased.filter(|_| self.without_lease.get(&at) == Some(&term)) {
            Some(until) => {
                Err(format!("it has told a replica to stand, and its lease lasts until {until} us"))
            }
            None => Ok(()),
        }
    }
}

/// Whether the replica that is told has the whole log of its leader.
fn check_log(moment: &Observation<'_>, to: usize) -> Result<(), String> {
    let Some(log) = moment.servers[to].replica().map(Replica::node).map(|node| node.log()) else {
        return Ok(());
    };
    let own = moment.node().log();
    let last = log.term_at(own.last_index());
    let is_compacted = own.last_index() <= log.base().index;
    if is_compacted || last == Ok(own.last_term()) {
        return Ok(());
    }
    Err(format!("it has told {to:04X} to stand, which lacks its last entry, {}", own.last_index()))
}
