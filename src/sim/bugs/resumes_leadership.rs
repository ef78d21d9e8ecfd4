//! The answers to a leader show its followers to match at least as far as in its earlier term.

use std::collections::BTreeMap;

use raft::message::AppendOutcome;
use raft::types::{Index, Term};

use super::Adapter;
use crate::exchange::Inbound;
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::replication::Body;

#[derive(Debug, Default)]
pub(super) struct ResumesLeadership {
    term: Term, // in which the replica led last
    known: BTreeMap<Id, Index>,
    before: BTreeMap<Id, Index>, // as it knew them when it led in an earlier term
}

impl Adapter for ResumesLeadership {
    fn input(&mut self, replica: &Replica, _: Micros, mut inbound: Inbound) -> Vec<Inbound> {
        let node = replica.node();
        if let Inbound::Peer { from, message } = &mut inbound
            && let Body::AppendEntriesResponse(response) = &mut message.body
            && message.term == self.term
            && node.is_leader()
            && let Some(&before) = self.before.get(from)
        {
            let before = before.min(node.log().last_index());
            let shown = match response.outcome {
                AppendOutcome::Matched { match_index } => Some(match_index),
                AppendOutcome::Conflict { prev_log_index, .. } => {
                    (prev_log_index <= before).then_some(before)
                }
                AppendOutcome::Receiving { .. } => None,
            };
            if let Some(shown) = shown {
                response.outcome = AppendOutcome::Matched { match_index: shown.max(before) };
            }
        }
        vec![inbound]
    }

    fn output(&mut self, replica: &mut Replica, _: Micros, _: &mut Vec<Effect>) {
        let node = replica.node();
        if !node.is_leader() {
            return;
        }
        let known = node.match_indexes().filter(|(_, match_index)| *match_index > 0).collect();
        let term = node.hard_state().current_term;
        if term == self.term {
            self.known = known;
        } else {
            (self.term, self.before) = (term, std::mem::replace(&mut self.known, known));
        }
    }
}
