//! A replica votes at most once in a term, and still remembers that vote after a restart (paper,
//! 5.2 and 5.4.1). Its messages count: a request for votes is a vote for itself.

use std::collections::BTreeMap;

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};
use crate::replication::Body;

#[derive(Debug, Default)]
pub(super) struct VoteOnce {
    votes: BTreeMap<(usize, Term), usize>, // voter and term, and the candidate
}

impl Invariant for VoteOnce {
    fn name(&self) -> &'static str {
        "vote once"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        for (to, message) in moment.messages() {
            let candidate = match &message.body {
                Body::RequestVote(request) if !request.pre_vote => moment.at,
                Body::RequestVoteResponse(response) if !response.pre_vote && response.granted => to,
                _ => continue,
            };
            let before = *self.votes.entry((moment.at, message.term)).or_insert(candidate);
            if before != candidate {
                let term = message.term;
                return Err(format!("voted in term {term} for {before:04X} and for {candidate:04X}"));
            }
        }
        Ok(())
    }
}
