//! A leader's view of one follower, in three parts: how far the logs agree and the appends in flight
//! (`replication`), how long an answer takes and how many are lost (`link`), and when the leader
//! last heard the follower (`reachability`). A follower that is far behind also has a bulk
//! transfer.
//!
//! The indexes of a follower on one line. The logs are known to match (m) up to entry 4; 5 and 6
//! are in flight (f); the leader has chosen this follower for 7 and 8, too, which wait (.) for room
//! in the window; 9 and 10 go to others:
//!
//! ```text
//!  leader's log         1   2   3   4   5   6   7   8   9  10
//!  this follower        m   m   m   m   f   f   .   .
//!                                   ^           ^   ^       ^
//!                         match_index           |   |       last_index
//!                                               |   target_index
//!                                      next_index
//!
//!  match_index < next_index <= last_index + 1        match_index <= target_index <= last_index
//! ```
//!
//! **Late is not lost.** The retransmission time has a maximum, and answers may take longer where
//! messages wait in long queues. To send everything again would make the queues longer still, until
//! nothing new gets through (congestion collapse). Two rules prevent that. As long as such answers
//! arrive, the leader gives up nothing (RFC 6298, 5.3). And if it has given up an append, a late
//! answer to it takes that back: `sent_at` tells which message is answered (Eifel; RFC 3522 and
//! 4015).
//!
//! | file | job |
//! |---|---|
//! | `replication` | the indexes, and the messages in flight |
//! | `bulk_transfer` | whether the follower is far behind |
//! | `link` | the answer rate and the retransmission time |
//! | `round_trip` | smoothed round trips (RFC 6298) |
//! | `need` | whether the follower needs a snapshot, and the next chunk |
//! | `transfer` | the snapshot on its way to the follower |
//! | `reachability` | last contact, silence, and the times of check-quorum |

mod bulk_transfer;
mod link;
mod need;
mod reachability;
mod replication;
mod round_trip;
mod transfer;

use self::bulk_transfer::BulkTransfer;
use self::link::{Link, waits_in_queue};
use self::need::Need;
use self::reachability::Reachability;
use self::replication::{ProgressState, Replication};
use super::types::Index;
use crate::micros::Micros;

/// One follower, as its leader sees it.
#[derive(Clone, Debug)]
pub struct Progress {
    replication: Replication,
    bulk: BulkTransfer,
    link: Link,
    reachability: Reachability,
    snapshot: Option<Need>, // the follower needs entries that the leader has compacted
}

impl Progress {
    /// A follower of which a new leader knows nothing. The leader's log ends at `last_index`, and
    /// the follower is to get the no-op that comes next.
    pub fn new(last_index: Index) -> Self {
        Self {
            replication: Replication::new(last_index),
            bulk: BulkTransfer::default(),
            link: Link::new(),
            reachability: Reachability::default(),
            snapshot: None,
        }
    }

    /// The logs are equal up to this entry.
    pub fn match_index(&self) -> Index {
        self.replication.match_index()
    }

    /// The next entry to send, on the assumption that all messages in flight arrive.
    pub fn next_index(&self) -> Index {
        self.replication.next_index()
    }

    /// The last entry that the follower is to get for now; other followers get the rest.
    pub fn target_index(&self) -> Index {
        self.replication.target_index()
    }

    /// When the leader sent the latest message; 0 before the first.
    pub fn last_sent_at(&self) -> Micros {
        self.reachability.last_sent_at()
    }

    /// When the leader sent the latest answered message: the follower followed it then or later.
    pub fn acked_sent_at(&self) -> Micros {
        self.reachability.acked_sent_at()
    }

    /// Whether the follower was the last hop of a relay that was not answered, and the leader has
    /// neither asked nor heard it since. It may know that the hops before it have the entries of
    /// the relay.
    pub fn is_last_relay_hop(&self) -> bool {
        self.replication.is_last_relay_hop()
    }

