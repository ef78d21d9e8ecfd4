//! A candidate first asks whether it would win (pre-vote; dissertation, 9.6), which changes no
//! replica's term. Then it asks for votes (paper, 5.2).
//!
//! **Losses and cuts.** A candidate that has lately heard a quorum, itself included, takes silence
//! for loss: it repeats its requests and does not slow down. Otherwise it is cut off: it asks few
//! voters ([`canvass`]), with ever longer waits.
//!
//! [`canvass`]: super::canvass
//!
//! **Turns.** A replica that grants a pre-vote leaves that candidate the time for an election. It
//! does so once, and then makes an attempt of its own before it does so again. In a star only the
//! hub is heard by a quorum, and each of the others asks it.
//!
//! **A replica that cannot win helps one that can.** An entry goes to as few followers as needed.
//! So the only replica that a quorum hears may lack the last entry, and the replicas that have it
//! refuse their votes. A replica whose own campaign has failed therefore sends with its refusal the
//! entries that the candidate lacks. If the two logs differ, it cannot help. It then asks all other
//! voters itself, the candidate among them.
//!
//! ```text
//! leader (cut off)  1 2 3 4        A and B cannot win: each hears the hub only.
//! A, B (spokes)     1 2 3 4        The hub cannot win: A and B refuse.
//! hub               1 2 3          A sends 4, and the hub asks again.
//! C (spoke)         1 2 3
//! ```
//!
//! To take entries from a replica that does not lead is safe. Each entry was created by the leader
//! of its term, and two logs that share an entry are equal up to it (log matching; paper, 5.3). So
//! the candidate's log becomes one that the sender had. The candidate cuts no entry off: it keeps
//! each entry that it has acknowledged to a leader while that leader's term lasts. Only that leader
//! may replace it. By a log tail the candidate acknowledges nothing to any leader.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{Body, LogTail, RequestVote, RequestVoteResponse};
use super::node::{Node, Role};
use super::types::{Command, Term};
use crate::id::Id;
use crate::micros::Micros;

/// The wait before the candidate repeats a request to silent voters. A vote takes one round trip,
/// so this is generous on one machine and enough within one region.
const FIRST_RETRY_US: Micros = 25_000;

/// The factor by which each further wait for a vote is longer. Five requests in an election
/// time-out get through where half of all messages are lost. A quorum has just answered the
/// pre-vote, so the candidate is hardly cut off.
const RETRY_FACTOR: Micros = 2;

/// The most doublings of the wait between failed campaigns: it grows to four times its length. A
/// candidate that is cut off from a quorum asks ever more rarely, until a leader finds it or its
/// own next attempt succeeds.
const MAX_DOUBLINGS: u32 = 2;

/// A candidate's own state.
#[derive(Debug)]
pub struct Candidate {
    pub(super) pre_vote: bool,
    pub(super) transfer: bool, // the leader of the term before has handed its leadership over; never in a pre-vote
    own_vote_at: Option<Micros>, // when its own vote lease ends; its own vote counts from then on
    pub(super) asked: BTreeSet<Id>, // itself included
    pub(super) votes: BTreeMap<Id, bool>, // the answers by voter; itself included
    election_deadline: Micros,
    retry_at: Micros, // when it repeats its request to silent voters, if it does
    retry_us: Micros,
    retries: u32, // repetitions left while it hears no quorum
}

impl Candidate {
    /// Leaves another candidate the time until `deadline` before this one begins a new campaign.
    pub(super) fn postpone(&mut self, deadline: Micros) {
        self.election_deadline = self.election_deadline.max(deadline);
    }

    fn next_retry(&self, is_cut_off: bool) -> Micros {
        if self.retries > 0 || !is_cut_off { self.retry_at } else { Micros::MAX }
    }

    /// The time of the candidate's next timer.
    pub(super) fn deadline(&self, is_cut_off: bool) -> Micros {
        let next = self.election_deadline.min(self.next_retry(is_cut_off));
        self.own_vote_at.map_or(next, |at| at.min(next))
    }
}

impl<C: Command> Node<C> {
    /// Begins a campaign for votes or, with `pre_vote`, for pre-votes. Only the real election
    /// raises the term and uses up this replica's vote.
    pub(super) fn campaign(&mut self, pre_vote: bool) {
        self.stand(pre_vote, false);
    }

