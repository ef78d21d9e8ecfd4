//! Replicas that have applied the same entries have the same state. A state machine without replicas that
//! applies them has it, too.

use super::knowledge::Committed;
use super::{Invariant, Knowledge, Observation};
use crate::operation::{Operation, UnixMillis};
use crate::replication::Payload;
use crate::reply::Reply;

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
        let Payload::Command(proposal) = &committed.entry.payload else { continue };
        let operations = proposal.command.operations().iter();
        for key in operations.flat_map(Operation::keys) {
            let read = Operation::get(key.clone());
            let value = replica.state_machine().read(UnixMillis::MIN, &read);
            let expected = knowledge.read_at(&read, applied);
            if value != expected {
                let (value, expected) = (shown(value), shown(expected));
                return Err(format!("{key} is {value} and not {expected} after {}", committed.entry));
            }
        }
    }
    Ok(())
}

fn shown(reply: Option<Reply>) -> String {
    reply.map_or_else(|| "unknown".to_owned(), |reply| reply.to_string())
}
