//! A vote in a term is for a candidate of that term (paper, 5.2). A vote that is left over from an
//! earlier term would keep a replica from voting in this one.

use std::collections::BTreeSet;

use raft::types::{HardState, Term};

use super::{Invariant, Knowledge, Observation};
use crate::id::Id;

#[derive(Debug, Default)]
pub(super) struct VotesAreAskedFor {
    candidates: BTreeSet<(Term, Id)>,
}

impl Invariant for VotesAreAskedFor {
    fn name(&self) -> &'static str {
        "votes are asked for"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        let HardState { current_term, voted_for } = node.hard_state();
        let Some(candidate) =
            voted_for.filter(|_| (current_term, voted_for) != (moment.before.term, moment.before.voted_for))
        else {
            return Ok(());
        };
        if candidate == node.id() {
            self.candidates.insert((current_term, candidate));
        } else if !self.candidates.contains(&(current_term, candidate)) {
            return Err(format!(
                "its vote of term {current_term} is {candidate}'s, which has not stood in it"
            ));
        }
        Ok(())
    }
}
