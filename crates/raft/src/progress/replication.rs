//! How far a follower's log agrees with the leader's, and the messages in flight to it. The drawing
//! of the indexes is at the head of the [parent module](super).

use std::collections::VecDeque;

use crate::micros::Micros;
use crate::types::Index;

/// Whether the leader knows where the follower's log and its own agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// Not yet: it sends one message at a time, until one matches.
    Probe,
    /// They agree up to `match_index`: it keeps several messages in flight.
    Replicate,
}

/// The indexes of one follower and its unanswered messages.
#[derive(Clone, Debug)]
pub(super) struct Replication {
    match_index: Index, // never decreases; < next_index, <= target_index, <= the leader's last index
    next_index: Index,  // <= the leader's last index + 1
    target_index: Index, // the last entry that the follower is to get; <= the leader's last index
    state: ProgressState,
    in_flight: VecDeque<InFlight>, // in the strict order of sent_at
    given_up: VecDeque<InFlight>,  // appends that expired since the latest answer; sent before in_flight
    last_relay_hop: bool,          // whether the latest message was lost with the relay that ended here
}

/// A message that the follower has not answered so far.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    sent_at: Micros,
    first_index: Index,         // the entry after its prev_log_index
    last_index: Index,          // its last entry, or its prev_log_index if it had none
    followed_by: Option<usize>, // if it is a relay: so many hops come after this follower
}

impl Replication {
    /// A new leader knows its own last index only. The follower is to get the no-op that comes
    /// next.
    pub(super) fn new(last_index: Index) -> Self {
        Self {
            match_index: 0,
            next_index: last_index + 1,
            target_index: last_index + 1,
            state: ProgressState::Probe,
            in_flight: VecDeque::new(),
            given_up: VecDeque::new(),
            last_relay_hop: false,
        }
    }

    pub(super) fn match_index(&self) -> Index {
        self.match_index
    }

    pub(super) fn next_index(&self) -> Index {
        self.next_index
    }

    pub(super) fn target_index(&self) -> Index {
        self.target_index
    }

    pub(super) fn state(&self) -> ProgressState {
        self.state
    }

