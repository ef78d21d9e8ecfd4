//! Leader completeness: every leader has in its log all entries that were committed in earlier
//! terms (paper, figure 3).

use raft::log::Absent;

use super::{Invariant, Knowledge, Observation};
use crate::replication::Entry;

#[derive(Debug)]
pub(super) struct LeaderCompleteness;

impl Invariant for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "leader completeness"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let (node, before) = (moment.node(), moment.before);
        let newly_elected = node.is_leader() && !(before.led && before.term == moment.term());
        if !newly_elected {
            return Ok(());
        }
        let earlier = knowledge.committed().iter().filter(|committed| committed.in_term < moment.term());
        let has = |entry: &Entry| match node.log().term_at(entry.index) {
            Ok(term) => term == entry.term,
            Err(absent) => absent == Absent::Compacted,
        };
        let mut missing = earlier.filter(|committed| !has(&committed.entry));
        match missing.next() {
            Some(missing) => {
                let (entry, term) = (&missing.entry, missing.in_term);
                Err(format!("it leads term {} without {entry}, committed in term {term}", moment.term()))
            }
            None => Ok(()),
        }
    }
}
