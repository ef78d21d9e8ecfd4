//! What a leader knows of one follower: how far its log agrees, what is on the
//! way to it, when it was last heard, and how long an answer takes.

use std::collections::VecDeque;

use super::round_trip::{MIN_RETRANSMIT_US, RoundTrip};
use super::types::Index;
use crate::micros::Micros;

/// A follower is unresponsive when, at its measured answer rate, so many unanswered attempts in a row
/// would be less likely than this: three of them where nothing is lost, ten at 30 % loss. It
/// is then left out of the rotation and asked ever more rarely.
const TOO_UNLIKELY: f64 = 0.001;

/// The weight of one message in the measured answer rate: 32 messages are a second or two of moderate load.
const ANSWER_RATE_WEIGHT: f64 = 1.0 / 32.0;

/// The retransmission time before the first answer, from no knowledge at all.
const FIRST_RETRANSMIT_US: Micros = 20_000;

/// The same while hardly any answer is lost: one that is missing is late then. It is longer than a tick of most
/// systems' clocks. Nearly every answer comes long before its timer, and one that is due before the next tick must be
/// programmed into the clock and taken back each time, which on a virtual machine costs more than the
/// answer itself (docs/performance.md).
const PATIENT_RETRANSMIT_US: Micros = 5_000;

/// From which answer rate on hardly any answer is lost: none of the latest 36.
const HARDLY_ANY_LOST: f64 = 0.99;

/// Whether it is known where the follower's log and the leader's agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// Not yet: one message at a time, until one fits.
    Probe,
    /// Up to `match_index`: several messages in flight.
    Replicate,
}

/// One follower, as its leader sees it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The logs are known to be equal up to here; never decreases, `match_index < next_index`.
    pub match_index: Index,
    /// The next entry to send, on the assumption that all in flight arrives.
    pub next_index: Index,
    /// The last entry that this follower is meant to get for now; others carry the rest.
    pub target_index: Index,
    /// Whether a message is owed even if it carries no entry.
    pub heartbeat_due: bool,
    /// Whether it is known where the logs agree.
    pub state: ProgressState,
    /// When the last message was sent; 0 before the first.
    pub last_sent_at: Micros,
    /// When the latest answered message was sent: the follower followed this leader then or later.
    pub acked_sent_at: Micros,
    /// Since when it has been asked and has said nothing.
    pub silent_since: Option<Micros>,
    /// Whether it was the last on a way that was not answered: then it may know that those before it have what it brought.
    pub last_relay_hop: bool,
    pub(super) catch_up_to: Index, // the end of a bulk transfer that goes on until the follower has all of it; 0 if there is none
    pub(super) entries_per_append: Index, // in the latest append that had no room for all; 0 before the first
    in_flight: VecDeque<InFlight>, // unanswered messages, oldest first
    pub(super) round_trip: Option<RoundTrip>,
    pub(super) relay_round_trip: Option<RoundTrip>, // of what went through other followers: a longer way
    answer_rate: f64,                               // of the latest messages, how many were answered; 0 to 1
    failures: u32,                                  // unanswered attempts since it was last heard
}

/// A message that was not answered so far.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    sent_at: Micros,
    first_index: Index,     // the entry after its prev_log_index
    last_index: Index,      // its last entry, or its prev_log_index if it had none
    relayed: Option<usize>, // through followers, of whom so many come after this one, and so is the answer
}

impl Progress {
    /// A follower of which nothing is known but the leader's own last index when it was elected; it is meant
    /// to get the no-op that comes next.
    pub fn new(last_index: Index) -> Self {
        Self {
            match_index: 0,
            next_index: last_index + 1,
            target_index: last_index + 1,
            heartbeat_due: false,
            state: ProgressState::Probe,
            last_sent_at: 0,
            acked_sent_at: 0,
            silent_since: None,
            last_relay_hop: false,
            catch_up_to: 0,
            entries_per_append: 0,
            in_flight: VecDeque::new(),
            round_trip: None,
            relay_round_trip: None,
            answer_rate: 1.0,
            failures: 0,
        }
    }

