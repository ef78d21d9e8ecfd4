//! The sequence of entries that the cluster has committed, as an observer of every replica sees it.
//! A state machine without replicas
//! applies the same sequence as a reference.

mod sessions;

use std::collections::BTreeMap;

use raft::types::{Index, Term};

use sessions::Sessions;

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

/// What the replicas have reached when they have applied an entry.
#[derive(Clone, Debug)]
struct Reached {
    state: StateMachine,   // without sessions
    machine: StateMachine, // with sessions
    time: UnixMillis,
}

/// The committed sequence, and its meaning.
#[derive(Debug)]
pub struct Knowledge {
    committed: Vec<Committed>,                    // [i] has index i + 1
    effects: BTreeMap<RequestId, (Index, Reply)>, // where each write took effect, and its reply
    reached: Vec<Reached>,                        // [i] is after the entry with index i
    machine: StateMachine,                        // with sessions; it tells which requests are refused
    sessions: Sessions,
}

impl Knowledge {
    /// Knows nothing so far, of replicas with these settings.
    pub fn new(settings: Settings) -> Self {
        let machine = StateMachine::new(settings);
        let start = Reached { state: machine.clone(), machine: machine.clone(), time: machine.time() };
        Self {
            committed: Vec::new(),
            effects: BTreeMap::new(),
            reached: vec![start],
            machine,
            sessions: Sessions::new(settings.sessions.count),
        }
    }

    /// Takes in the entries that a replica is the first to commit.
    pub(super) fn learn(&mut self, moment: &Observation<'_>) {
        let node = moment.node();
        for index in self.committed.len() as Index + 1..=node.commit_index() {
            let Some(entry) = moment.entry(index) else { break };
            let Reached { mut state, mut time, .. } = self.reached[self.reached.len() - 1].clone();
            let does_nothing = !self.apply(entry, &mut state);
            if let Payload::Command(proposal) = &entry.payload {
                time = time.max(proposal.at);
            }
            self.reached.push(Reached { state, machine: self.machine.clone(), time });
            self.committed.push(Committed { entry: entry.clone(), in_term: moment.term(), does_nothing });
        }
    }

    /// The reference is a state machine without sessions, beside a list of all requests that ever
    /// took effect. Sessions may refuse a request that never did. A request that they accept takes
    /// effect only if it never did before. Returns whether it does now.
    fn apply(&mut self, entry: &Entry, state: &mut StateMachine) -> bool {
        let Payload::Command(proposal) = &entry.payload else { return true };
        let answer = self.machine.apply(entry.index, proposal);
        let alone = |command: Command| Proposal { at: proposal.at, request: None, command };
        let Some(request) = &proposal.request else {
            state.apply(entry.index, proposal);
            return true;
        };
        if !proposal.command.is_read() {
            self.sessions.note(request);
        }
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
        self.read_on(operation, index, UnixMillis::MIN)
    }

    /// The same, by a leader whose clock shows this date. The state's time may be later.
    pub fn read_on(&self, operation: &Operation, index: Index, date: UnixMillis) -> Option<Reply> {
        let Reached { state, time, .. } = self.reached.get(index as usize)?;
        state.read(date.max(*time), operation)
    }

    /// The time after the entry at `index` was applied: the greatest that an entry was proposed at.
    pub fn time_at(&self, index: Index) -> UnixMillis {
        self.reached[index as usize].time
    }

    /// The reference after the entry at `index` was applied, and how many sessions with how many
    /// bytes there are.
    pub fn state_at(&self, index: Index) -> (&StateMachine, (usize, usize)) {
        let reached = &self.reached[index as usize];
        (&reached.state, reached.machine.sessions())
    }

    /// The whole state of each replica that has applied the entries up to `index`.
    pub fn machine_at(&self, index: Index) -> &StateMachine {
        &self.reached[index as usize].machine
    }

    /// How many sessions have expired.
    pub fn sessions_expired(&self) -> u64 {
        self.sessions.expirations() as u64
    }

    /// The sessions of the clients by the log.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The first index from `from` to `to` after which a read has this reply. The time that a key has
    /// left depends on the date on the leader's clock, also beside the value of the key.
    pub fn first_with_reply(
        &self,
        operation: &Operation,
        reply: &Reply,
        (from, to): (Index, Index),
        dates: &[UnixMillis],
    ) -> Option<Index> {
        let has_date = matches!(operation, Operation::TimeToLive { .. } | Operation::GetWithRevision { .. });
        let is = |index, date| self.read_on(operation, index, date).as_ref() == Some(reply);
        let is_dated = |index| has_date && dates.iter().any(|&date| is(index, date));
        (from..=to).find(|&index| is(index, UnixMillis::MIN) || is_dated(index))
    }
}
