//! One replica without its threads and sockets: Raft, the state machine, and the requests that it
//! owes an answer. It is pure like the core: the pipeline drives it in real time, a simulation can
//! drive it in virtual time.
//!
//! Every request that the replica takes in is *pending* until it gets its answer, so the replica
//! answers no request twice and forgets none. The leader proposes writes and answers them when they
//! are applied; other replicas name the leader. Where clients follow no redirects, other replicas
//! forward writes to the leader, and serve reads from their own state once the leader has told them
//! how far it must reach. A replica that knows no leader holds a request for a while, because a
//! redirect without a leader only sends the client around in circles. So does a leader that hands its
//! leadership over: the requests that come meanwhile are for its successor.
//!
//! | file | job |
//! |---|---|
//! | `options` | the parameters of a replica |
//! | `pending` | requests that are owed an answer |
//! | `routing` | where a request goes: to the core, to the leader, or on hold |
//! | `reads` | serves reads, by order of the core or from the own state |
//! | `follower_reads` | reads that a follower serves by an index of the leader |
//! | `read_index` | the leader's answers to the followers that ask for an index |
//! | `writes` | proposes writes, and the removal of expired keys |
//! | `snapshots` | snapshots that a replica takes, sends and receives |
//! | `view` | a replica as it shows itself on a board |

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use raft::ReadId;
use raft::types::{Configuration, EntryId, Index};

use crate::exchange::{Inbound, Outbound, ReadIndex};
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::{Operation, UnixMillis};
use crate::replication::{Action, Body, Entry, Input, Node, Payload, Persist, PersistentState};
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, RequestId};
use crate::state_machine::{MAX_REMOVED, StateMachine};
use crate::tuning::Detection;
use crate::wire::Limits;

mod follower_reads;
mod options;
mod pending;
mod read_index;
mod reads;
mod routing;
mod snapshots;
#[cfg(test)]
mod tests;
mod view;
mod writes;

pub(crate) use options::memory_bytes;
pub use options::{
    APPLIED_AT_ONCE, ELECTION_TIMEOUT_US, HEARTBEAT_INTERVAL_US, LEASE_US, LogLimits, Options, PATIENCE_US,
};
pub use routing::HOLD_US;
pub use snapshots::Snapshot;

use follower_reads::FollowerReads;
use pending::Pending;
use read_index::IndexRequest;
use routing::Held;
use snapshots::{Incoming, Outgoing};

/// How many requests one batch redirects at most when this replica has stepped down or has found a
/// leader: 3 ms of work.
const SENT_ON_AT_ONCE: usize = 4_096;

/// A millisecond.
const MILLI_US: Micros = 1_000;

/// An effect that a replica requests. The caller performs effects in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this to disk, and call [`Replica::persisted`] when it is there.
    Persist(Persist),
    /// Save this snapshot, and call [`Replica::snapshot_saved`] when no crash can lose it. Snapshots
    /// are saved one after the other, beside all other effects.
    SaveSnapshot(Box<Snapshot>),
    /// The log on disk may lose the entries up to this one.
    Compact(EntryId),
    /// Send this.
    Send(Outbound),
}

/// The state of a replica when it starts; empty when it starts for the first time.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Term, vote and log.
    pub persistent: PersistentState,
    /// The state machine of its snapshot, if it has one.
    pub state_machine: Option<StateMachine>,
}

/// The facts on which the routes of requests depend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    leader: Option<Id>,
    contact: Option<Micros>, // when a leader was last heard
    is_transferring: bool,
}

