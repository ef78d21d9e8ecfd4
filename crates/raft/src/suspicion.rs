//! Failure detection on demand: requests detect a dead leader, with few heartbeats.
//!
//! A follower begins to *suspect* its leader in three cases. A client asks although the follower
//! has not heard the leader lately (`Replica::suspects_leader`). Another replica asks for a
//! pre-vote, which means that it misses the leader. Or the follower misses a heartbeat. The
//! follower probes the leader up to twice, by a pre-vote request to the leader alone. A living
//! leader answers every request for a vote with an append. After two silent probes the follower
//! gives the leader up. It asks for votes itself, or leaves that to a candidate that asked first.
//!
//! ```text
//! client            follower 2           leader 1            follower 3
//!    |-- request ------>|-- RequestPreVote -->X (dead)           |
//!    |                  |-- RequestPreVote -->X                  |
//!    |                  |-- RequestPreVote --------------------->|
//!    |                  |                     X<-RequestPreVote--|
//!    |                  |                     X<-RequestPreVote--|
//!    |                  |<----- PreVote granted ----------------|   once its vote lease has ended
//! ```
//!
//! **A pre-vote is answered when the answer is known.** A replica defers the request while it
//! suspects its leader or is in its vote lease ([`Node::in_leader_lease`]). If it hears the leader
//! meanwhile, the request was mistaken and is forgotten. Otherwise it grants the pre-vote at the
//! end of its vote lease. So vote leases cost no second round of requests where a cluster was busy
//! until its leader died. No failover waits longer than it must.
//!
//! **Why a healthy leader stays.** A replica that knows a leader grants a pre-vote only after
//! silent probes. So a follower that alone is cut off from the leader, or whose clients wander,
//! deposes no leader. It would need a quorum that hears no leader either. All of this only decides
//! *when* a replica votes, never for which candidate: safety does not rest on it.

use super::follower::Follower;
use super::message::{Body, RequestVote};
use super::node::{Node, Role};
use super::types::{Command, Term};
use crate::id::Id;
use crate::micros::Micros;

/// The number of probes of a leader that may be dead: one probe may get lost, and its answer too.
const MAX_PROBES: u32 = 2;

/// The number of waits for an answer in an election time-out. A round trip must be much shorter
/// than that time-out in any case (paper, 5.6).
pub(super) const ANSWERS_PER_TIMEOUT: Micros = 12;

/// An election time-out divided by the silence after which a follower probes a leader that another
/// replica misses. All probes end before the vote lease does.
const QUIETS_PER_TIMEOUT: Micros = 4;

/// A leader that may be dead, and the probes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    probes: u32,          // number of probes sent so far
    pub deadline: Micros, // when to probe again, or to give the leader up
    then_campaign: bool,  // whether to campaign if the leader is dead
}

impl<C: Command> Node<C> {
    /// A client came back from the leader without an answer. It waits, so this follower probes the
    /// leader at once.
    pub(super) fn suspect(&mut self) {
        self.begin_suspicion(true, self.now);
    }