    /// Whether the follower answers, as far as the leader knows.
    pub fn is_responsive(&self) -> bool {
        self.link.is_responsive()
    }

    /// Whether the leader has asked the follower and got no answer in time.
    pub fn is_late(&self) -> bool {
        self.link.is_late()
    }

    /// How likely the follower answers a message.
    pub fn answer_rate(&self) -> f64 {
        self.link.answer_rate()
    }

    /// Whether the leader waits for this follower only where the others are too few: it is silent
    /// or far behind.
    pub fn is_last_resort(&self) -> bool {
        !self.is_responsive() || self.is_far_behind()
    }

    /// Whether a new entry would reach this follower only after many others. The leader does not
    /// wait for its answer.
    pub fn is_far_behind(&self) -> bool {
        self.snapshot.is_some() || self.bulk.lacks_many(self.next_index(), self.bulk.up_to())
    }

    /// Whether a message may go through this follower to another: the logs are known to agree, it
    /// answers, it lacks no bulk of entries, and its window has room.
    pub fn may_relay(&self, max_in_flight: usize) -> bool {
        let answers = self.replication.state() == ProgressState::Replicate && self.is_responsive();
        answers && !self.bulk.is_active() && self.replication.in_flight() < max_in_flight
    }
}

/// Sending.
impl Progress {
    /// The follower is to get the log up to `index`.
    pub fn choose_up_to(&mut self, index: Index) {
        self.replication.choose_up_to(index);
    }

    /// The follower is to get no entries until the leader chooses it again.
    pub fn withdraw(&mut self) {
        self.replication.withdraw();
    }

    /// The leader owes the follower a message, even without entries.
    pub fn schedule_heartbeat(&mut self) {
        self.reachability.schedule_heartbeat();
    }

    /// Schedules a heartbeat with all entries if the leader has sent nothing for `interval_us`.
    pub fn heartbeat_if_idle(&mut self, now: Micros, interval_us: Micros, last_index: Index) {
        if self.last_sent_at() + interval_us <= now {
            self.schedule_heartbeat();
            self.choose_up_to(last_index);
        }
    }

    /// Begins, continues or ends a bulk transfer: a follower that answers and is far behind gets
    /// the whole log, whether the leader chooses it for new entries or not.
    pub fn catch_up(&mut self, last_index: Index) {
        if !self.is_responsive() || self.match_index() >= self.bulk.up_to() {
            self.bulk.end();
        }
        if self.is_responsive() && self.bulk.lacks_many(self.next_index(), last_index) {
            self.bulk.begin(last_index);
        }
        self.choose_up_to(self.bulk.up_to());
    }

    /// Whether the leader is to send something now: a heartbeat always, entries or a chunk of a
    /// snapshot while the window has room.
    pub fn wants_message(&self, max_in_flight: usize) -> bool {
        self.wants_append(max_in_flight) || self.wants_chunk(max_in_flight)
    }

    /// Whether the leader is to send an append now. A follower that answers and needs a snapshot gets
    /// chunks only; an append without entries probes one that is silent.
    pub fn wants_append(&self, max_in_flight: usize) -> bool {
        if self.snapshot.is_some() && self.is_responsive() {
            return false;
        }
        let window = match self.replication.state() {
            ProgressState::Replicate if self.bulk.is_active() && self.is_late() => 1,
            ProgressState::Replicate if self.is_responsive() => max_in_flight,
            _ => 1,
        };
        let has_room = self.replication.in_flight() < window;
        self.reachability.is_heartbeat_due() || (self.replication.has_unsent() && has_room)
    }

    /// The leader has compacted the entries up to `base`: it sends none of them, and asks whether the
    /// follower has the base.
    pub fn probe_after(&mut self, base: Index) {
        if self.next_index() <= base {
            self.replication.probe_after(base);
        }
    }

    /// The last entry that the leader may send now. It probes a silent follower without entries: a
    /// datagram that is full of them would be lost as well.
    pub fn sendable_up_to(&self) -> Index {
        if self.is_responsive() { self.target_index() } else { self.next_index() - 1 }
    }

