//! A replica answers a request for a pre-vote, unless it hears its leader meanwhile. It answers at
//! the latest when it follows no leader any more and its vote lease has ended. Answers may wait for
//! a disk, too; this rule looks at replicas without one.

use std::collections::BTreeSet;

use super::{Invariant, Knowledge, Observation};
use crate::id::Id;
use crate::replica::ELECTION_TIMEOUT_US;
use crate::replication::Body;
use crate::sim::server::Server;

#[derive(Debug, Default)]
pub(super) struct PreVotesAreAnswered {
    owed: BTreeSet<(usize, Id)>, // the replica that owes an answer, and the candidate
}

impl Invariant for PreVotesAreAnswered {
    fn name(&self) -> &'static str {
        "pre-votes are answered"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (at, node) = (moment.at, moment.node());
        if moment.server().has_disk() {
            return Ok(());
        }
        self.owed.extend(moment.server().arrivals.pre_votes.iter().map(|&from| (at, from)));
        if self.owed.is_empty() {
            return Ok(());
        }
        for (to, message) in moment.messages() {
            if matches!(&message.body, Body::RequestVoteResponse(response) if response.pre_vote) {
                self.owed.retain(|&(by, id)| by != at || usize::from(id.number()) != to);
            }
        }
        let contact = node.last_leader_contact();
        if contact != moment.before.last_leader_contact || node.is_leader() {
            self.owed.retain(|&(by, _)| by != at);
        }
        let is_free = contact.is_none_or(|contact| moment.shown() >= contact + ELECTION_TIMEOUT_US);
        match self.owed.iter().find(|&&(by, _)| by == at && node.leader().is_none() && is_free) {
            Some((_, candidate)) => {
                Err(format!("it has not answered {candidate}, and nothing keeps it from that"))
            }
            None => Ok(()),
        }
    }

    fn crashed(&mut self, _: crate::micros::Micros, at: usize, _: &[Server]) {
        self.owed.retain(|&(by, _)| by != at);
    }
}
