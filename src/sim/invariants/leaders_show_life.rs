//! A replica that asks its leader for a vote suspects that leader. The leader sends it an append or a
//! part of a snapshot at once, directly or by a relay. Otherwise the replica would give up a leader
//! that is alive.

use super::{Invariant, Knowledge, Observation};
use crate::id::Id;
use crate::replication::Body;

#[derive(Debug)]
pub(super) struct LeadersShowLife;

impl Invariant for LeadersShowLife {
    fn name(&self) -> &'static str {
        "leaders show life"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        if !moment.node().is_leader() {
            return Ok(());
        }
        let is_shown = |id: &&Id| {
            moment.messages().any(|(to, message)| match &message.body {
                Body::AppendEntries(_) | Body::InstallSnapshot(_) => to == usize::from(id.number()),
                Body::RelayEntries(relay) => to == usize::from(id.number()) || relay.way.contains(id),
                _ => false,
            })
        };
        match moment.server().arrivals.missed_by.iter().find(|id| !is_shown(id)) {
            Some(id) => Err(format!("{id} has asked it for a vote and got no message that shows it")),
            None => Ok(()),
        }
    }
}
