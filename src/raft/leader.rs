//! What only a leader does: replicate, commit, serve reads, and notice that it
//! has lost its quorum (paper, 5.3, 5.4.2 and 8; dissertation, 6.4).
//!
//! Between two drains a leader only notes what happened. The drain then
//! moves the commit index, serves reads and sends, so that everything that waited is
//! one AppendEntries, however many requests it was.
//!
//! **Who gets what.** A new entry goes to just enough followers for a quorum, those that were
//! left alone longest; the next entry goes to others. Under steady load everybody hears the leader often and
//! needs no heartbeat. A follower gets all that it lacks when its turn comes. One that does not answer in time
//! no longer counts as asked, so another takes its place. Where many answers are lost, more are asked at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::action::{Action, ReadId};
use super::message::{AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message};
use super::node::{Node, Role, Settings};
use super::odds::Odds;
use super::progress::Progress;
use super::types::{Index, Micros, Payload};
use crate::id::Id;
use crate::kv::Command;
use crate::levers::Reads;
use crate::planted::Bug;

/// How likely enough answers must be before nobody else is asked. At 15 % loss both of two
/// followers answer in 52 % of the cases, which is cheaper than a third message each time; at 30 % only in
/// 24 %, and most writes would wait for a retransmission.
const LIKELY: f64 = 0.4;

/// A leader's own state (paper, figure 2: volatile state on leaders).
#[derive(Debug)]
pub struct Leader {
    pub(super) followers: BTreeMap<Id, Progress>,
    reads: VecDeque<PendingRead>,
    elected_at: Micros,            // every `sent_at` of this leader is later
    pub(super) last_stamp: Micros, // `sent_at` of the latest message; strictly increases
}

/// A read that waits for proof that this replica still leads.
#[derive(Debug)]
struct PendingRead {
    id: ReadId,
    after: Micros,        // answers of a quorum to messages stamped later than this are proof
    entry: Option<Index>, // or the commitment of this entry, if it waits for that
}

impl Leader {
    /// Whether this leader has sent something with this `sent_at`.
    pub(super) fn has_sent(&self, sent_at: Micros) -> bool {
        (self.elected_at + 1..=self.last_stamp).contains(&sent_at)
    }

    /// What was sent through several followers at `sent_at` goes no further: those do not get it who are followed by
    /// less than `followed_by`.
    pub(super) fn spare(&mut self, sent_at: Micros, followed_by: usize) {
        for progress in self.followers.values_mut() {
            if progress.followed_by(sent_at).is_some_and(|others| others < followed_by) {
                progress.spared(sent_at);
            }
        }
    }

    /// How many of the latest messages were answered by those who answer at all, 0 to 1.
    pub(super) fn answer_rate(&self) -> f64 {
        let responsive = || self.followers.values().filter(|progress| progress.is_responsive());
        responsive().map(Progress::answer_rate).sum::<f64>() / responsive().count().max(1) as f64
    }

    /// Chooses whom to ask besides those who were asked already, so that `wanted` answers come with the chance
    /// `likely`, or at least can come. `asked` says for whom that holds, and with which chance the answer comes. The
    /// responsive go before the others, then who may know what others have, then whoever was left alone longest.
    fn choose(&self, wanted: usize, likely: f64, asked: impl Fn(&Progress) -> Option<f64>) -> Vec<Id> {
        let mut odds = Odds::new(wanted);
        let mut others = Vec::new();
        for (id, progress) in &self.followers {
            match asked(progress) {
                Some(chance) => odds.ask(chance),
                None => {
                    let unresponsive = !progress.is_responsive();
                    others.push(((unresponsive, !progress.may_recall, progress.last_sent_at, *id), progress));
                }
            }
        }
        others.sort_by_key(|&(order, _)| order);
        let mut chosen = Vec::new();
        for ((unresponsive, .., id), progress) in others {
            if odds.could_suffice() && (unresponsive || odds.suffice() >= likely) {
                break;
            }
            odds.ask(progress.answer_rate());
            chosen.push(id);
        }
        chosen
    }
}

