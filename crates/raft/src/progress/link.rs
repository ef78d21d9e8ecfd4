//! How long a follower's answers take and how many are lost.

use super::round_trip::{MAX_RETRANSMIT_US, MIN_RETRANSMIT_US, RoundTrip};
use crate::micros::Micros;

/// A follower is unresponsive when, at its measured answer rate, so many unanswered attempts in a
/// row are less likely than this: three of them where no message is lost, ten at 30 % loss. The
/// leader then leaves it out of the rotation and asks it ever more rarely.
const TOO_UNLIKELY: f64 = 0.001;

/// The weight of one message in the measured answer rate: 32 messages are a second or two of
/// moderate load.
const ANSWER_RATE_WEIGHT: f64 = 1.0 / 32.0;

/// The retransmission time before the first answer, from no knowledge at all.
const FIRST_RETRANSMIT_US: Micros = 20_000;

/// The least retransmission time while hardly any answer is lost: a missing answer is late then. It
/// is longer than a tick of most systems' clocks. Nearly every answer comes long before its timer.
/// A timer that is due before the next tick must be programmed into the clock and taken back each
/// time, which on a virtual machine costs more than the answer itself (docs/performance.md).
const PATIENT_RETRANSMIT_US: Micros = 5_000;

/// From this answer rate on hardly any answer is lost: none of the latest 36.
const HARDLY_ANY_LOST: f64 = 0.99;

/// Round trips to one follower, and its losses.
#[derive(Clone, Debug)]
pub(super) struct Link {
    round_trip: Option<RoundTrip>,
    relay_round_trip: Option<RoundTrip>, // of relays, whose way through other followers is longer
    answer_rate: f64,                    // how many of the latest messages the follower answered; 0 to 1
    failures: u32,                       // unanswered attempts since the follower's latest answer
    latest_answer_us: Micros,            // how long it took; 0 before the first
    answered_at: Micros,                 // when it came
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            round_trip: None,
            relay_round_trip: None,
            answer_rate: 1.0,
            failures: 0,
            latest_answer_us: 0,
            answered_at: 0,
        }
    }

    /// Whether the follower answers, as far as the leader knows.
    pub(super) fn is_responsive(&self) -> bool {
        // Asked all the time, and nearly always of a follower that has just answered.
        !self.is_late() || (1.0 - self.answer_rate).powf(f64::from(self.failures)) >= TOO_UNLIKELY
    }

    /// Whether an attempt failed since the follower's latest answer.
    pub(super) fn is_late(&self) -> bool {
        self.failures > 0
    }

    pub(super) fn answer_rate(&self) -> f64 {
        self.answer_rate
    }

    /// An answer arrived.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// No answer to the messages in flight arrived in time. They count as one loss, since they have
    /// one cause.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.count_answer(false);
    }

    /// The attempts since the latest answer did not fail: their answers are late.
    pub(super) fn undo_failures(&mut self) {
        for _ in 0..self.failures {
            self.answer_rate = (self.answer_rate / (1.0 - ANSWER_RATE_WEIGHT)).min(1.0);
        }
        self.failures = 0;
    }

    /// Takes one message into the answer rate.
    pub(super) fn count_answer(&mut self, answered: bool) {
        self.answer_rate += (f64::from(u8::from(answered)) - self.answer_rate) * ANSWER_RATE_WEIGHT;
    }

    /// Takes in a round trip, of a relay or of an append.
    pub(super) fn measured(&mut self, is_relay: bool, sent_at: Micros, now: Micros) {
        let known = if is_relay { &mut self.relay_round_trip } else { &mut self.round_trip };
        (self.latest_answer_us, self.answered_at) = (now.saturating_sub(sent_at), now);
        RoundTrip::update(known, self.latest_answer_us);
    }

    /// How long an answer takes at most, if the follower ever answered.
    pub(super) fn longest_answer_us(&self) -> Option<Micros> {
        let known = [self.round_trip, self.relay_round_trip].into_iter().flatten();
        known.map(RoundTrip::timeout_us).max()
    }

    /// The retransmission time: it follows the measured round trip. It doubles with each failure
    /// once the follower is unresponsive; before that, a loss is more likely than a slow network.
    pub(super) fn retransmit_us(&self, is_relay: bool, max_us: Micros) -> Micros {
        let round_trip = if is_relay { self.relay_round_trip } else { self.round_trip };
        let least =
            if self.answer_rate > HARDLY_ANY_LOST { PATIENT_RETRANSMIT_US } else { MIN_RETRANSMIT_US };
        let base = round_trip.map_or(FIRST_RETRANSMIT_US, |known| known.timeout_us().max(least));
        let doublings = if self.is_responsive() { 0 } else { self.failures.min(16) };
        (base << doublings).min(max_us)
    }

    /// When the leader gives up a message of `sent_at`. Where messages wait in a
    /// [long queue](waits_in_queue), they are not lost as long as the queue moves, so the time
    /// begins anew with each answer (RFC 6298, 5.3).
    pub(super) fn retransmit_deadline(&self, sent_at: Micros, is_relay: bool, max_us: Micros) -> Micros {
        let queues = waits_in_queue(self.latest_answer_us, max_us);
        let since = if queues { sent_at.max(self.answered_at) } else { sent_at };
        since + self.retransmit_us(is_relay, max_us)
    }

    /// The answer rate is a share.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_share = (0.0..=1.0).contains(&self.answer_rate);
        if is_share { Ok(()) } else { Err(format!("an answer rate of {}", self.answer_rate)) }
    }
}

