//! What a leader takes for proof that a replica followed it at some time is so: that replica has heard this leader in
//! this term at that time or later. The lease and reads rest on it. An answer to an earlier life of the leader, a
//! refusal, or what a relay recalls is no proof, however its stamp fits.

use std::collections::BTreeMap;

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};
use crate::id::Id;
use crate::micros::Micros;

/// Stamps of one batch differ, so the last may be ahead of the clock by as many microseconds as it sent messages.
const STAMPS_AHEAD_US: Micros = 1_000;

#[derive(Debug, Default)]
pub(super) struct ContactsAreTrue {
    heard: BTreeMap<Id, (Term, Micros)>, // each replica: when, in true time, it last heard a leader, and in which term
}

impl Invariant for ContactsAreTrue {
    fn name(&self) -> &'static str {
        "contacts are true"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        if node.last_leader_contact() != moment.before.last_leader_contact {
            self.heard.insert(node.id(), (moment.term(), moment.now));
        }
        for (id, shown) in node.contacts() {
            let Some(at) = moment.servers[moment.at].when_shown(shown) else { continue };
            let (term, heard_at) = self.heard.get(&id).copied().unwrap_or_default();
            // A replica of a later term may have heard this leader before; where, this rule does not know any more.
            if term < moment.term() || (term == moment.term() && heard_at + STAMPS_AHEAD_US < at) {
                return Err(format!(
                    "it takes {id} to have followed it at {at} us, and {id} last heard a leader of term {term} at {heard_at}"
                ));
            }
        }
        Ok(())
    }
}