    /// An append had room for so many entries only, less than it was to bring.
    pub fn filled_append(&mut self, entries: usize) {
        self.bulk.filled_append(entries);
    }

    /// The leader sent an append with the entries from `next_index` up to `last_index`.
    pub fn sent(&mut self, last_index: Index, sent_at: Micros) {
        self.replication.sent(last_index, sent_at, None);
        self.reachability.sent(sent_at);
    }

    /// The leader sent a relay that carries entries up to `last_index`; `followed_by` more hops
    /// come after this follower.
    pub fn sent_on_relay(&mut self, last_index: Index, sent_at: Micros, followed_by: usize) {
        self.replication.sent(last_index, sent_at, Some(followed_by));
        self.reachability.sent(sent_at);
    }
}

/// Answers.
impl Progress {
    /// Whether an answer to the message of `sent_at` is the first that shows that the follower
    /// lived then or later. A network may repeat an answer, and hold it back; such an answer is no
    /// sign of life and no measure.
    pub fn is_news(&self, sent_at: Micros) -> bool {
        self.reachability.is_news(sent_at)
    }

    /// The follower's log equals the leader's up to `match_index`.
    pub fn matched(&mut self, match_index: Index) {
        self.replication.matched(match_index);
    }

    /// The follower refused `prev_log_index`; the logs may agree before `next_index`.
    pub fn conflicted(&mut self, prev_log_index: Index, next_index: Index) {
        self.replication.conflicted(prev_log_index, next_index);
    }

    /// If the answer to the append of `sent_at` waited in a long queue, and the leader has given up
    /// this append and those after it: takes that back. The leader calls [`matched`](Self::matched)
    /// or [`conflicted`](Self::conflicted) before, and [`heard`](Self::heard) afterwards.
    pub fn resume_if_late(&mut self, sent_at: Micros, now: Micros, max_us: Micros) {
        if waits_in_queue(now.saturating_sub(sent_at), max_us) && self.replication.resume(sent_at) {
            self.link.undo_failures();
        }
    }

    /// The follower answered the message of `sent_at`. The leader calls [`matched`](Self::matched)
    /// or [`conflicted`](Self::conflicted) before.
    pub fn heard(&mut self, sent_at: Micros, now: Micros) {
        if self.note_heard(sent_at) {
            self.link.measured(false, sent_at, now);
        }
    }

    /// The follower acknowledged the relay of `sent_at`, and another follower has brought the
    /// answer.
    pub fn heard_on_relay(&mut self, sent_at: Micros, now: Micros) {
        if self.note_heard(sent_at) {
            self.link.measured(true, sent_at, now);
        }
    }

    /// The follower acknowledged the earlier relay of `sent_at`, and another follower remembers it.
    pub fn recalled(&mut self, sent_at: Micros) {
        self.note_heard(sent_at);
    }

    /// False, and nothing is changed, unless this [`is_news`](Self::is_news).
    fn note_heard(&mut self, sent_at: Micros) -> bool {
        if !self.is_news(sent_at) {
            return false;
        }
        self.reachability.answered(sent_at);
        self.link.answered();
        self.replication.answered(sent_at, |arrived| self.link.count_answer(arrived));
        true
    }
}

/// Messages in flight, and silence.
impl Progress {
    /// Whether a message that was sent later than `after` is still unanswered.
    pub fn awaits_answer_since(&self, after: Micros) -> bool {
        self.replication.latest_in_flight().is_some_and(|sent_at| sent_at > after)
    }

    /// If the message of `sent_at` is a relay in flight: how many hops come after this follower.
    pub fn followed_by(&self, sent_at: Micros) -> Option<usize> {
        self.replication.followed_by(sent_at)
    }

    /// `sent_at` of the oldest message in flight, if it is a relay.
    pub fn oldest_relay(&self) -> Option<Micros> {
        self.replication.oldest_in_flight().and_then(|(sent_at, is_relay)| is_relay.then_some(sent_at))
    }

