//! Leadership transfer (dissertation, 3.10): a leader that is to stop hands its leadership over to a
//! follower, so that the cluster need not find out that the leader is gone.
//!
//! ```text
//! leader 1                      follower 2                    follower 3
//!    |-- AppendEntries ------------>|                             |
//!    |-- AppendEntries ------------------------------------------>|
//!    |<- Matched, up to the end ----|                             |
//!    |   1 gives its lease up       |                             |
//!    |-- TimeoutNow --------------->|   2 begins the next term    |
//!    |<- RequestVote (transfer) ----|-- RequestVote (transfer) -->|
//!    |-- Vote granted ------------->|<- Vote granted -------------|
//!                                   |   2 leads
//! ```
//!
//! **The follower.** The leader asks all followers for an answer. The first follower that has
//! answered since then, and that has the whole log, gets TimeoutNow. It lives, and its log wins any
//! vote. It stands for election at once, without a pre-vote. Its requests for votes say that the
//! leader wants the election, so each voter disregards its vote lease, and the leader votes, too.
//!
//! **The lease.** The leader's lease rests on the vote leases that a transfer disregards. So the
//! leader gives its lease up before TimeoutNow leaves, and for the rest of its term: TimeoutNow may
//! be late, and so may the requests for votes. From then on a read needs a round of messages
//! (`reads.rs`), which rests on terms alone. A request of a transfer is always of the term after
//! that of the leader that has given its lease up. No leader of an earlier term has a lease any
//! more, and a leader of a later term ignores the request.
//!
//! **Requests.** The leader sends TimeoutNow only when all its entries are committed and all its
//! reads are served. A driver that holds further requests back during a transfer
//! ([`Node::is_transferring`]) thus has no write whose outcome is unknown when the leadership
//! changes.
//!
//! **A transfer that fails.** The leader tells the follower again, or another one, some times in an
//! election time-out. Then it goes on leading. It may have lost no more than its lease.

use super::leader::Leader;
use super::message::Body;
use super::node::{Node, Role};
use super::progress::Progress;
use super::types::Command;
use crate::id::Id;
use crate::micros::Micros;

/// How often a leader tries in an election time-out: a message may be lost, and its follower may
/// die.
const ATTEMPTS: Micros = 4;

/// A transfer that a leader has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    after: Micros,    // an answer to a message with a later `sent_at` shows that its follower lives
    retry_at: Micros, // when the next attempt begins
    deadline: Micros, // when the leader gives the transfer up
    told: Option<Id>, // the follower that has got TimeoutNow
    is_told: bool,    // whether it has got TimeoutNow in this attempt
}

impl Transfer {
    /// The time of the transfer's next timer.
    pub(super) fn timer(&self) -> Micros {
        self.retry_at.min(self.deadline)
    }
}

impl Leader {
    /// Asks all followers for an answer. The next follower that answers and has the whole log gets
    /// TimeoutNow.
    fn begin_attempt(&mut self, now: Micros, election_timeout_us: Micros) {
        let after = self.send_times.latest();
        let Some(transfer) = &mut self.transfer else { return };
        transfer.after = after;
        transfer.retry_at = now + election_timeout_us / ATTEMPTS;
        transfer.is_told = false;
        self.followers.values_mut().for_each(Progress::schedule_heartbeat);
    }
}

