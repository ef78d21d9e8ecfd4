//! What a candidate does: first it asks whether it would win (pre-vote;
//! dissertation, 9.6), which changes nobody's term, then it asks for votes (paper, 5.2).

use std::collections::BTreeMap;

use super::message::{Body, RequestVote, RequestVoteResponse};
use super::node::{Node, Role};
use super::types::{Micros, Term};
use crate::id::Id;

/// The wait before those who have not answered are asked again; a vote takes one
/// round trip, so this is generous on one machine and enough within one region.
const FIRST_RETRY_US: Micros = 25_000;

/// How much longer each further wait is: two or three attempts in an election
/// time-out get through a lossy network, and cost little in a partition.
const RETRY_FACTOR: Micros = 4;

/// A candidate's own state.
#[derive(Debug)]
pub struct Candidate {
    pub(super) pre_vote: bool,
    votes: BTreeMap<Id, bool>, // who answered, and how; itself included
    election_deadline: Micros,
    retry_at: Micros,
    retry_us: Micros,
}

impl Candidate {
    /// When the candidate has something to do if nothing arrives.
    pub(super) fn deadline(&self) -> Micros {
        self.election_deadline.min(self.retry_at)
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
        self.role = Role::Candidate(Candidate {
            pre_vote,
            votes: BTreeMap::from([(self.id, true)]),
            election_deadline: self.draw_election_deadline(),
            retry_at: self.now + FIRST_RETRY_US,
            retry_us: FIRST_RETRY_US,
        });
        self.request_votes();
        self.count_votes(); // a cluster of one needs nobody else's
    }

    /// Time went by for a candidate: it starts anew, or asks again those who have not answered.
    pub(super) fn tick_candidate(&mut self) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        if self.now >= candidate.election_deadline {
            self.campaign(true);
        } else if self.now >= candidate.retry_at {
            candidate.retry_us *= RETRY_FACTOR;
            candidate.retry_at = self.now + candidate.retry_us;
            self.request_votes();
        }
    }

    /// Somebody answered a request for a vote.
    pub(super) fn receive_vote(&mut self, from: Id, term: Term, response: RequestVoteResponse) {
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
        if self.configuration.is_quorum(|id| candidate.votes.get(&id) == Some(&true)) {
            if candidate.pre_vote { self.campaign(false) } else { self.become_leader() }
        }
    }

    /// Asks those who have not answered.
    fn request_votes(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        let request = RequestVote {
            pre_vote: candidate.pre_vote,
            campaign: self.campaigns,
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
        };
        let term = self.hard_state.current_term + Term::from(candidate.pre_vote);
        let silent: Vec<Id> = self.followers().filter(|id| !candidate.votes.contains_key(id)).collect();
        for to in silent {
            self.send_in(term, to, Body::RequestVote(request));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::action::Input;
    use crate::raft::harness::{Cluster, SETTINGS, id};
    use crate::raft::message::Message;

    #[test]
    fn who_does_not_answer_is_asked_again_after_ever_longer_waits() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        let (start, mut asked_at) = (cluster.now, Vec::new());
        let response = RequestVoteResponse { pre_vote: true, campaign: 1, granted: false };
        let message = Message { term: 0, body: Body::RequestVoteResponse(response) };
        cluster.step(id(1), [Input::Receive { from: id(3), message }]);
        cluster.network.clear();
        while cluster.now < start + SETTINGS.election_timeout_us / 2 {
            cluster.timeout(id(1));
            asked_at.extend(cluster.network.drain(..).map(|envelope| (envelope.to, cluster.now - start)));
        }
        assert_eq!(asked_at, [(id(2), 25_000), (id(2), 125_000), (id(2), 525_000)]);
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
}
