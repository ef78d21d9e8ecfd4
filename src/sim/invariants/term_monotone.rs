//! The term of a replica never decreases while it is up. After a restart it is not below a term in
//! which the replica voted or acknowledged.

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};
use crate::micros::Micros;
use crate::replication::Body;
use crate::sim::server::Server;

#[derive(Debug)]
pub(super) struct TermMonotone {
    term: Vec<Term>,     // per replica, while it is up
    promised: Vec<Term>, // per replica, the greatest term in which it voted or acknowledged
}

impl TermMonotone {
    pub(super) fn new(replicas: usize) -> Self {
        Self { term: vec![0; replicas], promised: vec![0; replicas] }
    }
}

impl Invariant for TermMonotone {
    fn name(&self) -> &'static str {
        "term monotone"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (at, now) = (moment.at, moment.term());
        let least = self.term[at].max(self.promised[at]);
        if now < least {
            return Err(format!("it was in term {least} and is in {now}"));
        }
        self.term[at] = now;
        for (_, message) in moment.messages() {
            let promises = match &message.body {
                Body::AppendEntriesResponse(_) | Body::RelayEntriesResponse(_) | Body::StaleTerm => true,
                Body::RelayEntries(relay) => !relay.acknowledged.is_empty(),
                Body::RequestVote(request) => !request.pre_vote,
                Body::RequestVoteResponse(response) => response.granted && !response.pre_vote,
                Body::AppendEntries(_) | Body::InstallSnapshot(_) | Body::LogTail(_) | Body::TimeoutNow => {
                    false
                }
            };
            if promises {
                self.promised[at] = self.promised[at].max(message.term);
            }
        }
        Ok(())
    }

    fn crashed(&mut self, _: Micros, at: usize, _: &[Server]) {
        self.term[at] = 0;
    }
}