/// One replica.
#[derive(Debug)]
pub struct Replica {
    node: Node,
    state_machine: StateMachine,
    wall_clock_offset_ms: i64,             // the wall clock less the time of the core
    proposed_deadline: Option<UnixMillis>, // the first that the entries in flight give to a key, or an earlier one
    next_removal: Micros,                  // when expired keys may be removed again
    pending: BTreeMap<RequestId, Pending>,
    pending_bytes: usize,                            // of all of them
    held: VecDeque<Held>, // oldest first; those that wait for a leader, and some that were answered since
    to_review: usize,     // how many of them, from the front, are to be looked at once more
    lost_leads: u64,      // how often this replica has stopped leading
    leader_changes: u64,  // how often it has come to know another leader
    known_leader: Option<Id>, // the last leader that it knew
    abandoned_from: Option<Bound<RequestId>>, // where the search for requests from before that goes on
    reads: BTreeMap<ReadId, (RequestId, Operation)>, // those that the core was asked for
    next_read: ReadId,
    index_requests: BTreeMap<ReadId, IndexRequest>, // reads of the core on behalf of followers
    follower_reads: FollowerReads,
    redirected: Option<(Id, Micros)>, // the first client that was redirected since the leader was heard, and when
    seen: Seen,                       // when the held were last looked at
    told: Option<(Id, Index, Micros)>, // the latest append: its sender, what it says is committed, and when it came
    current_at: Option<Micros>,        // when the state had all that the leader had told to be committed
    batch_at: Micros,                  // when the last batch ended
    leaderless_since: Option<Micros>,  // since when no leader is known
    limits: Limits,
    forwards: bool,
    probes_on_demand: bool, // requests can have the core probe the leader
    retires: bool,          // it hands its leadership over whenever it leads
    hold_us: Micros,
    log_limits: LogLimits,
    max_data_bytes: Option<usize>,
    applied: Index, // the last entry that the state machine has; equal to the core's commit index after a drain
    snapshot_index: Index, // the last entry of the latest snapshot that was saved
    installed: Index, // the last entry of the latest snapshot that replaced the state machine; 0 before
    saving: Option<EntryId>, // the snapshot that was taken and is not saved yet
    snapshots_saved: u64,
    snapshots_installed: u64,
    outgoing: BTreeMap<Id, Outgoing>, // by follower
    incoming: Option<Incoming>,
    out: Vec<Effect>,
}

impl Replica {
    /// A replica with the state that its disk has, which sends messages within these limits. The
    /// state machine is that of the snapshot: the replica applies the log to it again, as far as the
    /// log turns out to be committed.
    pub fn new(options: &Options, limits: Limits, saved: Saved, now: Micros) -> Self {
        let Saved { persistent, state_machine } = saved;
        let state_machine = state_machine.unwrap_or_else(|| StateMachine::new(options.state_machine));
        let snapshot_index = persistent.snapshot.index;
        let &Options { own, seed, .. } = options;
        let settings = options.core_settings(&limits);
        let configuration = Configuration::new(options.peers.iter().copied().chain([own]));
        Self {
            node: Node::new(own, configuration, settings, fastrand::Rng::with_seed(seed), persistent, now),
            state_machine,
            wall_clock_offset_ms: 0,
            proposed_deadline: None,
            next_removal: now,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            held: VecDeque::new(),
            to_review: 0,
            lost_leads: 0,
            leader_changes: 0,
            known_leader: None,
            abandoned_from: None,
            told: None,
            current_at: None,
            batch_at: now,
            reads: BTreeMap::new(),
            next_read: 0,
            index_requests: BTreeMap::new(),
            follower_reads: FollowerReads::new(seed),
            redirected: None,
            seen: Seen::default(),
            leaderless_since: Some(now),
            limits,
            forwards: options.forwards,
            probes_on_demand: options.tuning.detection == Detection::OnDemand,
            retires: false,
            hold_us: options.hold_us,
            log_limits: options.log,
            max_data_bytes: options.max_data_bytes,
            applied: snapshot_index,
            snapshot_index,
            installed: 0,
            saving: None,
            snapshots_saved: 0,
            snapshots_installed: 0,
            outgoing: BTreeMap::new(),
            incoming: None,
            out: Vec::new(),
        }
    }

    /// The wall clock shows `unix` at the time `now` of the core. A driver says so before each batch,
    /// because the wall clock may jump. The wall clock only lets keys expire.
    pub fn set_wall_clock(&mut self, now: Micros, unix: UnixMillis) {
        self.wall_clock_offset_ms = unix - (now / MILLI_US) as UnixMillis;
    }

