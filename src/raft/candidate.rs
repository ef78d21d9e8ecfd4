//! What a candidate does: first it asks whether it would win (pre-vote;
//! dissertation, 9.6), which changes nobody's term, then it asks for votes (paper, 5.2).

use std::collections::BTreeMap;

use super::message::RequestVoteResponse;
use super::node::{Node, Role};
use super::types::{Micros, Term};
use crate::id::Id;
use crate::planted::Bug;

/// The wait before those who have not answered are asked again; a vote takes one
/// round trip, so this is generous on one machine and enough within one region.
const FIRST_RETRY_US: Micros = 25_000;

/// How much longer each further wait is: two or three attempts in an election
/// time-out get through a lossy network, and cost little in a partition.
const RETRY_FACTOR: Micros = 4;

/// By how many doublings the waits between fruitless attempts grow: to four times as long. Who is cut off from a quorum
/// asks ever more rarely; what ends that is a leader that looks for it, or its own next attempt.
const MAX_DOUBLINGS: u32 = 2;

/// A candidate's own state.
#[derive(Debug)]
pub struct Candidate {
    pub(super) pre_vote: bool,
    own_vote_at: Option<Micros>, // when its own promise ends; until then it can't count on itself
    votes: BTreeMap<Id, bool>,   // who answered, and how; itself included
    election_deadline: Micros,
    retry_at: Micros,
    retry_us: Micros,
}

impl Candidate {
    /// Leaves another candidate the time until `deadline` before this one starts anew.
    pub(super) fn postpone(&mut self, deadline: Micros) {
        self.election_deadline = self.election_deadline.max(deadline);
    }

    /// When the candidate has something to do if nothing arrives.
    pub(super) fn deadline(&self) -> Micros {
        let next = self.election_deadline.min(self.retry_at);
        self.own_vote_at.map_or(next, |at| at.min(next))
    }
}

impl Node {
    /// Asks everybody for a vote, or, with `pre_vote`, for the promise of one. Only the real
    /// election raises the term and uses up the own vote.
    pub(super) fn campaign(&mut self, pre_vote: bool) {
        if !pre_vote {
            self.hard_state.current_term += 1;
            self.hard_state.voted_for = Some(self.id);
        }
        self.campaigns += 1;
        let timeout_us = self.settings.election_timeout_us;
        let doublings = if pre_vote { self.fruitless.min(MAX_DOUBLINGS) } else { 0 };
        let retries = !pre_vote || self.fruitless == 0;
        self.fruitless = if pre_vote { self.fruitless.saturating_add(1) } else { 0 };
        let at_once = self.planted(Bug::OwnVoteUnderPromise);
        let own_vote_at = Some(self.promised_until()).filter(|&at| at > self.now && !at_once);
        let waits_us = own_vote_at.map_or(0, |at| at - self.now);
        // Who is asked for a pre-vote may have to ask its leader first.
        let retry_us = if pre_vote { timeout_us / 4 } else { FIRST_RETRY_US };
        self.role = Role::Candidate(Candidate {
            pre_vote,
            own_vote_at,
            votes: BTreeMap::from([(self.id, true)]),
            election_deadline: self.draw_deadline(timeout_us << doublings) + waits_us,
            retry_at: if retries { self.now + waits_us + retry_us } else { Micros::MAX },
            retry_us,
        });
        self.request_votes();
        self.count_votes(); // a cluster of one needs nobody else's
    }

