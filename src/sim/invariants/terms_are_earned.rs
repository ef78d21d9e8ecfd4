//! A term begins only with an election: a replica in a term has voted for itself in it, or another
//! replica was in it before. A pre-vote changes no replica's term (dissertation, 9.6).

use std::collections::BTreeSet;

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};

#[derive(Debug, Default)]
pub(super) struct TermsAreEarned {
    begun: BTreeSet<Term>,
}

impl Invariant for TermsAreEarned {
    fn name(&self) -> &'static str {
        "terms are earned"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (term, node) = (moment.term(), moment.node());
        if term == moment.before.term || self.begun.contains(&term) {
            return Ok(());
        }
        if node.hard_state().voted_for != Some(node.id()) {
            return Err(format!("it is in term {term}, for which no replica has stood"));
        }
        self.begun.insert(term);
        Ok(())
    }
}
