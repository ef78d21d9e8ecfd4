//! A follower that acknowledges an append has on disk all that it acknowledges. A follower that
//! passes on the acknowledgement of another follower received it from that follower.

use std::collections::BTreeSet;

use raft::message::{Acknowledgement, AppendEntriesResponse, AppendOutcome};
use raft::types::{Index, Term};

use super::{Invariant, Knowledge, Observation};
use crate::id::Id;
use crate::micros::Micros;
use crate::replication::{Body, Message};

#[derive(Debug, Default)]
pub(super) struct AcknowledgedIsDurable {
    said: BTreeSet<(Id, Term, Micros, Index)>, // follower, term, time of the append, last index acknowledged
}

impl Invariant for AcknowledgedIsDurable {
    fn name(&self) -> &'static str {
        "acknowledged is durable"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let own = moment.node().id();
        for (_, message) in moment.messages() {
            let Some((acknowledged, index)) = acknowledged(own, message) else { continue };
            let term = message.term;
            for Acknowledgement { id, sent_at } in acknowledged {
                if id == own && !is_durable(moment, term, index) {
                    return Err(format!("it acknowledged up to {index}, which its disk does not have"));
                }
                if id == own {
                    self.said.insert((id, term, sent_at, index));
                } else if !self.has_said(id, term, sent_at, index) {
                    return Err(format!("it said that {id} acknowledged up to {index}, which {id} did not"));
                }
            }
        }
        Ok(())
    }
}

impl AcknowledgedIsDurable {
    /// Whether a replica has acknowledged the append of that time, up to `index` or further.
    fn has_said(&self, id: Id, term: Term, sent_at: Micros, index: Index) -> bool {
        let as_much = (id, term, sent_at, index)..=(id, term, sent_at, Index::MAX);
        self.said.range(as_much).next().is_some()
    }
}

/// The replicas for which a message acknowledges, and the index up to which they do; `None` if it
/// acknowledges nothing.
fn acknowledged(own: Id, message: &Message) -> Option<(Vec<Acknowledgement>, Index)> {
    match &message.body {
        Body::RelayEntries(relay) => Some((relay.acknowledged.clone(), relay.append.last_index())),
        Body::RelayEntriesResponse(response) => Some((response.acknowledged.clone(), response.match_index)),
        &Body::AppendEntriesResponse(AppendEntriesResponse {
            sent_at,
            outcome: AppendOutcome::Matched { match_index },
        }) => Some((vec![Acknowledgement { id: own, sent_at }], match_index)),
        _ => None,
    }
}

/// Whether this replica's disk has its log up to `index`. Changes of a later term do not matter
/// here.
fn is_durable(moment: &Observation<'_>, term: Term, index: Index) -> bool {
    let disk = &moment.server().disk;
    moment.term() != term
        || disk.covers(index)
        || moment.node().log().term_at(index).is_ok_and(|term| disk.term_at(index) == Some(term))
}
