//! One replica without its threads and sockets: Raft, the state machine, and the requests that it
//! owes an answer. It is pure like the core: the pipeline drives it in real time, a simulation can
//! drive it in virtual time.
//!
//! Every request that the replica takes in is *pending* until it gets its answer, so the replica
//! answers no request twice and forgets none. The leader proposes writes and answers them when they
//! are applied; other replicas name the leader. A replica that knows no leader holds a request for
//! a while, because a redirect without a leader only sends the client around in circles.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use raft::ReadId;
use raft::types::{Configuration, EntryId, Index};
use tracing::{debug, info, warn};

use crate::command::{Command, Proposal};
use crate::exchange::{Inbound, Outbound};
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::{Deadline, Operation, UnixMillis};
use crate::replication::{Action, Body, Entry, Input, Node, Payload, Persist, PersistentState};
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request, RequestId, Response};
use crate::state_machine::{MAX_REMOVED, StateMachine};
use crate::tuning::Detection;
use crate::wire::Limits;

mod options;
mod snapshots;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use options::memory_bytes;
pub use options::{
    APPLIED_AT_ONCE, ELECTION_TIMEOUT_US, HEARTBEAT_INTERVAL_US, LEASE_US, LogLimits, Options, PATIENCE_US,
};
pub use snapshots::Snapshot;

use snapshots::{Incoming, Outgoing};

/// How long a client may need to reach the leader to which it was redirected and to come back in
/// vain. A request that comes sooner is from another client, and says nothing about the leader.
const REDIRECT_US: Micros = ELECTION_TIMEOUT_US / 12;

/// How long a request usually waits for a leader to be known ([`Options::hold_us`]); then the replica
/// redirects its client without naming one. This is a little longer than an election takes. The request may have come to the
/// smaller side of a partition.
pub const HOLD_US: Micros = ELECTION_TIMEOUT_US / 4 * 5;

/// How long a request waits at a replica that has known no leader for [`HOLD_US`]. That replica is
/// cut off, and the next one may know the leader. If every replica is cut off, the wait keeps
/// clients from going round all the time.
const LATE_HOLD_US: Micros = ELECTION_TIMEOUT_US / 4;

/// How many requests one batch redirects at most when this replica has stepped down or has found a
/// leader: 3 ms of work.
const SENT_ON_AT_ONCE: usize = 4_096;

/// How many requests may be owed an answer; further ones are refused at once.
const MAX_PENDING: usize = 65_536;

/// How many bytes of MIDs, keys and values these requests may have together.
const MAX_PENDING_BYTES: usize = 32 << 20;

/// A millisecond.
const MILLI_US: Micros = 1_000;

/// How long expired keys stay before an entry removes them: those that expire within this time share
/// an entry. A leader without expired keys proposes none.
const EXPIRY_INTERVAL_US: Micros = 1_000_000;

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

/// A request that is owed an answer.
#[derive(Clone, Copy, Debug)]
struct Pending {
    content: u64, // the digest of what it asks
    bytes: usize, // of its MID, keys and values
    state: PendingState,
}

/// Why a request has not been answered so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PendingState {
    /// It waits for a leader to be known.
    AwaitingLeader,
    /// The core has it, and applies or serves it unless this replica stops leading. It had stopped
    /// leading `lost_leads` times before.
    Proposed { lost_leads: u64 },
}

