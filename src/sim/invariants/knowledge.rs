//! The sequence of entries that the cluster has committed, as an observer of every replica sees it.
//! A state machine without replicas
//! applies the same sequence as a reference.

use std::collections::BTreeMap;

use raft::types::{Index, Term};

use super::Observation;
use crate::command::{Command, Proposal};
use crate::operation::{Operation, UnixMillis};
use crate::replication::{Entry, Payload};
use crate::reply::Reply;
use crate::request::RequestId;
use crate::state_machine::{Settings, StateMachine};

/// An entry that some replica has committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The entry, in the log of the first replica that committed it.
    pub entry: Entry,
    /// The term of that replica at that time.
    pub in_term: Term,
    /// Whether the entry changes nothing, because its request took effect before or is refused.
    pub does_nothing: bool,
}

/// The committed sequence, and its meaning.
#[derive(Debug)]
pub struct Knowledge {
    committed: Vec<Committed>,                    // [i] has index i + 1
    effects: BTreeMap<RequestId, (Index, Reply)>, // where each write took effect, and its reply
    states: Vec<StateMachine>,                    // [i] is the reference after the entry with index i
    sessions: StateMachine,                       // tells which requests are refused
}

impl Knowledge {
    /// Knows nothing so far, of replicas with these settings.
    pub fn new(settings: Settings) -> Self {
        let machine = StateMachine::new(settings);
        let (committed, effects) = (Vec::new(), BTreeMap::new());
        Self { committed, effects, states: vec![machine.clone()], sessions: machine }
    }

    /// Takes in the entries that a replica is the first to commit.
    pub(super) fn learn(&mut self, moment: &Observation<'_>) {
        let node = moment.node();
        for index in self.committed.len() as Index + 1..=node.commit_index() {
            let Some(entry) = node.log().get(index) else { break };
            let mut state = self.states[self.states.len() - 1].clone();
            let does_nothing = !self.apply(entry, &mut state);
            self.states.push(state);
            self.committed.push(Committed { entry: entry.clone(), in_term: moment.term(), does_nothing });
        }
    }

    /// The reference is a state machine without sessions, beside a list of all requests that ever
    /// took effect. Sessions may refuse a request that never did. A request that they accept takes
    /// effect only if it never did before. Returns whether it does now.
    fn apply(&mut self, entry: &Entry, state: &mut StateMachine) -> bool {
        let Payload::Command(proposal) = &entry.payload else { return true };
        let answer = self.sessions.apply(entry.index, proposal);
        let alone = |command: Command| Proposal { at: proposal.at, request: None, command };
        let Some(request) = &proposal.request else {
            state.apply(entry.index, proposal);
            return true;
        };
        let is_refused = matches!(answer, Reply::Error(refusal) if refusal.is_by_session());
        if is_refused || self.effects.contains_key(request) {
            state.apply(entry.index, &alone(Operation::Count.into())); // the time goes on
            return false;
        }
        let reply = state.apply(entry.index, &alone(proposal.command.clone()));
        if !proposal.command.is_read() {
            self.effects.insert(request.clone(), (entry.index, reply));
        }
        true
    }

    /// The committed entry at an index.
    pub fn at(&self, index: Index) -> Option<&Committed> {
        self.committed.get((index as usize).checked_sub(1)?)
    }

    /// All committed entries, in order.
    pub fn committed(&self) -> &[Committed] {
        &self.committed
    }

    /// The index at which this request took effect.
    pub fn effect_of(&self, request: &RequestId) -> Option<Index> {
        self.effects.get(request).map(|(index, _)| *index)
    }

    /// The reply that this request had when it took effect.
    pub fn reply_to(&self, request: &RequestId) -> Option<&Reply> {
        self.effects.get(request).map(|(_, reply)| reply)
    }

    /// The reply to a read after the entry at `index` was applied.
    pub fn read_at(&self, operation: &Operation, index: Index) -> Option<Reply> {
        // No clock is behind the earliest time, so the state alone decides which keys have expired.
        self.states.get(index as usize)?.read(UnixMillis::MIN, operation)
    }

    /// The first index from `from` to `to` after which a read has this reply.
    pub fn first_with_reply(
        &self,
        operation: &Operation,
        reply: &Reply,
        from: Index,
        to: Index,
    ) -> Option<Index> {
        (from..=to).find(|&index| self.read_at(operation, index).as_ref() == Some(reply))
    }
}