    /// Whether the follower answers, as far as is known.
    pub fn is_responsive(&self) -> bool {
        // Asked all the time, and nearly always of somebody who has just answered.
        !self.is_late() || (1.0 - self.answer_rate).powf(f64::from(self.failures)) >= TOO_UNLIKELY
    }

    /// Whether something is to be sent now: a ping always, entries while the window has room.
    pub fn wants_message(&self, max_in_flight: usize) -> bool {
        let window = match self.state {
            ProgressState::Replicate if self.is_catching_up() && self.is_late() => 1,
            ProgressState::Replicate if self.is_responsive() => max_in_flight,
            _ => 1,
        };
        self.heartbeat_due || (self.next_index <= self.target_index && self.in_flight.len() < window)
    }

    /// Whether it was asked and has not answered in time.
    pub fn is_late(&self) -> bool {
        self.failures > 0
    }

    /// Whether a message that was sent later than `after` is still unanswered.
    pub fn awaits_answer_since(&self, after: Micros) -> bool {
        self.in_flight.back().is_some_and(|latest| latest.sent_at > after)
    }

    /// A message was sent with the entries from `next_index` up to `last_index`.
    pub fn sent(&mut self, last_index: Index, sent_at: Micros) {
        self.note_sent(last_index, sent_at, None);
    }

    /// The same went to this follower and others, one after the other, of whom some may have a part of it, and so many
    /// come after this one.
    pub fn sent_on_relay(&mut self, last_index: Index, sent_at: Micros, followed_by: usize) {
        self.note_sent(last_index, sent_at, Some(followed_by));
    }

    fn note_sent(&mut self, last_index: Index, sent_at: Micros, relayed: Option<usize>) {
        self.in_flight.push_back(InFlight { sent_at, first_index: self.next_index, last_index, relayed });
        self.last_relay_hop = false;
        self.next_index = self.next_index.max(last_index + 1);
        self.heartbeat_due = false;
        self.last_sent_at = sent_at;
        self.silent_since.get_or_insert(sent_at);
    }

    /// Whether an answer to the message that was sent at `sent_at` is the first that shows that the follower lived then
    /// or later. A network may repeat an answer, and hold it back; such an answer is no sign of life and no measure.
    pub fn is_news(&self, sent_at: Micros) -> bool {
        sent_at > self.acked_sent_at
    }

    /// An answer arrived to the message that was sent at `sent_at`; what it says of the log is known already.
    pub fn heard(&mut self, sent_at: Micros, now: Micros) {
        if self.note_heard(sent_at) {
            RoundTrip::update(&mut self.round_trip, now.saturating_sub(sent_at));
        }
    }

    /// The same, and another follower has brought it.
    pub fn heard_on_relay(&mut self, sent_at: Micros, now: Micros) {
        if self.note_heard(sent_at) {
            RoundTrip::update(&mut self.relay_round_trip, now.saturating_sub(sent_at));
        }
    }

    /// The same, long ago, and another follower still knew it.
    pub fn recalled(&mut self, sent_at: Micros) {
        self.note_heard(sent_at);
    }

    /// If this was sent through several followers and is not answered: how many come after this one.
    pub fn followed_by(&self, sent_at: Micros) -> Option<usize> {
        self.in_flight.iter().find(|message| message.sent_at == sent_at).and_then(|message| message.relayed)
    }

    /// What is in flight since `sent_at` through several followers does not come to this one: it counts as never sent.
    pub fn spared(&mut self, sent_at: Micros) {
        self.in_flight.retain(|message| message.sent_at != sent_at);
        let latest = self.in_flight.back().map_or(0, |latest| latest.last_index);
        self.target_index = latest.max(self.match_index);
        self.next_index = self.target_index + 1;
        if self.silent_since == Some(sent_at) {
            self.silent_since = self.in_flight.front().map(|oldest| oldest.sent_at);
        }
    }

