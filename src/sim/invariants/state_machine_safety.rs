//! State machine safety: no two replicas commit different entries at one index (paper, figure 3).

use super::{Invariant, Knowledge, Observation};

#[derive(Debug)]
pub(super) struct StateMachineSafety;

impl Invariant for StateMachineSafety {
    fn name(&self) -> &'static str {
        "state machine safety"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        for index in moment.before.commit_index + 1..=node.commit_index() {
            let known = knowledge.at(index).map(|committed| &committed.entry);
            if node.log().get(index) != known {
                let text = |entry: Option<&crate::replication::Entry>| entry.map(ToString::to_string);
                let (here, first) = (text(node.log().get(index)), text(known));
                return Err(format!("{index} is committed as {here:?}, and was as {first:?}"));
            }
        }
        Ok(())
    }
}
