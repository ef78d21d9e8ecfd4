//! The relay: leader, follower, follower, leader. A quorum of five costs three messages instead of four, in three
//! one-way trips instead of two; in general one message for each replica of the quorum.
//!
//! The leader sends to the first of those whom it would have asked anyway, with the list of the others. Each
//! stores, adds itself to those who have acknowledged, and sends on; the last one answers for all. One whose
//! log does not match sends nothing on and tells the leader, and what the others have acknowledged. What is not
//! answered in time goes another way, through others.
//!
//! **When.** One more one-way trip is a quarter of a client's wait on a network that loses nothing, so there the
//! star is better for all but the bill. Where messages get lost, the relay is cheaper still, since each commit rests on
//! three messages instead of four, and for the same reason it waits less often for a retransmission. A leader that
//! adapts relays while its followers answer less than [`RELAY_BELOW`] of what they are sent, if the way is short
//! (`docs/performance.md` has the table).
//!
//! **Why an acknowledgement counts that another follower brings.** Replicas do not lie, so a follower
//! is among those who have acknowledged only if it has put itself there, and it lets the message go only after its
//! own disk has what it acknowledges, as any other acknowledgement ([`Node::send_in`]). What it says is complete: its
//! name, the leader's term, the index up to which the logs are equal, and the leader's `sent_at`. None of that depends
//! on how long it travels, or through whom: within a term the leader's log only grows, so a follower's log that was
//! equal up to an index stays so for the whole term, on its disk too; repeated, late and reordered messages claim
//! nothing that was not true. In a later term nobody passes it on and no leader takes it, by the term rule
//! and by `sent_at`. The promise behind the lease, to vote for nobody for a while, begins at each follower when
//! the append arrives there, which is after `sent_at`, so a lease that is counted from `sent_at` ends before it.

use std::collections::BTreeSet;

use super::action::Action;
use super::leader::stamp;
use super::message::{
    AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message, RelayEntries, RelayEntriesResponse,
};
use super::node::{Node, Role};
use super::progress::Progress;
use super::types::{Index, Micros};
use crate::id::Id;
use crate::levers::Topology;
use crate::planted::Bug;

/// A leader that adapts relays through no more followers than this. A relay is all or nothing: through four of them at
/// 30 % loss, one in six gets through, which costs more messages and much more time than the star does.
const LONGEST_WAY: usize = 2;

/// Less than this share of answers means that the network loses messages: about one in sixty, there or back.
const RELAY_BELOW: f64 = 0.97;

impl Node {
    /// Sends what is new through these followers, who were just chosen for it. Nothing is sent if it
    /// can't go this way; then each is still to get an append of its own.
    pub(super) fn relay(&mut self, way: &[Id]) {
        let last_index = self.log.last_index();
        while let Some(next_index) = self.relay_from(way).filter(|next_index| *next_index <= last_index) {
            self.send_relay(way, next_index);
        }
    }

    /// Whether entries go from follower to follower now, where they can.
    pub(super) fn relays(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let levers = self.settings.levers;
        let wanted = match levers.topology {
            Topology::Star => false,
            Topology::Relay => true,
            Topology::Adaptive => {
                self.configuration.quorum() <= LONGEST_WAY + 1 && leader.answer_rate() < RELAY_BELOW
            }
        };
        wanted && levers.thrifty
    }

    /// The first entry that one of these followers lacks, if what they lack may go through all of them.
    fn relay_from(&self, way: &[Id]) -> Option<Index> {
        let Role::Leader(leader) = &self.role else { return None };
        let exactly_enough = way.len() + 1 == self.configuration.quorum();
        let saves_messages = way.len() > 1;
        if !(exactly_enough && saves_messages) {
            return None;
        }
        let followers = || way.iter().filter_map(|id| leader.followers.get(id));
        let all_may = followers().all(|progress| progress.may_relay(self.settings.max_in_flight));
        followers().map(|progress| progress.next_index).min().filter(|_| all_may)
    }

    fn send_relay(&mut self, way: &[Id], next_index: Index) {
        let term = self.hard_state.current_term;
        let (Role::Leader(leader), Some((&first, rest))) = (&mut self.role, way.split_first()) else {
            return;
        };
        let prev_log_index = next_index - 1;
        let sent_at = stamp(&mut leader.last_stamp, self.now);
        let append = AppendEntries {
            prev_log_index,
            prev_log_term: self.log.term_at(prev_log_index).unwrap_or(0),
            leader_commit: self.commit_index,
            sent_at,
            entries: self.log.slice(
                next_index,
                self.log.last_index(),
                self.settings.max_append_bytes,
                self.settings.entry_len,
            ),
        };
        for id in way {
            if let Some(progress) = leader.followers.get_mut(id) {
                progress.sent_on_relay(append.last_index(), sent_at);
            }
        }
        let (way, acknowledged) = (rest.to_vec(), Vec::new());
        let body = Body::RelayEntries(RelayEntries { leader: self.id, way, acknowledged, append });
        self.actions.push(Action::Send { to: first, message: Message { term, body } });
    }

