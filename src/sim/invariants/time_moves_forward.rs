//! The time of a state machine is the greatest that an entry was proposed at. It never goes back,
//! whatever the wall clock of the next leader shows.

use super::{Invariant, Knowledge, Observation};
use crate::replica::Replica;

#[derive(Debug)]
pub(super) struct TimeMovesForward;

impl Invariant for TimeMovesForward {
    fn name(&self) -> &'static str {
        "time moves forward"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let commit_index = moment.node().commit_index();
        if commit_index == moment.before.commit_index {
            return Ok(());
        }
        let time = moment.server().replica().map(Replica::state_machine).map(|machine| machine.time());
        let expected = knowledge.time_at(commit_index);
        if time != Some(expected) {
            return Err(format!("its time is {time:?} after {commit_index}, and not {expected}"));
        }
        Ok(())
    }
}
