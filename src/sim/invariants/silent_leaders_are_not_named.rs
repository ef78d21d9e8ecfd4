//! No replica redirects a client to a leader that was silent for an election time-out. Other
//! replicas may have elected a new leader, and the client would go in circles. The replica probes
//! its leader first and keeps the client waiting.

use super::{Invariant, Knowledge, Observation};
use crate::replica::ELECTION_TIMEOUT_US;
use crate::request::Outcome;

#[derive(Debug)]
pub(super) struct SilentLeadersAreNotNamed;

impl Invariant for SilentLeadersAreNotNamed {
    fn name(&self) -> &'static str {
        "silent leaders are not named"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let node = moment.node();
        let contact = node.last_leader_contact().unwrap_or(0);
        if node.is_leader() || moment.shown() < contact + ELECTION_TIMEOUT_US {
            return Ok(());
        }
        let mut redirects = moment.responses().filter(|response| response.outcome == Outcome::Redirect);
        match redirects.find_map(|response| response.leader) {
            Some(leader) => {
                Err(format!("it names {leader}, which it last heard at {contact} us of its clock"))
            }
            None => Ok(()),
        }
    }
}