    pub(super) fn is_last_relay_hop(&self) -> bool {
        self.last_relay_hop
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether the leader has not sent all entries that the follower is to get.
    pub(super) fn has_unsent(&self) -> bool {
        self.next_index <= self.target_index
    }

    /// The follower is to get the log up to `index`.
    pub(super) fn choose_up_to(&mut self, index: Index) {
        self.target_index = self.target_index.max(index);
    }

    /// The follower is to get no entries until the leader chooses it again.
    pub(super) fn withdraw(&mut self) {
        self.target_index = self.match_index;
    }

    /// A message with the entries from `next_index` up to `last_index` is in flight. In a relay,
    /// `followed_by` more hops come after this follower.
    pub(super) fn sent(&mut self, last_index: Index, sent_at: Micros, followed_by: Option<usize>) {
        self.in_flight.push_back(InFlight { sent_at, first_index: self.next_index, last_index, followed_by });
        self.last_relay_hop = false;
        self.next_index = self.next_index.max(last_index + 1);
    }

    /// A message without entries is in flight.
    pub(super) fn sent_chunk(&mut self, sent_at: Micros) {
        let (first_index, last_index) = (self.next_index, self.match_index);
        self.in_flight.push_back(InFlight { sent_at, first_index, last_index, followed_by: None });
        self.last_relay_hop = false;
    }

    /// The leader has no entries up to `base`: it asks whether the follower has this one.
    pub(super) fn probe_after(&mut self, base: Index) {
        self.next_index = base + 1;
        self.state = ProgressState::Probe;
    }

    /// The follower's log equals the leader's up to `match_index`.
    pub(super) fn matched(&mut self, match_index: Index) {
        self.match_index = self.match_index.max(match_index);
        self.next_index = self.next_index.max(self.match_index + 1);
        self.choose_up_to(self.match_index);
        self.state = ProgressState::Replicate;
    }

    /// The follower refused `prev_log_index`; the logs may agree before `next_index`.
    pub(super) fn conflicted(&mut self, prev_log_index: Index, next_index: Index) {
        if prev_log_index <= self.match_index {
            return; // overtaken by a later answer
        }
        let at_most = next_index.min(prev_log_index).min(self.next_index);
        self.next_index = at_most.max(self.match_index + 1);
        self.state = ProgressState::Probe;
    }

    /// The follower answered the message of `sent_at` late. If it is an append that the leader had
    /// given up, the appends after it are probably on their way, too: they are in flight again, and
    /// the leader goes on behind them (Eifel response; RFC 4015, 3.1). Returns whether it is.
    ///
    /// A refusal takes nothing back, for it says that the later appends will be refused as well.
    pub(super) fn resume(&mut self, sent_at: Micros) -> bool {
        let is_given_up = self.given_up.iter().any(|message| message.sent_at == sent_at);
        if !is_given_up || self.state == ProgressState::Probe {
            return false;
        }
        let sent_up_to = self.given_up.iter().map(|message| message.last_index).max().unwrap_or(0);
        self.next_index = self.next_index.max(sent_up_to + 1);
        self.choose_up_to(sent_up_to);
        self.given_up.append(&mut self.in_flight);
        std::mem::swap(&mut self.given_up, &mut self.in_flight);
        true
    }

    /// The leader expects no late answers.
    pub(super) fn forget_given_up(&mut self) {
        self.given_up.clear();
    }

    /// The follower answered the message that was sent at `sent_at`. Reports for this message and
    /// each earlier one in flight whether it arrived.
    pub(super) fn answered(&mut self, sent_at: Micros, mut report: impl FnMut(bool)) {
        self.last_relay_hop = false;
        self.given_up.clear();
        while let Some(oldest) = self.in_flight.front().filter(|oldest| oldest.sent_at <= sent_at) {
            // An earlier message is lost, unless its entries arrived as a part of this one.
            report(oldest.sent_at == sent_at || oldest.last_index <= self.match_index);
            self.in_flight.pop_front();
        }
    }

    /// The relay that was sent at `sent_at` does not come to this follower: it counts as never
    /// sent.
    pub(super) fn cancel_relay(&mut self, sent_at: Micros) {
        self.in_flight.retain(|message| message.sent_at != sent_at);
        let latest = self.in_flight.back().map_or(0, |latest| latest.last_index);
        self.target_index = latest.max(self.match_index);
        self.next_index = self.target_index + 1;
    }

    /// All messages in flight are lost: they count as unsent again, and the follower is to get no
    /// entries until the leader chooses it again.
    pub(super) fn expire(&mut self) {
        self.next_index = match (self.state, self.in_flight.front()) {
            // An answer that came late may have matched more than this message began with.
            (ProgressState::Probe, Some(oldest)) => {
                oldest.first_index.min(self.next_index).max(self.match_index + 1)
            }
            _ => self.match_index + 1,
        };
        self.last_relay_hop = self.in_flight.iter().any(|message| message.followed_by == Some(0));
        let appends = self.in_flight.drain(..).filter(|message| message.followed_by.is_none());
        self.given_up.extend(appends);
        self.withdraw();
    }

    /// `sent_at` of the oldest message in flight, and whether it is a relay.
    pub(super) fn oldest_in_flight(&self) -> Option<(Micros, bool)> {
        self.in_flight.front().map(|oldest| (oldest.sent_at, oldest.followed_by.is_some()))
    }

    /// `sent_at` of the latest message in flight.
    pub(super) fn latest_in_flight(&self) -> Option<Micros> {
        self.in_flight.back().map(|latest| latest.sent_at)
    }

    /// If the message that was sent at `sent_at` is a relay in flight: how many hops come after
    /// this follower.
    pub(super) fn followed_by(&self, sent_at: Micros) -> Option<usize> {
        self.in_flight
            .iter()
            .find(|message| message.sent_at == sent_at)
            .and_then(|message| message.followed_by)
    }

    /// The invariants of the indexes and of the order in flight, for a leader whose log ends at
    /// `last_index`.
    pub(super) fn check(&self, last_index: Index) -> Result<(), String> {
        let Self { match_index, next_index, target_index, .. } = *self;
        let is_ordered = match_index < next_index && match_index <= target_index;
        if !is_ordered || target_index > last_index || next_index > last_index + 1 {
            return Err(format!(
                "match {match_index}, next {next_index}, target {target_index} in a log up to {last_index}"
            ));
        }
        let unanswered = || self.given_up.iter().chain(&self.in_flight);
        let mut neighbours = unanswered().zip(unanswered().skip(1));
        if let Some((earlier, later)) = neighbours.find(|(earlier, later)| earlier.sent_at >= later.sent_at) {
            return Err(format!("in flight {earlier:?} before {later:?}"));
        }
        match unanswered().find(|message| message.last_index > last_index) {
            Some(message) => Err(format!("in flight {message:?} in a log up to {last_index}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_conflict_does_not_move_next_index_back_behind_match_index() {
        let mut replication = Replication::new(10);
        replication.matched(8);
        replication.conflicted(8, 2);
        assert_eq!((replication.next_index, replication.state), (11, ProgressState::Replicate));
        replication.conflicted(9, 2);
        assert_eq!((replication.next_index, replication.state), (9, ProgressState::Probe));
    }

    #[test]
    fn matched_entries_are_not_sent_again() {
        let mut replication = Replication::new(0);
        replication.matched(8);
        assert_eq!(replication.next_index, 9);
    }

    #[test]
    fn lost_entries_are_sent_again_from_where_they_began() {
        let mut probing = Replication::new(100);
        probing.sent(101, 1, None);
        probing.expire();
        assert_eq!(probing.next_index, 101, "the leader does not know yet where the logs agree");
        let mut replicating = Replication::new(100);
        replicating.matched(40);
        replicating.sent(101, 1, None);
        replicating.expire();
        assert_eq!(replicating.next_index, 41);
    }

    #[test]
    fn lost_probe_does_not_move_next_index_back_behind_match_index() {
        let mut replication = Replication::new(10);
        replication.conflicted(10, 3);
        replication.sent(4, 1, None);
        replication.matched(8);
        replication.conflicted(9, 2);
        assert_eq!((replication.next_index, replication.state), (9, ProgressState::Probe));
        replication.expire();
        assert_eq!(replication.next_index, 9);
    }

    #[test]
    fn last_hop_of_a_lost_relay_is_known_until_the_next_message_or_answer() {
        let after = |followed_by| {
            let mut replication = Replication::new(0);
            replication.sent(1, 20, Some(followed_by));
            assert!(!replication.is_last_relay_hop(), "it may still answer");
            replication.expire();
            replication
        };
        assert!(!after(1).is_last_relay_hop());
        assert!(after(0).is_last_relay_hop());
        let [mut asked, mut heard] = [0; 2].map(after);
        asked.sent(1, 30, Some(1));
        heard.answered(20, |_| ());
        assert!(!asked.is_last_relay_hop() && !heard.is_last_relay_hop());
    }

    /// A follower that has two of ten entries, and four appends of one entry each that the leader
    /// has given up; then the leader sent one of them again, at 7.
    fn with_four_given_up() -> Replication {
        let mut replication = Replication::new(10);
        replication.matched(2);
        replication.choose_up_to(6);
        replication.next_index = 3;
        (3..=6).for_each(|index| replication.sent(index, index, None));
        replication.expire();
        assert_eq!((replication.in_flight(), replication.next_index), (0, 3));
        replication.sent(3, 7, None);
        replication
    }

    #[test]
    fn late_answer_shows_that_the_appends_after_it_are_in_flight() {
        let mut replication = with_four_given_up();
        replication.matched(3);
        assert!(replication.resume(3));
        replication.answered(3, |arrived| assert!(arrived));
        assert_eq!((replication.in_flight(), replication.next_index, replication.target_index), (4, 7, 6));
        assert_eq!(replication.oldest_in_flight(), Some((4, false)));
        assert_eq!(replication.check(10), Ok(()));
    }

    #[test]
    fn answer_in_time_and_refusal_show_nothing_about_appends_that_were_given_up() {
        let mut in_time = with_four_given_up();
        in_time.matched(3);
        assert!(!in_time.resume(7));
        in_time.answered(7, |arrived| assert!(arrived));
        assert!(!in_time.resume(4), "a later message has been answered");
        let mut refused = with_four_given_up();
        refused.conflicted(6, 5);
        assert!(!refused.resume(6));
        assert_eq!((in_time.next_index, refused.next_index), (4, 4));
    }

    #[test]
    fn late_answer_to_a_relay_takes_nothing_back() {
        let mut replication = Replication::new(0);
        replication.sent(1, 20, Some(1));
        replication.expire();
        replication.matched(1);
        assert!(!replication.resume(20));
    }

    #[test]
    fn check_refuses_each_broken_invariant() {
        let broken = |change: fn(&mut Replication)| {
            let mut replication = Replication::new(9);
            replication.matched(4);
            replication.sent(9, 1, None);
            replication.sent(10, 2, Some(0));
            assert_eq!(replication.check(10), Ok(()));
            change(&mut replication);
            replication.check(10).is_err()
        };
        assert!(broken(|replication| replication.next_index = replication.match_index));
        assert!(broken(|replication| replication.next_index = 12));
        assert!(broken(|replication| replication.target_index = 3));
        assert!(broken(|replication| replication.target_index = 11));
        assert!(broken(|replication| replication.match_index = 12));
        assert!(broken(|replication| replication.in_flight.swap(0, 1)));
        assert!(broken(|replication| replication.in_flight[1].sent_at = 1));
        assert!(broken(|replication| replication.in_flight[0].last_index = 11));
        assert!(broken(|replication| replication.given_up.push_back(replication.in_flight[0])));
    }
}
