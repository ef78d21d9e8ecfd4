//! How a dead leader is found out with few heartbeats: by those who miss it.
//!
//! A follower begins to *suspect* its leader when a client asks although nothing was heard of the leader lately
//! (`Replica::suspects_leader`), when another replica asks for a pre-vote, which means that it misses the leader, or when
//! a heartbeat stays away. It asks the leader, twice, by a pre-vote request that goes to the leader
//! alone; a leader that lives answers every request for a vote with an append. If nothing comes, the follower has
//! no leader any more: it asks for votes itself, or leaves that to whoever asked first.
//!
//! **A pre-vote is answered when the answer is known.** A replica that still suspects its leader, or has promised a leader not to
//! vote yet ([`Node::in_leader_lease`]), lets the request wait; if the leader is heard meanwhile the request was mistaken
//! and is forgotten, else it is granted at the moment at which the promise ends. So the promises of a
//! cluster that was busy until its leader died do not cost a second round of questions, and no failover waits longer
//! than it must.
//!
//! **Why a healthy leader stays.** Nobody grants a pre-vote who knows a leader and has not asked it in vain, so a
//! follower that alone is cut off from the leader, or whose clients wander, deposes nobody: it would need a quorum that
//! hears nothing either. All of this only decides *when* a replica votes, never for whom: safety does not rest on it.

use super::follower::Follower;
use super::message::{Body, RequestVote};
use super::node::{Node, Role};
use super::tuning::Detection;
use super::types::{Command, Term};
use crate::id::Id;
use crate::micros::Micros;

/// How often a leader is asked that may be dead: one question may get lost, and its answer too.
const QUESTIONS: u32 = 2;

/// How many times the wait for an answer fits into an election time-out. A round trip must be much shorter than
/// that time-out in any case (paper, 5.6).
const ANSWERS_PER_TIMEOUT: Micros = 12;

/// How many times the silence after which a leader is asked that another replica misses fits into an election
/// time-out. All questions end before the promise does.
const QUIETS_PER_TIMEOUT: Micros = 4;

/// A suspicion that is being looked into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    questions: u32,       // how often the leader was asked
    pub deadline: Micros, // when to ask again, or to give the leader up
    then_campaign: bool,  // whether to ask for votes if the leader is gone
}

impl<C: Command> Node<C> {
    /// A client came back from the leader in vain: it waits, so the leader is asked at once.
    pub(super) fn suspect(&mut self) {
        self.begin_suspicion(true, self.now);
    }

