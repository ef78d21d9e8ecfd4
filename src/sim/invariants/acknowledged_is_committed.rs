//! No acknowledged write is lost: a replica answers a write only once it is in the sequence that
//! the cluster has committed. Other rules check that this sequence never changes.

use super::{Invariant, Knowledge, Observation};
use crate::request::{Outcome, Response};

#[derive(Debug)]
pub(super) struct AcknowledgedIsCommitted;

impl Invariant for AcknowledgedIsCommitted {
    fn name(&self) -> &'static str {
        "no acknowledged write lost"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let is_done = |response: &&Response| {
            matches!(response.outcome, Outcome::Done(_)) && !response.outcome.is_declined()
        };
        let is_write = |response: &&Response| {
            let asked = moment.clients.asked(&response.id);
            asked.is_none_or(|asked| !asked.request.command.is_read())
        };
        let stored = moment.responses().filter(is_done).filter(is_write);
        match stored.map(|response| &response.id).find(|id| knowledge.effect_of(id).is_none()) {
            Some(id) => {
                Err(format!("it acknowledged {} of client {}, which no replica committed", id.mid, id.client))
            }
            None => Ok(()),
        }
    }
}