    /// Takes one input of a batch; [`finish`](Self::finish) ends the batch.
    pub fn handle(&mut self, now: Micros, inbound: Inbound) {
        match inbound {
            Inbound::Peer { from, message } => {
                if let Body::AppendEntries(append) = &message.body {
                    self.told = Some((from, append.leader_commit, now));
                }
                self.node.step(now, Input::Receive { from, message });
            }
            Inbound::Client(request) => self.receive_request(now, request),
            Inbound::ReadIndex { from, message: ReadIndex::Request { round, applied } } => {
                self.receive_index_request(now, from, round, applied);
            }
            Inbound::ReadIndex { from, message: ReadIndex::Response { round, index, time } } => {
                self.receive_read_index(now, from, round, (index, time));
            }
            Inbound::LocalRead { id, operation, max_age_us } => {
                self.read_locally(now, id, &operation, max_age_us);
            }
            Inbound::Refused(response) => self.out.push(Effect::Send(Outbound::Client(response))),
        }
    }

    /// Takes the news that every [`Persist`] up to this number is on disk.
    pub fn persisted(&mut self, now: Micros, number: u64) {
        self.node.step(now, Input::Persisted(number));
    }

    /// Hands the leadership over to another replica, if this one leads.
    pub fn transfer_leadership(&mut self, now: Micros) {
        self.node.step(now, Input::TransferLeadership);
    }

    /// This replica is to stop: from now on it hands its leadership over whenever it leads.
    pub fn retire(&mut self) {
        self.retires = true;
    }

    /// Does the work that is due by now, after the inputs of a batch and before its end. Needed
    /// only when the [`deadline`](Self::deadline) that there was before the batch has come.
    pub fn tick(&mut self, now: Micros) {
        if now >= self.node.deadline() {
            self.node.step(now, Input::Tick);
        }
    }

    /// Ends a batch and returns its effects, in order. `now` must have been read after the last
    /// input arrived.
    pub fn finish(&mut self, now: Micros) -> Vec<Effect> {
        self.end_batch(now);
        std::mem::take(&mut self.out)
    }

    fn end_batch(&mut self, now: Micros) {
        if self.retires {
            self.transfer_leadership(now);
        }
        self.batch_at = now;
        self.remove_expired(now);
        self.perform_actions(now);
        self.note_current();
        self.take_snapshot();
        self.send_abandoned_on();
        let (leader, contact) = (self.node.leader(), self.node.last_leader_contact());
        let seen = Seen { leader, contact, is_transferring: self.node.is_transferring() };
        if seen != self.seen || self.hold_deadline().is_some_and(|until| until <= now) {
            self.note_leader(now, seen);
            self.held.rotate_left(self.to_review); // oldest first again
            self.to_review = self.held.len();
        }
        self.end_rounds(now);
        if self.to_review > 0 {
            self.review_held(now);
            self.perform_actions(now);
        }
        self.serve_rounds();
        self.begin_round(now);
    }

    /// One batch of a replica that has no disk: takes the inputs, does the work that is due, ends
    /// the batch, and adds its messages to `out`. `now` must have been read after the last input
    /// arrived.
    pub fn step_in_memory(
        &mut self,
        now: Micros,
        inputs: impl IntoIterator<Item = Inbound>,
        out: &mut Vec<Outbound>,
    ) {
        for inbound in inputs {
            self.handle(now, inbound);
        }
        self.tick(now);
        self.finish_in_memory(now, out);
    }

    /// Ends a batch of a replica that has no disk, and adds its messages to `out`. A replica that
    /// has stopped never comes back, so its memory is as durable as it will ever be, and no message
    /// waits for a disk.
    pub fn finish_in_memory(&mut self, now: Micros, out: &mut Vec<Outbound>) {
        // The inputs make nearly all changes of a batch; the loop finds the few others.
        self.node.keep_in_memory();
        loop {
            // A batch may take a snapshot and complete one that the leader sends.
            let (mut persisted, mut saved) = (None, Vec::new());
            self.end_batch(now);
            for effect in self.out.drain(..) {
                match effect {
                    Effect::Persist(persist) => persisted = Some(persist.number),
                    Effect::SaveSnapshot(snapshot) => saved.push(snapshot.id),
                    Effect::Compact(_) => {}
                    Effect::Send(outbound) => out.push(outbound),
                }
            }
            if persisted.is_none() && saved.is_empty() {
                return;
            }
            if let Some(number) = persisted {
                self.persisted(now, number);
            }
            for id in saved {
                self.snapshot_saved(now, id);
            }
        }
    }

