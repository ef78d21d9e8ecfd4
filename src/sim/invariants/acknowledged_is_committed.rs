//! No acknowledged write is lost: a put is acknowledged only once it is part of what the cluster has committed,
//! which never changes (the other rules see to that).

use super::{Invariant, Knowledge, Observation};
use crate::request::Outcome;

#[derive(Debug)]
pub(super) struct AcknowledgedIsCommitted;

impl Invariant for AcknowledgedIsCommitted {
    fn name(&self) -> &'static str {
        "no acknowledged write lost"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let stored = moment.responses().filter(|response| response.outcome == Outcome::Stored);
        match stored.map(|response| &response.id).find(|id| knowledge.effect_of(id).is_none()) {
            Some(id) => {
                Err(format!("it acknowledged {} of client {}, which nobody committed", id.mid, id.client))
            }
            None => Ok(()),
        }
    }
}
