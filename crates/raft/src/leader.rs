//! The work that only a leader does: it replicates and commits entries (paper, 5.3 and 5.4.2). It
//! also serves reads (`reads.rs`), and notices that it has lost its quorum (`check_quorum.rs`).
//!
//! Between two drains a leader only notes its inputs. The drain then moves the commit index, serves
//! reads and sends, so that all requests that waited become one AppendEntries.
//!
//! **The choice of followers.** A new entry goes to just enough followers for a quorum, those that
//! the leader has sent nothing for longest; the next entry goes to others. Under steady load each
//! follower hears the leader often and needs no heartbeat. A follower gets all entries that it
//! lacks when its turn comes. A follower that does not answer in time no longer counts as asked, so
//! another takes its place. Where many answers are lost, the leader asks more followers at once.
//!
//! **A batch of several puts goes to one follower more.** It needs fewer messages per put than a
//! lone put does, and one late follower then delays none of its puts. For the same reason an
//! adaptive leader sends such a batch as a star where it would relay a lone put.

use std::collections::{BTreeMap, VecDeque};

use super::action::Action;
use super::fanout::MIN_QUORUM_PROBABILITY;
use super::message::{AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message};
use super::node::{Node, Role};
use super::own_disk::OwnDisk;
use super::progress::Progress;
use super::reads::PendingRead;
use super::types::{Command, Index, Payload};
use crate::id::Id;
use crate::micros::Micros;

/// A leader's own state (paper, figure 2: volatile state on leaders).
#[derive(Debug)]
pub struct Leader {
    pub(super) followers: BTreeMap<Id, Progress>,
    pub(super) reads: VecDeque<PendingRead>,
    pub(super) elected_at: Micros, // every `sent_at` of this leader is later
    pub(super) last_stamp: Micros, // `sent_at` of the latest message; strictly increases
    pub(super) own_disk: OwnDisk,
    pub(super) proposed: usize, // how many writes came since the latest drain
}

impl Leader {
    /// Whether this leader has sent a message with this `sent_at`. An answer repeats the time of an
    /// append only in that append's term, and a replica leads a term in one life at most: its vote
    /// for itself is on its disk, so after a restart it stands only in later terms. Therefore a
    /// leader never confuses equal times of two lives, although each life's clock may begin at 0.
    pub(super) fn has_sent(&self, sent_at: Micros) -> bool {
        (self.elected_at + 1..=self.last_stamp).contains(&sent_at)
    }

    /// The relay that was sent at `sent_at` goes no further: the hops that fewer than `followed_by`
    /// hops come after do not get it.
    pub(super) fn cancel_relay(&mut self, sent_at: Micros, followed_by: usize) {
        for progress in self.followers.values_mut() {
            if progress.followed_by(sent_at).is_some_and(|others| others < followed_by) {
                progress.cancel_relay(sent_at);
            }
        }
    }

    /// These followers are to get the log up to `last_index`.
    fn set_goals(&mut self, chosen: &[Id], last_index: Index) {
        for id in chosen {
            if let Some(progress) = self.followers.get_mut(id) {
                progress.choose_up_to(last_index);
            }
        }
    }

    /// The invariants of its view of each follower, for a log that ends at `last_index`.
    pub(super) fn check(&self, last_index: Index) -> Result<(), String> {
        if self.last_stamp < self.elected_at {
            return Err(format!("a message sent at {} before the election", self.last_stamp));
        }
        let check = |(id, progress): (&Id, &Progress)| {
            progress.check(last_index, self.last_stamp).map_err(|violation| format!("{id}: {violation}"))
        };
        self.followers.iter().try_for_each(check)
    }

    /// The share of the latest messages that responsive followers have answered, 0 to 1.
    pub(super) fn answer_rate(&self) -> f64 {
        let responsive = || self.followers.values().filter(|progress| progress.is_responsive());
        responsive().map(Progress::answer_rate).sum::<f64>() / responsive().count().max(1) as f64
    }
}

impl<C: Command> Node<C> {
    /// A candidate has won (paper, 5.2). The no-op announces it to all followers at once and
    /// commits the entries that earlier terms left behind.
    pub(super) fn become_leader(&mut self) {
        let last_index = self.log.last_index();
        let followers = self.followers().map(|id| (id, Progress::new(last_index))).collect();
        self.deferred_pre_votes.clear(); // all voters hear of this leader at once
        self.role = Role::Leader(Leader {
            followers,
            reads: VecDeque::new(),
            elected_at: self.now,
            last_stamp: self.now,
            own_disk: OwnDisk::default(),
            proposed: 0,
        });
        self.log.append(self.hard_state.current_term, Payload::Noop);
    }

