//! A replica applies each entry that it has committed exactly once. Sessions would hide a second
//! time from clients, so no answer shows it.

use super::{Invariant, Knowledge, Observation};

#[derive(Debug)]
pub(super) struct AppliedOnce;

impl Invariant for AppliedOnce {
    fn name(&self) -> &'static str {
        "applied once"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let applied = moment.server().replica().map_or(0, crate::replica::Replica::applied);
        let committed = moment.node().commit_index();
        if applied == committed {
            return Ok(());
        }
        Err(format!("it has applied {applied} entries and committed {committed}"))
    }
}
