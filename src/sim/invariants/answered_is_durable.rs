//! The entries behind an answer to a client are on the disks of a quorum. For a write that is its
//! entry, for a read every entry that the read could see.

use raft::types::Index;

use super::super::clients::Asked;
use super::{Invariant, Knowledge, Observation};
use crate::request::{Outcome, Response};

#[derive(Debug)]
pub(super) struct AnsweredIsDurable;

impl AnsweredIsDurable {
    /// The last entry that the answer depends on.
    fn rests_on(moment: &Observation<'_>, knowledge: &Knowledge, response: &Response) -> Option<Index> {
        let Outcome::Done(_) = response.outcome else { return None };
        let is_read = |asked: &Asked| asked.request.command.is_read();
        let read = moment.clients.asked(&response.id).filter(|asked| is_read(asked));
        knowledge.effect_of(&response.id).or(read.map(|_| moment.node().commit_index()))
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
