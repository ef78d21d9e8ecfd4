//! The rules for votes, once for all roles (paper, 5.2 and 5.4.1; dissertation, 9.6).

use super::message::{Body, RequestVote, RequestVoteResponse};
use super::node::Node;
use super::types::{Command, Term};
use crate::id::Id;
use crate::micros::Micros;

impl<C: Command> Node<C> {
    /// Another replica asks for this replica's vote or pre-vote (paper, 5.2 and 5.4.1;
    /// dissertation, 9.6).
    pub(super) fn receive_request_vote(&mut self, from: Id, term: Term, request: RequestVote) {
        let current_term = self.hard_state.current_term;
        // A leader that has handed its leadership over votes like any replica.
        let is_transfer = request.transfer && term > current_term;
        if !is_transfer && self.answer_vote_request_with_heartbeat(from)
            || self.defer_pre_vote(from, term, request)
        {
            return;
        }
        // The vote lease comes before the term rule, so a candidate that has missed a living leader
        // can't depose it. A leader's lease rests on this (dissertation, 6.4.1). A leader that wants to
        // be replaced has no lease any more (3.10).
        let may_vote = request.transfer || !self.in_leader_lease();
        if may_vote && !request.pre_vote && term > current_term {
            self.become_follower(term, None);
        }
        let free = if request.pre_vote {
            term > current_term
        } else {
            term == self.hard_state.current_term && self.may_vote_for(from)
        };
        let granted = may_vote && free && self.is_up_to_date(&request);
        // A replica that reaches a quorum yields once, and not again before its own next attempt:
        // it may be the only one that can win.
        if granted && (!request.pre_vote || !self.has_yielded || self.is_cut_off()) {
            self.has_yielded |= request.pre_vote;
            self.postpone_election();
            self.yield_to(from, &request);
        }
        if granted && !request.pre_vote {
            self.hard_state.voted_for = Some(from);
        }
        let response =
            RequestVoteResponse { pre_vote: request.pre_vote, campaign: request.campaign, granted };
        let answer_term = if granted { term } else { self.hard_state.current_term };
        self.send_in(answer_term, from, Body::RequestVoteResponse(response));
        if request.pre_vote && may_vote && free && !granted && self.failed_campaigns > 0 {
            self.help_candidate(from, &request);
        }
    }

    fn may_vote_for(&self, candidate: Id) -> bool {
        self.hard_state.voted_for.is_none_or(|id| id == candidate)
    }

    /// Whether the candidate's log is at least as up to date as this replica's (paper, 5.4.1).
    pub(super) fn is_up_to_date(&self, candidate: &RequestVote) -> bool {
        self.log.is_up_to_date(candidate.last_log_index, candidate.last_log_term)
    }

    /// Whether this replica votes for no other leader yet: it leads, or it is in its vote lease.
    /// The vote lease lasts for the least election time-out after the replica has heard a leader.
    pub(super) fn in_leader_lease(&self) -> bool {
        self.is_leader() || self.now < self.vote_lease_end()
    }

    /// The time until which this replica refuses its vote, for the sake of the leader that it heard
    /// last.
    pub(super) fn vote_lease_end(&self) -> Micros {
        self.last_leader_contact.map_or(0, |contact| contact + self.settings.election_timeout_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, SETTINGS, id};
    use crate::message::Message;

    const REQUEST: RequestVote =
        RequestVote { pre_vote: false, transfer: false, campaign: 1, last_log_index: 0, last_log_term: 0 };

    #[test]
    fn voter_gives_its_candidate_a_whole_time_out() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.now = cluster.nodes[&id(2)].deadline() - 1;
        let message = Message { term: 1, body: Body::RequestVote(REQUEST) };
        cluster.step(id(2), [Input::Receive { from: id(1), message }]);
        assert!(cluster.nodes[&id(2)].deadline() >= cluster.now + SETTINGS.election_timeout_us);
    }

    #[test]
    fn vote_outlives_a_restart() {
        let granted = |candidate| {
            let mut cluster = Cluster::new(3, 1, SETTINGS);
            let message = Message { term: 1, body: Body::RequestVote(REQUEST) };
            cluster.step(id(2), [Input::Receive { from: id(1), message: message.clone() }]);
            cluster.restart(id(2));
            cluster.now += SETTINGS.election_timeout_us;
            cluster.network.clear();
            cluster.step(id(2), [Input::Receive { from: candidate, message }]);
            matches!(&cluster.network[0].message.body, Body::RequestVoteResponse(response) if response.granted)
        };
        assert!(granted(id(1)));
        assert!(!granted(id(3)));
    }
}
