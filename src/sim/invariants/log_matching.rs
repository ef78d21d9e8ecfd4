//! Log matching: entries with the same index and term are the same in every log, and so are all
//! entries before them (paper, figure 3). The second half follows from the first by induction: an
//! entry always comes after an entry of the same term.

use std::collections::BTreeMap;

use raft::types::{Index, Term};

use super::{Invariant, Knowledge, Observation};
use crate::replication::{Entry, Payload};

#[derive(Debug, Default)]
pub(super) struct LogMatching {
    seen: BTreeMap<(Index, Term), (Term, Payload)>, // the term of the entry before, and the payload
}

impl LogMatching {
    fn check_entry(&mut self, before: Term, entry: &Entry) -> Result<(), String> {
        let key = (entry.index, entry.term);
        let (term, payload) = self.seen.entry(key).or_insert_with(|| (before, entry.payload.clone()));
        if *payload != entry.payload || *term != before {
            return Err(format!("{entry} after term {before} is elsewhere {payload:?} after term {term}"));
        }
        Ok(())
    }
}

impl Invariant for LogMatching {
    fn name(&self) -> &'static str {
        "log matching"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        for persist in moment.persists() {
            let index = persist.first_index - 1;
            // If the entry before was compacted, it is committed.
            let compacted = || knowledge.at(index).map_or(0, |committed| committed.entry.term);
            let mut before = moment.node().log().term_at(index).unwrap_or_else(|_| compacted());
            for entry in &persist.entries {
                self.check_entry(before, entry)?;
                before = entry.term;
            }
        }
        Ok(())
    }
}