    /// Time went by for a candidate: it starts anew, or asks again those who have not answered.
    pub(super) fn tick_candidate(&mut self) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        if candidate.own_vote_at.take_if(|at| *at <= self.now).is_some() {
            self.count_votes();
        }
        let Role::Candidate(candidate) = &mut self.role else { return };
        if self.now >= candidate.election_deadline {
            self.campaign(true);
        } else if self.now >= candidate.retry_at {
            candidate.retry_us *= RETRY_FACTOR;
            candidate.retry_at = if candidate.pre_vote { Micros::MAX } else { self.now + candidate.retry_us };
            self.request_votes();
        }
    }

    /// Somebody answered a request for a vote.
    pub(super) fn receive_vote(&mut self, from: Id, term: Term, response: RequestVoteResponse) {
        self.hear_no_leader(from, response.campaign);
        let current_term = self.hard_state.current_term;
        let Role::Candidate(candidate) = &mut self.role else { return };
        // An answer to another attempt does not count, nor one that was granted for another term.
        let asked_term = if candidate.pre_vote { current_term + 1 } else { current_term };
        let this_attempt = response.campaign == self.campaigns && response.pre_vote == candidate.pre_vote;
        if !this_attempt || (response.granted && term != asked_term) {
            return;
        }
        candidate.votes.insert(from, response.granted);
        self.count_votes();
    }

    /// A quorum of votes makes a leader, a quorum of promises an election.
    fn count_votes(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        if candidate.own_vote_at.is_some() {
            return; // its own promise to a leader still holds
        }
        if self.configuration.is_quorum(|id| candidate.votes.get(&id) == Some(&true)) {
            if candidate.pre_vote { self.campaign(false) } else { self.become_leader() }
        }
    }

    /// Asks those who have not answered.
    fn request_votes(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        let pre_vote = candidate.pre_vote;
        let silent: Vec<Id> = self.followers().filter(|id| !candidate.votes.contains_key(id)).collect();
        for to in silent {
            self.request_vote(to, pre_vote);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::action::Input;
    use crate::raft::harness::{Cluster, ON_DEMAND, SETTINGS, id};
    use crate::raft::message::{Body, Message};

    /// Whom a candidate asks again when, in the time-out after it began, if 3 has refused and 2 says nothing.
    fn asks_again(pre_vote: bool) -> Vec<(Id, Micros)> {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.node(id(1)).campaign(pre_vote);
        let (start, mut asked_at) = (cluster.now, Vec::new());
        let response = RequestVoteResponse { pre_vote, campaign: 1, granted: false };
        let message = Message { term: Term::from(!pre_vote), body: Body::RequestVoteResponse(response) };
        cluster.step(id(1), [Input::Receive { from: id(3), message }]);
        cluster.network.clear();
        while cluster.nodes[&id(1)].deadline() < start + SETTINGS.election_timeout_us {
            cluster.timeout(id(1));
            asked_at.extend(cluster.network.drain(..).map(|envelope| (envelope.to, cluster.now - start)));
        }
        asked_at
    }

    #[test]
    fn who_does_not_answer_is_asked_again() {
        assert_eq!(asks_again(false), [(id(2), 25_000), (id(2), 125_000), (id(2), 525_000)]);
        assert_eq!(asks_again(true), [(id(2), SETTINGS.election_timeout_us / 4)]);
    }

    #[test]
    fn who_asks_in_vain_asks_ever_more_rarely() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        let mut asked_at = Vec::new();
        while asked_at.len() < 12 {
            cluster.timeout(id(1));
            asked_at.extend(
                cluster.network.drain(..).filter(|envelope| envelope.to == id(2)).map(|_| cluster.now),
            );
        }
        let waits: Vec<Micros> = asked_at.windows(2).map(|at| at[1] - at[0]).collect();
        assert_eq!(waits[0], SETTINGS.election_timeout_us / 4);
        for (wait, factor) in waits[2..].iter().zip([2, 4, 4, 4, 4]) {
            let timeout_us = factor * SETTINGS.election_timeout_us;
            assert!((timeout_us..2 * timeout_us).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn a_candidate_does_not_give_way_to_another_one_of_its_term() {
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
    fn an_attempt_that_nobody_answers_ends_after_one_to_two_election_time_outs() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        let start = cluster.now;
        while cluster.nodes[&id(1)].campaigns == 1 {
            cluster.timeout(id(1));
        }
        let timeout_us = SETTINGS.election_timeout_us;
        assert!((timeout_us..2 * timeout_us).contains(&(cluster.now - start)), "{}", cluster.now - start);
    }

    #[test]
    fn who_has_heard_a_leader_counts_its_own_vote_when_that_promise_ends_and_not_before() {
        let mut cluster = Cluster::new(3, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        let promised_until = cluster.now + ON_DEMAND.election_timeout_us;
        cluster.step(id(2), [Input::Suspect]);
        while cluster.nodes[&id(2)].leader().is_some() {
            cluster.timeout(id(2));
        }
        let campaign = cluster.nodes[&id(2)].campaigns;
        let response = RequestVoteResponse { pre_vote: true, campaign, granted: true };
        let message = Message { term: 2, body: Body::RequestVoteResponse(response) };
        cluster.step(id(2), [Input::Receive { from: id(3), message }]);
        while cluster.nodes[&id(2)].hard_state().current_term == 1 {
            assert!(cluster.now < promised_until);
            cluster.timeout(id(2));
        }
        assert_eq!(cluster.now, promised_until);
    }
}