    /// The relay that was sent at `sent_at` does not come to this follower: it counts as never
    /// sent.
    pub fn cancel_relay(&mut self, sent_at: Micros) {
        self.replication.cancel_relay(sent_at);
        self.reachability.cancelled(sent_at, self.replication.oldest_in_flight().map(|(sent_at, _)| sent_at));
    }

    /// When the leader gives up the oldest message in flight.
    pub fn retransmit_deadline(&self, max_us: Micros) -> Option<Micros> {
        let (sent_at, is_relay) = self.replication.oldest_in_flight()?;
        Some(self.link.retransmit_deadline(sent_at, is_relay, max_us))
    }

    /// Whether the leader gives up the oldest message in flight by now.
    pub fn is_overdue(&self, now: Micros, max_us: Micros) -> bool {
        self.retransmit_deadline(max_us).is_some_and(|deadline| deadline <= now)
    }

    /// The leader gives up all messages in flight: they count as unsent again, and the follower is
    /// to get no entries until the leader chooses it again.
    pub fn expire(&mut self) {
        self.replication.expire();
        if let Some(Need::Transfer(transfer)) = &mut self.snapshot {
            transfer.expire();
        }
        self.link.failed();
        if !self.is_responsive() {
            self.replication.forget_given_up();
        }
    }

    /// How long an answer to an append may take before the leader asks another follower.
    pub fn answer_limit_us(&self) -> Micros {
        self.link.retransmit_us(false, Micros::MAX)
    }

    /// When a follower that the leader has asked and that is silent counts as unreachable: after
    /// `check_quorum_timeout_us`, or later where round trips are long or messages are lost; after
    /// `first_us` if it never answered.
    pub fn unreachable_at(&self, check_quorum_timeout_us: Micros, first_us: Micros) -> Micros {
        self.reachability.unreachable_at(&self.link, check_quorum_timeout_us, first_us)
    }

    /// When the leader is to probe a silent follower, because it may soon count as unreachable;
    /// after the last probe, when it is ([`unreachable_at`](Self::unreachable_at)).
    pub fn reprobe_at(&self, check_quorum_timeout_us: Micros, first_us: Micros) -> Micros {
        self.reachability.reprobe_at(&self.link, check_quorum_timeout_us, first_us)
    }

