//! Replicas that have applied the same entries have the same state. A store without replicas that
//! applies them has it, too.

use super::knowledge::Committed;
use super::{Invariant, Knowledge, Observation};
use crate::replication::Payload;

#[derive(Debug)]
pub(super) struct StatesEqual;

impl Invariant for StatesEqual {
    fn name(&self) -> &'static str {
        "states equal"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        compare(moment, knowledge, |_| true)
    }
}

/// Compares the keys of the entries that this batch has applied and that `is_of_interest` selects.
pub(super) fn compare(
    moment: &Observation<'_>,
    knowledge: &Knowledge,
    is_of_interest: impl Fn(&Committed) -> bool,
) -> Result<(), String> {
    let Some(replica) = moment.servers[moment.at].replica() else { return Ok(()) };
    let applied = replica.node().commit_index();
    let indexes = moment.before.commit_index + 1..=applied;
    for committed in indexes.filter_map(|index| knowledge.at(index)).filter(|c| is_of_interest(c)) {
        let Payload::Command(command) = &committed.entry.payload else { continue };
        let value = replica.kv().get(&command.key).map_or("", |value| value);
        let expected = knowledge.value_at(&command.key, applied);
        if value != expected {
            let (key, entry) = (&command.key, &committed.entry);
            return Err(format!("{key} is {value:?} and not {expected:?} after {entry}"));
        }
    }
    Ok(())
}