impl Node {
    /// A candidate has won (paper, 5.2). The no-op announces it to everybody at
    /// once and commits what earlier terms left behind.
    pub(super) fn become_leader(&mut self) {
        let last_index = self.log.last_index();
        let followers = self.followers().map(|id| (id, Progress::new(last_index, self.now))).collect();
        self.waiting.clear(); // everybody hears of this leader at once
        self.role = Role::Leader(Leader {
            followers,
            reads: VecDeque::new(),
            elected_at: self.now,
            last_stamp: self.now,
        });
        #[cfg(any(test, feature = "planted-bugs"))]
        self.resume_followers();
        self.log.append(self.hard_state.current_term, Payload::Noop);
    }

    /// A client's write becomes an entry; the drain replicates it.
    pub(super) fn propose(&mut self, command: Arc<Command>) {
        if self.is_leader() {
            self.log.append(self.hard_state.current_term, Payload::Command(command));
        } else {
            self.actions.push(Action::Abandon);
        }
    }

    /// A client's read waits until the drain finds proof of leadership for it.
    pub(super) fn read(&mut self, id: ReadId) {
        let earlier_round = self.planted(Bug::ReusesEarlierRound).then(|| self.proven());
        let term = self.hard_state.current_term;
        match &mut self.role {
            Role::Leader(leader) => {
                let after = earlier_round.unwrap_or(leader.last_stamp);
                let logged = self.settings.levers.reads == Reads::Log;
                let entry = logged.then(|| self.log.append(term, Payload::Noop));
                leader.reads.push_back(PendingRead { id, after, entry });
            }
            _ => self.actions.push(Action::Abandon),
        }
    }

