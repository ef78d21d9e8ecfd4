//! One replica's Raft state, and the front door to it: [`Node::step`] takes one input,
//! [`Node::drain`] ends a batch and returns the actions that are due.

use std::collections::{BTreeMap, VecDeque};

use super::action::{Action, Input, Persist};
use super::candidate::Candidate;
use super::follower::Follower;
use super::invariants;
use super::leader::Leader;
use super::log::{Log, Unstable};
use super::message::{Body, Message, RequestVote};
use super::progress::Progress;
use super::relay::RelayAcks;
use super::settings::{Settings, Statistics};
use super::snapshots::Reception;
use super::types::{Command, Configuration, HardState, Index, MAX_TERMS_AHEAD, PersistentState, Term};
use crate::id::Id;
use crate::micros::Micros;

/// A replica's role (paper, figure 4), with the state of that role.
#[derive(Debug)]
pub(super) enum Role {
    Follower(Follower),
    Candidate(Candidate),
    Leader(Leader),
}

/// One replica's Raft state. It has no I/O, no clock and no randomness of its own.
#[derive(Debug)]
pub struct Node<C> {
    pub(super) id: Id,
    pub(super) configuration: Configuration,
    pub(super) settings: Settings<C>,
    pub(super) rng: fastrand::Rng,
    pub(super) hard_state: HardState,
    saved_hard_state: HardState, // the one last handed out for the disk
    pub(super) log: Log<C>,
    pub(super) commit_index: Index, // <= log.last_index(); never decreases; all up to it was handed out as Apply
    pub(super) known_committed: Index, // >= commit_index, which follows in the next drains
    applied: usize,                 // how many entries this batch has handed out as Apply
    applied_bytes: u64,             // of these, by `weigh`
    pub(super) reception: Option<Reception>, // a snapshot that the leader sends
    pub(super) role: Role,
    pub(super) last_leader_contact: Option<Micros>, // when a leader was last heard; outlives terms, as the vote lease does
    pub(super) campaign_id: u64,                    // number of this replica's latest campaign or probe
    pub(super) statistics: Statistics,
    pub(super) failed_campaigns: u32, // campaigns since a leader was heard or a quorum answered
    pub(super) heard_at: BTreeMap<Id, Micros>, // when this replica last heard each other one while it knew no leader
    pub(super) missed: Option<Id>,             // the latest leader that this replica gave up, or itself
    pub(super) has_yielded: bool, // whether it has left an election to another candidate since its own last failed one
    pub(super) deferred_pre_votes: BTreeMap<Id, (Term, RequestVote)>, // pre-votes that can't be answered yet; one per candidate
    pub(super) relay_acks: RelayAcks,
    pub(super) now: Micros, // never decreases
    pub(super) actions: Vec<Action<C>>,
    persists: u64,                                // number of changes handed out for the disk
    persisted: u64,                               // number of changes that are on disk; <= persists
    messages_after_persist: Vec<Action<C>>,       // messages of this batch that must wait for the disk
    awaiting_persist: VecDeque<(u64, Action<C>)>, // those of earlier batches, each with the change that it waits for
}

impl<C: Command> Node<C> {
    /// A replica that starts as a follower, from the state on its disk. `rng` decides its election
    /// time-outs and, after a restart, the first number of its campaigns, so that no answer to an
    /// earlier one counts.
    pub fn new(
        id: Id,
        configuration: Configuration,
        settings: Settings<C>,
        mut rng: fastrand::Rng,
        saved: PersistentState<C>,
        now: Micros,
    ) -> Self {
        let role = Role::Follower(Follower { leader: None, election_deadline: now, suspicion: None });
        let restarts = saved != PersistentState::default();
        // It may have heard a leader just before it stopped, so it starts with a whole vote lease.
        let last_leader_contact = restarts.then_some(now);
        let campaign_id = if restarts { rng.u64(..1 << 32) } else { 0 };
        let mut node = Self {
            id,
            configuration,
            settings,
            rng,
            hard_state: saved.hard_state,
            saved_hard_state: saved.hard_state,
            log: Log::restore(saved.base, saved.entries, settings.weigh),
            commit_index: saved.snapshot.index,
            known_committed: saved.snapshot.index,
            reception: None,
            applied: 0,
            applied_bytes: 0,
            role,
            last_leader_contact,
            campaign_id,
            statistics: Statistics::default(),
            failed_campaigns: 0,
            heard_at: BTreeMap::new(),
            missed: None,
            has_yielded: false,
            deferred_pre_votes: BTreeMap::new(),
            relay_acks: RelayAcks::default(),
            now,
            actions: Vec::new(),
            persists: 0,
            persisted: 0,
            messages_after_persist: Vec::new(),
            awaiting_persist: VecDeque::new(),
        };
        node.postpone_election();
        node
    }

