//! A leader's match index is true: the follower's disk has the leader's log up to that index
//! (paper, 5.3). Only a follower that has moved to a later term may have truncated its log since.

use raft::log::Absent;

use super::{Invariant, Knowledge, Observation};

#[derive(Debug)]
pub(super) struct MatchesAreTrue;

impl Invariant for MatchesAreTrue {
    fn name(&self) -> &'static str {
        "matches are true"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        for (id, match_index) in node.match_indexes().filter(|(_, match_index)| *match_index > 0) {
            let disk = &moment.servers[usize::from(id.number())].disk;
            let is_true = disk.covers(match_index)
                || node.log().term_at(match_index) == Err(Absent::Compacted)
                || disk.term_at(match_index) == node.log().term_at(match_index).ok();
            if disk.durable().hard_state.current_term <= moment.term() && !is_true {
                return Err(format!("it takes {id} to have its log up to {match_index}"));
            }
        }
        Ok(())
    }
}
