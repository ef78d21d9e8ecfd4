//! What one replica can know of itself: its log has no gaps, its terms never go down along the log, nothing is committed
//! that is not there, and no attempt in vain outlives the next leader ([`invariants::check`]).

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