    /// Takes one input that arrived at `now` or before. Its actions may wait for the
    /// [`drain`](Self::drain) that ends the batch. A clock that goes back is taken to stand still.
    pub fn step(&mut self, now: Micros, input: Input<C>) {
        self.now = self.now.max(now);
        match input {
            Input::Tick => self.tick(),
            Input::Receive { from, message } => self.receive(from, message),
            Input::Persisted(number) => self.persisted(number),
            Input::Propose(command) => self.propose(command),
            Input::Read(id) => self.read(id),
            Input::Suspect => self.suspect(),
            Input::TransferLeadership => self.transfer_leadership(),
            Input::BringUpToDate(follower) => self.bring_up_to_date(follower),
            Input::SnapshotTaken(index) => self.compact(index),
            Input::SnapshotChunk(chunk) => self.send_chunk(chunk),
            Input::SnapshotLost(to) => self.lose_snapshot(to),
            Input::SnapshotReceived(snapshot) => self.install_snapshot(snapshot),
            Input::SnapshotRefused(snapshot) => self.refuse_snapshot(snapshot),
        }
    }

    /// Ends a batch of inputs: the entries that it appended become messages, the entries and reads
    /// that it proved are committed and served. `now` must have been read after the last input
    /// arrived.
    pub fn drain(&mut self, now: Micros) -> Vec<Action<C>> {
        self.now = self.now.max(now);
        self.commit_to(self.known_committed);
        if self.is_leader() {
            self.drain_leader();
        }
        (self.applied, self.applied_bytes) = (0, 0);
        self.persist();
        self.release_messages();
        debug_assert_eq!(invariants::check(self, self.log.durable_index()), Ok(()));
        std::mem::take(&mut self.actions)
    }

    /// Takes all changes so far for durable, because the driver has no disk. The next
    /// [`drain`](Self::drain) then hands out no change for the disk, and no message waits.
    pub fn keep_in_memory(&mut self) {
        if self.has_changed() {
            self.persists += 1;
            self.persisted = self.persists;
            self.saved_hard_state = self.hard_state;
            self.log.keep_in_memory();
        }
    }

    /// Whether a change was not handed out for the disk yet.
    fn has_changed(&self) -> bool {
        self.hard_state != self.saved_hard_state || self.log.has_changed()
    }

    /// Hands out the changes that the disk lacks.
    fn persist(&mut self) {
        if !self.has_changed() {
            return;
        }
        self.persists += 1;
        self.saved_hard_state = self.hard_state;
        let Unstable { base, first_index, entries } = self.log.take_unstable(self.persists);
        let (number, hard_state) = (self.persists, self.hard_state);
        let persist = Persist { number, hard_state, base, first_index, entries };
        self.actions.push(Action::Persist(persist));
    }

    /// Hands out the messages that waited for the disk, once it has their changes. A message rests
    /// on all changes up to the end of its batch. A vote or an acknowledgement that a crash can
    /// undo is worth nothing.
    fn release_messages(&mut self) {
        let (number, durable) = (self.persists, self.persisted);
        if self.awaiting_persist.is_empty() && durable >= number {
            self.actions.append(&mut self.messages_after_persist);
            return;
        }
        self.awaiting_persist.extend(self.messages_after_persist.drain(..).map(|action| (number, action)));
        let released = self.awaiting_persist.iter().take_while(|(number, _)| *number <= durable).count();
        self.actions.extend(self.awaiting_persist.drain(..released).map(|(_, action)| action));
    }

    fn persisted(&mut self, number: u64) {
        self.persisted = self.persisted.max(number.min(self.persists));
        self.log.persisted(self.persisted);
    }

    /// The time at which [`Input::Tick`] is due if no other input comes before.
    pub fn deadline(&self) -> Micros {
        if self.commit_index < self.known_committed {
            return self.now;
        }
        let of_role = match &self.role {
            Role::Follower(follower) => follower.deadline(),
            Role::Candidate(candidate) => candidate.deadline(self.is_cut_off()),
            Role::Leader(leader) => self.leader_deadline(leader),
        };
        self.deferred_deadline().map_or(of_role, |waiting| waiting.min(of_role))
    }

    /// The leader of the current term, as far as this replica knows.
    pub fn leader(&self) -> Option<Id> {
        match &self.role {
            Role::Follower(follower) => follower.leader,
            Role::Candidate(_) => None,
            Role::Leader(_) => Some(self.id),
        }
    }