    /// The invariants of all parts, for a leader whose log ends at `last_index` and whose latest
    /// message was sent at `latest`.
    pub(super) fn check(&self, last_index: Index, latest: Micros) -> Result<(), String> {
        self.replication.check(last_index)?;
        self.bulk.check(last_index)?;
        if let Some(Need::Transfer(transfer)) = &self.snapshot {
            transfer.check()?;
        }
        self.link.check()?;
        self.reachability.check(latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_US: Micros = 1_000_000;

    #[test]
    fn follower_that_a_cancelled_relay_did_not_reach_is_as_if_it_had_not_been_sent() {
        let mut progress = Progress::new(0);
        progress.sent(1, 10);
        progress.matched(1);
        progress.heard(10, 11);
        progress.choose_up_to(3);
        progress.sent_on_relay(2, 20, 1);
        progress.sent_on_relay(3, 30, 0);
        let unreachable_at = |progress: &Progress| progress.unreachable_at(240_000, 480_000);
        progress.cancel_relay(30);
        assert_eq!((progress.next_index(), progress.target_index()), (3, 2));
        assert_eq!(unreachable_at(&progress), 240_020);
        progress.cancel_relay(20);
        assert_eq!((progress.next_index(), progress.target_index()), (2, 1));
        assert_eq!(unreachable_at(&progress), Micros::MAX);
        assert_eq!((progress.retransmit_deadline(MAX_US), progress.last_sent_at()), (None, 30));
        assert!((progress.answer_rate() - 1.0).abs() < 1e-12 && !progress.is_late());
    }

    #[test]
    fn recalled_acknowledgement_is_no_measure_of_a_round_trip() {
        let mut progress = Progress::new(0);
        progress.sent_on_relay(1, 20, 1);
        progress.heard_on_relay(20, 21);
        progress.sent_on_relay(1, 30, 1);
        progress.recalled(30);
        progress.sent_on_relay(1, 9_000_000, 1);
        assert_eq!(progress.retransmit_deadline(MAX_US), Some(9_005_000));
    }

    #[test]
    fn relay_has_a_retransmission_time_of_its_own() {
        let mut progress = Progress::new(0);
        progress.heard(1, 9_000_000);
        progress.heard_on_relay(2, 40_002);
        progress.sent(1, 10_000_000);
        assert_eq!(progress.retransmit_deadline(MAX_US), Some(10_250_000));
        assert_eq!(progress.unreachable_at(240_000, 480_000), 10_500_000);
        progress.expire();
        progress.sent_on_relay(1, 20_000_000, 0);
        assert_eq!(progress.retransmit_deadline(MAX_US), Some(20_120_000));
    }

    /// The leader gives up four appends, sends one again, and gets an answer to the first one at
    /// this time. Returns how many messages are in flight then, and when the oldest one expires.
    fn after_late_answer(now: Micros, max_us: Micros) -> (usize, Option<Micros>) {
        let mut progress = Progress::new(10);
        progress.matched(9);
        progress.choose_up_to(10);
        (11..=14).for_each(|n| progress.sent(10, n));
        progress.expire();
        progress.sent(10, 100_000);
        progress.matched(10);
        progress.resume_if_late(11, now, max_us);
        progress.heard(11, now);
        let is_undone = !progress.is_late() && progress.answer_rate() > 1.0 - 1e-12;
        assert_eq!(is_undone, progress.replication.in_flight() > 1);
        (progress.replication.in_flight(), progress.retransmit_deadline(max_us))
    }

    #[test]
    fn answer_that_waited_in_a_long_queue_takes_back_that_its_append_was_given_up() {
        assert_eq!(after_late_answer(250_011, MAX_US), (1, Some(350_000)));
        assert_eq!(after_late_answer(250_012, MAX_US), (4, Some(500_012)));
        assert_eq!(after_late_answer(160_012, 160_000), (4, Some(320_012)), "heartbeats are due as often");
    }

    #[test]
    fn appends_to_an_unresponsive_follower_are_given_up_for_good() {
        let mut progress = Progress::new(0);
        progress.matched(0);
        for n in 1..=3 {
            progress.sent(1, n);
            progress.expire();
        }
        assert!(!progress.is_responsive());
        progress.matched(1);
        progress.resume_if_late(1, 500_000, MAX_US);
        assert_eq!(progress.replication.in_flight(), 0);
    }

    #[test]
    fn answer_rate_follows_the_losses() {
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
    fn unresponsive_follower_gets_one_message_at_a_time() {
        let mut progress = Progress::new(0);
        progress.matched(0);
        progress.choose_up_to(10);
        progress.sent(1, 1);
        assert!(progress.wants_message(8));
        for n in 2..5 {
            progress.sent(1, n);
            progress.expire();
        }
        assert!(!progress.is_responsive());
        progress.choose_up_to(10);
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
        let seen = |progress: &Progress| {
            let unreachable_at = progress.unreachable_at(240_000, 480_000);
            (progress.acked_sent_at(), unreachable_at, progress.retransmit_deadline(MAX_US))
        };
        let before = seen(&progress);
        assert_eq!((before.0, before.1), (20, 240_030));
        for old in [10, 20] {
            progress.heard(old, 400_000);
            progress.heard_on_relay(old, 400_000);
            progress.recalled(old);
        }
        assert_eq!(seen(&progress), before);
        progress.heard(30, 400_000);
        assert_eq!(seen(&progress), (30, Micros::MAX, None));
    }
}