    /// Whether this replica is about to find out whether its leader lives.
    pub fn is_probing_leader(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.suspicion.is_some())
    }

    /// Asks the leader at `deadline`, or before if it is suspected already. With `then_campaign`, this replica asks for
    /// votes when the leader is gone.
    pub(super) fn begin_suspicion(&mut self, then_campaign: bool, deadline: Micros) {
        if self.settings.tuning.detection != Detection::OnDemand {
            return;
        }
        let Role::Follower(follower) = &mut self.role else { return };
        if follower.leader.is_none() {
            return; // it looks for one already
        }
        let suspicion = follower.suspicion.get_or_insert(Suspicion { questions: 0, deadline, then_campaign });
        suspicion.then_campaign |= then_campaign;
        if suspicion.questions == 0 {
            suspicion.deadline = suspicion.deadline.min(deadline);
        } // else the leader has its time to answer, however many clients come
        if suspicion.deadline <= self.now {
            self.probe_leader();
        }
    }

    /// When to ask a leader that another replica misses. One that is heard again before that need not be asked, and as
    /// long as the promise to it holds there is time.
    fn when_to_ask(&self) -> Micros {
        let quiet_at = self
            .last_leader_contact
            .map_or(0, |at| at + self.settings.election_timeout_us / QUIETS_PER_TIMEOUT);
        quiet_at.max(self.now)
    }

    /// Asks the leader, or gives it up after the last question.
    pub(super) fn probe_leader(&mut self) {
        let answer_us = self.settings.election_timeout_us / ANSWERS_PER_TIMEOUT;
        let jitter_us = self.rng.u64(0..=answer_us);
        let Role::Follower(follower) = &mut self.role else { return };
        let (Some(leader), Some(suspicion)) = (follower.leader, &mut follower.suspicion) else { return };
        if suspicion.questions < QUESTIONS {
            suspicion.questions += 1;
            self.campaign_id += 1;
            // Several followers may have begun to suspect the leader at the same time, and would split the votes (paper, 5.2).
            let splits = suspicion.then_campaign && suspicion.questions == QUESTIONS;
            suspicion.deadline = self.now + answer_us + if splits { jitter_us } else { 0 };
            self.request_vote(leader, true);
            return;
        }
        let then_campaign = suspicion.then_campaign;
        self.missed = Some(leader);
        self.become_follower(self.hard_state.current_term, None);
        if then_campaign && !self.is_somebody_ahead() {
            self.campaign(true);
        }
        self.answer_deferred_pre_votes();
    }

    /// Somebody answers a question with a vote, and so does not lead: if that was the leader, there is none.
    pub(super) fn leader_denied(&mut self, from: Id, campaign: u64) {
        let asked_now = campaign == self.campaign_id;
        let Role::Follower(Follower { leader, suspicion: Some(suspicion), .. }) = &mut self.role else {
            return;
        };
        // Without a question it answers an attempt from before this leader.
        if asked_now && suspicion.questions > 0 && *leader == Some(from) {
            suspicion.questions = QUESTIONS;
            self.probe_leader();
        }
    }

    /// Whether a candidate that could win has asked already: two at a time would only split the votes.
    fn is_somebody_ahead(&self) -> bool {
        self.deferred_pre_votes.values().any(|(_, request)| self.is_up_to_date(request))
    }

    /// Whether a pre-vote can't be answered yet; it waits then, and its reason is looked into.
    pub(super) fn defer_pre_vote(&mut self, from: Id, term: Term, request: RequestVote) -> bool {
        let on_demand = self.settings.tuning.detection == Detection::OnDemand;
        let undecided = self.in_leader_lease() || self.leader().is_some();
        if !on_demand || !request.pre_vote || !undecided {
            return false;
        }
        let could_be_granted = term > self.hard_state.current_term && self.is_up_to_date(&request);
        if could_be_granted {
            self.deferred_pre_votes.insert(from, (term, request));
        }
        // Where the one who misses the leader can't win, somebody else must try.
        self.begin_suspicion(!could_be_granted, self.when_to_ask());
        could_be_granted
    }

    /// When those can be answered who wait only for the end of a promise.
    pub(super) fn deferred_deadline(&self) -> Option<Micros> {
        let decided = self.leader().is_none() && !self.deferred_pre_votes.is_empty();
        let vote_lease_end = if self.in_leader_lease() { self.vote_lease_end() } else { 0 };
        decided.then_some(vote_lease_end)
    }

    /// Answers those who wait if nothing stands in the way any more.
    pub(super) fn answer_deferred_pre_votes(&mut self) {
        if self.deferred_deadline().is_none_or(|deadline| self.now < deadline) {
            return;
        }
        for (from, (term, request)) in std::mem::take(&mut self.deferred_pre_votes) {
            self.receive_request_vote(from, term, request);
        }
    }

    /// A leader that is asked for a vote is missed by somebody, and shows that it lives. True if this replica leads.
    pub(super) fn answer_vote_request_with_heartbeat(&mut self, to: Id) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        if let Some(progress) = leader.followers.get_mut(&to) {
            progress.heartbeat_due = true;
        }
        true
    }

    /// Asks one replica for its vote, or for the promise of it.
    pub(super) fn request_vote(&mut self, to: Id, pre_vote: bool) {
        let request = RequestVote {
            pre_vote,
            campaign: self.campaign_id,
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
        };
        let term = self.hard_state.current_term + Term::from(pre_vote);
        self.send_in(term, to, Body::RequestVote(request));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Cluster, Input, ON_DEMAND, Put, id, put};
    use crate::message::{Message, RequestVoteResponse};
    use crate::types::Index;

    const QUIET_US: Micros = ON_DEMAND.election_timeout_us / QUIETS_PER_TIMEOUT;

    /// A cluster of three in which 1 leads term 1 and everybody has heard it just now.
    fn led_by_1() -> Cluster {
        let mut cluster = Cluster::new(3, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster
    }

    /// 2 asks for a vote in term 2, with a log of so many entries of term 1.
    fn request(pre_vote: bool, last_log_index: Index) -> Input {
        let last_log_term = last_log_index.min(1);
        let request = RequestVote { pre_vote, campaign: 9, last_log_index, last_log_term };
        Input::Receive { from: id(2), message: Message { term: 2, body: Body::RequestVote(request) } }
    }

    /// The requests for votes that are on their way to a replica.
    fn asked(cluster: &Cluster, to: Id) -> Vec<RequestVote> {
        let request =
            |body: &Body<Put>| if let Body::RequestVote(request) = body { Some(*request) } else { None };
        let to = cluster.network.iter().filter(|envelope| envelope.to == to);
        to.filter_map(|envelope| request(&envelope.message.body)).collect()
    }

    #[test]
    fn leader_has_time_to_answer_however_many_clients_come_at_once() {
        let mut cluster = led_by_1();
        cluster.now += QUIET_US;
        cluster.step(id(3), [Input::Suspect, Input::Suspect, Input::Suspect]);
        assert_eq!((asked(&cluster, id(1)).len(), asked(&cluster, id(2)).len()), (1, 0));
        assert_eq!(cluster.nodes[&id(3)].leader(), Some(id(1)));
    }

    /// Lets 3 find out that its leader does not answer.
    fn give_up(cluster: &mut Cluster) {
        while cluster.nodes[&id(3)].leader().is_some() {
            cluster.timeout(id(3));
        }
    }

    #[test]
    fn a_question_waits_for_some_silence_unless_a_client_waits() {
        let asks_after = |silence_us: Micros, input: Input| {
            let mut cluster = led_by_1();
            let heard_at = cluster.now;
            cluster.now += silence_us;
            cluster.step(id(3), [input]);
            while asked(&cluster, id(1)).is_empty() {
                cluster.timeout(id(3));
            }
            cluster.now - heard_at
        };
        assert_eq!(asks_after(0, Input::Suspect), 0);
        assert_eq!(asks_after(0, request(true, 1)), QUIET_US);
        assert_eq!(asks_after(QUIET_US - 1, request(true, 1)), QUIET_US);
        assert_eq!(asks_after(QUIET_US + 1, request(true, 1)), QUIET_US + 1);
    }

    #[test]
    fn only_an_answer_of_the_leader_to_the_latest_question_shows_that_it_does_not_lead() {
        let ends_suspicion = |question: usize, from: Id| {
            let mut cluster = led_by_1();
            cluster.step(id(3), [Input::Suspect]);
            cluster.timeout(id(3));
            let campaign = asked(&cluster, id(1))[question].campaign;
            let response = RequestVoteResponse { pre_vote: true, campaign, granted: false };
            let message = Message { term: 1, body: Body::RequestVoteResponse(response) };
            cluster.step(id(3), [Input::Receive { from, message }]);
            cluster.nodes[&id(3)].leader().is_none()
        };
        assert!(ends_suspicion(1, id(1)));
        assert!(!ends_suspicion(0, id(1)));
        assert!(!ends_suspicion(1, id(2)));
    }

    #[test]
    fn late_answer_to_an_attempt_from_before_the_leader_says_nothing_about_it() {
        let mut cluster = led_by_1();
        cluster.step(id(3), [request(true, 1)]);
        assert!(cluster.nodes[&id(3)].is_probing_leader() && asked(&cluster, id(1)).is_empty());
        let campaign = cluster.nodes[&id(3)].campaign_id;
        let response = RequestVoteResponse { pre_vote: true, campaign, granted: false };
        let message = Message { term: 1, body: Body::RequestVoteResponse(response) };
        cluster.step(id(3), [Input::Receive { from: id(1), message }]);
        assert_eq!(cluster.nodes[&id(3)].leader(), Some(id(1)));
    }

    /// Whether 3 asks for votes after these inputs and when its leader did not answer.
    fn campaigns(inputs: impl IntoIterator<Item = Input>) -> bool {
        let mut cluster = led_by_1();
        cluster.now += QUIET_US;
        cluster.step(id(3), inputs);
        give_up(&mut cluster);
        !asked(&cluster, id(2)).is_empty()
    }

    #[test]
    fn who_is_asked_by_somebody_who_can_win_leaves_the_campaign_to_it() {
        assert!(campaigns([Input::Suspect]));
        assert!(!campaigns([request(true, 1)]));
        assert!(!campaigns([Input::Suspect, request(true, 1)]));
    }

    #[test]
    fn who_is_asked_by_somebody_who_cannot_win_campaigns() {
        assert!(campaigns([request(true, 0)]));
    }

    #[test]
    fn a_pre_vote_that_waits_is_granted_when_the_promise_ends() {
        let mut cluster = led_by_1();
        let vote_lease_end = cluster.now + ON_DEMAND.election_timeout_us;
        cluster.step(id(3), [request(true, 1)]);
        give_up(&mut cluster);
        cluster.network.clear();
        while cluster.network.is_empty() {
            cluster.timeout(id(3));
        }
        let response = RequestVoteResponse { pre_vote: true, campaign: 9, granted: true };
        let granted = Message { term: 2, body: Body::RequestVoteResponse(response) };
        assert_eq!((&cluster.network[0].message, cluster.now), (&granted, vote_lease_end));
    }

    #[test]
    fn a_pre_vote_that_waits_is_forgotten_when_the_leader_is_heard() {
        let mut cluster = led_by_1();
        cluster.step(id(3), [request(true, 1)]);
        cluster.step(id(1), [put("k", "v"), put("l", "w")]);
        cluster.step(id(1), [request_of_3()]);
        cluster.stabilize();
        cluster.step(id(3), [Input::Suspect]);
        give_up(&mut cluster);
        assert!(!asked(&cluster, id(2)).is_empty(), "it leaves the campaign to nobody");
    }

    /// 3 asks its leader for a vote, which is a question.
    fn request_of_3() -> Input {
        let request = RequestVote { pre_vote: true, campaign: 1, last_log_index: 1, last_log_term: 1 };
        Input::Receive { from: id(3), message: Message { term: 2, body: Body::RequestVote(request) } }
    }

    #[test]
    fn a_leader_answers_every_request_for_a_vote_with_an_append_and_leads_on() {
        for pre_vote in [true, false] {
            let mut cluster = led_by_1();
            cluster.step(id(1), [request(pre_vote, 5)]);
            assert_eq!(cluster.network.len(), 1);
            let answer = &cluster.network[0];
            assert!(matches!(answer.message.body, Body::AppendEntries(_)) && answer.to == id(2));
            assert_eq!(cluster.leader(), Some(id(1)));
            assert_eq!(cluster.nodes[&id(1)].hard_state().current_term, 1);
        }
    }
}
