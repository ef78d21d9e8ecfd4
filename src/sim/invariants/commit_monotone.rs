//! The commit index of a replica never decreases while it is up. A replica that restarts begins with
//! its snapshot, or at 0 without one.

use raft::types::Index;

use super::{Invariant, Knowledge, Observation};
use crate::micros::Micros;
use crate::sim::server::Server;

#[derive(Debug)]
pub(super) struct CommitMonotone {
    committed: Vec<Index>, // per replica
}

impl CommitMonotone {
    pub(super) fn new(replicas: usize) -> Self {
        Self { committed: vec![0; replicas] }
    }
}

impl Invariant for CommitMonotone {
    fn name(&self) -> &'static str {
        "commit index monotone"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let now = moment.node().commit_index();
        let before = std::mem::replace(&mut self.committed[moment.at], now);
        if now < before { Err(format!("it had committed {before} and has {now}")) } else { Ok(()) }
    }

    fn crashed(&mut self, _: Micros, at: usize, servers: &[Server]) {
        self.committed[at] = servers[at].disk.snapshot().index;
    }
}