    /// False, and nothing is changed, unless this [`is_news`](Self::is_news).
    fn note_heard(&mut self, sent_at: Micros) -> bool {
        if !self.is_news(sent_at) {
            return false;
        }
        self.silent_since = None;
        self.acked_sent_at = sent_at;
        self.failures = 0;
        self.last_relay_hop = false;
        // What was sent before it and is still unanswered is lost, unless it arrived as a part of this.
        while let Some(oldest) = self.in_flight.front().filter(|oldest| oldest.sent_at <= sent_at) {
            let answered = oldest.sent_at == sent_at || oldest.last_index <= self.match_index;
            self.in_flight.pop_front();
            self.count_answer(answered);
        }
        true
    }

    /// Whether a message may go through this follower to another: the logs are known to agree, it
    /// answers, it lacks no bulk of entries, and its window has room.
    pub fn may_relay(&self, max_in_flight: usize) -> bool {
        let answers = self.state == ProgressState::Replicate && self.is_responsive();
        answers && !self.is_catching_up() && self.in_flight.len() < max_in_flight
    }

    /// `sent_at` of the oldest message in flight, if that went through other followers.
    pub fn oldest_relay(&self) -> Option<Micros> {
        self.in_flight.front().filter(|oldest| oldest.relayed.is_some()).map(|oldest| oldest.sent_at)
    }

    /// The follower's log equals the leader's up to `match_index`.
    pub fn matched(&mut self, match_index: Index) {
        self.match_index = self.match_index.max(match_index);
        self.next_index = self.next_index.max(self.match_index + 1);
        self.target_index = self.target_index.max(self.match_index);
        self.state = ProgressState::Replicate;
    }

    /// The follower refused `prev_log_index`; the logs may agree before `next_index`.
    pub fn conflicted(&mut self, prev_log_index: Index, next_index: Index) {
        if prev_log_index <= self.match_index {
            return; // overtaken by a later answer
        }
        let at_most = next_index.min(prev_log_index).min(self.next_index);
        self.next_index = at_most.max(self.match_index + 1);
        self.state = ProgressState::Probe;
    }

    /// When the oldest message in flight is to be given up.
    pub fn retransmit_deadline(&self, max_us: Micros) -> Option<Micros> {
        self.in_flight
            .front()
            .map(|oldest| oldest.sent_at + self.retransmit_us(oldest.relayed.is_some(), max_us))
    }

    /// Nothing in flight is expected to arrive any more: it counts as unsent
    /// again, and nothing is meant to be sent until this follower is chosen anew.
    pub fn expire(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.next_index = match (self.state, self.in_flight.front()) {
            // An answer that came late may have matched more than this message began with.
            (ProgressState::Probe, Some(oldest)) => {
                oldest.first_index.min(self.next_index).max(self.match_index + 1)
            }
            _ => self.match_index + 1,
        };
        self.last_relay_hop = self.in_flight.iter().any(|message| message.relayed == Some(0));
        self.count_answer(false); // once: what is lost together has one cause
        self.in_flight.clear();
        self.target_index = self.match_index;
    }

    /// How likely it is that a message to this follower is answered.
    pub fn answer_rate(&self) -> f64 {
        self.answer_rate
    }

    fn count_answer(&mut self, answered: bool) {
        self.answer_rate += (f64::from(u8::from(answered)) - self.answer_rate) * ANSWER_RATE_WEIGHT;
    }

    /// How long an answer to an append may take before another follower is asked.
    pub fn answer_limit_us(&self) -> Micros {
        self.retransmit_us(false, Micros::MAX)
    }