    /// A follower answered in this leader's own term. The drain draws the conclusions.
    pub(super) fn receive_append_entries_response(&mut self, from: Id, response: AppendEntriesResponse) {
        let [any_term, twice, replaced] =
            [Bug::CountsStaleAck, Bug::CountsAckTwice, Bug::CountsReplaced].map(|bug| self.planted(bug));
        let Role::Leader(leader) = &mut self.role else { return };
        if twice {
            leader.count_twice(from, response);
        }
        let earlier_term = any_term && response.sent_at <= leader.elected_at;
        if !leader.has_sent(response.sent_at) && !earlier_term {
            return; // an answer to what was sent in an earlier term, or never
        }
        let Some(progress) = leader.followers.get_mut(&from) else { return };
        match response.outcome {
            AppendOutcome::Matched { match_index } if match_index <= self.log.last_index() => {
                progress.matched(match_index);
            }
            AppendOutcome::Matched { .. } => return, // claims what this log never had
            AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
                // Our last entry of the follower's term, if we have that term, else before all of that
                // term: a term, not an entry, per round trip (paper, end of 5.3).
                let ours = self.log.last_index_of_term(conflict_term);
                progress.conflicted(prev_log_index, ours.map_or(conflict_index, |index| index + 1));
            }
        }
        let followed_by = progress.followed_by(response.sent_at);
        progress.heard(response.sent_at, self.now);
        if let (AppendOutcome::Conflict { .. }, Some(followed_by)) = (response.outcome, followed_by) {
            leader.spare(response.sent_at, followed_by);
        }
        if replaced {
            leader.count_replaced(response);
        }
    }

    /// Time went by for a leader.
    pub(super) fn tick_leader(&mut self) {
        if self.now >= self.quorum_deadline() {
            // Check-quorum (dissertation, 6.2): somebody else may lead by now.
            self.become_follower(self.hard_state.current_term, None);
            return;
        }
        self.give_up_relays();
        self.ask_the_doubtful();
        let Role::Leader(leader) = &mut self.role else { return };
        let last_index = self.log.last_index();
        let heartbeat_us = self.settings.heartbeat_interval_us;
        for progress in leader.followers.values_mut() {
            if progress.retransmit_deadline(heartbeat_us).is_some_and(|deadline| deadline <= self.now) {
                progress.expire();
            }
            if progress.last_sent_at + heartbeat_us <= self.now {
                progress.ping = true;
                progress.goal = last_index;
            }
        }
    }

    /// Asks those again without whom there is no quorum: they may not have got the question, or the answer was lost.
    fn ask_the_doubtful(&mut self) {
        if self.now < self.doubt_deadline() {
            return;
        }
        let Settings { stall_us, election_timeout_us, .. } = self.settings;
        let Role::Leader(leader) = &mut self.role else { return };
        for progress in leader.followers.values_mut() {
            let [doubtful_at, lost_at] = [Progress::doubtful_at, Progress::lost_at]
                .map(|at| at(progress, stall_us, election_timeout_us));
            progress.ping |= doubtful_at <= self.now && self.now < lost_at;
        }
    }

    /// When too few are left for a quorum but for those who are to be asked again; never after the
    /// [`quorum_deadline`](Self::quorum_deadline).
    fn doubt_deadline(&self) -> Micros {
        let Settings { stall_us, election_timeout_us, .. } = self.settings;
        self.reached_by_quorum(Micros::MAX, |progress| progress.doubtful_at(stall_us, election_timeout_us))
    }

    /// When the leader has something to do if nothing arrives.
    pub(super) fn leader_deadline(&self, leader: &Leader) -> Micros {
        let heartbeat_us = self.settings.heartbeat_interval_us;
        let follower_deadline = |progress: &Progress| {
            let heartbeat = progress.last_sent_at + heartbeat_us;
            progress.retransmit_deadline(heartbeat_us).map_or(heartbeat, |deadline| deadline.min(heartbeat))
        };
        leader.followers.values().map(follower_deadline).fold(self.doubt_deadline(), Micros::min)
    }

    /// When the leader must step down unless it hears more: those that have been silent since they were
    /// asked leave no quorum. One that asks nobody need not hear anybody.
    fn quorum_deadline(&self) -> Micros {
        if self.planted(Bug::NeverStepsDown) {
            return Micros::MAX;
        }
        let Settings { stall_us, election_timeout_us, .. } = self.settings;
        self.reached_by_quorum(Micros::MAX, |progress| progress.lost_at(stall_us, election_timeout_us))
    }

    /// Until when no other replica can have been elected.
    ///
    /// A follower that hears a leader refuses its vote for an election time-out from
    /// then on, by its own clock ([`Node::hears_leader`]). This leader counts from the moment at which it
    /// *sent* what was answered, which is no later, and for `lease_us`, which is less than the
    /// election time-out by more than clock rates may differ while it lasts. The promises of a quorum keep
    /// every other candidate from a quorum of votes. The leader itself refuses its vote as long as it leads.
    fn lease_end(&self) -> Micros {
        if self.planted(Bug::LeaseFromReceipt) {
            return self.reached_by_quorum(self.now, |progress| progress.heard_at) + self.settings.lease_us;
        }
        let Settings { lease_us, election_timeout_us, .. } = self.settings;
        let lease_us = match () {
            () if lease_us > 0 && self.planted(Bug::LeaseWithoutMargin) => election_timeout_us,
            () if lease_us > 0 && self.planted(Bug::LeaseTooLong) => election_timeout_us * 3 / 2,
            () => lease_us,
        };
        self.reached_by_quorum(self.now, |progress| progress.acked_sent_at) + lease_us
    }

    /// Until when this replica serves reads without asking anybody; `None` if it does not at all.
    pub fn leased_until(&self) -> Option<Micros> {
        let Role::Leader(leader) = &self.role else { return None };
        if self.planted(Bug::ReadsBeforeNoop) {
            return Some(self.lease_end().max(leader.elected_at + self.settings.lease_us));
        }
        // What earlier leaders committed may not be known here before the no-op is (paper, 8).
        self.has_committed_in_term().then(|| self.lease_end())
    }

    /// The latest time at which a quorum is known to have followed this leader: answers to what was sent then.
    fn proven(&self) -> Micros {
        self.reached_by_quorum(Micros::MAX, |progress| progress.acked_sent_at)
    }

    /// The largest value that a quorum has reached, this leader with `own`.
    fn reached_by_quorum(&self, own: u64, of_follower: impl Fn(&Progress) -> u64) -> u64 {
        let Role::Leader(leader) = &self.role else { return 0 };
        self.configuration.reached_by_quorum(|id| leader.followers.get(&id).map_or(own, &of_follower))
    }

    fn ping_all(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.followers.values_mut().for_each(|progress| progress.ping = true);
    }

    /// Ends a batch for a leader.
    pub(super) fn drain_leader(&mut self) {
        let committed = self.commit_index;
        self.advance_commit_index();
        if self.settings.levers.commit_notices && self.commit_index > committed {
            self.ping_all();
        }
        self.serve_reads();
        self.ask_for_entries();
        self.ask_for_reads();
        self.send_appends();
    }

    /// Counts replicas for entries of the own term only; they carry earlier ones
    /// with them (paper, 5.4.2 and figure 8). The leader is one of them once its own disk has the entry; the
    /// followers' disks may well be faster (dissertation, 10.2.1).
    fn advance_commit_index(&mut self) {
        let unsynced = self.planted(Bug::CountsOwnUnsyncedEntry);
        let own = if unsynced { self.log.last_index() } else { self.log.durable_index() };
        let index = self.reached_by_quorum(own, |progress| progress.match_index);
        if self.is_of_current_term(index) || self.planted(Bug::CountsReplicasForPriorTerm) {
            self.commit_to(index);
        }
    }

    /// Lets the reads go for which leadership is proven: by the lease, or by
    /// answers of a quorum to what was sent after they came (ReadIndex; dissertation, 6.4).
    fn serve_reads(&mut self) {
        let leased_until = if self.has_reads() { self.leased_until() } else { None };
        let Some(leased_until) = leased_until else { return };
        let leased = self.now < leased_until || self.planted(Bug::ServesReadsUnproven);
        let proven = self.proven();
        let commit_index = self.commit_index;
        let may_go = |read: &&PendingRead| match read.entry {
            Some(entry) => entry <= commit_index,
            None => leased || read.after < proven,
        };
        let Role::Leader(leader) = &mut self.role else { return };
        while let Some(read) = leader.reads.front().filter(may_go) {
            self.actions.push(Action::Serve(read.id));
            leader.reads.pop_front();
        }
    }

    fn has_reads(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if !leader.reads.is_empty())
    }

    fn has_committed_in_term(&self) -> bool {
        self.is_of_current_term(self.commit_index)
    }

    fn is_of_current_term(&self, index: Index) -> bool {
        self.log.term_at(index) == Some(self.hard_state.current_term)
    }

    /// Finds followers for entries that too few have been asked to store.
    fn ask_for_entries(&mut self) {
        let last_index = self.log.last_index();
        if self.commit_index == last_index {
            return;
        }
        let wanted = self.configuration.quorum() - 1;
        let relays = self.relays();
        // A relay asks exactly enough; more would only be a second one.
        let likely = if relays { 0.0 } else { LIKELY };
        let Role::Leader(leader) = &mut self.role else { return };
        let asked = |progress: &Progress| match progress {
            _ if progress.match_index >= last_index => Some(1.0),
            _ if progress.is_responsive() && progress.goal >= last_index => Some(progress.answer_rate()),
            _ => None,
        };
        let chosen = if self.settings.levers.thrifty {
            leader.choose(wanted, likely, asked)
        } else {
            leader.followers.keys().copied().collect()
        };
        for id in &chosen {
            if let Some(progress) = leader.followers.get_mut(id) {
                progress.goal = last_index;
            }
        }
        if relays {
            self.relay(&chosen);
        }
    }

    /// Asks a quorum on behalf of the oldest read; one round serves all that wait by then.
    fn ask_for_reads(&mut self) {
        let wanted = self.configuration.quorum() - 1;
        let max_in_flight = self.settings.max_in_flight;
        if !self.has_committed_in_term() {
            return; // no proof helps before the no-op is committed, and the answers to it are a lease
        }
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(after) = leader.reads.front().filter(|read| read.entry.is_none()).map(|read| read.after)
        else {
            return;
        };
        let asked = |progress: &Progress| {
            let in_flight = progress.is_responsive() && progress.awaits_answer_since(after);
            match progress {
                _ if progress.acked_sent_at > after => Some(1.0),
                _ if in_flight || progress.wants_message(max_in_flight) => Some(progress.answer_rate()),
                _ => None,
            }
        };
        for id in leader.choose(wanted, LIKELY, asked) {
            if let Some(progress) = leader.followers.get_mut(&id) {
                progress.ping = !progress.awaits_answer_since(after);
            }
        }
    }

    fn send_appends(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        for (&to, progress) in &mut leader.followers {
            while progress.wants_message(self.settings.max_in_flight) {
                let sent_at = stamp(&mut leader.last_stamp, self.now);
                let (from, goal) = (progress.next_index, progress.goal);
                let append = AppendEntries {
                    prev_log_index: from - 1,
                    prev_log_term: self.log.term_at(from - 1).unwrap_or(0),
                    leader_commit: self.commit_index,
                    sent_at,
                    entries: self.log.slice(
                        from,
                        goal,
                        self.settings.max_append_bytes,
                        self.settings.entry_len,
                    ),
                };
                progress.sent(append.last_index(), sent_at);
                let message =
                    Message { term: self.hard_state.current_term, body: Body::AppendEntries(append) };
                self.actions.push(Action::Send { to, message });
            }
        }
    }
}