    /// A client's write becomes an entry; the drain replicates it.
    pub(super) fn propose(&mut self, command: C) {
        if let Role::Leader(leader) = &mut self.role {
            leader.proposed += 1;
            self.log.append(self.hard_state.current_term, Payload::Command(command));
        } else {
            self.actions.push(Action::DropPending);
        }
    }

    /// A follower answered in this leader's own term. The drain draws the conclusions.
    pub(super) fn receive_append_entries_response(&mut self, from: Id, response: AppendEntriesResponse) {
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.has_sent(response.sent_at) {
            return; // this leader sent no such message in its term
        }
        let Some(progress) = leader.followers.get_mut(&from) else { return };
        match response.outcome {
            AppendOutcome::Matched { match_index } if match_index <= self.log.last_index() => {
                progress.matched(match_index);
            }
            AppendOutcome::Matched { .. } => return, // claims an entry that this log never had
            AppendOutcome::Conflict { .. } if !progress.is_news(response.sent_at) => return,
            AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
                // Our last entry of the follower's term, if we have that term, else before all of
                // that term: a term, not an entry, per round trip (paper, end of 5.3).
                let ours = self.log.last_index_of_term(conflict_term);
                progress.conflicted(prev_log_index, ours.map_or(conflict_index, |index| index + 1));
            }
        }
        let followed_by = progress.followed_by(response.sent_at);
        let was_silent = !progress.is_responsive();
        progress.heard(response.sent_at, self.now);
        if was_silent && matches!(response.outcome, AppendOutcome::Matched { .. }) {
            progress.withdraw(); // the drain chooses it anew if an entry needs it
        }
        if let (AppendOutcome::Conflict { .. }, Some(followed_by)) = (response.outcome, followed_by) {
            leader.cancel_relay(response.sent_at, followed_by);
        }
    }

    /// Time went by for a leader.
    pub(super) fn tick_leader(&mut self) {
        if self.now >= self.quorum_deadline() {
            // Check-quorum (dissertation, 6.2): another replica may lead by now.
            self.missed = Some(self.id);
            self.become_follower(self.hard_state.current_term, None);
            return;
        }
        self.give_up_relays();
        self.probe_silent_followers();
        let Role::Leader(leader) = &mut self.role else { return };
        let last_index = self.log.last_index();
        let heartbeat_us = self.settings.heartbeat_interval_us;
        for progress in leader.followers.values_mut() {
            if progress.is_overdue(self.now, heartbeat_us) {
                progress.expire();
            }
            progress.heartbeat_if_idle(self.now, heartbeat_us, last_index);
        }
    }

    /// When the leader has something to do if nothing arrives.
    pub(super) fn leader_deadline(&self, leader: &Leader) -> Micros {
        let heartbeat_us = self.settings.heartbeat_interval_us;
        let follower_deadline = |progress: &Progress| {
            let heartbeat = progress.last_sent_at() + heartbeat_us;
            progress.retransmit_deadline(heartbeat_us).map_or(heartbeat, |deadline| deadline.min(heartbeat))
        };
        let others = self.reprobe_deadline().min(leader.own_disk_deadline().unwrap_or(Micros::MAX));
        leader.followers.values().map(follower_deadline).fold(others, Micros::min)
    }

    /// The largest value that a quorum has reached, this leader with `own`.
    pub(super) fn reached_by_quorum(&self, own: u64, of_follower: impl Fn(&Progress) -> u64) -> u64 {
        let Role::Leader(leader) = &self.role else { return 0 };
        self.configuration.reached_by_quorum(|id| leader.followers.get(&id).map_or(own, &of_follower))
    }

    fn schedule_heartbeats(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.followers.values_mut().for_each(Progress::schedule_heartbeat);
    }

    /// Ends a batch for a leader.
    pub(super) fn drain_leader(&mut self) {
        let committed = self.commit_index;
        self.advance_commit_index();
        if self.settings.tuning.commit_notices && self.commit_index > committed {
            self.schedule_heartbeats();
        }
        self.serve_reads();
        self.catch_up_followers();
        self.ask_for_entries();
        self.ask_for_reads();
        self.send_appends();
    }

    /// Counts replicas for entries of the own term only; these commit the earlier entries with them
    /// (paper, 5.4.2 and figure 8). The leader counts itself once its own disk has the entry; the
    /// followers' disks may well be faster (dissertation, 10.2.1).
    fn advance_commit_index(&mut self) {
        let index = self.reached_by_quorum(self.log.durable_index(), Progress::match_index);
        if self.is_of_current_term(index) {
            self.commit_to(index);
        }
    }

    pub(super) fn is_of_current_term(&self, index: Index) -> bool {
        self.log.term_at(index) == Some(self.hard_state.current_term)
    }

    /// Chooses followers for entries that the leader has asked too few followers to store.
    fn ask_for_entries(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let several = std::mem::take(&mut leader.proposed) > 1;
        let wanted = self.wanted_followers();
        let last_index = self.log.last_index();
        if self.commit_index == last_index {
            return;
        }
        let relays = self.relays(several);
        // A relay asks exactly enough; more would only be a second one.
        let likely = if relays { 0.0 } else { MIN_QUORUM_PROBABILITY };
        let Role::Leader(leader) = &mut self.role else { return };
        if !self.settings.tuning.thrifty {
            leader.followers.values_mut().for_each(|progress| progress.choose_up_to(last_index));
            return;
        }
        let asked = |progress: &Progress| match progress {
            _ if progress.match_index() >= last_index => Some(1.0),
            _ if progress.is_far_behind() => None,
            _ if progress.is_responsive() && progress.target_index() >= last_index => {
                Some(progress.answer_rate())
            }
            _ => None,
        };
        let chosen = leader.choose(wanted, likely, asked);
        leader.set_goals(&chosen, last_index);
        if several {
            let mut reserve = leader.choose(wanted + 1, 0.0, asked);
            reserve.retain(|id| leader.followers.get(id).is_some_and(|progress| !progress.is_last_resort()));
            leader.set_goals(&reserve, last_index);
        }
        if relays {
            self.relay(&chosen);
        }
    }

    fn send_appends(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        for (&to, progress) in &mut leader.followers {
            while progress.wants_message(self.settings.max_in_flight) {
                let sent_at = next_sent_at(&mut leader.last_stamp, self.now);
                let (from, target_index) = (progress.next_index(), progress.sendable_up_to());
                let append = AppendEntries {
                    prev_log_index: from - 1,
                    prev_log_term: self.log.term_at(from - 1).unwrap_or(0),
                    leader_commit: self.commit_index,
                    sent_at,
                    entries: self.settings.entries_for_message(&self.log, from, target_index),
                };
                if append.last_index() < target_index {
                    progress.filled_append(append.entries.len());
                }
                progress.sent(append.last_index(), sent_at);
                let message =
                    Message { term: self.hard_state.current_term, body: Body::AppendEntries(append) };
                self.actions.push(Action::Send { to, message });
            }
        }
    }
}

