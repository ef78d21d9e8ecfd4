//! The voters that a candidate asks, attempt by attempt.
//!
//! A candidate asks all voters, unless it seems to be cut off. It does if it has not lately heard a
//! quorum, and has missed a leader or lost its quorum as a leader. Most requests of a cut-off
//! candidate are lost, and each one that arrives costs an answer. Therefore it asks few voters for
//! pre-votes:
//!
//! | when | the cut-off candidate asks |
//! |---|---|
//! | first attempt | as few voters as can elect it, the missed leader last |
//! | a quarter of a time-out later | the voters that it has not tried, but not that leader |
//! | the same, after an answer | the silent voters, too |
//! | each later attempt | one voter that it has not heard lately, each in turn |
//! | when the voters that it asked can no longer elect it | all others, at once |
//! | a later attempt, when it refuses a candidate and cannot help it | all others, at once |
//!
//! The last two rules end a cut. In a later attempt any answer makes the candidate ask all others.
//! So does a request of a candidate that [cannot win](Node::help_candidate).

use std::collections::BTreeSet;

use super::node::{Node, Role};
use super::types::Command;
use crate::id::Id;
use crate::micros::Micros;

/// The number of election time-outs for which a replica counts as reached after it was heard. This
/// is the longest wait of a cut-off candidate between two attempts. Where half of all messages are
/// lost, a candidate hears each of the others in that time with near certainty.
const REACHED_TIMEOUTS: Micros = 8;

impl<C: Command> Node<C> {
    /// Whether a replica was heard lately.
    fn is_reached(&self, id: Id) -> bool {
        let since = self.now.saturating_sub(REACHED_TIMEOUTS * self.settings.election_timeout_us);
        id == self.id || self.heard_at.get(&id).is_some_and(|&at| at >= since)
    }

    /// Whether too few replicas were heard lately for a quorum.
    pub(super) fn is_cut_off(&self) -> bool {
        !self.configuration.is_quorum(|id| self.is_reached(id))
    }

    /// The voters that a new attempt asks first, and this replica.
    pub(super) fn first_asked(&self, pre_vote: bool) -> BTreeSet<Id> {
        if !pre_vote || self.missed.is_none() || !self.is_cut_off() {
            return self.configuration.voters().collect();
        }
        if self.failed_campaigns > 0 {
            let silent: Vec<Id> = self.followers().filter(|&id| !self.is_reached(id)).collect();
            let in_turn = silent.get(self.failed_campaigns as usize % silent.len().max(1));
            return in_turn.copied().into_iter().chain([self.id]).collect();
        }
        self.fewest_that_elect()
    }

    /// The fewest voters that are a quorum with this replica, others from attempt to attempt.
    fn fewest_that_elect(&self) -> BTreeSet<Id> {
        let mut others: Vec<Id> = self.followers().collect();
        let turn = self.campaign_id as usize % others.len().max(1);
        others.rotate_left(turn);
        others.sort_by_key(|&id| self.missed == Some(id));
        let mut asked = BTreeSet::from([self.id]);
        for id in others {
            if self.configuration.is_quorum(|id| asked.contains(&id)) {
                break;
            }
            asked.insert(id);
        }
        asked
    }

    /// Asks the voters of this attempt that have not answered.
    pub(super) fn request_votes(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        let silent = candidate.asked.iter().filter(|id| !candidate.votes.contains_key(id));
        let silent = silent.copied().collect();
        self.request_votes_of(silent);
    }

    /// Asks again, and more voters than before. A cut-off candidate without any answer repeats no
    /// request as long as there is a voter that it has not tried.
    pub(super) fn repeat_requests(&mut self) {
        let (is_cut_off, missed) = (self.is_cut_off(), self.missed);
        let Role::Candidate(candidate) = &mut self.role else { return };
        let is_due = |id: &Id| !candidate.asked.contains(id) && (!is_cut_off || missed != Some(*id));
        let untried: Vec<Id> = self.configuration.voters().filter(is_due).collect();
        candidate.asked.extend(&untried);
        let has_answers = candidate.votes.len() > 1;
        if is_cut_off && !has_answers && !untried.is_empty() {
            self.request_votes_of(untried);
        } else {
            self.request_votes();
        }
    }

