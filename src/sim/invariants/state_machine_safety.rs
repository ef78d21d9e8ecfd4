//! State machine safety: no two replicas commit different entries at one index (paper, figure 3).
//!
//! Entries that a snapshot replaces are not there to be compared. So the rule also compares the
//! names of the base of the log and of the last committed entry, which stand for all entries before
//! them (log matching).

use super::{Invariant, Knowledge, Observation};

#[derive(Debug)]
pub(super) struct StateMachineSafety;

impl Invariant for StateMachineSafety {
    fn name(&self) -> &'static str {
        "state machine safety"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        let log = node.log();
        for index in [log.base().index, node.commit_index()] {
            let known = knowledge.at(index).map_or(0, |committed| committed.entry.term);
            if log.term_at(index) != Ok(known) {
                let term = log.term_at(index);
                return Err(format!("{index} is committed with the term {term:?}, and was with {known}"));
            }
        }
        for index in moment.before.commit_index + 1..=node.commit_index() {
            let here = moment.entry(index);
            if here.is_none() && index <= log.base().index {
                continue; // compacted
            }
            let known = knowledge.at(index).map(|committed| &committed.entry);
            if here != known {
                let text = |entry: Option<&crate::replication::Entry>| entry.map(ToString::to_string);
                let (here, first) = (text(here), text(known));
                return Err(format!("{index} is committed as {here:?}, and was as {first:?}"));
            }
        }
        Ok(())
    }
}
