//! No acknowledged write is lost: a replica acknowledges a put only once it is in the sequence that
//! the cluster has committed. Other rules check that this sequence never changes.

use super::{Invariant, Knowledge, Observation};
use crate::request::Outcome;

#[derive(Debug)]
pub(super) struct AcknowledgedIsCommitted;

impl Invariant for AcknowledgedIsCommitted {
    fn name(&self) -> &'static str {
        "no acknowledged write lost"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let stored = moment.responses().filter(|response| response.outcome == Outcome::OK);
        match stored.map(|response| &response.id).find(|id| knowledge.effect_of(id).is_none()) {
            Some(id) => {
                Err(format!("it acknowledged {} of client {}, which no replica committed", id.mid, id.client))
            }
            None => Ok(()),
        }
    }
}
