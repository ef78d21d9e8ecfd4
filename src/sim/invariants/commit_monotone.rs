//! Terms never go down, not even in a restart, below what the replica has said; commit indexes never go down
//! while a replica is up.

use super::{Invariant, Knowledge, Moment};
use crate::raft::message::Body;
use crate::raft::types::{Index, Term};

#[derive(Debug)]
pub(super) struct Monotone {
    said: Vec<Term>,       // per replica, the greatest term in which it promised something
    term: Vec<Term>,       // while it is up
    committed: Vec<Index>, // while it is up
}

impl Monotone {
    pub(super) fn new(replicas: usize) -> Self {
        Self { said: vec![0; replicas], term: vec![0; replicas], committed: vec![0; replicas] }
    }
}

impl Invariant for Monotone {
    fn name(&self) -> &'static str {
        "monotone"
    }

    fn check(&mut self, moment: &Moment<'_>, _: &Knowledge) -> Result<(), String> {
        let (at, term, committed) = (moment.at, moment.term(), moment.node().commit_index());
        if term < self.term[at] || term < self.said[at] {
            return Err(format!("it was in term {} and is in {term}", self.term[at].max(self.said[at])));
        }
        if committed < self.committed[at] {
            return Err(format!("it had committed {} and has {committed}", self.committed[at]));
        }
        (self.term[at], self.committed[at]) = (term, committed);
        for (_, message) in moment.messages() {
            if let Body::AppendEntriesResponse(_) = message.body {
                self.said[at] = self.said[at].max(message.term);
            }
        }
        Ok(())
    }

    fn crashed(&mut self, at: usize) {
        (self.term[at], self.committed[at]) = (0, 0);
    }
}
