//! The leadership transfers of a run, as an observer of all replicas sees them.

use std::collections::BTreeSet;

use raft::types::Term;

use super::invariants::Observation;
use crate::replication::Body;

/// The replicas that leaders have told to stand for election.
#[derive(Debug, Default)]
pub(super) struct LeadershipTransfers {
    told: BTreeSet<(Term, usize)>, // the term in which a replica may stand, and the replica
}

impl LeadershipTransfers {
    /// Notes the transfers that a batch begins. Returns whether the batch ends one: a replica that was
    /// told begins to lead.
    pub(super) fn note(&mut self, moment: &Observation<'_>) -> bool {
        let term = moment.term();
        self.told.extend(told(moment));
        let began = moment.node().is_leader() && (!moment.before.led || moment.before.term < term);
        began && self.told.contains(&(term, moment.at))
    }

    /// Whether a leader has told this replica to stand in this term.
    pub(super) fn allows(&self, term: Term, at: usize) -> bool {
        self.told.contains(&(term, at))
    }
}

/// The replicas that this batch tells to stand for election, with the term in which they will.
fn told(moment: &Observation<'_>) -> impl Iterator<Item = (Term, usize)> {
    let told = moment.messages().filter(|(_, message)| message.body == Body::TimeoutNow);
    told.map(|(to, message)| (message.term + 1, to))
}