    /// The retransmission time: it follows the measured round trip. It doubles with each failure once
    /// the follower is unresponsive; before that, a loss is more likely than a slow network.
    fn retransmit_us(&self, relayed: bool, max_us: Micros) -> Micros {
        let round_trip = if relayed { self.relay_round_trip } else { self.round_trip };
        let least =
            if self.answer_rate > HARDLY_ANY_LOST { PATIENT_RETRANSMIT_US } else { MIN_RETRANSMIT_US };
        let base = round_trip.map_or(FIRST_RETRANSMIT_US, |known| known.timeout_us().max(least));
        let doublings = if self.is_responsive() { 0 } else { self.failures.min(16) };
        (base << doublings).min(max_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_US: Micros = 1_000_000;

    #[test]
    fn a_follower_that_a_relay_did_not_need_is_as_if_it_had_not_been_sent() {
        let mut progress = Progress::new(0);
        progress.sent(1, 10);
        progress.matched(1);
        progress.heard(10, 11);
        progress.target_index = 3;
        progress.sent_on_relay(2, 20, 1);
        progress.sent_on_relay(3, 30, 0);
        progress.spared(30);
        assert_eq!((progress.next_index, progress.target_index, progress.silent_since), (3, 2, Some(20)));
        progress.spared(20);
        assert_eq!((progress.next_index, progress.target_index, progress.silent_since), (2, 1, None));
        assert_eq!((progress.retransmit_deadline(MAX_US), progress.last_sent_at), (None, 30));
        assert!((progress.answer_rate() - 1.0).abs() < 1e-12 && !progress.is_late());
    }

    #[test]
    fn who_was_last_on_a_way_that_failed_may_know_of_others_until_it_is_asked() {
        let after = |followed_by| {
            let mut progress = Progress::new(0);
            progress.sent_on_relay(1, 20, followed_by);
            assert!(!progress.last_relay_hop, "it may still answer");
            progress.expire();
            progress
        };
        assert!(!after(1).last_relay_hop);
        assert!(after(0).last_relay_hop);
        let [mut asked, mut heard] = [0; 2].map(after);
        asked.sent_on_relay(1, 30, 1);
        heard.heard_on_relay(20, 30);
        assert!(!asked.last_relay_hop && !heard.last_relay_hop);
    }

    #[test]
    fn what_is_recalled_is_no_measure_of_a_round_trip() {
        let mut progress = Progress::new(0);
        progress.sent_on_relay(1, 20, 1);
        progress.heard_on_relay(20, 21);
        progress.recalled(20);
        progress.sent_on_relay(1, 9_000_000, 1);
        assert_eq!(progress.retransmit_deadline(MAX_US), Some(9_000_000 + PATIENT_RETRANSMIT_US));
    }

    #[test]
    fn the_retransmission_time_follows_the_measured_round_trip() {
        let mut slow = Progress::new(0);
        for n in 0..50 {
            slow.heard(n * 100_000, n * 100_000 + 40_000);
        }
        slow.sent(0, 9_000_000);
        let wait = slow.retransmit_deadline(MAX_US).expect("in flight") - 9_000_000;
        assert!((40_000..50_000).contains(&wait), "{wait}");
    }

    #[test]
    fn an_answer_that_was_held_for_long_does_not_make_it_long() {
        let mut progress = Progress::new(0);
        progress.heard(1, 9_000_000);
        progress.heard_on_relay(2, 9_000_000);
        progress.sent(1, 10_000_000);
        assert_eq!(progress.retransmit_deadline(MAX_US), Some(10_250_000));
        assert_eq!(progress.unreachable_at(240_000, 480_000), 10_500_000);
        progress.expire();
        progress.sent_on_relay(1, 20_000_000, 0);
        assert_eq!(progress.retransmit_deadline(MAX_US), Some(20_250_000));
    }

    #[test]
    fn it_is_shorter_where_answers_are_lost() {
        let mut progress = Progress::new(0);
        let mut next = 0;
        let mut wait_after = |losses: u64, answers: u64| {
            for nth in 0..losses + answers {
                next += 1;
                progress.sent(next, next);
                if nth < losses { progress.expire() } else { progress.heard(next, next) }
            }
            next += 1;
            progress.sent(next, next);
            let deadline = progress.retransmit_deadline(MAX_US).expect("in flight");
            progress.heard(next, next);
            deadline - next
        };
        assert_eq!(wait_after(0, 1), 5_000);
        assert_eq!(wait_after(1, 1), 2_000);
        assert_eq!(wait_after(0, 50), 5_000, "the loss is long ago");
    }

    #[test]
    fn it_doubles_up_to_the_maximum_once_the_follower_is_unresponsive() {
        let mut progress = Progress::new(0);
        let mut waits = Vec::new();
        for _ in 0..6 {
            progress.sent(0, 0);
            waits.push(progress.retransmit_deadline(500_000).expect("in flight"));
            progress.expire();
        }
        assert_eq!(waits, [20_000, 20_000, 20_000, 160_000, 320_000, 500_000]);
        assert!(!progress.is_responsive());
        progress.heard(1, 2);
        assert!(progress.is_responsive());
    }

    #[test]
    fn the_answer_rate_follows_what_is_lost() {
        let mut progress = Progress::new(0);
        for n in 1..=1_000 {
            progress.sent(n, n);
            if n % 4 == 0 {
                progress.heard(n, n);
            }
        }
        assert!((0.15..0.35).contains(&progress.answer_rate()), "{}", progress.answer_rate());
    }

    #[test]
    fn messages_that_were_joined_on_their_way_are_not_lost() {
        let mut progress = Progress::new(0);
        for index in 1..=100 {
            progress.sent(index, index);
        }
        progress.matched(100);
        progress.heard(100, 100);
        assert!((progress.answer_rate() - 1.0).abs() < 1e-9, "{}", progress.answer_rate());
    }

    #[test]
    fn a_stale_refusal_does_not_move_a_follower_back_behind_what_matched() {
        let mut progress = Progress::new(10);
        progress.matched(8);
        progress.conflicted(8, 2);
        assert_eq!((progress.next_index, progress.state), (11, ProgressState::Replicate));
        progress.conflicted(9, 2);
        assert_eq!((progress.next_index, progress.state), (9, ProgressState::Probe));
    }

    #[test]
    fn what_matched_is_not_sent_again() {
        let mut progress = Progress::new(0);
        progress.matched(8);
        assert_eq!(progress.next_index, 9);
    }

    #[test]
    fn what_is_lost_is_sent_again_from_where_it_began() {
        let mut probing = Progress::new(100);
        probing.sent(101, 1);
        probing.expire();
        assert_eq!(probing.next_index, 101, "it is not known yet where the logs agree");
        let mut replicating = Progress::new(100);
        replicating.matched(40);
        replicating.sent(101, 1);
        replicating.expire();
        assert_eq!(replicating.next_index, 41);
    }

    #[test]
    fn lost_probe_does_not_move_next_index_back_behind_match_index() {
        let mut progress = Progress::new(10);
        progress.conflicted(10, 3);
        progress.sent(4, 1);
        progress.matched(8);
        progress.conflicted(9, 2);
        assert_eq!((progress.next_index, progress.state), (9, ProgressState::Probe));
        progress.expire();
        assert_eq!(progress.next_index, 9);
    }

    #[test]
    fn an_unresponsive_follower_gets_one_message_at_a_time() {
        let mut progress = Progress::new(0);
        progress.matched(0);
        progress.target_index = 10;
        progress.sent(1, 1);
        assert!(progress.wants_message(8));
        for n in 2..5 {
            progress.sent(1, n);
            progress.expire();
        }
        assert!(!progress.is_responsive());
        progress.target_index = 10;
        assert!(progress.wants_message(8));
        progress.sent(1, 5);
        assert!(!progress.wants_message(8));
    }

    #[test]
    fn repeated_or_overtaken_answer_is_no_sign_of_life_and_no_round_trip() {
        let mut progress = Progress::new(0);
        progress.sent(1, 10);
        progress.sent(2, 20);
        progress.matched(2);
        progress.heard(20, 21);
        progress.sent(3, 30);
        let deadline = progress.retransmit_deadline(MAX_US);
        for old in [10, 20] {
            progress.heard(old, 400_000);
            progress.heard_on_relay(old, 400_000);
            progress.recalled(old);
        }
        assert_eq!((progress.acked_sent_at, progress.silent_since), (20, Some(30)));
        assert_eq!(progress.retransmit_deadline(MAX_US), deadline);
        progress.heard(30, 400_000);
        assert_eq!((progress.acked_sent_at, progress.silent_since), (30, None));
    }
}
