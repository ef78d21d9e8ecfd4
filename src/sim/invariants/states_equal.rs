//! Replicas that have applied the same entries have the same state. A state machine without replicas that
//! applies them has it, too.

use super::knowledge::Committed;
use super::{Invariant, Knowledge, Observation};
use crate::operation::Operation;
use crate::replication::Payload;
use crate::reply::Reply;

#[derive(Debug)]
pub(super) struct StatesEqual;

impl Invariant for StatesEqual {
    fn name(&self) -> &'static str {
        "states equal"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        compare(moment, knowledge, |_| true)?;
        compare_sums(moment, knowledge)
    }
}

/// Compares the keys of the entries that this batch has applied and that `is_of_interest` selects.
pub(super) fn compare(
    moment: &Observation<'_>,
    knowledge: &Knowledge,
    is_of_interest: impl Fn(&Committed) -> bool,
) -> Result<(), String> {
    let Some(replica) = moment.servers[moment.at].replica() else { return Ok(()) };
    let state = replica.state_machine();
    let applied = replica.node().commit_index();
    let indexes = moment.before.commit_index + 1..=applied;
    for committed in indexes.filter_map(|index| knowledge.at(index)).filter(|c| is_of_interest(c)) {
        let Payload::Command(proposal) = &committed.entry.payload else { continue };
        let operations = proposal.command.operations().iter();
        for key in operations.flat_map(Operation::keys) {
            let key = || key.clone();
            let reads = [
                Operation::get(key()),
                Operation::Deadline { key: key() },
                Operation::Revision { key: key() },
            ];
            for read in reads {
                let value = state.read(state.time(), &read);
                let expected = knowledge.read_at(&read, applied);
                if value != expected {
                    let (value, expected) = (shown(value), shown(expected));
                    return Err(format!("{read} is {value} and not {expected} after {}", committed.entry));
                }
            }
        }
    }
    Ok(())
}

/// Compares figures that all keys and all sessions have a part in.
fn compare_sums(moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
    let Some(replica) = moment.servers[moment.at].replica() else { return Ok(()) };
    let applied = replica.node().commit_index();
    let (expected, sessions) = knowledge.state_at(applied);
    let state = replica.state_machine();
    let sums = [
        ("keys", state.len(), expected.len()),
        ("sessions", state.sessions().0, sessions.0),
        ("bytes of sessions", state.sessions().1, sessions.1),
    ];
    if let Some((what, found, expected)) = sums.into_iter().find(|(_, found, expected)| found != expected) {
        return Err(format!("it has {found} {what} and not {expected} after {applied}"));
    }
    let (first, expected) = (state.next_deadline(), expected.next_deadline());
    if first != expected {
        return Err(format!("its first deadline is {first:?} and not {expected:?} after {applied}"));
    }
    Ok(())
}

fn shown(reply: Option<Reply>) -> String {
    reply.map_or_else(|| "unknown".to_owned(), |reply| reply.to_string())
}
