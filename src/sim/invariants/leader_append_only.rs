//! Leader append-only: a leader never changes or removes an entry of its log (paper, figure 3).

use super::{Invariant, Knowledge, Observation};
use crate::replication::Persist;

#[derive(Debug)]
pub(super) struct LeaderAppendOnly;

impl Invariant for LeaderAppendOnly {
    fn name(&self) -> &'static str {
        "leader append-only"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let leads_on = moment.before.led && moment.node().is_leader() && moment.before.term == moment.term();
        let last_index = moment.before.last_index;
        let changes = |persist: &&Persist| persist.base.is_some() || persist.first_index <= last_index;
        match moment.persists().filter(|_| leads_on).find(changes) {
            Some(persist) => Err(format!("it changed {} of {last_index} entries", persist.first_index)),
            None => Ok(()),
        }
    }
}