    /// Asks all the others as soon as those that were asked can no longer elect this candidate.
    pub(super) fn ask_more(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        let may_grant = |id| candidate.asked.contains(&id) && candidate.votes.get(&id) != Some(&false);
        if !self.configuration.is_quorum(may_grant) {
            self.ask_all();
        }
    }

    /// Asks all the voters that this attempt has not asked.
    pub(super) fn ask_all(&mut self) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        let others: Vec<Id> =
            self.configuration.voters().filter(|id| !candidate.asked.contains(id)).collect();
        candidate.asked.extend(&others);
        self.request_votes_of(others);
    }

    fn request_votes_of(&mut self, voters: Vec<Id>) {
        let Role::Candidate(candidate) = &self.role else { return };
        let pre_vote = candidate.pre_vote;
        for to in voters {
            self.request_vote(to, pre_vote);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, ON_DEMAND, Put, id, put};
    use crate::message::{Body, Message, RequestVote, RequestVoteResponse};
    use crate::types::{Index, Term};

    /// Five replicas that 1 leads. No replica counts the others as reached any more.
    fn led_by_1() -> Cluster {
        let mut cluster = Cluster::new(5, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.now += 2 * REACHED_TIMEOUTS * ON_DEMAND.election_timeout_us;
        cluster
    }

    /// Five replicas that 1 led. 2 has found out that 1 does not answer, and asks for pre-votes.
    fn with_2_missing_1() -> Cluster {
        let mut cluster = led_by_1();
        cluster.step(id(2), [Input::Suspect]);
        while cluster.nodes[&id(2)].leader().is_some() {
            cluster.network.clear();
            cluster.timeout(id(2));
        }
        cluster
    }

    /// The replicas that a candidate has asked just now.
    fn asked(cluster: &mut Cluster) -> Vec<u16> {
        let is_request = |body: &Body<Put>| matches!(body, Body::RequestVote(request) if request.pre_vote);
        let requests = cluster.network.drain(..).filter(|envelope| is_request(&envelope.message.body));
        requests.map(|envelope| envelope.to.number()).collect()
    }

    /// The replicas that 2 asks when its next timer is due.
    fn asked_next(cluster: &mut Cluster) -> Vec<u16> {
        cluster.timeout(id(2));
        asked(cluster)
    }

    /// A replica answers the present attempt of 2. Returns the replicas that 2 asks because of it.
    fn asked_after_answer(cluster: &mut Cluster, from: u16, granted: bool) -> Vec<u16> {
        let node = &cluster.nodes[&id(2)];
        let response = RequestVoteResponse { pre_vote: true, campaign: node.campaign_id, granted };
        let term = node.hard_state().current_term + u64::from(granted);
        let message = Message { term, body: Body::RequestVoteResponse(response) };
        cluster.step(id(2), [Input::Receive { from: id(from), message }]);
        asked(cluster)
    }

    /// The voters besides 1 and 2 that the first attempt did not ask.
    fn untried(first: &[u16]) -> Vec<u16> {
        (3..=5).filter(|number| !first.contains(number)).collect()
    }

    #[test]
    fn cut_off_candidate_asks_first_the_fewest_voters_that_elect_it_without_the_missed_leader() {
        let first = asked(&mut with_2_missing_1());
        assert!(first.len() == 2 && first.iter().all(|number| (3..=5).contains(number)), "{first:?}");
    }

    #[test]
    fn leader_that_lost_its_quorum_asks_the_fewest_voters_that_elect_it() {
        let mut cluster = led_by_1();
        cluster.partition(&[vec![id(1)], (2..=5).map(id).collect()]);
        cluster.step(id(1), [put("k", "v")]);
        while cluster.nodes[&id(1)].is_leader() {
            cluster.elapse(10_000, true);
        }
        cluster.blocked.clear();
        let first = loop {
            cluster.timeout(id(1));
            let first = asked(&mut cluster);
            if !first.is_empty() {
                break first;
            }
        };
        assert_eq!(first.len(), 2);
    }

    #[test]
    fn cut_off_candidate_that_hears_nothing_asks_the_voter_that_it_has_not_tried() {
        let mut cluster = with_2_missing_1();
        let first = asked(&mut cluster);
        assert_eq!(asked_next(&mut cluster), untried(&first));
    }

    #[test]
    fn cut_off_candidate_that_one_voter_has_answered_asks_all_silent_voters_but_the_missed_leader() {
        let mut cluster = with_2_missing_1();
        let first = asked(&mut cluster);
        assert_eq!(asked_after_answer(&mut cluster, first[0], true), Vec::<u16>::new());
        let mut silent = untried(&first);
        silent.push(first[1]);
        silent.sort_unstable();
        assert_eq!(asked_next(&mut cluster), silent);
    }

    #[test]
    fn candidate_asks_all_others_at_once_when_the_asked_voters_cannot_elect_it() {
        let mut cluster = with_2_missing_1();
        let first = asked(&mut cluster);
        let others: Vec<u16> = [1].into_iter().chain(untried(&first)).collect();
        assert_eq!(asked_after_answer(&mut cluster, first[0], false), others);
    }

    #[test]
    fn cut_off_candidate_asks_one_voter_in_each_later_attempt_and_all_when_one_answers() {
        let mut cluster = with_2_missing_1();
        asked_next(&mut cluster);
        let mut in_turn: Vec<u16> = (0..4).flat_map(|_| asked_next(&mut cluster)).collect();
        assert_eq!(in_turn.len(), 4);
        let one = in_turn[3];
        in_turn.sort_unstable();
        assert_eq!(in_turn, [1, 3, 4, 5]);
        let others: Vec<u16> = in_turn.into_iter().filter(|&number| number != one).collect();
        assert_eq!(asked_after_answer(&mut cluster, one, false), others);
    }

    /// The replicas that 2 asks in a later attempt, of which some only because 3 asks it for a
    /// pre-vote, with a last entry of this index and term.
    fn asked_after_request(last_log_index: Index, last_log_term: Term) -> Vec<u16> {
        let mut cluster = with_2_missing_1();
        let mut in_turn = Vec::new();
        while in_turn.len() != 1 {
            in_turn = asked_next(&mut cluster);
        }
        let request =
            RequestVote { pre_vote: true, transfer: false, campaign: 1, last_log_index, last_log_term };
        let term = cluster.nodes[&id(2)].hard_state().current_term + 1;
        let message = Message { term, body: Body::RequestVote(request) };
        cluster.step(id(2), [Input::Receive { from: id(3), message }]);
        in_turn.extend(asked(&mut cluster));
        in_turn.sort_unstable();
        in_turn
    }

    #[test]
    fn cut_off_candidate_asks_all_others_when_it_refuses_a_candidate_and_cannot_help_it() {
        assert_eq!(asked_after_request(5, 0), [1, 3, 4, 5], "3 keeps entries that 2 does not have");
        assert_eq!(asked_after_request(0, 0).len(), 1, "2 sends 3 the entry that it lacks");
        assert_eq!(asked_after_request(1, 1).len(), 1, "2 leaves the election to 3");
    }

    #[test]
    fn candidate_that_has_lately_heard_a_quorum_asks_all_voters_in_each_attempt() {
        let mut cluster = with_2_missing_1();
        for from in [3, 4] {
            asked_after_answer(&mut cluster, from, false);
        }
        let campaigns = cluster.nodes[&id(2)].campaign_id;
        let mut last = Vec::new();
        while cluster.nodes[&id(2)].campaign_id == campaigns {
            last = asked_next(&mut cluster);
        }
        assert_eq!(last, [1, 3, 4, 5]);
    }
}
