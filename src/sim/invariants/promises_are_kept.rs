//! Who has heard a leader votes for nobody, itself included, before an election time-out has passed by its own
//! clock (dissertation, 6.4.1). Leases rest on it, and so does a leader whom only some do not hear.

use super::{Invariant, Knowledge, Moment};
use crate::raft::types::Micros;
use crate::replica::ELECTION_TIMEOUT_US;

#[derive(Debug)]
pub(super) struct PromisesAreKept {
    until: Vec<Micros>, // per replica, by its own clock: what it has promised by the end of its batch before
}

impl PromisesAreKept {
    pub(super) fn new(replicas: usize) -> Self {
        Self { until: vec![0; replicas] }
    }
}

impl Invariant for PromisesAreKept {
    fn name(&self) -> &'static str {
        "promises are kept"
    }

    fn check(&mut self, moment: &Moment<'_>, _: &Knowledge) -> Result<(), String> {
        let (before, hard_state) = (moment.before, moment.node().hard_state());
        let until = &mut self.until[moment.at];
        // What it has heard in this batch it may have heard after it voted.
        *until = before.leader_contact.map_or(0, |contact| contact + ELECTION_TIMEOUT_US).max(*until);
        let earlier = (before.term, before.voted_for);
        let Some(voted_for) = hard_state.voted_for else { return Ok(()) };
        let now = moment.servers[moment.at].shows(moment.now);
        if (hard_state.current_term, hard_state.voted_for) != earlier && now < *until {
            let term = hard_state.current_term;
            return Err(format!(
                "it voted for {voted_for} in term {term} at {now} us of its clock, and had promised not to before {until}"
            ));
        }
        Ok(())
    }

    fn crashed(&mut self, at: usize) {
        self.until[at] = 0; // its clock begins anew
    }
}