impl<C: Command> Node<C> {
    /// Whether this leader hands its leadership over. The driver takes no requests meanwhile: it
    /// keeps them until another replica leads, or until the transfer has failed.
    pub fn is_transferring(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.transfer.is_some())
    }

    /// Begins to hand the leadership over. A replica that does not lead has nothing to hand over,
    /// and the only replica of a cluster leads on.
    pub(super) fn transfer_leadership(&mut self) {
        let (now, timeout_us) = (self.now, self.settings.election_timeout_us);
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.transfer.is_some() || leader.followers.is_empty() {
            return;
        }
        let deadline = now + timeout_us;
        leader.transfer = Some(Transfer { after: 0, retry_at: now, deadline, told: None, is_told: false });
        leader.begin_attempt(now, timeout_us);
    }

    /// Time went by for a leader that hands its leadership over.
    pub(super) fn tick_transfer(&mut self) {
        let (now, timeout_us) = (self.now, self.settings.election_timeout_us);
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.transfer.take_if(|transfer| transfer.deadline <= now).is_some() {
            return;
        }
        if leader.transfer.is_some_and(|transfer| transfer.retry_at <= now) {
            leader.begin_attempt(now, timeout_us);
        }
    }

    /// Brings the followers up to the end of the log, and tells one that has it all to stand for
    /// election.
    pub(super) fn pursue_transfer(&mut self) {
        let last_index = self.log.last_index();
        let is_idle = self.commit_index == last_index;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(transfer) = leader.transfer.as_mut() else { return };
        leader.followers.values_mut().for_each(|progress| progress.choose_up_to(last_index));
        if transfer.is_told || !is_idle || !leader.reads.is_empty() {
            return;
        }
        let is_ready = |progress: &Progress| {
            progress.match_index() == last_index && progress.acked_sent_at() > transfer.after
        };
        let ready = leader.followers.iter().filter(|(_, progress)| is_ready(progress)).map(|(id, _)| *id);
        // Two followers that stand at the same time would split the votes.
        let Some(to) = ready.min_by_key(|id| transfer.told != Some(*id)) else { return };
        (transfer.told, transfer.is_told) = (Some(to), true);
        leader.has_given_up_lease = true;
        self.send(to, Body::TimeoutNow);
    }

    /// The leader of this term hands its leadership over to this replica, which stands for election
    /// at once.
    pub(super) fn receive_timeout_now(&mut self, from: Id) {
        let is_of_leader = self.leader().is_none_or(|leader| leader == from);
        if is_of_leader && !self.is_leader() {
            self.stand(false, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Cluster, Input, SETTINGS, id, put};

    /// A cluster of three in which 1 leads term 1 with a lease, all have its no-op, and no message
    /// is in flight.
    fn led_by_1() -> Cluster {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        cluster.take_transcript();
        cluster
    }

    fn has_lease(cluster: &Cluster) -> bool {
        cluster.nodes[&id(1)].leased_until().is_some_and(|until| cluster.now < until)
    }

    fn told(cluster: &Cluster) -> Vec<Id> {
        let told = cluster.network.iter().filter(|envelope| envelope.message.body == Body::TimeoutNow);
        told.map(|envelope| envelope.to).collect()
    }

    #[test]
    fn leader_hands_over_within_its_vote_leases_and_answers_all_that_it_owes_before() {
        let mut cluster = led_by_1();
        let begun = cluster.now;
        cluster.step(id(1), [put("k", "v"), Input::TransferLeadership]);
        cluster.stabilize();
        assert_eq!((cluster.leader(), cluster.now), (Some(id(2)), begun));
        assert_eq!(cluster.nodes[&id(2)].hard_state().current_term, 2);
        let transcript = cluster.take_transcript();
        let at = |line: &str| transcript.find(line).unwrap_or_else(|| panic!("{line} in {transcript}"));
        assert!(at("1 applies 2@1") < at("TimeoutNow"), "{transcript}");
        assert!(!transcript.contains("PreVote"), "{transcript}");
    }

    #[test]
    fn leader_gives_its_lease_up_before_it_tells_a_follower_and_for_the_rest_of_its_term() {
        let mut cluster = led_by_1();
        cluster.step(id(1), [Input::TransferLeadership]);
        assert!(has_lease(&cluster), "no follower has been told");
        while told(&cluster).is_empty() {
            cluster.deliver(0);
        }
        assert!(!has_lease(&cluster));
        let is_late = |envelope: &crate::harness::Envelope| envelope.message.body == Body::TimeoutNow;
        let late = cluster.network.iter().find(|envelope| is_late(envelope)).cloned().expect("it is there");
        cluster.network.retain(|envelope| envelope.message.body != Body::TimeoutNow);
        cluster.blocked.extend([2, 3].map(|to| (id(1), id(to))));
        cluster.elapse(SETTINGS.election_timeout_us / 2, false);
        cluster.blocked.clear();
        cluster.elapse(SETTINGS.election_timeout_us / 2, false);
        cluster.network.retain(|envelope| envelope.message.body != Body::TimeoutNow);
        cluster.stabilize();
        assert!(cluster.nodes[&id(1)].is_leader() && !cluster.nodes[&id(1)].is_transferring());
        assert!(!has_lease(&cluster), "a follower may still be told");
        cluster.step(id(1), [put("k", "v"), Input::Read(7)]);
        cluster.stabilize();
        let transcript = cluster.take_transcript();
        assert!(
            transcript.contains("1 applies 2@1") && transcript.contains("1 serves read 7"),
            "{transcript}"
        );
        cluster.network.push_back(late);
        cluster.stabilize();
        assert_eq!(cluster.leader(), Some(id(2)));
    }

    #[test]
    fn follower_that_lacks_an_entry_or_has_not_answered_is_not_told() {
        let mut cluster = led_by_1();
        cluster.blocked.extend([(id(1), id(2)), (id(3), id(1))]);
        cluster.step(id(1), [put("k", "v"), Input::TransferLeadership]);
        cluster.elapse(SETTINGS.election_timeout_us - 1, true);
        assert!(cluster.nodes[&id(1)].is_transferring());
        assert_eq!(cluster.nodes[&id(1)].hard_state().current_term, 1);
        assert!(!cluster.take_transcript().contains("TimeoutNow"));
    }

    #[test]
    fn leader_that_can_not_hand_over_leads_on_after_an_election_time_out() {
        let mut cluster = led_by_1();
        cluster.step(id(1), [Input::TransferLeadership]);
        cluster.network.clear();
        cluster.blocked.extend([2, 3].map(|from| (id(from), id(1))));
        let begun = cluster.now;
        cluster.elapse(SETTINGS.election_timeout_us - 1, true);
        assert!(cluster.nodes[&id(1)].is_transferring());
        while cluster.nodes[&id(1)].is_transferring() {
            cluster.timeout(id(1));
        }
        assert_eq!(cluster.now, begun + SETTINGS.election_timeout_us);
    }

    #[test]
    fn timeout_now_counts_only_in_its_term_and_from_the_leader() {
        let stands = |from: u16, term| {
            let mut cluster = led_by_1();
            cluster.node(id(2)).hard_state.current_term = 5;
            let message = crate::harness::Message { term, body: Body::TimeoutNow };
            cluster.step(id(2), [Input::Receive { from: id(from), message }]);
            cluster.nodes[&id(2)].hard_state().current_term > term.max(5)
        };
        assert!(!stands(1, 4), "an earlier term");
        assert!(!stands(3, 5), "3 does not lead");
        assert!(stands(1, 5));
        assert!(stands(3, 6), "a later term, whose leader it has not heard");
    }

    #[test]
    fn vote_lease_yields_to_the_request_of_a_transfer_alone() {
        let granted = |transfer| {
            let mut cluster = led_by_1();
            let request = crate::message::RequestVote {
                pre_vote: false,
                transfer,
                campaign: 1,
                last_log_index: 1,
                last_log_term: 1,
            };
            let message = crate::harness::Message { term: 2, body: Body::RequestVote(request) };
            cluster.step(id(3), [Input::Receive { from: id(2), message }]);
            cluster.nodes[&id(3)].hard_state().voted_for == Some(id(2))
        };
        assert!(granted(true));
        assert!(!granted(false));
    }

    #[test]
    fn only_replica_of_a_cluster_leads_on() {
        let mut cluster = Cluster::new(1, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.step(id(1), [Input::TransferLeadership]);
        assert!(cluster.nodes[&id(1)].is_leader() && !cluster.nodes[&id(1)].is_transferring());
    }
}