/// A request that waits for a leader to be known.
#[derive(Debug)]
struct Held {
    request: Request,
    until: Micros,
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
    redirected: Option<(Id, Micros)>, // the first client that was redirected since the leader was heard, and when
    seen: (Option<Id>, Option<Micros>), // leader and contact when the held were last looked at
    told: Option<(Id, Index, Micros)>, // the latest append: its sender, what it says is committed, and when it came
    current_at: Option<Micros>,        // when the state had all that the leader had told to be committed
    batch_at: Micros,                  // when the last batch ended
    leaderless_since: Option<Micros>,  // since when no leader is known
    limits: Limits,
    forwards: bool,
    probes_on_demand: bool, // requests can have the core probe the leader
    hold_us: Micros,
    log_limits: LogLimits,
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
            redirected: None,
            seen: (None, None),
            leaderless_since: Some(now),
            limits,
            forwards: options.forwards,
            probes_on_demand: options.tuning.detection == Detection::OnDemand,
            hold_us: options.hold_us,
            log_limits: options.log,
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
        self.batch_at = now;
        self.remove_expired(now);
        self.perform_actions(now);
        self.note_current();
        self.take_snapshot();
        self.send_abandoned_on();
        let seen = (self.node.leader(), self.node.last_leader_contact());
        if seen != self.seen || self.hold_deadline().is_some_and(|until| until <= now) {
            self.note_leader(now, seen);
            self.held.rotate_left(self.to_review); // oldest first again
            self.to_review = self.held.len();
        }
        if self.to_review > 0 {
            self.review_held(now);
            self.perform_actions(now);
        }
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
        let removal = self.removal_deadline().filter(|_| self.node.is_leader());
        own.into_iter().chain(removal).fold(self.node.deadline(), Micros::min)
    }

    /// A redirect that names no leader for each request that is owed an answer, because this
    /// replica stops.
    pub fn stop(&mut self) -> Vec<Response> {
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending).into_iter();
        let answer = |(id, pending): (RequestId, Pending)| {
            let outcome = match pending.state {
                PendingState::AwaitingLeader => Outcome::Redirect,
                PendingState::Proposed { .. } => self.abandoned_outcome(),
            };
            Response { id, outcome, leader: None }
        };
        pending.map(answer).collect()
    }

    /// The Raft state, to look at.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How many requests are owed an answer.
    pub fn owes(&self) -> usize {
        self.pending.len()
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

    /// Remembers when this replica had all that its leader had told it to be committed.
    fn note_current(&mut self) {
        let leader = self.node.leader();
        let reached =
            |&(from, commit, _): &(Id, Index, Micros)| Some(from) == leader && commit <= self.applied;
        if let Some((_, _, told_at)) = self.told.take_if(|told| reached(told)) {
            self.current_at = Some(told_at);
        }
    }

    /// Serves a read from this replica's own state, unless that may be too old.
    fn read_locally(&mut self, now: Micros, id: RequestId, operation: &Operation, max_age_us: Micros) {
        let is_current =
            self.node.is_leader() || self.current_at.is_some_and(|current_at| now <= current_at + max_age_us);
        // At the time of the state machine a read needs no entry.
        let reply = || self.state_machine.read(self.state_machine.time(), operation);
        let reply = is_current.then(reply).flatten().filter(|reply| self.limits.is_readable(&id.mid, reply));
        let outcome = reply.map_or(Outcome::Fail, Outcome::Done);
        self.send_answer(id, outcome, self.node.leader());
    }

    fn receive_request(&mut self, now: Micros, request: Request) {
        let content = request.command.digest();
        if let Some(pending) = self.pending.get(&request.id) {
            if pending.content != content {
                warn!(client = %request.id.client, "refused a request: another one with its MID waits");
                self.send_answer(request.id, Outcome::Fail, self.node.leader());
            }
            return; // a repetition: the answer to the first one answers both
        }
        let bytes = request.id.mid.len() + request.command.text_len();
        if self.pending.len() >= MAX_PENDING || self.pending_bytes + bytes > MAX_PENDING_BYTES {
            let (others, waiting) = (self.pending.len(), self.pending_bytes);
            warn!(client = %request.id.client, "refused a request: {others} others with {waiting} bytes wait");
            return self.send_answer(request.id, Outcome::Fail, self.node.leader());
        }
        self.pending_bytes += bytes;
        self.pending
            .insert(request.id.clone(), Pending { content, bytes, state: PendingState::AwaitingLeader });
        self.route(now, request, self.hold_until(now));
    }

    /// Deadline of a request that arrives now and waits for a leader. Of two requests that wait,
    /// the one that came first has no later deadline.
    fn hold_until(&self, now: Micros) -> Micros {
        match self.leaderless_since {
            Some(since) if self.node.leader().is_none() => (since + self.hold_us).max(now + LATE_HOLD_US),
            _ => now + self.hold_us,
        }
    }

    /// Serves a request, or redirects it to the leader, or holds it until a leader is known.
    fn route(&mut self, now: Micros, request: Request, until: Micros) {
        match self.node.leader() {
            Some(leader) if leader == self.node.id() => self.ask_core(now, request),
            Some(leader)
                if !self.node.is_probing_leader() && !self.suspects_leader(now, request.id.client) =>
            {
                let contact = self.node.last_leader_contact();
                let earlier = self.redirected.filter(|(_, redirected_at)| Some(*redirected_at) > contact);
                self.redirected = earlier.or(Some((request.id.client, now)));
                self.send_on(request, leader);
            }
            _ if now >= until => self.answer(&request.id, Outcome::Redirect, None),
            _ => {
                self.node.step(now, Input::Suspect);
                self.held.push_back(Held { request, until });
            }
        }
    }

    /// Sends a request on to the leader: by way of its client, or directly.
    fn send_on(&mut self, request: Request, leader: Id) {
        if !self.forwards {
            return self.answer(&request.id, Outcome::Redirect, Some(leader));
        }
        if let Some(pending) = self.pending.remove(&request.id) {
            self.pending_bytes -= pending.bytes;
            self.out.push(Effect::Send(Outbound::Forward { to: leader, request }));
        }
    }

    /// Whether the leader may be dead, so that naming it could send this client in circles. Either
    /// the leader has been silent for so long that its followers may have elected another one, or a
    /// client was redirected to it since it was last heard. That client need not come back to say
    /// so: it may give up, or return under another ID.
    ///
    /// Where heartbeats detect a dead leader, the core does not probe it for a request. A request that
    /// could be forwarded would only wait for the next heartbeat.
    fn suspects_leader(&self, now: Micros, client: Id) -> bool {
        let contact = self.node.last_leader_contact().unwrap_or(0);
        let comes_back = |&(earlier, redirected_at): &(Id, Micros)| {
            // A client whose request was forwarded has its answer when it asks again.
            let is_same = client == earlier && !self.forwards;
            redirected_at > contact && (is_same || now >= redirected_at + REDIRECT_US)
        };
        let counts = self.probes_on_demand || !self.forwards;
        now >= contact + ELECTION_TIMEOUT_US || counts && self.redirected.as_ref().is_some_and(comes_back)
    }

    /// This replica leads: a write goes into the log, a read waits for proof of leadership.
    fn ask_core(&mut self, now: Micros, request: Request) {
        let Request { id, command } = request;
        let lost_leads = self.lost_leads;
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.state = PendingState::Proposed { lost_leads };
        }
        match command {
            Command::One(operation) if operation.is_read() => {
                self.reads.insert(self.next_read, (id, operation));
                self.node.step(now, Input::Read(self.next_read));
                self.next_read += 1;
            }
            _ => self.propose(now, id, command),
        }
    }

    /// Proposes a write, unless its size or the session of its client decides its outcome.
    fn propose(&mut self, now: Micros, request: RequestId, command: Command) {
        let remembered = || self.state_machine.remembered(&request, &command);
        if let Some(reply) = (!command.is_read()).then(remembered).flatten() {
            if let Reply::Error(refusal) = &reply {
                warn!(client = %request.client, "refused a request: {refusal}");
            }
            return self.answer(&request, Outcome::Done(reply), self.node.leader());
        }
        let proposal = Proposal { at: self.unix_time(now), request: Some(request), command };
        let is_full = self.node.uncommitted_bytes() >= self.log_limits.max_uncommitted_bytes;
        if let Some(request) = proposal.request.as_ref().filter(|_| is_full) {
            warn!(client = %request.client, "refused a request: too many entries are not committed");
            return self.answer(request, Outcome::Fail, self.node.leader());
        }
        if self.limits.is_storable(&proposal) {
            self.note_deadline(&proposal);
            return self.node.step(now, Input::Propose(Arc::new(proposal)));
        }
        if let Some(request) = &proposal.request {
            warn!(client = %request.client, "refused a request: its MID or its entry is too long");
            self.answer(request, Outcome::Fail, self.node.leader());
        }
    }

    /// A leader removes keys whose deadline has passed, so that their memory comes back although no
    /// client asks for them. Expiry is an entry like any other write.
    fn remove_expired(&mut self, now: Micros) {
        if self.node.is_leader() && self.removal_deadline().is_some_and(|due| due <= now) {
            self.next_removal = now + EXPIRY_INTERVAL_US;
            let command = Command::One(Operation::RemoveExpired { limit: MAX_REMOVED });
            let proposal = Proposal { at: self.unix_time(now), request: None, command };
            self.node.step(now, Input::Propose(Arc::new(proposal)));
        }
    }

    /// When expired keys are to be removed, if this replica leads then.
    fn removal_deadline(&self) -> Option<Micros> {
        let expires_at = self.state_machine.next_deadline()?.saturating_sub(self.wall_clock_offset_ms);
        let expires_us = u64::try_from(expires_at).unwrap_or(0).saturating_mul(MILLI_US);
        Some(expires_us.saturating_add(EXPIRY_INTERVAL_US).max(self.next_removal))
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
                Action::ReadReady(read) => reads_to_log.extend(self.serve(now, read)),
                Action::DropPending => self.abandon(),
            }
        }
        has_input |= !reads_to_log.is_empty();
        for (request, operation) in reads_to_log {
            self.propose(now, request, operation.into());
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

    /// Whether a key may have expired by this leader's clock since it proposed an entry that is not
    /// applied yet. That entry still finds the key, because its own time counts. So a read that is
    /// served now, before the entry, would see a moment after the deadline and the entry a moment
    /// before it, although the entry takes effect later. Such a read takes its turn in the log.
    fn expired_behind_entries(&self, now: Micros) -> bool {
        let now = self.unix_time(now);
        let has_unapplied = self.node.log().last_index() > self.node.commit_index();
        let in_flight = self.proposed_deadline.is_some_and(|deadline| deadline <= now);
        has_unapplied && (in_flight || self.state_machine.expires_by(now))
    }

    /// Remembers the first deadline that an entry gives to a key which is not applied yet.
    fn note_deadline(&mut self, proposal: &Proposal) {
        if self.node.log().last_index() == self.node.commit_index() {
            self.proposed_deadline = None;
        }
        let deadlines = proposal.command.operations().iter().filter_map(Operation::deadline);
        let deadlines = deadlines.map(|deadline| match deadline {
            Deadline::After(millis) => proposal.at.saturating_add(millis),
            Deadline::At(time) => time,
        });
        self.proposed_deadline = self.proposed_deadline.into_iter().chain(deadlines).min();
    }

    /// Serves a read, and returns it if it must go through the log: a key has expired by this
    /// leader's clock, and no entry says so. Once an entry does, every later leader agrees.
    fn serve(&mut self, now: Micros, read: ReadId) -> Option<(RequestId, Operation)> {
        let (id, operation) = self.reads.remove(&read)?;
        if self.expired_behind_entries(now) {
            return Some((id, operation));
        }
        let Some(reply) = self.state_machine.read(self.unix_time(now), &operation) else {
            return Some((id, operation));
        };
        let is_readable = self.limits.is_readable(&id.mid, &reply);
        let reply = if is_readable { reply } else { Reply::Error(Refusal::ReplyTooLong) };
        self.answer(&id, Outcome::Done(reply), self.node.leader());
        None
    }

    /// This replica leads no more. The requests that it had taken on are for the next leader.
    fn abandon(&mut self) {
        self.reads.clear();
        self.lost_leads += 1;
        self.abandoned_from = Some(Bound::Unbounded);
        debug!(requests = self.pending.len(), "leads no more");
    }

    /// Sends the clients of some requests that this replica has abandoned on to another replica. One
    /// batch looks at a part of the requests only, because there may be [`MAX_PENDING`].
    fn send_abandoned_on(&mut self) {
        let Some(from) = self.abandoned_from.take() else { return };
        let seen: Vec<(&RequestId, &Pending)> =
            self.pending.range((from, Bound::Unbounded)).take(SENT_ON_AT_ONCE).collect();
        if let Some((last, _)) = seen.get(SENT_ON_AT_ONCE - 1) {
            self.abandoned_from = Some(Bound::Excluded((*last).clone()));
        }
        let is_abandoned = |pending: &Pending| match pending.state {
            PendingState::AwaitingLeader => false,
            PendingState::Proposed { lost_leads } => lost_leads < self.lost_leads,
        };
        let abandoned = seen.into_iter().filter(|(_, pending)| is_abandoned(pending));
        let abandoned: Vec<RequestId> = abandoned.map(|(id, _)| id.clone()).collect();
        for id in abandoned {
            self.answer(&id, self.abandoned_outcome(), self.node.leader());
        }
    }

    /// The outcome of a request that this replica took on while it led. A client that follows
    /// redirects asks again under another name, and so learns nothing from more than that.
    fn abandoned_outcome(&self) -> Outcome {
        if self.forwards { Outcome::Unknown } else { Outcome::Redirect }
    }

    /// Answers a request if it is owed an answer.
    fn answer(&mut self, id: &RequestId, outcome: Outcome, leader: Option<Id>) {
        if let Some((id, pending)) = self.pending.remove_entry(id) {
            self.pending_bytes -= pending.bytes;
            self.send_answer(id, outcome, leader);
        }
    }

    fn send_answer(&mut self, id: RequestId, outcome: Outcome, leader: Option<Id>) {
        self.out.push(Effect::Send(Outbound::Client(Response { id, outcome, leader })));
    }

    fn hold_deadline(&self) -> Option<Micros> {
        self.held.front().map(|held| held.until)
    }

    /// Routes some of the held requests once more. A request that still finds no leader stays held.
    fn review_held(&mut self, now: Micros) {
        for _ in 0..self.to_review.min(SENT_ON_AT_ONCE) {
            self.to_review -= 1;
            let Some(Held { request, until }) = self.held.pop_front() else { return };
            let pending = self.pending.get(&request.id);
            if pending.is_some_and(|pending| pending.state == PendingState::AwaitingLeader) {
                self.route(now, request, until);
            }
        }
    }

    fn note_leader(&mut self, now: Micros, seen: (Option<Id>, Option<Micros>)) {
        if seen.0 != self.seen.0 {
            let term = self.node.hard_state().current_term;
            info!(term, leader = ?seen.0, "leader changed");
            self.leaderless_since = seen.0.is_none().then_some(now);
            if seen.0.is_some() && seen.0 != self.known_leader {
                self.known_leader = seen.0;
                self.leader_changes += 1;
            }
        }
        self.seen = seen;
    }
}