    /// The same, also for a `transfer` of leadership: then this replica's vote lease does not count.
    pub(super) fn stand(&mut self, pre_vote: bool, transfer: bool) {
        if !pre_vote {
            self.hard_state.current_term += 1;
            self.hard_state.voted_for = Some(self.id);
            self.statistics.elections_started += 1;
        }
        self.campaign_id += 1;
        let timeout_us = self.settings.election_timeout_us;
        if matches!(self.role, Role::Candidate(_)) && pre_vote {
            self.has_yielded = false; // its own campaign has failed
        }
        let asked = self.first_asked(pre_vote);
        let doublings =
            if pre_vote && self.is_cut_off() { self.failed_campaigns.min(MAX_DOUBLINGS) } else { 0 };
        // A candidate that is cut off repeats its pre-vote request to silent voters once, in its
        // first attempt. A candidate that reaches a quorum takes the silence of the others for
        // losses, and goes on asking.
        let retries = if pre_vote { u32::from(self.failed_campaigns == 0) } else { u32::MAX };
        self.failed_campaigns = if pre_vote { self.failed_campaigns.saturating_add(1) } else { 0 };
        let own_vote_at = Some(self.vote_lease_end()).filter(|&at| at > self.now && !transfer);
        let waits_us = own_vote_at.map_or(0, |at| at - self.now);
        // A voter that is asked for a pre-vote may have to probe its leader first.
        let retry_us = if pre_vote { timeout_us / 4 } else { FIRST_RETRY_US };
        self.role = Role::Candidate(Candidate {
            pre_vote,
            transfer,
            own_vote_at,
            asked,
            votes: BTreeMap::from([(self.id, true)]),
            election_deadline: self.draw_deadline(timeout_us << doublings) + waits_us,
            retry_at: self.now + waits_us + retry_us,
            retry_us,
            retries,
        });
        self.request_votes();
        self.count_votes(); // in a cluster of one its own vote is a quorum
    }

    /// Helps a candidate that this replica has refused: sends the entries that follow its log. A
    /// candidate whose last entry is not in this log takes none, for it cuts no entry off. It
    /// cannot win, but it lives, and may be the vote that this replica lacks.
    pub(super) fn help_candidate(&mut self, to: Id, request: &RequestVote) {
        let &RequestVote { last_log_index: prev_log_index, last_log_term: prev_log_term, .. } = request;
        if self.log.term_at(prev_log_index) != Ok(prev_log_term) {
            return self.ask_all();
        }
        let (first, last) = (prev_log_index + 1, self.log.last_index());
        let entries = self.settings.entries_for_message(&self.log, first, last);
        self.send(to, Body::LogTail(LogTail { prev_log_index, prev_log_term, entries }));
    }

    /// A replica that refused a pre-vote sends the entries that this one lacks. With them, this one
    /// asks again at once.
    pub(super) fn receive_log_tail(&mut self, term: Term, tail: LogTail<C>) {
        let asks = match &self.role {
            Role::Follower(follower) => follower.leader.is_none(),
            Role::Candidate(candidate) => candidate.pre_vote,
            Role::Leader(_) => false,
        };
        let Some(last) = tail.entries.last().filter(|_| asks) else { return };
        let last_index = self.log.last_index();
        if last.index <= last_index || self.log.term_at(tail.prev_log_index) != Ok(tail.prev_log_term) {
            return;
        }
        if term > self.hard_state.current_term {
            self.become_follower(term, None); // no entry's term exceeds its replica's
        }
        if self.log.store(tail.entries, last_index) {
            self.campaign(true);
        }
    }

    /// Two candidates that have each other's pre-vote would both win their pre-votes and split the
    /// votes. The one with the shorter log, or the smaller number, leaves the election to the
    /// other.
    pub(super) fn yield_to(&mut self, to: Id, request: &RequestVote) {
        let Role::Candidate(Candidate { pre_vote: true, .. }) = &self.role else { return };
        let own = (self.log.last_term(), self.log.last_index(), self.id);
        if (request.last_log_term, request.last_log_index, to) > own {
            self.become_follower(self.hard_state.current_term, None);
        }
    }

