//! With on-demand or combined detection, a replica gives up its leader only after it has probed that leader,
//! unless it has heard of a later term. A probe may wait for a disk; this rule looks at replicas
//! without one.

use std::collections::BTreeSet;

use super::{Invariant, Knowledge, Observation};
use crate::micros::Micros;
use crate::replication::Body;
use crate::sim::server::Server;

#[derive(Debug, Default)]
pub(super) struct LeadersAreAskedFirst {
    asked: BTreeSet<usize>, // the replicas that have probed their leader since they last heard it
}

impl Invariant for LeadersAreAskedFirst {
    fn name(&self) -> &'static str {
        "leaders are asked first"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (at, node, before) = (moment.at, moment.node(), moment.before);
        if moment.server().has_disk() || !moment.server().detection().probes() {
            return Ok(());
        }
        if node.last_leader_contact() != before.last_leader_contact {
            self.asked.remove(&at);
        }
        let gives_up = before.leader.filter(|_| !before.led && moment.term() == before.term);
        if let Some(leader) = gives_up.filter(|_| node.leader().is_none() && !self.asked.contains(&at)) {
            return Err(format!("it has given {leader} up and has not asked it"));
        }
        // The replica may have heard the leader in this batch and then probed it.
        let asks = moment.messages().any(|(to, message)| {
            let is_asked = node.leader().is_some_and(|leader| usize::from(leader.number()) == to);
            is_asked && matches!(&message.body, Body::RequestVote(request) if request.pre_vote)
        });
        if asks {
            self.asked.insert(at);
        }
        Ok(())
    }

    fn crashed(&mut self, _: Micros, at: usize, _: &[Server]) {
        self.asked.remove(&at);
    }
}
