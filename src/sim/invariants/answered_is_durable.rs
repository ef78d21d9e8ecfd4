//! The entries behind an answer to a client are on the disks of a quorum. For a put that is its
//! entry, for a get every entry that the read could see.

use raft::types::Index;

use super::{Invariant, Knowledge, Observation};
use crate::request::{Outcome, Response};

#[derive(Debug)]
pub(super) struct AnsweredIsDurable;

impl AnsweredIsDurable {
    /// The last entry that the answer depends on.
    fn rests_on(moment: &Observation<'_>, knowledge: &Knowledge, response: &Response) -> Option<Index> {
        match response.outcome {
            Outcome::Stored => knowledge.effect_of(&response.id),
            Outcome::Value(_) => Some(moment.node().commit_index()),
            Outcome::Redirect | Outcome::Fail => None,
        }
    }
}

impl Invariant for AnsweredIsDurable {
    fn name(&self) -> &'static str {
        "answered is durable"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        for response in moment.responses() {
            let index = Self::rests_on(moment, knowledge, response);
            let Some(committed) = index.and_then(|index| knowledge.at(index)) else { continue };
            let copies = moment.copies_on_disk(committed.entry.index, committed.entry.term);
            if copies < moment.quorum() {
                let (mid, entry) = (&response.id.mid, &committed.entry);
                return Err(format!("the answer to {mid} rests on {entry}, which {copies} disks have"));
            }
        }
        Ok(())
    }
}
