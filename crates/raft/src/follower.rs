//! A follower follows the log of the leader that it hears (paper, 5.3), and asks for votes when it
//! hears none (5.2).

use super::action::Action;
use super::log::Absent;
use super::message::{AppendEntries, AppendEntriesResponse, AppendOutcome, Body};
use super::node::{Node, Role};
use super::settings::Settings;
use super::suspicion::{ANSWERS_PER_TIMEOUT, Suspicion};
use super::types::{Command, Term};
use crate::id::Id;
use crate::micros::Micros;

/// A follower's own state.
#[derive(Debug)]
pub struct Follower {
    pub(super) leader: Option<Id>,
    pub(super) election_deadline: Micros,
    pub(super) suspicion: Option<Suspicion>, // probes of a leader that may be dead; None if there is no leader
}

impl Follower {
    /// The time of the follower's next timer.
    pub(super) fn deadline(&self) -> Micros {
        self.suspicion
            .map_or(self.election_deadline, |suspicion| suspicion.deadline.min(self.election_deadline))
    }
}

impl<C: Command> Node<C> {
    /// Follows `leader` in `term`, which is the current one or a later one; with `None` it knows no
    /// leader yet. A replica that led drops its pending requests. A follower keeps its election
    /// deadline if that is the earlier one.
    pub(super) fn become_follower(&mut self, term: Term, leader: Option<Id>) {
        if term > self.hard_state.current_term {
            self.hard_state.current_term = term;
            self.hard_state.voted_for = None;
        }
        if self.is_leader() {
            self.actions.push(Action::DropPending);
        }
        let before = match &self.role {
            Role::Follower(follower) => follower.election_deadline,
            Role::Candidate(_) | Role::Leader(_) => Micros::MAX,
        };
        self.role = Role::Follower(Follower { leader, election_deadline: before, suspicion: None });
        self.postpone_election();
        let Role::Follower(follower) = &mut self.role else { return };
        follower.election_deadline = follower.election_deadline.min(before);
    }

    /// A follower that has heard no leader until its election deadline asks for pre-votes. If it
    /// knows a leader and probes leaders that may be dead, it probes that leader first.
    pub(super) fn tick_follower(&mut self) {
        let probes = self.settings.tuning.detection.probes();
        let Role::Follower(follower) = &mut self.role else { return };
        if self.now >= follower.election_deadline && follower.leader.is_some() && probes {
            follower.election_deadline = Micros::MAX; // the probe ends in an election or in an answer of the leader
            self.begin_suspicion(true, self.now);
        } else if self.now >= follower.election_deadline {
            self.campaign(true);
        } else if self.now >= follower.deadline() {
            self.probe_leader();
        }
    }

    /// Gives a leader, or a candidate with this replica's vote, a whole time-out.
    pub(super) fn postpone_election(&mut self) {
        let Settings { election_timeout_us, idle_election_timeout_us, .. } = self.settings;
        let deadline = match idle_election_timeout_us.checked_sub(election_timeout_us) {
            _ if self.leader().is_none() => self.draw_deadline(election_timeout_us),
            Some(extra_us) => self.draw_deadline(election_timeout_us) + extra_us,
            // The probes end no later than the vote lease.
            None => {
                let jitter_us = self.rng.u64(0..=election_timeout_us / ANSWERS_PER_TIMEOUT);
                self.now + idle_election_timeout_us + jitter_us
            }
        };
        match &mut self.role {
            Role::Follower(follower) => follower.election_deadline = deadline,
            Role::Candidate(candidate) => candidate.postpone(deadline),
            Role::Leader(_) => {}
        }
    }

