//! The relay: leader, follower, follower, leader. A quorum of five costs three messages instead of
//! four, in three one-way trips instead of two; in general one message for each replica of the
//! quorum.
//!
//! ```text
//!  star: 4 messages, 2 trips          relay: 3 messages, 3 trips
//!
//!  leader       2         3           leader       2         3
//!    |--append->|         |             |--relay-->|         |  way [3], acknowledged []
//!    |--append----------->|             |        fsync       |
//!    |        fsync     fsync           |          |--relay->|  way [], acknowledged [2]
//!    |<-matched-|         |             |          |       fsync
//!    |<-matched-----------|             |<-answer------------|  acknowledged [2, 3]
//!  commit       |         |           commit       |         |
//! ```
//!
//! The leader sends to the first of the followers that it would have asked anyway, with the list of
//! the others. Each follower stores the entries, adds itself to the acknowledgements, and sends the
//! relay on; the last one answers for all. A follower whose log does not match sends nothing on. It
//! tells the leader of the conflict, and of the acknowledgements so far. If no answer comes in
//! time, the leader sends the entries through other followers.
//!
//! **A lost answer does not lose the acknowledgements.** A follower remembers which others had
//! acknowledged the latest relay that came through them. If the leader sends the same entries
//! again, because the answer was lost, and asks this follower first, the answer goes back at once:
//! two messages and not three. So the leader begins the next relay with the last hop of the relay
//! that failed, since that follower alone knows of all others.
//!
//! **When.** One more one-way trip is a quarter of a client's wait on a network that loses nothing,
//! so there the star is better for all but the bill. Where messages get lost, the relay is cheaper
//! still, since each commit rests on three messages instead of four, and for the same reason it
//! waits less often for a retransmission. An adaptive leader relays while its followers answer less
//! than [`RELAY_BELOW`] of the messages that they get, if the relay has few hops
//! (`docs/performance.md` has the table).
//!
//! **Why an acknowledgement counts that another follower brings.** Replicas do not lie, so a
//! follower is in the list of acknowledgements only if it has put itself there. It lets the message
//! go only after its own disk has the entries, as with any other acknowledgement
//! ([`Node::send_in`]). An acknowledgement is complete: the follower's name, the leader's term, the
//! index up to which the logs are equal, and the leader's `sent_at`. None of that depends on how
//! long it travels, or through which replica. Within a term the leader's log only grows, so a
//! follower's log that was equal up to an index stays so for the whole term, on its disk too.
//! Therefore repeated, late and reordered messages claim nothing that was not true. A remembered
//! acknowledgement is as good: it is for this very index or a later one, in this term, with the
//! `sent_at` of then. In a later term no follower passes it on, by the term rule, and no leader
//! counts it, by `sent_at`. The vote lease of each follower begins when the append arrives there,
//! which is after `sent_at`, so a lease that the leader counts from `sent_at` ends before it.

use std::collections::BTreeSet;

use super::action::Action;
use super::leader::Leader;
use super::message::{
    Acknowledgement, AppendEntries, AppendEntriesResponse, AppendOutcome, Body, Message, RelayEntries,
    RelayEntriesResponse,
};
use super::node::{Node, Role};
use super::progress::Progress;
use super::tuning::Topology;
use super::types::{Command, Index, Term};
use crate::id::Id;
use crate::micros::Micros;

/// An adaptive leader relays through at most so many followers. A relay is all or nothing: through
/// four followers at 30 % loss, one relay in six gets through, which costs more messages and much
/// more time than the star does.
const MAX_HOPS: usize = 2;

/// An answer rate below this means that the network loses messages: about one in sixty, there or
/// back.
const RELAY_BELOW: f64 = 0.97;

/// The acknowledgements of other followers in the latest relay that brought any to this follower.
#[derive(Debug, Default)]
pub(super) struct RelayAcks {
    term: Term,
    last_index: Index, // the last entry that they have acknowledged in `term`
    acknowledged: Vec<Acknowledgement>,
}

