//! A leader's record of a contact with a replica is true: that replica has heard this leader in
//! this term at that time or later. The lease and reads depend on it. An answer to an earlier life
//! of the leader, a refusal, and a remembered acknowledgement of a relay are no proof, whatever
//! their timestamp.

use std::collections::BTreeMap;

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};
use crate::id::Id;
use crate::micros::Micros;

/// Timestamps of one batch differ, so the last may be ahead of the leader's clock by one
/// microsecond for each message of the batch. A slow clock takes longer to catch up.
const STAMPS_AHEAD_US: Micros = 1_000;

#[derive(Debug, Default)]
pub(super) struct ContactsAreTrue {
    heard: BTreeMap<Id, (Term, Micros)>, // per replica: the term and the true time of the last contact
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
            let by_clock = shown.saturating_sub(STAMPS_AHEAD_US);
            let Some(at) = moment.servers[moment.at].when_shown(by_clock) else { continue };
            let (term, heard_at) = self.heard.get(&id).copied().unwrap_or_default();
            // A replica of a later term may have heard this leader earlier. This rule does not
            // record when.
            if term < moment.term() || (term == moment.term() && heard_at < at) {
                return Err(format!(
                    "it takes {id} to have followed it at {at} us, and {id} last heard a leader of term {term} at {heard_at}"
                ));
            }
        }
        Ok(())
    }
}