    /// The leader of the current term sends entries or a heartbeat (paper, figure 2).
    pub(super) fn receive_append_entries(&mut self, from: Id, append: AppendEntries<C>) {
        let sent_at = append.sent_at;
        if let Some(outcome) = self.follow(from, append) {
            self.send(from, Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome }));
        }
    }

    /// Follows `leader` and stores its entries; the message may have come from another follower
    /// (`relay.rs`). Returns the answer that is due, if any.
    pub(super) fn follow(&mut self, leader: Id, append: AppendEntries<C>) -> Option<AppendOutcome> {
        if self.follow_leader(leader) { self.store(append) } else { None }
    }

    /// Follows the leader of the current term, which has just sent a message. False for a replica
    /// that does not lead this term.
    pub(super) fn follow_leader(&mut self, leader: Id) -> bool {
        if self.leader().is_some_and(|known| known != leader) {
            return false; // election safety: a term has one leader, so this is not one
        }
        self.last_leader_contact = Some(self.now);
        self.failed_campaigns = 0;
        self.has_yielded = false;
        self.deferred_pre_votes.clear();
        self.become_follower(self.hard_state.current_term, Some(leader));
        self.postpone_election();
        true
    }

    /// Stores the entries of an append if they fit the log. Returns the answer, or `None` for a
    /// message that no leader can have sent.
    ///
    /// A follower refuses an append whose previous entry it lacks, with a hint for the leader
    /// (paper, 5.3). Here the leader of term 4 sends entry 5 to a follower that has entries of an
    /// earlier leader:
    ///
    /// ```text
    /// index             1  2  3  4  5
    /// leader            1  1  3  3  4   sends prev=4@3 [5@4]
    /// follower before   1  1  2  2  2   answers Conflict, at=4 hint=3@2: term 2 begins at 3 here
    /// leader            1  1  3  3  4   has no entry of term 2, sends prev=2@1 [3@3 4@3 5@4]
    /// follower after    1  1  3  3  4   cuts 3, 4 and 5 off, stores the leader's, answers Matched 5
    /// ```
    ///
    /// [`Log::conflict_hint`](super::log::Log::conflict_hint) computes the hint.
    fn store(&mut self, append: AppendEntries<C>) -> Option<AppendOutcome> {
        let AppendEntries { prev_log_index, prev_log_term, leader_commit, .. } = append;
        // A compacted entry is committed, so the leader has the same (leader completeness; 5.4.3).
        let fits = [Ok(prev_log_term), Err(Absent::Compacted)];
        if !fits.contains(&self.log.term_at(prev_log_index)) {
            let hint = self.log.conflict_hint(prev_log_index);
            return Some(AppendOutcome::Conflict {
                prev_log_index,
                conflict_term: hint.term,
                conflict_index: hint.index,
            });
        }
        let shown = append.last_index();
        if !self.log.store(append.entries, self.known_committed) {
            return None; // leader completeness (5.4.3): no leader contradicts what is committed
        }
        // Not beyond this message's last entry: an entry behind it may differ from the leader's.
        self.commit_to(leader_commit.min(shown));
        Some(AppendOutcome::Matched { match_index: shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, SETTINGS, id};
    use crate::message::Message;
    use crate::tuning::{Detection, Tuning};
    use crate::types::{Entry, Index, Payload};

    /// The answer of a follower with entries of terms 1, 1, 2, 2 to the leader of term 3, and its
    /// commit index after that.
    fn answer(prev: (Index, Term), terms: &[Term], leader_commit: Index) -> (Option<AppendOutcome>, Index) {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.preset(id(2), &[1, 1, 2, 2], None);
        let entry = |(i, &term): (usize, &Term)| Entry {
            index: prev.0 + 1 + i as Index,
            term,
            payload: Payload::Noop,
        };
        let append = AppendEntries {
            prev_log_index: prev.0,
            prev_log_term: prev.1,
            leader_commit,
            sent_at: 7,
            entries: terms.iter().enumerate().map(entry).collect(),
        };
        let message = Message { term: 3, body: Body::AppendEntries(append) };
        cluster.step(id(2), [Input::Receive { from: id(1), message }]);
        let outcome = match cluster.network.front().map(|envelope| &envelope.message.body) {
            Some(Body::AppendEntriesResponse(response)) => Some(response.outcome),
            _ => None,
        };
        (outcome, cluster.nodes[&id(2)].commit_index())
    }

    #[test]
    fn follower_acknowledges_and_commits_nothing_beyond_the_entries_of_an_append() {
        let matched = |match_index| Some(AppendOutcome::Matched { match_index });
        assert_eq!(answer((2, 1), &[], 4), (matched(2), 2));
        assert_eq!(answer((1, 1), &[1], 9), (matched(2), 2));
        assert_eq!(answer((2, 1), &[3], 9), (matched(3), 3));
        assert_eq!(answer((4, 2), &[], 1), (matched(4), 1));
    }

    #[test]
    fn follower_refuses_an_append_that_does_not_follow_its_log() {
        let conflict = |prev_log_index, conflict_term, conflict_index| {
            Some(AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index })
        };
        assert_eq!(answer((4, 3), &[3], 4), (conflict(4, 2, 3), 0));
        assert_eq!(answer((9, 3), &[3], 9), (conflict(9, 0, 5), 0));
    }

    #[test]
    fn heartbeats_and_probes_find_a_dead_leader_when_the_vote_leases_end() {
        let timeout_us = SETTINGS.election_timeout_us;
        let settings = crate::harness::Settings {
            idle_election_timeout_us: timeout_us / 3 * 2,
            heartbeat_interval_us: timeout_us / 3,
            tuning: Tuning { detection: Detection::Combined, ..SETTINGS.tuning },
            ..SETTINGS
        };
        for seed in 0..20 {
            let mut cluster = Cluster::new(3, seed, settings);
            cluster.elapse(5 * timeout_us, true);
            let leader = cluster.leader().expect("it is elected");
            let others = cluster.nodes.keys().filter(|other| **other != leader);
            cluster.blocked = others.flat_map(|&other| [(leader, other), (other, leader)]).collect();
            let dead_at = cluster.now;
            while cluster.leader() == Some(leader) {
                cluster.elapse(timeout_us / 100, true);
                assert!(cluster.now <= dead_at + timeout_us * 11 / 10, "{seed}");
            }
        }
    }

    #[test]
    fn follower_keeps_its_vote_when_it_follows_the_leader_that_it_voted_for() {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        for number in 1..=3 {
            assert_eq!(cluster.nodes[&id(number)].hard_state().voted_for, Some(id(1)));
        }
    }
}
