//! Each replica that gets an append of an earlier term tells that leader so, however the append
//! came (paper, 5.1). Otherwise a deposed leader that relays to a follower of its successor leads
//! on until check-quorum deposes it.
//!
//! A replica tells it in the first batch in which it knows that its disk has all changes up to the
//! append. Where there is no disk, that is the batch with the append.

use std::collections::BTreeMap;

use raft::types::Term;

use super::{Invariant, Knowledge, Observation};
use crate::id::Id;
use crate::micros::Micros;
use crate::sim::server::Server;

#[derive(Debug, Default)]
pub(super) struct StaleLeadersAreTold {
    changes: BTreeMap<usize, u64>, // per replica, its last change for its disk in this life
    owed: BTreeMap<(usize, Id, Term), Owed>, // the replica that owes an answer, the leader, and its term
}

/// An answer that a stale leader must get.
#[derive(Clone, Copy, Debug)]
struct Owed {
    since: Micros, // the time when its append arrived
    change: u64,   // the disk must have this change before
}

impl Invariant for StaleLeadersAreTold {
    fn name(&self) -> &'static str {
        "stale leaders are told"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (at, since, server) = (moment.at, moment.now, &moment.servers[moment.at]);
        if let Some(number) = moment.persists().map(|persist| persist.number).max() {
            self.changes.insert(at, number);
        }
        let change = self.changes.get(&at).copied().unwrap_or(0);
        for &(leader, term) in &server.arrivals.stale {
            self.owed.entry((at, leader, term)).or_insert(Owed { since, change });
        }
        if self.owed.is_empty() {
            return Ok(());
        }
        for (to, message) in moment.messages() {
            let is_told = |by, leader: Id| by == at && usize::from(leader.number()) == to;
            self.owed.retain(|&(by, leader, term), _| !is_told(by, leader) || message.term <= term);
        }
        let mut owed = self.owed.iter().filter(|((by, _, _), _)| *by == at);
        match owed.find(|(_, owed)| server.knows_durable(owed.change)) {
            Some(((_, leader, term), Owed { since, .. })) => {
                Err(format!("it has not told {leader}, whose append of term {term} it got at {since} us"))
            }
            None => Ok(()),
        }
    }

    fn crashed(&mut self, _: Micros, at: usize, _: &[Server]) {
        self.changes.remove(&at);
        self.owed.retain(|(by, _, _), _| *by != at);
    }
}