/// A `sent_at` that no message had before. It may run ahead of the clock by a microsecond for
/// each message of one drain, which the margin of the lease covers many times over.
pub(super) fn stamp(last_stamp: &mut Micros, now: Micros) -> Micros {
    *last_stamp = now.max(*last_stamp + 1);
    *last_stamp
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::action::Input;
    use crate::raft::harness::{Cluster, ON_DEMAND, SETTINGS, id, put};

    /// Of five, 1 leads and asks two for something; one answers, then both are taken for silent. Returns how
    /// many the leader asks instead.
    fn asks_instead(lease_us: Micros, input: Input) -> usize {
        let mut cluster = Cluster::new(5, 1, Settings { lease_us, ..SETTINGS });
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        cluster.step(id(1), [input]);
        let asked: Vec<Id> = cluster.network.iter().map(|envelope| envelope.to).collect();
        assert_eq!(asked.len(), 2);
        cluster.network.pop_back();
        cluster.stabilize();
        let Role::Leader(leader) = &mut cluster.node(id(1)).role else { panic!("1 leads") };
        for (_, progress) in leader.followers.iter_mut().filter(|(id, _)| asked.contains(id)) {
            while progress.is_responsive() {
                progress.expire();
            }
        }
        cluster.step(id(1), []);
        cluster.network.len()
    }

    #[test]
    fn an_answer_that_came_counts_even_if_its_sender_fell_silent() {
        assert_eq!(asks_instead(SETTINGS.lease_us, put("k", "v")), 1);
        assert_eq!(asks_instead(0, Input::Read(7)), 1);
    }

    /// A cluster of three in which 1 leads, everybody is up to date and nothing is on its way.
    fn led_by_1(lease_us: Micros) -> Cluster {
        let mut cluster = Cluster::new(3, 1, Settings { lease_us, ..SETTINGS });
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        cluster.take_transcript();
        cluster
    }

    fn serves(cluster: &mut Cluster) -> bool {
        cluster.take_transcript().contains("1 serves read 7")
    }

    #[test]
    fn a_read_without_a_lease_waits_for_an_answer_to_what_was_sent_after_it_came() {
        let mut cluster = led_by_1(0);
        while cluster.network.len() < 2 {
            cluster.timeout(id(1)); // a heartbeat for each follower
        }
        cluster.step(id(1), [Input::Read(7)]);
        assert_eq!(cluster.network.len(), 3, "and one more for the read");
        cluster.deliver(0);
        cluster.deliver(0);
        cluster.deliver(1);
        cluster.deliver(1);
        assert!(!serves(&mut cluster), "both have answered what was sent before");
        cluster.deliver(0);
        assert!(!serves(&mut cluster));
        cluster.deliver(0);
        assert!(serves(&mut cluster));
    }

    #[test]
    fn a_lease_serves_reads_until_it_ends_and_no_longer() {
        let serves_at = |before_end_us: Micros| {
            let mut cluster = led_by_1(SETTINGS.lease_us);
            cluster.now = cluster.nodes[&id(1)].leased_until().expect("it leads") - before_end_us;
            cluster.step(id(1), [Input::Read(7)]);
            serves(&mut cluster)
        };
        assert!(serves_at(1));
        assert!(!serves_at(0));
    }

    /// A follower that answers one message of so many; a silent one answers none any more.
    fn follower(answers_one_of: u64, silent: bool) -> Progress {
        let mut progress = Progress::new(0, 0);
        for n in 1..=1_000 {
            progress.sent(n, n);
            if n % answers_one_of == 0 {
                progress.heard(n, n);
            }
        }
        while silent && progress.is_responsive() {
            progress.expire();
        }
        progress
    }

    /// How many a leader of five asks for two answers that knows this of its followers, of whom the first are
    /// asked before it chooses.
    fn asks(followers: [Progress; 4], before: u16) -> Vec<u16> {
        let numbered = (0..).zip(followers);
        let followers = numbered.map(|(n, mut progress)| {
            progress.heard_at = Micros::from(n < before);
            progress.last_sent_at = 9 - Micros::from(n);
            (id(n), progress)
        });
        let leader =
            Leader { followers: followers.collect(), reads: VecDeque::new(), elected_at: 0, last_stamp: 0 };
        let asked = |progress: &Progress| (progress.heard_at == 1).then_some(progress.answer_rate());
        leader.choose(2, LIKELY, asked).into_iter().map(Id::number).collect()
    }

    #[test]
    fn as_many_are_asked_as_make_enough_answers_likely_the_longest_left_alone_first() {
        let all = |answers_one_of| [(); 4].map(|()| follower(answers_one_of, false));
        assert_eq!(asks(all(1), 0), [3, 2]);
        assert_eq!(asks(all(2), 0), [3, 2, 1]);
        assert_eq!(asks(all(4), 0), [3, 2, 1, 0]);
        assert_eq!(asks(all(1), 1), [3]);
        assert_eq!(asks(all(1), 2), [0; 0]);
        assert_eq!(asks(all(2), 2), [3]);
    }

    #[test]
    fn the_silent_are_asked_only_where_the_others_are_too_few() {
        let with_silent = |silent: [bool; 4]| silent.map(|silent| follower(1, silent));
        assert_eq!(asks(with_silent([false, true, false, true]), 0), [2, 0]);
        assert_eq!(asks(with_silent([false, true, true, true]), 0), [0, 3]);
        let lossy = [follower(4, false), follower(4, false), follower(1, true), follower(1, true)];
        assert_eq!(asks(lossy, 0), [1, 0], "two could do, however unlikely");
    }

    /// The commit index of a new leader of three, whose no-op has index 1 and was sent with stamps
    /// `elected_at + 1` and `+ 2`, after an answer to a message of `elected_at + offset`.
    fn committed_after(offset: i64, match_index: Index) -> Index {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        while cluster.leader().is_none() && !cluster.network.is_empty() {
            cluster.deliver(0);
        }
        let response = AppendEntriesResponse {
            sent_at: cluster.now.saturating_add_signed(offset),
            outcome: AppendOutcome::Matched { match_index },
        };
        let message = Message { term: 1, body: Body::AppendEntriesResponse(response) };
        cluster.step(id(1), [Input::Receive { from: id(2), message }]);
        cluster.nodes[&id(1)].commit_index()
    }

    #[test]
    fn only_answers_to_this_term_s_own_messages_count() {
        assert_eq!(committed_after(1, 1), 1);
        assert_eq!(committed_after(0, 1), 0, "sent before the election was won");
        assert_eq!(committed_after(-1_000, 1), 0, "sent before the election was won");
        assert_eq!(committed_after(3, 1), 0, "never sent");
        assert_eq!(committed_after(1, 2), 0, "more than the leader has");
    }

    /// How long a leader of five leads on that can't reach these, if it is to write something at once.
    fn leads_on(unreachable: &[u16], writes: bool) -> Micros {
        let mut cluster = Cluster::new(5, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        let links = unreachable.iter().flat_map(|&other| [(id(1), id(other)), (id(other), id(1))]);
        cluster.blocked = links.collect();
        let start = cluster.now;
        if writes {
            cluster.step(id(1), [put("k", "v")]);
            cluster.stabilize();
        }
        let is_over = |cluster: &Cluster| cluster.now >= start + ON_DEMAND.heartbeat_interval_us;
        while cluster.nodes[&id(1)].is_leader() && !is_over(&cluster) {
            cluster.elapse(10_000, true);
        }
        cluster.now - start
    }

    #[test]
    fn a_leader_steps_down_when_those_that_it_asked_are_silent_and_not_for_those_that_it_did_not_ask() {
        let (stall_us, interval_us) = (ON_DEMAND.stall_us, ON_DEMAND.heartbeat_interval_us);
        assert_eq!(leads_on(&[2, 3, 4, 5], false), interval_us, "it asks nobody");
        assert_eq!(leads_on(&[2, 3], true), interval_us, "the others are a quorum");
        let silent = leads_on(&[2, 3, 4], true);
        assert!((stall_us..2 * stall_us).contains(&silent), "{silent}");
    }

    /// How many messages a leader of five sends to `unreachable` from 50 ms after a write on, and whether it still leads
    /// after its stall time, if it reaches them again after 100 ms.
    fn asks_silent(unreachable: &[u16]) -> (usize, bool) {
        let mut cluster = Cluster::new(5, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.blocked = unreachable.iter().map(|&other| (id(1), id(other))).collect();
        cluster.step(id(1), [put("k", "v")]);
        cluster.elapse(50_000, true);
        cluster.take_transcript();
        cluster.elapse(50_000, true);
        cluster.blocked.clear();
        for _ in 0..ON_DEMAND.stall_us / 10_000 {
            cluster.elapse(10_000, true);
            cluster.step(id(1), [Input::Tick]); // whatever its timers are
        }
        let transcript = cluster.take_transcript();
        let is_to = |line: &&str| unreachable.iter().any(|to| line.starts_with(&format!("1 → {to} ")));
        (transcript.lines().filter(is_to).count(), cluster.nodes[&id(1)].is_leader())
    }

    #[test]
    fn a_leader_asks_the_silent_again_before_it_steps_down_if_there_is_no_quorum_without_them() {
        assert_eq!(asks_silent(&[2, 3, 4]), (3, true));
        assert_eq!(asks_silent(&[2, 3]), (0, true));
    }
}