    /// Whether this replica leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The index up to which each follower's log is known to equal this replica's, if it leads.
    pub fn match_indexes(&self) -> impl Iterator<Item = (Id, Index)> + '_ {
        let leader = if let Role::Leader(leader) = &self.role { Some(leader) } else { None };
        let followers = leader.into_iter().flat_map(|leader| &leader.followers);
        followers.map(|(id, progress)| (*id, progress.match_index()))
    }

    /// The time at which each follower is known to have followed this replica, by its own clock, if
    /// it leads.
    pub fn contacts(&self) -> impl Iterator<Item = (Id, Micros)> + '_ {
        let leader = if let Role::Leader(leader) = &self.role { Some(leader) } else { None };
        let followers = leader.into_iter().flat_map(|leader| &leader.followers);
        let contact = |(id, progress): (&Id, &Progress)| (*id, progress.acked_sent_at());
        followers.map(contact).filter(|(_, sent_at)| *sent_at > 0)
    }

    /// When this replica last heard a leader, if ever.
    pub fn last_leader_contact(&self) -> Option<Micros> {
        self.last_leader_contact
    }

    /// Its counts, which decide nothing.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// This replica.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Its term and vote.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Its log.
    pub fn log(&self) -> &Log<C> {
        &self.log
    }

    /// How many bytes of memory its entries take that it has not handed out as committed.
    pub fn uncommitted_bytes(&self) -> u64 {
        self.log.bytes_after(self.commit_index)
    }

    /// Index of the last entry that it has handed out as committed.
    pub fn commit_index(&self) -> Index {
        self.commit_index
    }

    fn tick(&mut self) {
        match &self.role {
            Role::Follower(_) => self.tick_follower(),
            Role::Candidate(_) => self.tick_candidate(),
            Role::Leader(_) => self.tick_leader(),
        }
        self.answer_deferred_pre_votes();
    }

    /// Applies the rules for terms, once for all roles (paper, 5.1), and then handles the message.
    fn receive(&mut self, from: Id, message: Message<C>) {
        if from == self.id || !self.configuration.contains(from) {
            return;
        }
        if self.leader().is_none() {
            self.heard_at.insert(from, self.now);
        }
        let Message { term, body } = message;
        if term > self.hard_state.current_term.saturating_add(MAX_TERMS_AHEAD) {
            return;
        }
        match body {
            Body::RequestVote(request) => self.receive_request_vote(from, term, request),
            Body::LogTail(tail) => self.receive_log_tail(term, tail),
            Body::RequestVoteResponse(response) if response.pre_vote && response.granted => {
                self.receive_vote(from, term, response); // the term is only a proposal
            }
            _ if term < self.hard_state.current_term => self.refuse_stale(from, body),
            body => {
                if term > self.hard_state.current_term {
                    self.become_follower(term, None);
                }
                match body {
                    Body::AppendEntries(append) => self.receive_append_entries(from, append),
                    Body::AppendEntriesResponse(response) => {
                        self.receive_append_entries_response(from, response)
                    }
                    Body::InstallSnapshot(install) => self.receive_install_snapshot(from, install),
                    Body::RelayEntries(relay) => self.receive_relay_entries(relay),
                    Body::RelayEntriesResponse(response) => self.receive_relay_entries_response(&response),
                    Body::RequestVoteResponse(response) => self.receive_vote(from, term, response),
                    Body::TimeoutNow => self.receive_timeout_now(from),
                    Body::RequestVote(_) | Body::LogTail(_) | Body::StaleTerm => {}
                }
            }
        }
    }

    /// Tells a leader of an earlier term that its term is over. The term of the answer says so, and
    /// the answer proves nothing else. Its receiver may have restarted meanwhile and lead this very
    /// term. Its clock may have begun again, so that another append has the same time of sending.
    /// Answers to requests of an earlier term never count, and need no answer.
    fn refuse_stale(&mut self, from: Id, body: Body<C>) {
        let leader = match body {
            Body::AppendEntries(_) | Body::InstallSnapshot(_) => from,
            Body::RelayEntries(relay) => relay.leader,
            _ => return,
        };
        self.send(leader, Body::StaleTerm);
    }

    /// The entries up to `index` are committed: the driver applies them, in this batch or in the
    /// next ones.
    ///
    /// A commit index that lags is always true, so this replica takes an entry for committed once
    /// it has handed it out. A leader acknowledges and serves only entries that it has handed out,
    /// so no read misses an acknowledged write.
    pub(super) fn commit_to(&mut self, index: Index) {
        self.known_committed = self.known_committed.max(index.min(self.log.last_index()));
        while self.commit_index < self.known_committed && self.applied < self.settings.applied_at_once {
            let Some(entry) = self.log.get(self.commit_index + 1) else { break };
            let bytes = (self.settings.weigh)(entry) as u64;
            if self.applied > 0 && self.applied_bytes + bytes > self.settings.applied_bytes_at_once {
                break;
            }
            self.actions.push(Action::Apply(entry.clone()));
            self.commit_index += 1;
            self.applied += 1;
            self.applied_bytes += bytes;
        }
    }

    /// A time to ask for votes if no leader is heard: one to two of these time-outs from now.
    pub(super) fn draw_deadline(&mut self, timeout_us: Micros) -> Micros {
        self.now + timeout_us + self.rng.u64(0..timeout_us)
    }

    /// Sends in the current term.
    pub(super) fn send(&mut self, to: Id, body: Body<C>) {
        self.send_in(self.hard_state.current_term, to, body);
    }

    /// Sends in a term. Only the messages of a leader need not wait for its own disk: they acknowledge
    /// nothing (dissertation, 10.2.1). A follower that sends a relay on acknowledges its entries,
    /// so that message waits.
    pub(super) fn send_in(&mut self, term: Term, to: Id, body: Body<C>) {
        let acknowledges_nothing =
            matches!(body, Body::AppendEntries(_) | Body::InstallSnapshot(_) | Body::TimeoutNow);
        let action = Action::Send { to, message: Message { term, body } };
        if acknowledges_nothing {
            self.actions.push(action);
        } else {
            self.messages_after_persist.push(action);
        }
    }

    /// All voters but this one.
    pub(super) fn followers(&self) -> impl Iterator<Item = Id> + '_ {
        self.configuration.voters().filter(|&id| id != self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Cluster, Message, SETTINGS, id};
    use crate::message::{Acknowledgement, AppendEntries, RelayEntries, RequestVoteResponse};
    use crate::types::{Entry, MAX_NUMBER, Payload};

    /// A cluster of three in which 1 leads term 1, and all replicas have its no-op and know that it
    /// is committed.
    fn led_by_1() -> Cluster {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        cluster
    }

    fn append(term: Term, prev: (Index, Term), entry_term: Term) -> Message {
        let entry = Entry { index: prev.0 + 1, term: entry_term, payload: Payload::Noop };
        Message {
            term,
            body: Body::AppendEntries(AppendEntries {
                prev_log_index: prev.0,
                prev_log_term: prev.1,
                leader_commit: 0,
                sent_at: 1,
                entries: vec![entry],
            }),
        }
    }

    /// Whether replica 2 answers this message or changes its log because of it.
    fn reacts(cluster: &mut Cluster, from: Id, message: Message) -> bool {
        let before = cluster.nodes[&id(2)].log().entries().to_vec();
        cluster.step(id(2), [Input::Receive { from, message }]);
        let silent = cluster.network.is_empty();
        !silent || cluster.nodes[&id(2)].log().entries() != before
    }

    #[test]
    fn append_of_a_second_leader_in_the_term_is_ignored() {
        assert!(!reacts(&mut led_by_1(), id(3), append(1, (1, 1), 1)), "1 leads this term");
        assert!(reacts(&mut led_by_1(), id(1), append(1, (1, 1), 1)));
        assert!(reacts(&mut led_by_1(), id(3), append(2, (1, 1), 2)));
    }

    #[test]
    fn message_from_outside_the_configuration_is_ignored() {
        assert!(!reacts(&mut led_by_1(), id(9), append(2, (1, 1), 2)));
        assert!(!reacts(&mut led_by_1(), id(2), append(2, (1, 1), 2)), "a message from itself is none");
    }

    #[test]
    fn message_of_a_term_too_far_ahead_is_dropped() {
        let current_term = |message: Message| {
            let mut cluster = led_by_1();
            cluster.now += 2 * SETTINGS.election_timeout_us;
            cluster.step(id(2), [Input::Receive { from: id(3), message }]);
            cluster.nodes[&id(2)].hard_state().current_term
        };
        let latest = 1 + MAX_TERMS_AHEAD;
        let vote = RequestVote {
            pre_vote: false,
            transfer: false,
            campaign: 1,
            last_log_index: 1,
            last_log_term: 1,
        };
        for body in [append(1, (1, 1), 1).body, Body::RequestVote(vote), Body::StaleTerm] {
            assert_eq!(current_term(Message { term: latest, body: body.clone() }), latest);
            assert_eq!(current_term(Message { term: latest + 1, body: body.clone() }), 1, "{body:?}");
            assert_eq!(current_term(Message { term: MAX_NUMBER, body: body.clone() }), 1, "{body:?}");
        }
    }

    #[test]
    fn append_that_contradicts_a_committed_entry_is_ignored() {
        assert!(!reacts(&mut led_by_1(), id(3), append(2, (0, 0), 2)));
    }

    /// A cluster in which 2 has five entries of term 1, and the leader of term 2 tells it that all
    /// are committed.
    fn told_all_is_committed() -> Cluster {
        let mut cluster = Cluster::new(3, 1, Settings { applied_at_once: 2, ..SETTINGS });
        cluster.preset(id(2), &[1; 5], Some(2));
        let Message { term, body: Body::AppendEntries(shown) } = append(2, (5, 1), 2) else {
            panic!("an append")
        };
        let body = Body::AppendEntries(AppendEntries { leader_commit: 5, entries: Vec::new(), ..shown });
        cluster.step(id(2), [Input::Receive { from: id(1), message: Message { term, body } }]);
        cluster
    }

    #[test]
    fn follower_told_of_many_committed_entries_applies_a_few_in_each_batch() {
        let mut cluster = told_all_is_committed();
        for committed in [2, 4, 5] {
            let node = &cluster.nodes[&id(2)];
            assert_eq!((node.commit_index(), cluster.applied[&id(2)].len() as Index), (committed, committed));
            let due_at_once = node.deadline() <= cluster.now;
            assert_eq!(due_at_once, committed < 5, "{committed}");
            cluster.timeout(id(2));
        }
    }

    #[test]
    fn entry_known_to_be_committed_is_never_cut_off_before_it_is_applied() {
        let mut cluster = told_all_is_committed();
        cluster.step(id(2), [Input::Receive { from: id(3), message: append(3, (3, 1), 3) }]);
        assert_eq!(cluster.nodes[&id(2)].log().term_at(4), Ok(1));
    }

    #[test]
    fn new_leader_serves_reads_after_it_has_applied_all_entries_of_earlier_terms() {
        let mut cluster = Cluster::new(3, 1, Settings { applied_at_once: 1, ..SETTINGS });
        (1..=3).for_each(|n| cluster.preset(id(n), &[1; 9], None));
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.step(id(1), [Input::Read(7)]);
        assert!(cluster.nodes[&id(1)].commit_index() < 9, "it has not applied all so far");
        cluster.elapse(SETTINGS.heartbeat_interval_us, true);
        let transcript = cluster.take_transcript();
        let at = |line: &str| transcript.find(line).unwrap_or_else(|| panic!("{line} in {transcript}"));
        assert!(at("1 serves read 7") > at("1 applies 10"), "{transcript}");
    }

    #[test]
    fn refusal_of_an_append_or_relay_of_an_earlier_term_proves_nothing() {
        let Message { body: Body::AppendEntries(append), .. } = append(1, (0, 0), 1) else {
            panic!("an append")
        };
        let (way, acknowledged) = (Vec::new(), vec![Acknowledgement { id: id(3), sent_at: 1 }]);
        let relay = RelayEntries { leader: id(1), way, acknowledged, append: append.clone() };
        for (from, body) in [(1, Body::AppendEntries(append)), (3, Body::RelayEntries(relay))] {
            let mut cluster = Cluster::new(3, 1, SETTINGS);
            cluster.preset(id(2), &[], Some(2));
            let message = Message { term: 1, body };
            cluster.step(id(2), [Input::Receive { from: id(from), message }]);
            assert_eq!((cluster.network.len(), cluster.network[0].to), (1, id(1)));
            assert_eq!(cluster.network[0].message, Message { term: 2, body: Body::StaleTerm });
        }
    }

    #[test]
    fn answer_from_before_a_restart_counts_for_no_later_campaign() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        let before = cluster.nodes[&id(1)].campaign_id;
        cluster.restart(id(1));
        assert!(cluster.nodes[&id(1)].campaign_id.abs_diff(before) > 1_000);
    }

    #[test]
    fn vote_counts_only_for_the_campaign_and_the_term_of_its_request() {
        let granted = |campaign, term| {
            let mut cluster = Cluster::new(3, 1, SETTINGS);
            cluster.timeout(id(1));
            let response = RequestVoteResponse { pre_vote: true, campaign, granted: true };
            let message = Message { term, body: Body::RequestVoteResponse(response) };
            cluster.step(id(1), [Input::Receive { from: id(2), message }]);
            cluster.nodes[&id(1)].hard_state().current_term == 1
        };
        assert!(granted(1, 1));
        assert!(!granted(0, 1));
        assert!(!granted(2, 1));
        assert!(!granted(1, 2));
    }
}
