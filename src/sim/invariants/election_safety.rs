//! Election safety: a term has at most one leader (paper, figure 3).

use std::collections::BTreeMap;

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};

#[derive(Debug, Default)]
pub(super) struct ElectionSafety {
    leaders: BTreeMap<Term, usize>,
}

impl Invariant for ElectionSafety {
    fn name(&self) -> &'static str {
        "election safety"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        if !moment.node().is_leader() {
            return Ok(());
        }
        match *self.leaders.entry(moment.term()).or_insert(moment.at) {
            leader if leader == moment.at => Ok(()),
            leader => Err(format!("replica {leader:04X} leads term {} too", moment.term())),
        }
    }
}