/// Whether an answer took longer than the longest retransmission time, which is at most `max_us`.
/// The retransmission time cannot follow such answers: the messages wait in a long queue.
pub(super) fn waits_in_queue(answer_us: Micros, max_us: Micros) -> bool {
    answer_us > MAX_RETRANSMIT_US.min(max_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_US: Micros = 1_000_000;

    #[test]
    fn retransmission_time_follows_the_measured_round_trip() {
        let mut slow = Link::new();
        (0..50).for_each(|_| slow.measured(false, 0, 40_000));
        let wait = slow.retransmit_us(false, MAX_US);
        assert!((40_000..50_000).contains(&wait), "{wait}");
    }

    #[test]
    fn answer_that_the_network_held_for_long_does_not_make_it_long() {
        let mut link = Link::new();
        link.measured(false, 0, 9_000_000);
        link.measured(true, 0, 9_000_000);
        assert_eq!([false, true].map(|is_relay| link.retransmit_us(is_relay, MAX_US)), [250_000; 2]);
    }

    #[test]
    fn retransmission_time_is_shorter_where_answers_are_lost() {
        let mut link = Link::new();
        let mut wait_after = |losses: u64, answers: u64| {
            (0..losses).for_each(|_| link.failed());
            for _ in 0..answers {
                link.answered();
                link.count_answer(true);
                link.measured(false, 0, 0);
            }
            link.retransmit_us(false, MAX_US)
        };
        assert_eq!(wait_after(0, 1), 5_000);
        assert_eq!(wait_after(1, 1), 2_000);
        assert_eq!(wait_after(0, 51), 5_000, "the loss is long ago");
    }

    #[test]
    fn retransmission_time_doubles_up_to_the_maximum_once_the_follower_is_unresponsive() {
        let mut link = Link::new();
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(link.retransmit_us(false, 500_000));
            link.failed();
        }
        assert_eq!(waits, [20_000, 20_000, 20_000, 160_000, 320_000, 500_000]);
        assert!(!link.is_responsive());
        link.answered();
        assert!(link.is_responsive());
    }

    #[test]
    fn time_begins_anew_with_each_answer_where_answers_take_longer_than_the_longest_time() {
        let after = |answer_us: Micros, max_us: Micros| {
            let mut link = Link::new();
            (0..50).for_each(|n| link.measured(false, n * 3_000, n * 3_000 + answer_us));
            let [sent, answered] = [50 * 3_000, 49 * 3_000 + answer_us];
            (link.retransmit_deadline(sent, false, max_us) - sent, answered - sent)
        };
        assert_eq!(after(240_000, MAX_US).0, 240_000, "the time follows the round trip");
        let (deadline, answered) = after(400_000, MAX_US);
        assert_eq!(deadline, answered + 250_000);
        let (deadline, answered) = after(240_000, 160_000);
        assert_eq!(deadline, answered + 160_000, "heartbeats are due as often");
    }

    #[test]
    fn failures_that_are_undone_leave_no_trace() {
        let mut link = Link::new();
        (0..2).for_each(|_| link.failed());
        link.undo_failures();
        assert!((link.answer_rate() - 1.0).abs() < 1e-12 && !link.is_late(), "{link:?}");
    }

    #[test]
    fn check_refuses_an_answer_rate_that_is_no_share() {
        let check = |answer_rate| Link { answer_rate, ..Link::new() }.check();
        assert_eq!((check(0.0), check(1.0)), (Ok(()), Ok(())));
        assert!([-0.1, 1.1, f64::NAN].into_iter().all(|rate| check(rate).is_err()));
    }
}
