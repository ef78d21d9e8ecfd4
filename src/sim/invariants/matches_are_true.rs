//! A leader's match index is true: the follower's disk has the leader's log up to that index
//! (paper, 5.3), or a snapshot of it. Only a follower that has moved to a later term may have
//! truncated its log since. The durable index of a replica is true of its own disk in the same way.

use raft::types::{Index, Term};

use super::{Invariant, Knowledge, Observation};
use crate::sim::disk::Disk;

#[derive(Debug)]
pub(super) struct MatchesAreTrue;

impl Invariant for MatchesAreTrue {
    fn name(&self) -> &'static str {
        "matches are true"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        // An entry that the log has compacted is committed.
        let term_at = |index: Index| -> Option<Term> {
            let committed = || knowledge.at(index).map(|committed| committed.entry.term);
            node.log().term_at(index).ok().or_else(committed)
        };
        let has = |disk: &Disk, index: Index| {
            disk.covers(index) || term_at(index).is_some_and(|term| disk.term_at(index) == Some(term))
        };
        for (id, match_index) in node.match_indexes().filter(|(_, match_index)| *match_index > 0) {
            let disk = &moment.servers[usize::from(id.number())].disk;
            if disk.hard_state().current_term <= moment.term() && !has(disk, match_index) {
                return Err(format!("it takes {id} to have its log up to {match_index}"));
            }
        }
        let durable = node.log().durable_index();
        if !has(&moment.server().disk, durable) {
            return Err(format!("it takes its disk to have its log up to {durable}"));
        }
        Ok(())
    }
}
