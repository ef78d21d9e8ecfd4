//! The rules that one replica can check alone ([`invariants::check`]). Its log has no gaps, terms
//! never decrease along the log, and the commit index never exceeds the log. The failed campaigns
//! are forgotten when the next leader is known.

use raft::invariants;

use super::{Invariant, Knowledge, Observation};

#[derive(Debug)]
pub(super) struct OwnState;

impl Invariant for OwnState {
    fn name(&self) -> &'static str {
        "own state"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        let changed_from = moment.persists().map(|persist| persist.first_index).min();
        let checked_to = changed_from.map_or(node.log().last_index(), |index| index.saturating_sub(1));
        invariants::check(node, checked_to)
    }
}