/// A `sent_at` that no message had before. It may run ahead of the clock by a microsecond for each
/// message of one drain, which the margin of the lease covers many times over.
pub(super) fn next_sent_at(last_stamp: &mut Micros, now: Micros) -> Micros {
    *last_stamp = now.max(*last_stamp + 1);
    *last_stamp
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Cluster, Input, SETTINGS, id, put};
    use crate::node::Settings;

    /// Of five, 1 leads and asks two followers; one answers, then the leader takes both for silent.
    /// Returns how many others it asks instead.
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
    fn answer_counts_even_if_its_follower_fell_silent_afterwards() {
        assert_eq!(asks_instead(SETTINGS.lease_us, put("k", "v")), 1);
        assert_eq!(asks_instead(0, Input::Read(7)), 1);
    }

    /// How many messages a leader of five sends for these puts while so many of its followers are
    /// silent.
    fn messages(puts: &[&str], silent: usize) -> usize {
        let mut cluster = Cluster::new(5, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        let Role::Leader(leader) = &mut cluster.node(id(1)).role else { panic!("1 leads") };
        for progress in leader.followers.values_mut().take(silent) {
            while progress.is_responsive() {
                progress.expire();
            }
        }
        cluster.step(id(1), puts.iter().map(|key| put(key, "v")));
        cluster.network.len()
    }

    #[test]
    fn batch_of_several_puts_goes_to_one_follower_more_if_one_more_answers() {
        assert_eq!(messages(&["k"], 0), 2);
        assert_eq!(messages(&["k", "l"], 0), 3);
        assert_eq!(messages(&["k", "l", "m", "n"], 0), 3);
        assert_eq!(messages(&["k", "l"], 1), 3);
        assert_eq!(messages(&["k", "l"], 2), 2, "the silent cost a message and bring no answer");
    }

    /// The commit index of a new leader of three after an answer to a message of `elected_at +
    /// offset`. Its no-op has index 1, and it has sent it at `elected_at + 1` and at `elected_at +
    /// 2`.
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
    fn leader_counts_only_answers_to_messages_of_its_term() {
        assert_eq!(committed_after(1, 1), 1);
        assert_eq!(committed_after(0, 1), 0, "sent before the election was won");
        assert_eq!(committed_after(-1_000, 1), 0, "sent before the election was won");
        assert_eq!(committed_after(3, 1), 0, "never sent");
        assert_eq!(committed_after(1, 2), 0, "more than the leader has");
    }
}