    /// The leader of the current term sends entries, perhaps through others.
    pub(super) fn receive_relay_entries(&mut self, relay: RelayEntries) {
        let sent_at = relay.append.sent_at;
        match self.follow(relay.leader, relay.append.clone()) {
            Some(AppendOutcome::Matched { .. }) => self.pass_on(relay),
            Some(outcome) => {
                let leader = relay.leader;
                self.send(leader, Body::AppendEntriesResponse(AppendEntriesResponse { sent_at, outcome }));
                self.answer_relay(relay);
            }
            None => {}
        }
    }

    /// To the next on the way, or back to the leader if there is none.
    fn pass_on(&mut self, mut relay: RelayEntries) {
        relay.acknowledged.push(self.id);
        if self.planted(Bug::AcknowledgesForTheWay) {
            relay.acknowledged.append(&mut relay.way);
        }
        if relay.way.is_empty() {
            return self.answer_relay(relay);
        }
        let next = relay.way.remove(0);
        let body = Body::RelayEntries(relay);
        if self.planted(Bug::PassesOnBeforeFsync) {
            let message = Message { term: self.hard_state.current_term, body };
            self.actions.push(Action::Send { to: next, message });
        } else {
            self.send(next, body);
        }
    }

    /// Tells the leader who has acknowledged so far, if anybody has.
    fn answer_relay(&mut self, relay: RelayEntries) {
        let RelayEntries { leader, acknowledged, append, .. } = relay;
        if !acknowledged.is_empty() {
            let (sent_at, match_index) = (append.sent_at, append.last_index());
            let response = RelayEntriesResponse { sent_at, match_index, acknowledged };
            self.send(leader, Body::RelayEntriesResponse(response));
        }
    }

    /// Followers answered in this leader's own term, through one of them. The drain draws the conclusions.
    pub(super) fn receive_relay_entries_response(&mut self, response: &RelayEntriesResponse) {
        let &RelayEntriesResponse { sent_at, match_index, ref acknowledged } = response;
        let last_index = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.has_sent(sent_at) || match_index > last_index {
            return; // an answer to what was sent in an earlier term, or never
        }
        for id in acknowledged {
            if let Some(progress) = leader.followers.get_mut(id) {
                progress.matched(match_index);
                progress.heard_on_relay(sent_at, self.now);
            }
        }
    }

    /// A relay that is late for one is late for all on its way: whoever lost it, none of them will answer.
    pub(super) fn give_up_relays(&mut self) {
        let (now, heartbeat_us) = (self.now, self.settings.heartbeat_interval_us);
        let Role::Leader(leader) = &mut self.role else { return };
        let is_late = |progress: &&Progress| {
            progress.retransmit_deadline(heartbeat_us).is_some_and(|deadline| deadline <= now)
        };
        let late = leader.followers.values().filter(is_late).filter_map(Progress::oldest_relay);
        let late: BTreeSet<Micros> = late.collect();
        for progress in leader.followers.values_mut() {
            if progress.oldest_relay().is_some_and(|sent_at| late.contains(&sent_at)) {
                progress.expire();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::levers::Levers;
    use crate::raft::harness::{Cluster, SETTINGS, id, put};
    use crate::raft::node::Settings;

    /// What a leader of so many sends for a new entry, after its followers have left so many messages in a row
    /// unanswered: how many relays, and how many appends.
    fn sends(replicas: u16, topology: Topology, unanswered: usize) -> (usize, usize) {
        let levers = Levers { topology, ..SETTINGS.levers };
        let mut cluster = Cluster::new(replicas, 1, Settings { levers, ..SETTINGS });
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        let Role::Leader(leader) = &mut cluster.node(id(1)).role else { panic!("1 leads") };
        for progress in leader.followers.values_mut() {
            (0..unanswered).for_each(|_| progress.expire());
        }
        cluster.step(id(1), [put("k", "v")]);
        let is_relay = |body: &Body| matches!(body, Body::RelayEntries(_));
        let relays = cluster.network.iter().filter(|envelope| is_relay(&envelope.message.body)).count();
        (relays, cluster.network.len() - relays)
    }

    #[test]
    fn who_adapts_relays_where_messages_get_lost_and_only_there() {
        assert_eq!(sends(5, Topology::Adaptive, 0), (0, 2));
        assert_eq!(sends(5, Topology::Adaptive, 1), (1, 0), "one in 32 of each follower");
        assert_eq!(sends(5, Topology::Star, 1), (0, 2));
        assert_eq!(sends(5, Topology::Relay, 0), (1, 0));
    }

    #[test]
    fn a_long_way_is_not_worth_it_and_a_way_through_one_is_no_relay() {
        assert_eq!(sends(7, Topology::Adaptive, 1), (0, 3));
        assert_eq!(sends(7, Topology::Relay, 1), (1, 0));
        assert_eq!(sends(3, Topology::Relay, 1), (0, 1));
    }
}
