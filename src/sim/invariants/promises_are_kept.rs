//! A replica that has heard a leader votes for no other replica and not for itself for an election
//! time-out by its own clock (dissertation, 6.4.1). A restart does not end this vote lease. Read
//! leases depend on it. So does a leader that only some replicas do not hear. A replica votes earlier
//! for one that the leader itself has told to stand in the next term (dissertation, 3.10). A replica that crashes
//! before its first term is on disk has answered no leader, and starts as if it were new.

use raft::types::HardState;

use super::{Invariant, Knowledge, Observation};
use crate::micros::Micros;
use crate::replica::ELECTION_TIMEOUT_US;
use crate::sim::leadership::LeadershipTransfers;
use crate::sim::server::Server;

#[derive(Debug)]
pub(super) struct PromisesAreKept {
    promises: Vec<Promise>, // per replica
    transfers: LeadershipTransfers,
}

/// The vote lease of a replica at the end of its previous batch.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    until: Micros,                  // by the clock of this life
    left: Option<(Micros, Micros)>, // the end of an earlier life, and the rest of its vote lease then
}

impl PromisesAreKept {
    pub(super) fn new(replicas: usize) -> Self {
        Self { promises: vec![Promise::default(); replicas], transfers: LeadershipTransfers::default() }
    }
}

impl Promise {
    /// Translates the rest of an earlier life's vote lease to the clock of this life, whose first
    /// batch this is. The clock's rate may have changed between the start and that batch.
    fn inherit(&mut self, moment: &Observation<'_>) {
        let Some((ended_at, left)) = self.left.take() else { return };
        let server = &moment.servers[moment.at];
        let (began, shown) = server.began();
        let still_left = left.saturating_sub(server.own_span(began - ended_at));
        self.until = self.until.max(shown + still_left);
    }

    /// The replica heard a leader at this time.
    fn note(&mut self, contact: Option<Micros>) {
        self.until = contact.map_or(0, |contact| contact + ELECTION_TIMEOUT_US).max(self.until);
    }
}

impl Invariant for PromisesAreKept {
    fn name(&self) -> &'static str {
        "promises are kept"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (before, node) = (moment.before, moment.node());
        let hard_state = node.hard_state();
        self.transfers.note(moment);
        let promise = &mut self.promises[moment.at];
        promise.inherit(moment);
        promise.note(before.last_leader_contact);
        let until = promise.until;
        // The replica may have heard the leader of this batch after it voted.
        promise.note(node.last_leader_contact());
        let earlier = (before.term, before.voted_for);
        let Some(voted_for) = hard_state.voted_for else { return Ok(()) };
        if self.transfers.allows(hard_state.current_term, usize::from(voted_for.number())) {
            return Ok(());
        }
        let now = moment.servers[moment.at].shows(moment.now);
        if (hard_state.current_term, hard_state.voted_for) != earlier && now < until {
            let term = hard_state.current_term;
            return Err(format!(
                "it voted for {voted_for} in term {term} at {now} us of its clock, and had promised not to before {until}"
            ));
        }
        Ok(())
    }

    fn crashed(&mut self, now: Micros, at: usize, servers: &[Server]) {
        let promise = &mut self.promises[at];
        if servers[at].has_disk() && servers[at].disk.hard_state() == HardState::default() {
            // Its disk has no term, so no answer to a leader has left: no lease depends on it.
            *promise = Promise::default();
            return;
        }
        let left = promise.until.saturating_sub(servers[at].shows(now));
        // A replica without a batch since its last start still owes the rest that it had then.
        let left = promise.left.map_or((now, left), |(ended_at, before)| (ended_at, before.max(left)));
        *promise = Promise { until: 0, left: Some(left) };
    }
}
