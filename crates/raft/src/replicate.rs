//! How a leader replicates entries: it chooses followers for them, sends appends, and takes their
//! answers (paper, 5.3).
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

use super::action::Action;
use super::fanout::MIN_QUORUM_PROBABILITY;
use super::leader::Leader;
use super::message::{AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message};
use super::node::{Node, Role};
use super::progress::Progress;
use super::types::{Command, Index};
use crate::id::Id;

impl Leader {
    /// These followers are to get the log up to `last_index`.
    fn choose_all_up_to(&mut self, chosen: &[Id], last_index: Index) {
        for id in chosen {
            if let Some(progress) = self.followers.get_mut(id) {
                progress.choose_up_to(last_index);
            }
        }
    }
}

impl<C: Command> Node<C> {
    /// Chooses followers for entries that the leader has asked too few followers to store.
    pub(super) fn ask_for_entries(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let several = leader.take_proposed() > 1;
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
        leader.choose_all_up_to(&chosen, last_index);
        if several {
            let mut reserve = leader.choose(wanted + 1, 0.0, asked);
            reserve.retain(|id| leader.followers.get(id).is_some_and(|progress| !progress.is_last_resort()));
            leader.choose_all_up_to(&reserve, last_index);
        }
        if relays {
            self.relay(&chosen);
        }
    }

    /// Sends each follower what it [wants](Progress::wants_append).
    pub(super) fn send_appends(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let base = self.log.base().index;
        for (&to, progress) in &mut leader.followers {
            while progress.wants_append(self.settings.max_in_flight) {
                progress.probe_after(base);
                let (from, target_index) = (progress.next_index(), progress.sendable_up_to());
                let Ok(prev_log_term) = self.log.term_at(from - 1) else { break };
                let sent_at = leader.send_times.next(self.now);
                let append = AppendEntries {
                    prev_log_index: from - 1,
                    prev_log_term,
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

    /// A follower answered in this leader's own term. The drain draws the conclusions.
    pub(super) fn receive_append_entries_response(&mut self, from: Id, response: AppendEntriesResponse) {
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.send_times.contains(response.sent_at) {
            return; // this leader sent no such message in its term
        }
        let Some(progress) = leader.followers.get_mut(&from) else { return };
        match response.outcome {
            AppendOutcome::Matched { match_index } if match_index <= self.log.last_index() => {
                progress.matched(match_index);
                if match_index >= self.log.base().index {
                    progress.end_transfer();
                }
            }
            AppendOutcome::Matched { .. } => return, // claims an entry that this log never had
            AppendOutcome::Conflict { .. } if !progress.is_news(response.sent_at) => return,
            AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
                // Our last entry of the follower's term, if we have that term, else before all of
                // that term: a term, not an entry, per round trip (paper, end of 5.3).
                let ours = self.log.last_index_of_term(conflict_term);
                progress.conflicted(prev_log_index, ours.map_or(conflict_index, |index| index + 1));
                if progress.next_index() <= self.log.base().index {
                    progress.need_snapshot();
                }
            }
            AppendOutcome::Receiving { snapshot, chunks } => {
                progress.received_chunks(snapshot, response.sent_at, chunks);
            }
        }
        let followed_by = progress.followed_by(response.sent_at);
        let was_silent = !progress.is_responsive();
        progress.resume_if_late(response.sent_at, self.now, self.settings.heartbeat_interval_us);
        progress.heard(response.sent_at, self.now);
        if was_silent && matches!(response.outcome, AppendOutcome::Matched { .. }) {
            progress.withdraw(); // the drain chooses it anew if an entry needs it
        }
        if let (AppendOutcome::Conflict { .. }, Some(followed_by)) = (response.outcome, followed_by) {
            leader.cancel_relay(response.sent_at, followed_by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Cluster, Input, SETTINGS, id, put};
    use crate::micros::Micros;
    use crate::settings::Settings;

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