    /// When [`tick`](Self::tick) and [`finish`](Self::finish) are due if nothing arrives before.
    pub fn deadline(&self) -> Micros {
        let goes_on = self.to_review > 0 || self.abandoned_from.is_some();
        let own = goes_on.then_some(self.batch_at).or(self.hold_deadline());
        let takes_writes = self.node.is_leader() && !self.node.is_transferring();
        let removal = self.removal_deadline().filter(|_| takes_writes);
        let rounds = self.follower_reads.deadline();
        own.into_iter().chain(removal).chain(rounds).fold(self.node.deadline(), Micros::min)
    }

    /// The Raft state, to look at.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The last entry whose effect the state machine has.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The last entry that the latest snapshot from a leader covers; 0 if there was none since the
    /// start.
    pub fn installed(&self) -> Index {
        self.installed
    }

    /// The state machine, to look at.
    pub fn state_machine(&self) -> &StateMachine {
        &self.state_machine
    }

    /// The wall clock at this time of the core.
    fn unix_time(&self, now: Micros) -> UnixMillis {
        self.wall_clock_offset_ms + (now / MILLI_US) as UnixMillis
    }

    /// Performs the actions of the core, in their order.
    fn perform_actions(&mut self, now: Micros) {
        let mut reads_to_log = Vec::new();
        let mut has_input = false;
        for action in self.node.drain(now) {
            match action {
                Action::Send { to, message } => {
                    let leader = self.node.leader();
                    self.out.push(Effect::Send(Outbound::Peer { to, leader, message }));
                }
                Action::Persist(persist) => self.out.push(Effect::Persist(persist)),
                Action::Compact(base) => self.out.push(Effect::Compact(base)),
                Action::ReadSnapshot { to, snapshot, chunk } => {
                    self.read_snapshot(now, to, snapshot, chunk);
                    has_input = true;
                }
                Action::ReceiveSnapshot { snapshot, chunk, is_last, data } => {
                    self.receive_snapshot(now, snapshot, (chunk, is_last), &data);
                }
                Action::InstallSnapshot(snapshot) => {
                    self.install_snapshot(now, snapshot);
                    has_input = true;
                }
                Action::Apply(entry) => self.apply(entry),
                Action::ReadReady(read) if self.grant(now, read) => has_input = true,
                Action::ReadReady(read) => reads_to_log.extend(self.serve(now, read)),
                Action::DropPending => self.abandon(),
            }
        }
        // An entry would come too late for a leadership that is handed over.
        let proposes = !self.node.is_transferring();
        has_input |= proposes && !reads_to_log.is_empty();
        for (request, operation) in reads_to_log {
            if proposes {
                self.propose(now, request, operation.into());
            } else {
                self.hold_for_successor(now, request, operation.into());
            }
        }
        if has_input {
            return self.perform_actions(now);
        }
        self.forget_outgoing();
        self.forget_incoming(self.node.commit_index());
    }

    fn apply(&mut self, entry: Entry) {
        // Counted, not copied: an entry that comes twice, or not at all, shows.
        self.applied += 1;
        debug_assert_eq!(self.applied, entry.index);
        if let Payload::Command(proposal) = entry.payload {
            let reply = self.state_machine.apply(entry.index, &proposal);
            if proposal.request.is_none() && reply == Reply::Integer(MAX_REMOVED.into()) {
                self.next_removal = 0; // more keys have expired
            }
            if let Some(request) = &proposal.request {
                let is_readable = self.limits.is_readable(&request.mid, &reply);
                let reply = if is_readable { reply } else { Reply::Error(Refusal::ReplyTooLong) };
                self.answer(request, Outcome::Done(reply), self.node.leader());
            }
        }
    }
}