    /// A candidate's timer is due: it begins a new campaign, or repeats its request to silent
    /// voters.
    pub(super) fn tick_candidate(&mut self) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        if candidate.own_vote_at.take_if(|at| *at <= self.now).is_some() {
            self.count_votes();
        }
        let is_cut_off = self.is_cut_off();
        let Role::Candidate(candidate) = &mut self.role else { return };
        if self.now >= candidate.election_deadline {
            self.campaign(true);
        } else if self.now >= candidate.next_retry(is_cut_off) {
            candidate.retries = candidate.retries.saturating_sub(1);
            if !candidate.pre_vote {
                candidate.retry_us *= RETRY_FACTOR;
            }
            candidate.retry_at = self.now + candidate.retry_us;
            self.repeat_requests();
        }
    }

    /// A replica answers a request for a vote or a pre-vote.
    pub(super) fn receive_vote(&mut self, from: Id, term: Term, response: RequestVoteResponse) {
        self.leader_denied(from, response.campaign);
        let current_term = self.hard_state.current_term;
        let Role::Candidate(candidate) = &mut self.role else { return };
        // An answer to another campaign does not count, nor a grant for another term.
        let asked_term = if candidate.pre_vote { current_term + 1 } else { current_term };
        let this_attempt = response.campaign == self.campaign_id && response.pre_vote == candidate.pre_vote;
        if !this_attempt || (response.granted && term != asked_term) {
            return;
        }
        candidate.votes.insert(from, response.granted);
        self.count_votes();
        self.ask_more();
    }

    /// A quorum of votes makes a leader, a quorum of pre-votes an election.
    fn count_votes(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        if candidate.own_vote_at.is_some() {
            return; // its own vote lease still holds
        }
        if self.configuration.is_quorum(|id| candidate.votes.get(&id) == Some(&true)) {
            if candidate.pre_vote { self.campaign(false) } else { self.become_leader() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, ON_DEMAND, SETTINGS, id};
    use crate::message::{Body, Message};

    /// The voters that 1 of five asks again, in the time-out after it begins its campaign of this
    /// number. The voters in `refused_by` have refused it, and the others are silent.
    fn asks_again(pre_vote: bool, attempt: u64, refused_by: &[u16]) -> Vec<(Id, Micros)> {
        let mut cluster = Cluster::new(5, 1, SETTINGS);
        (0..attempt).for_each(|_| cluster.node(id(1)).campaign(pre_vote));
        let (start, mut asked_at) = (cluster.now, Vec::new());
        let term = cluster.nodes[&id(1)].hard_state().current_term;
        for &from in refused_by {
            let response = RequestVoteResponse { pre_vote, campaign: attempt, granted: false };
            let message = Message { term, body: Body::RequestVoteResponse(response) };
            cluster.step(id(1), [Input::Receive { from: id(from), message }]);
        }
        cluster.network.clear();
        while cluster.nodes[&id(1)].deadline() < start + SETTINGS.election_timeout_us {
            cluster.timeout(id(1));
            asked_at.extend(cluster.network.drain(..).map(|envelope| (envelope.to, cluster.now - start)));
        }
        asked_at
    }

    #[test]
    fn candidate_that_reaches_a_quorum_goes_on_asking_silent_voters() {
        let silent = |times: &[Micros]| -> Vec<_> {
            times.iter().flat_map(|&at| [(id(2), at), (id(5), at)]).collect()
        };
        let pre_vote_us = SETTINGS.election_timeout_us / 4;
        let votes = silent(&[25_000, 75_000, 175_000, 375_000, 775_000]);
        assert_eq!(asks_again(false, 1, &[3, 4]), votes);
        for attempt in [1, 2] {
            let pre_votes = silent(&[pre_vote_us, 2 * pre_vote_us, 3 * pre_vote_us]);
            assert_eq!(asks_again(true, attempt, &[3, 4]), pre_votes, "it reaches a quorum");
        }
    }

    #[test]
    fn candidate_that_reaches_no_quorum_repeats_its_request_once() {
        let pre_vote_us = SETTINGS.election_timeout_us / 4;
        let again = [2, 4, 5].map(|number| (id(number), pre_vote_us));
        assert_eq!(asks_again(true, 1, &[3]), again);
        assert_eq!(asks_again(true, 2, &[3]), []);
    }

    #[test]
    fn replica_that_cannot_win_sends_its_log_only_to_a_candidate_that_it_continues() {
        let sends_tail = |last_log_index| {
            let mut cluster = Cluster::new(3, 1, SETTINGS);
            cluster.preset(id(1), &[1, 2, 2], None);
            cluster.node(id(1)).campaign(true);
            let last_log_term = 1;
            let request =
                RequestVote { pre_vote: true, transfer: false, campaign: 1, last_log_index, last_log_term };
            let message = Message { term: 3, body: Body::RequestVote(request) };
            cluster.step(id(1), [Input::Receive { from: id(2), message }]);
            cluster.network.iter().any(|envelope| matches!(envelope.message.body, Body::LogTail(_)))
        };
        assert_eq!([1, 2, 3, 4].map(sends_tail), [true, false, false, false]);
    }

    /// Which of 1 and 2 is still a candidate when each has the other's request, with entries of
    /// these terms in their logs.
    fn candidates(logs: [&[Term]; 2], pre_vote: bool) -> Vec<u16> {
        let mut cluster = Cluster::new(5, 1, SETTINGS);
        for (number, log) in (1..).zip(logs) {
            cluster.preset(id(number), log, None);
        }
        for number in [1, 2] {
            cluster.node(id(number)).campaign(pre_vote);
            cluster.step(id(number), []);
        }
        for to in [1, 2] {
            let at = cluster.network.iter().position(|envelope| envelope.to == id(to)).expect("it is asked");
            cluster.deliver(at);
        }
        let is_candidate = |number: &u16| matches!(cluster.nodes[&id(*number)].role, Role::Candidate(_));
        [1, 2].into_iter().filter(is_candidate).collect()
    }

    #[test]
    fn pre_candidate_yields_to_one_with_a_better_log_or_a_larger_number() {
        assert_eq!(candidates([&[1], &[1]], true), [2], "the larger number");
        assert_eq!(candidates([&[1, 1], &[1]], true), [1], "the longer log");
        assert_eq!(candidates([&[2], &[1, 1]], true), [1], "the later term");
        assert_eq!(candidates([&[1], &[1]], false), [1, 2], "their votes are given");
    }

    #[test]
    fn candidate_waits_longer_after_each_failed_campaign() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        let mut asked_at = Vec::new();
        while asked_at.len() < 12 {
            cluster.timeout(id(1));
            asked_at.extend(cluster.network.drain(..).take(1).map(|_| cluster.now));
        }
        let waits: Vec<Micros> = asked_at.windows(2).map(|at| at[1] - at[0]).collect();
        assert_eq!(waits[0], SETTINGS.election_timeout_us / 4);
        for (wait, factor) in waits[2..].iter().zip([2, 4, 4, 4, 4]) {
            let timeout_us = factor * SETTINGS.election_timeout_us;
            assert!((timeout_us..2 * timeout_us).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn candidate_does_not_yield_to_another_one_of_its_term() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.node(id(1)).campaign(false);
        cluster.node(id(2)).campaign(false);
        cluster.step(id(1), []);
        cluster.step(id(2), []);
        cluster.stabilize();
        let leaders: Vec<Id> = cluster.nodes.values().filter(|node| node.is_leader()).map(Node::id).collect();
        assert_eq!(leaders, [id(1)], "3 votes for the one that it hears first");
    }

    #[test]
    fn unanswered_campaign_ends_after_one_to_two_election_time_outs() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        let start = cluster.now;
        while cluster.nodes[&id(1)].campaign_id == 1 {
            cluster.timeout(id(1));
        }
        let timeout_us = SETTINGS.election_timeout_us;
        assert!((timeout_us..2 * timeout_us).contains(&(cluster.now - start)), "{}", cluster.now - start);
    }

    #[test]
    fn candidate_counts_its_own_vote_when_its_vote_lease_ends_and_not_before() {
        let mut cluster = Cluster::new(3, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        let vote_lease_end = cluster.now + ON_DEMAND.election_timeout_us;
        cluster.step(id(2), [Input::Suspect]);
        while cluster.nodes[&id(2)].leader().is_some() {
            cluster.timeout(id(2));
        }
        let campaign = cluster.nodes[&id(2)].campaign_id;
        let response = RequestVoteResponse { pre_vote: true, campaign, granted: true };
        let message = Message { term: 2, body: Body::RequestVoteResponse(response) };
        cluster.step(id(2), [Input::Receive { from: id(3), message }]);
        while cluster.nodes[&id(2)].hard_state().current_term == 1 {
            assert!(cluster.now < vote_lease_end);
            cluster.timeout(id(2));
        }
        assert_eq!(cluster.now, vote_lease_end);
    }
}