    /// Whether this replica probes its leader, or is about to.
    pub fn is_probing_leader(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.suspicion.is_some())
    }

    /// Probes the leader at `deadline`, or earlier if it is suspected already. With
    /// `then_campaign`, this replica asks for votes if the leader does not answer.
    pub(super) fn begin_suspicion(&mut self, then_campaign: bool, deadline: Micros) {
        if !self.settings.tuning.detection.probes() {
            return;
        }
        let Role::Follower(follower) = &mut self.role else { return };
        if follower.leader.is_none() {
            return; // this replica asks for votes already, or leaves it to a candidate
        }
        let suspicion = follower.suspicion.get_or_insert(Suspicion { probes: 0, deadline, then_campaign });
        suspicion.then_campaign |= then_campaign;
        if suspicion.probes == 0 {
            suspicion.deadline = suspicion.deadline.min(deadline);
        } // otherwise the leader keeps its time to answer, however many clients come
        if suspicion.deadline <= self.now {
            self.probe_leader();
        }
    }

    /// The time to probe a leader that another replica misses. If this replica hears the leader
    /// before, it need not probe. While the vote lease lasts there is time.
    fn probe_at(&self) -> Micros {
        let quiet_at = self
            .last_leader_contact
            .map_or(0, |at| at + self.settings.election_timeout_us / QUIETS_PER_TIMEOUT);
        quiet_at.max(self.now)
    }

    /// Probes the leader, or gives it up after the last probe.
    pub(super) fn probe_leader(&mut self) {
        let answer_us = self.settings.election_timeout_us / ANSWERS_PER_TIMEOUT;
        let jitter_us = self.rng.u64(0..=answer_us);
        let Role::Follower(follower) = &mut self.role else { return };
        let (Some(leader), Some(suspicion)) = (follower.leader, &mut follower.suspicion) else { return };
        if suspicion.probes < MAX_PROBES {
            suspicion.probes += 1;
            self.campaign_id += 1;
            // Several followers may have begun to suspect the leader at the same time, and would
            // split the votes (paper, 5.2).
            let splits = suspicion.then_campaign && suspicion.probes == MAX_PROBES;
            suspicion.deadline = self.now + answer_us + if splits { jitter_us } else { 0 };
            self.request_vote(leader, true);
            return;
        }
        let then_campaign = suspicion.then_campaign;
        self.missed = Some(leader);
        self.become_follower(self.hard_state.current_term, None);
        if then_campaign && !self.has_electable_rival() {
            self.campaign(true);
        }
        self.answer_deferred_pre_votes();
    }

    /// A replica answers a probe with a vote or a refusal, so it does not lead. If it was the
    /// leader that this follower knew, the follower gives it up.
    pub(super) fn leader_denied(&mut self, from: Id, campaign: u64) {
        let asked_now = campaign == self.campaign_id;
        let Role::Follower(Follower { leader, suspicion: Some(suspicion), .. }) = &mut self.role else {
            return;
        };
        // Without a probe it answers a campaign from before this leader.
        if asked_now && suspicion.probes > 0 && *leader == Some(from) {
            suspicion.probes = MAX_PROBES;
            self.probe_leader();
        }
    }

    /// Whether a candidate that could win has asked already: two at a time would only split the
    /// votes.
    fn has_electable_rival(&self) -> bool {
        self.deferred_pre_votes.values().any(|(_, request)| self.is_up_to_date(request))
    }

    /// Defers a pre-vote that can't be answered yet, and begins to suspect the leader. Returns
    /// whether the request waits.
    pub(super) fn defer_pre_vote(&mut self, from: Id, term: Term, request: RequestVote) -> bool {
        let probes = self.settings.tuning.detection.probes();
        let undecided = self.in_leader_lease() || self.leader().is_some();
        if !probes || !request.pre_vote || !undecided {
            return false;
        }
        let could_be_granted = term > self.hard_state.current_term && self.is_up_to_date(&request);
        if could_be_granted {
            self.deferred_pre_votes.insert(from, (term, request));
        }
        // If the candidate that misses the leader can't win, this replica must campaign.
        self.begin_suspicion(!could_be_granted, self.probe_at());
        could_be_granted
    }

    /// The time to answer the deferred pre-votes: the end of the vote lease, if this replica knows
    /// no leader.
    pub(super) fn deferred_deadline(&self) -> Option<Micros> {
        let decided = self.leader().is_none() && !self.deferred_pre_votes.is_empty();
        let vote_lease_end = if self.in_leader_lease() { self.vote_lease_end() } else { 0 };
        decided.then_some(vote_lease_end)
    }

    /// Answers the deferred pre-votes when their time has come.
    pub(super) fn answer_deferred_pre_votes(&mut self) {
        if self.deferred_deadline().is_none_or(|deadline| self.now < deadline) {
            return;
        }
        for (from, (term, request)) in std::mem::take(&mut self.deferred_pre_votes) {
            self.receive_request_vote(from, term, request);
        }
    }

    /// A leader that is asked for a vote is missed by a replica, and answers with a heartbeat. True
    /// if this replica leads.
    pub(super) fn answer_vote_request_with_heartbeat(&mut self, to: Id) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        if let Some(progress) = leader.followers.get_mut(&to) {
            progress.schedule_heartbeat();
        }
        true
    }

    /// Asks one replica for its vote or pre-vote.
    pub(super) fn request_vote(&mut self, to: Id, pre_vote: bool) {
        let transfer = matches!(&self.role, Role::Candidate(candidate) if candidate.transfer);
        let request = RequestVote {
            pre_vote,
            transfer,
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

    /// A cluster of three in which 1 leads term 1 and all replicas have heard it just now.
    fn led_by_1() -> Cluster {
        let mut cluster = Cluster::new(3, 1, ON_DEMAND);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster
    }

    /// 2 asks for a vote in term 2, with a log of so many entries of term 1.
    fn request(pre_vote: bool, last_log_index: Index) -> Input {
        let last_log_term = last_log_index.min(1);
        let request = RequestVote { pre_vote, transfer: false, campaign: 9, last_log_index, last_log_term };
        Input::Receive { from: id(2), message: Message { term: 2, body: Body::RequestVote(request) } }
    }

    /// The requests for votes in flight to a replica.
    fn asked(cluster: &Cluster, to: Id) -> Vec<RequestVote> {
        let request =
            |body: &Body<Put>| if let Body::RequestVote(request) = body { Some(*request) } else { None };
        let to = cluster.network.iter().filter(|envelope| envelope.to == to);
        to.filter_map(|envelope| request(&envelope.message.body)).collect()
    }

    #[test]
    fn leader_is_probed_once_when_many_clients_come_at_once() {
        let mut cluster = led_by_1();
        cluster.now += QUIET_US;
        cluster.step(id(3), [Input::Suspect, Input::Suspect, Input::Suspect]);
        assert_eq!((asked(&cluster, id(1)).len(), asked(&cluster, id(2)).len()), (1, 0));
        assert_eq!(cluster.nodes[&id(3)].leader(), Some(id(1)));
    }

    /// Lets 3 probe its leader and give it up.
    fn give_up(cluster: &mut Cluster) {
        while cluster.nodes[&id(3)].leader().is_some() {
            cluster.timeout(id(3));
        }
    }

    #[test]
    fn probe_waits_for_some_silence_unless_a_client_waits() {
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
    fn leader_is_given_up_when_it_answers_the_latest_probe_as_a_voter() {
        let ends_suspicion = |probe: usize, from: Id| {
            let mut cluster = led_by_1();
            cluster.step(id(3), [Input::Suspect]);
            cluster.timeout(id(3));
            let campaign = asked(&cluster, id(1))[probe].campaign;
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
    fn late_answer_to_a_campaign_from_before_the_leader_does_not_end_it() {
        let mut cluster = led_by_1();
        cluster.step(id(3), [request(true, 1)]);
        assert!(cluster.nodes[&id(3)].is_probing_leader() && asked(&cluster, id(1)).is_empty());
        let campaign = cluster.nodes[&id(3)].campaign_id;
        let response = RequestVoteResponse { pre_vote: true, campaign, granted: false };
        let message = Message { term: 1, body: Body::RequestVoteResponse(response) };
        cluster.step(id(3), [Input::Receive { from: id(1), message }]);
        assert_eq!(cluster.nodes[&id(3)].leader(), Some(id(1)));
    }

    /// Whether 3 asks for votes after these inputs, when its leader does not answer.
    fn campaigns(inputs: impl IntoIterator<Item = Input>) -> bool {
        let mut cluster = led_by_1();
        cluster.now += QUIET_US;
        cluster.step(id(3), inputs);
        give_up(&mut cluster);
        !asked(&cluster, id(2)).is_empty()
    }

    #[test]
    fn follower_leaves_the_campaign_to_a_candidate_that_can_win() {
        assert!(campaigns([Input::Suspect]));
        assert!(!campaigns([request(true, 1)]));
        assert!(!campaigns([Input::Suspect, request(true, 1)]));
    }

    #[test]
    fn follower_campaigns_when_the_candidate_that_asked_cannot_win() {
        assert!(campaigns([request(true, 0)]));
    }

    #[test]
    fn deferred_pre_vote_is_granted_when_the_vote_lease_ends() {
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
    fn deferred_pre_vote_is_forgotten_when_the_leader_is_heard() {
        let mut cluster = led_by_1();
        cluster.step(id(3), [request(true, 1)]);
        cluster.step(id(1), [put("k", "v"), put("l", "w")]);
        cluster.step(id(1), [request_of_3()]);
        cluster.stabilize();
        cluster.step(id(3), [Input::Suspect]);
        give_up(&mut cluster);
        assert!(!asked(&cluster, id(2)).is_empty(), "no candidate waits, so it campaigns");
    }

    /// 3 probes its leader.
    fn request_of_3() -> Input {
        let request =
            RequestVote { pre_vote: true, transfer: false, campaign: 1, last_log_index: 1, last_log_term: 1 };
        Input::Receive { from: id(3), message: Message { term: 2, body: Body::RequestVote(request) } }
    }

    #[test]
    fn leader_answers_every_request_for_a_vote_with_an_append_and_leads_on() {
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