impl Leader {
    /// The relay that was sent at `sent_at` goes no further: the hops that fewer than `followed_by`
    /// hops come after do not get it.
    pub(super) fn cancel_relay(&mut self, sent_at: Micros, followed_by: usize) {
        for progress in self.followers.values_mut() {
            if progress.followed_by(sent_at).is_some_and(|others| others < followed_by) {
                progress.cancel_relay(sent_at);
            }
        }
    }
}

impl<C: Command> Node<C> {
    /// Sends the new entries through these followers, which the leader has just chosen for them. If
    /// they can't go this way, it sends nothing, and each follower is still to get an append of its
    /// own.
    pub(super) fn relay(&mut self, way: &[Id]) {
        let last_index = self.log.last_index();
        while let Some(next_index) = self.relay_from(way).filter(|next_index| *next_index <= last_index) {
            self.send_relay(way, next_index);
        }
    }

    /// Whether entries go from follower to follower now, where they can. A batch of `several` puts
    /// has few messages per put in any case, so an adaptive leader spends them on the star's
    /// latency: at 5 % loss, with eight clients, its 99th percentile is 1.5 ms instead of 1.8 ms
    /// through a relay.
    pub(super) fn relays(&self, several: bool) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let tuning = self.settings.tuning;
        let wanted = match tuning.topology {
            Topology::Star => false,
            Topology::Relay => true,
            Topology::Adaptive => {
                !several && self.configuration.quorum() <= MAX_HOPS + 1 && leader.answer_rate() < RELAY_BELOW
            }
        };
        wanted && tuning.thrifty
    }

    /// The first entry that one of these followers lacks, if the entries may go through all of
    /// them.
    fn relay_from(&self, way: &[Id]) -> Option<Index> {
        let Role::Leader(leader) = &self.role else { return None };
        let exactly_enough = way.len() + 1 == self.configuration.quorum();
        let saves_messages = way.len() > 1;
        if !(exactly_enough && saves_messages) {
            return None;
        }
        let followers = || way.iter().filter_map(|id| leader.followers.get(id));
        let all_may = followers().all(|progress| progress.may_relay(self.settings.max_in_flight));
        let is_kept = |next_index: &Index| *next_index > self.log.base().index;
        followers().map(Progress::next_index).min().filter(|_| all_may).filter(is_kept)
    }

    fn send_relay(&mut self, way: &[Id], next_index: Index) {
        let term = self.hard_state.current_term;
        let prev_log_index = next_index - 1;
        let Ok(prev_log_term) = self.log.term_at(prev_log_index) else { return };
        let (Role::Leader(leader), Some((&first, rest))) = (&mut self.role, way.split_first()) else {
            return;
        };
        let sent_at = leader.send_times.next(self.now);
        let append = AppendEntries {
            prev_log_index,
            prev_log_term,
            leader_commit: self.commit_index,
            sent_at,
            entries: self.settings.entries_for_message(&self.log, next_index, self.log.last_index()),
        };
        for (followed_by, id) in way.iter().rev().enumerate() {
            if let Some(progress) = leader.followers.get_mut(id) {
                progress.sent_on_relay(append.last_index(), sent_at, followed_by);
            }
        }
        let (way, acknowledged) = (rest.to_vec(), Vec::new());
        let body = Body::RelayEntries(RelayEntries { leader: self.id, way, acknowledged, append });
        self.actions.push(Action::Send { to: first, message: Message { term, body } });
    }

    /// The leader of the current term sends entries, perhaps through others.
    pub(super) fn receive_relay_entries(&mut self, relay: RelayEntries<C>) {
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

    /// Sends the relay to the next hop, or the answer to the leader if there is none.
    fn pass_on(&mut self, mut relay: RelayEntries<C>) {
        self.reuse_acks(&mut relay);
        self.remember_acks(&relay);
        let sent_at = relay.append.sent_at;
        relay.acknowledged.push(Acknowledgement { id: self.id, sent_at });
        if relay.way.is_empty() {
            return self.answer_relay(relay);
        }
        let next = relay.way.remove(0);
        let body = Body::RelayEntries(relay);
        self.send(next, body);
    }

    /// Removes hops that need not be asked, because this follower remembers enough acknowledgements
    /// of these entries: the answer that brought them was lost.
    fn reuse_acks(&self, relay: &mut RelayEntries<C>) {
        let known = &self.relay_acks;
        let is_enough = known.last_index >= relay.append.last_index();
        if known.term != self.hard_state.current_term || !is_enough {
            return;
        }
        for &earlier in &known.acknowledged {
            let is_among = relay.acknowledged.iter().any(|now| now.id == earlier.id);
            let Some(end) = relay.way.len().checked_sub(1).filter(|_| !is_among) else { continue };
            // As many followers as before acknowledge it, so one hop fewer is enough.
            relay.way.remove(relay.way.iter().position(|id| *id == earlier.id).unwrap_or(end));
            relay.acknowledged.push(earlier);
        }
    }

    /// Remembers which followers have acknowledged the relay on its way to this one.
    fn remember_acks(&mut self, relay: &RelayEntries<C>) {
        if !relay.acknowledged.is_empty() {
            let (term, last_index) = (self.hard_state.current_term, relay.append.last_index());
            self.relay_acks = RelayAcks { term, last_index, acknowledged: relay.acknowledged.clone() };
        }
    }

    /// Tells the leader which followers have acknowledged so far, if there are any.
    fn answer_relay(&mut self, relay: RelayEntries<C>) {
        let RelayEntries { leader, acknowledged, append, .. } = relay;
        if !acknowledged.is_empty() {
            let (sent_at, match_index) = (append.sent_at, append.last_index());
            let response = RelayEntriesResponse { sent_at, match_index, acknowledged };
            self.send(leader, Body::RelayEntriesResponse(response));
        }
    }

    /// One follower brings the acknowledgements of several, in this leader's own term. The drain
    /// draws the conclusions.
    pub(super) fn receive_relay_entries_response(&mut self, response: &RelayEntriesResponse) {
        let &RelayEntriesResponse { sent_at, match_index, ref acknowledged } = response;
        let last_index = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else { return };
        let were_sent =
            acknowledged.iter().all(|acknowledgement| leader.send_times.contains(acknowledgement.sent_at));
        if !leader.send_times.contains(sent_at) || !were_sent || match_index > last_index {
            return; // this leader sent no such message in its term
        }
        for acknowledgement in acknowledged {
            let Some(progress) = leader.followers.get_mut(&acknowledgement.id) else { continue };
            progress.matched(match_index);
            if acknowledgement.sent_at == sent_at {
                progress.heard_on_relay(sent_at, self.now);
            } else {
                progress.recalled(acknowledgement.sent_at);
            }
        }
        leader.cancel_relay(sent_at, usize::MAX);
    }

    /// A relay that is late for one follower is late for all its hops: none of them will answer,
    /// wherever it was lost.
    pub(super) fn give_up_relays(&mut self) {
        let (now, heartbeat_us) = (self.now, self.settings.heartbeat_interval_us);
        let Role::Leader(leader) = &mut self.role else { return };
        let overdue = leader.followers.values().filter(|progress| progress.is_overdue(now, heartbeat_us));
        let late = overdue.filter_map(Progress::oldest_relay);
        let late: BTreeSet<Micros> = late.collect();
        for (&id, progress) in &mut leader.followers {
            if progress.oldest_relay().is_some_and(|sent_at| late.contains(&sent_at)) {
                progress.expire();
                self.statistics.count_given_up(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, Put, SETTINGS, id, put};
    use crate::settings::Settings;
    use crate::tuning::Tuning;
    use crate::types::{Entry, Payload};

    /// The number of relays and of appends that a leader of so many replicas sends for so many puts
    /// at a time, after its followers have left so many messages in a row unanswered.
    fn sends(replicas: u16, topology: Topology, unanswered: usize, puts: usize) -> (usize, usize) {
        let tuning = Tuning { topology, ..SETTINGS.tuning };
        let mut cluster = Cluster::new(replicas, 1, Settings { tuning, ..SETTINGS });
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        let Role::Leader(leader) = &mut cluster.node(id(1)).role else { panic!("1 leads") };
        for progress in leader.followers.values_mut() {
            (0..unanswered).for_each(|_| progress.expire());
        }
        cluster.step(id(1), (0..puts).map(|_| put("k", "v")));
        let is_relay = |body: &Body<Put>| matches!(body, Body::RelayEntries(_));
        let relays = cluster.network.iter().filter(|envelope| is_relay(&envelope.message.body)).count();
        (relays, cluster.network.len() - relays)
    }

    #[test]
    fn adaptive_leader_relays_only_where_messages_get_lost() {
        assert_eq!(sends(5, Topology::Adaptive, 0, 1), (0, 2));
        assert_eq!(sends(5, Topology::Adaptive, 1, 1), (1, 0), "one in 32 of each follower");
        assert_eq!(sends(5, Topology::Star, 1, 1), (0, 2));
        assert_eq!(sends(5, Topology::Relay, 0, 1), (1, 0));
    }

    #[test]
    fn batch_of_several_puts_is_relayed_only_by_a_leader_that_always_relays() {
        assert_eq!(sends(5, Topology::Adaptive, 1, 2), (0, 3));
        assert_eq!(sends(5, Topology::Relay, 1, 2), (1, 1), "one follower more gets an append of its own");
    }

    /// 2 of five gets a relay of entries up to 2 that 3 had acknowledged when the leader sent it at
    /// 7, then a relay of entries up to `last_index` that goes on to `way`. The receiver of its
    /// next message, the hops that remain, and the acknowledgements with their `sent_at`.
    fn passes_on(term: Term, last_index: Index, way: &[u16]) -> (Id, Vec<Id>, Vec<(u16, Micros)>) {
        passes_on_after(&[], term, last_index, way)
    }

    /// The same if these followers have acknowledged the relay before 2 gets it.
    fn passes_on_after(
        acknowledged: &[u16],
        term: Term,
        last_index: Index,
        way: &[u16],
    ) -> (Id, Vec<Id>, Vec<(u16, Micros)>) {
        let mut cluster = Cluster::new(5, 1, SETTINGS);
        let mut receive =
            |term: Term, last_index: Index, sent_at: Micros, acknowledged: &[u16], way: &[u16]| {
                let entry = |index| Entry { index, term: 1, payload: Payload::Noop };
                let entries = (1..=last_index).map(entry).collect();
                let append =
                    AppendEntries { prev_log_index: 0, prev_log_term: 0, leader_commit: 0, sent_at, entries };
                let acknowledged =
                    acknowledged.iter().map(|&n| Acknowledgement { id: id(n), sent_at }).collect();
                let way = way.iter().map(|&n| id(n)).collect();
                let relay = RelayEntries { leader: id(1), way, acknowledged, append };
                let message = Message { term, body: Body::RelayEntries(relay) };
                cluster.step(id(2), [Input::Receive { from: id(1), message }]);
                cluster.network.pop_back().expect("it goes on")
            };
        receive(1, 2, 7, &[3], &[]);
        let envelope = receive(term, last_index, 9, acknowledged, way);
        let (way, acknowledged) = match envelope.message.body {
            Body::RelayEntries(relay) => (relay.way, relay.acknowledged),
            Body::RelayEntriesResponse(response) => (Vec::new(), response.acknowledged),
            _ => panic!("no relay"),
        };
        let acknowledged = acknowledged.iter().map(|one| (one.id.number(), one.sent_at)).collect();
        (envelope.to, way, acknowledged)
    }

    #[test]
    fn follower_that_remembers_an_acknowledgement_removes_one_hop() {
        let recalled = vec![(3, 7), (2, 9)];
        assert_eq!(passes_on(1, 2, &[3]), (id(1), vec![], recalled.clone()));
        assert_eq!(passes_on(1, 2, &[4]), (id(1), vec![], recalled.clone()));
        assert_eq!(passes_on(1, 1, &[4]), (id(1), vec![], recalled.clone()), "it has acknowledged more");
        assert_eq!(passes_on(1, 2, &[4, 5]), (id(4), vec![], recalled.clone()));
        assert_eq!(passes_on(1, 2, &[3, 5]), (id(5), vec![], recalled));
        assert_eq!(passes_on(1, 2, &[]), (id(1), vec![], vec![(2, 9)]), "no other hop was left");
    }

    #[test]
    fn acknowledgement_in_the_relay_is_not_added_again_from_memory() {
        assert_eq!(passes_on_after(&[3], 1, 2, &[4]), (id(4), vec![], vec![(3, 9), (2, 9)]));
    }

    #[test]
    fn remembered_acknowledgement_counts_for_no_later_entry_and_in_no_other_term() {
        assert_eq!(passes_on(1, 3, &[4]), (id(4), vec![], vec![(2, 9)]));
        assert_eq!(passes_on(2, 2, &[4]), (id(4), vec![], vec![(2, 9)]));
    }

    /// A leader of five has just sent a relay through 2 and 3.
    fn relaying() -> (Cluster, AppendEntries<Put>) {
        let tuning = Tuning { topology: Topology::Relay, ..SETTINGS.tuning };
        let mut cluster = Cluster::new(5, 1, Settings { tuning, ..SETTINGS });
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.step(id(1), [put("k", "v")]);
        let relay = cluster.network.pop_back().expect("the put").message.body;
        let Body::RelayEntries(RelayEntries { append, way, .. }) = relay else { panic!("no relay") };
        assert_eq!(way, [id(3)]);
        (cluster, append)
    }

    /// The leader gets an answer with these acknowledgements, whose `sent_at` is so long before the
    /// relay's. Its commit index then, and the followers to which it sends the entry next.
    fn after_answer(acknowledged: &[(u16, Micros)]) -> (Index, Vec<Id>) {
        let (mut cluster, append) = relaying();
        let acknowledged = acknowledged
            .iter()
            .map(|&(n, before)| Acknowledgement { id: id(n), sent_at: append.sent_at - before });
        let response = RelayEntriesResponse {
            sent_at: append.sent_at,
            match_index: append.last_index(),
            acknowledged: acknowledged.collect(),
        };
        let message = Message { term: 1, body: Body::RelayEntriesResponse(response) };
        cluster.step(id(1), [Input::Receive { from: id(2), message }]);
        let next = cluster.network.iter().map(|envelope| envelope.to).collect();
        (cluster.nodes[&id(1)].commit_index(), next)
    }

    #[test]
    fn answer_counts_for_the_followers_that_it_names_and_frees_the_others() {
        assert_eq!(after_answer(&[(2, 0), (3, 0)]), (2, vec![]));
        assert_eq!(after_answer(&[(4, 1), (2, 0)]), (2, vec![]));
        assert_eq!(after_answer(&[(2, 0)]), (1, vec![id(4)]), "3 is not waited for");
        assert_eq!(after_answer(&[(4, 1_000_000), (2, 0)]), (1, vec![]), "it was never sent to 4");
    }

    #[test]
    fn leader_does_not_wait_for_the_hops_behind_one_that_refused() {
        let refusal_of = |from| {
            let (mut cluster, append) = relaying();
            let outcome = AppendOutcome::Conflict { prev_log_index: 1, conflict_term: 0, conflict_index: 1 };
            let response = AppendEntriesResponse { sent_at: append.sent_at, outcome };
            let message = Message { term: 1, body: Body::AppendEntriesResponse(response) };
            cluster.step(id(1), [Input::Receive { from: id(from), message }]);
            cluster.network.iter().map(|envelope| envelope.to.number()).collect::<Vec<_>>()
        };
        assert_eq!(refusal_of(2), [4], "instead of 3");
        assert_eq!(refusal_of(3), [0; 0], "2 may have acknowledged it");
    }

    #[test]
    fn adaptive_leader_avoids_many_hops_and_no_leader_relays_through_one() {
        assert_eq!(sends(7, Topology::Adaptive, 1, 1), (0, 3));
        assert_eq!(sends(7, Topology::Relay, 1, 1), (1, 0));
        assert_eq!(sends(3, Topology::Relay, 1, 1), (0, 1));
    }
}
