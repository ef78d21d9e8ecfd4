//! When the leader last asked a follower and last heard it, and from when on it counts as
//! unreachable (check-quorum; dissertation, 6.2).

use super::link::Link;
use crate::micros::Micros;

/// The leader probes a silent follower so many times per check-quorum time-out, from when an answer
/// is due, if a quorum depends on it. A leader that writes nothing sends nothing else, and one lost
/// message in three would depose it time and again.
const PROBES_PER_TIMEOUT: Micros = 8;

/// A follower counts as unreachable when, at its measured answer rate, so many unanswered probes in
/// a row are less likely than this: three where no message is lost, seven at 30 % loss, sixteen at
/// 50 %.
const TOO_SILENT: f64 = 0.01;

/// The latest contacts with one follower, all by the leader's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Reachability {
    heartbeat_due: bool,          // whether the leader owes a message even without entries
    last_sent_at: Micros,         // of the latest message; 0 before the first
    acked_sent_at: Micros,        // of the latest answered message; 0 before the first
    silent_since: Option<Micros>, // of the first message after the latest answer; > acked_sent_at, <= last_sent_at
}

impl Reachability {
    pub(super) fn is_heartbeat_due(&self) -> bool {
        self.heartbeat_due
    }

    pub(super) fn last_sent_at(&self) -> Micros {
        self.last_sent_at
    }

    pub(super) fn acked_sent_at(&self) -> Micros {
        self.acked_sent_at
    }

    /// The leader owes the follower a message, even without entries.
    pub(super) fn schedule_heartbeat(&mut self) {
        self.heartbeat_due = true;
    }

    /// The leader sent a message.
    pub(super) fn sent(&mut self, sent_at: Micros) {
        self.heartbeat_due = false;
        self.last_sent_at = sent_at;
        self.silent_since.get_or_insert(sent_at);
    }

    /// Whether an answer to the message of `sent_at` is news: it shows that the follower lived
    /// later than the leader knew.
    pub(super) fn is_news(&self, sent_at: Micros) -> bool {
        sent_at > self.acked_sent_at
    }

    /// The follower answered the message of `sent_at`.
    pub(super) fn answered(&mut self, sent_at: Micros) {
        self.silent_since = None;
        self.acked_sent_at = sent_at;
    }

    /// The message of `sent_at` does not come to the follower, which therefore owes no answer to
    /// it. The oldest message that is still in flight was sent at `oldest`.
    pub(super) fn cancelled(&mut self, sent_at: Micros, oldest: Option<Micros>) {
        if self.silent_since == Some(sent_at) {
            self.silent_since = oldest;
        }
    }

    /// When a follower that the leader has asked and that is silent counts as unreachable: after
    /// `check_quorum_timeout_us`, or later where round trips are long or messages are lost; after
    /// `first_us` if it never answered.
    pub(super) fn unreachable_at(
        &self,
        link: &Link,
        check_quorum_timeout_us: Micros,
        first_us: Micros,
    ) -> Micros {
        let after_us = |since| since + unreachable_after_us(link, check_quorum_timeout_us, first_us);
        self.silent_since.map_or(Micros::MAX, after_us)
    }

    /// When the leader is to probe a silent follower, because it may soon count as unreachable;
    /// after the last probe, when it is ([`unreachable_at`](Self::unreachable_at)).
    pub(super) fn reprobe_at(
        &self,
        link: &Link,
        check_quorum_timeout_us: Micros,
        first_us: Micros,
    ) -> Micros {
        let Some(since) = self.silent_since else { return Micros::MAX };
        let spacing_us = probe_spacing_us(check_quorum_timeout_us);
        let first_at = since + spacing_us.max(link.longest_answer_us().unwrap_or(0));
        let next_at = match self.last_sent_at.checked_sub(first_at) {
            Some(after_us) => first_at + (after_us / spacing_us + 1) * spacing_us,
            None => first_at,
        };
        next_at.min(self.unreachable_at(link, check_quorum_timeout_us, first_us))
    }

    /// The invariants of the times, for a leader whose latest message was sent at `latest`.
    pub(super) fn check(&self, latest: Micros) -> Result<(), String> {
        let is_silence_ordered = |since| self.acked_sent_at < since && since <= self.last_sent_at;
        let is_sent = self.last_sent_at <= latest && self.acked_sent_at <= latest;
        if is_sent && self.silent_since.is_none_or(is_silence_ordered) {
            return Ok(());
        }
        Err(format!("{self:?} while the latest message was sent at {latest}"))
    }
}

/// How long a follower is silent until it counts as unreachable: long enough for so many probes
/// that their loss is no accident, and for the answer to the last of them, but at most two of the
/// election time-outs `first_us`.
fn unreachable_after_us(link: &Link, check_quorum_timeout_us: Micros, first_us: Micros) -> Micros {
    let Some(answer_us) = link.longest_answer_us() else { return first_us };
    let silence = 1.0 - link.answer_rate();
    let probes = if silence > 0.0 { (TOO_SILENT.ln() / silence.ln()).ceil() as Micros } else { 1 };
    let spacing_us = probe_spacing_us(check_quorum_timeout_us);
    let probing_us = spacing_us.max(answer_us) + probes.saturating_sub(2).saturating_mul(spacing_us);
    check_quorum_timeout_us.max(2 * answer_us).max((probing_us + answer_us).min(2 * first_us))
}

/// How long the leader waits between two probes of a silent follower.
fn probe_spacing_us(check_quorum_timeout_us: Micros) -> Micros {
    (check_quorum_timeout_us / PROBES_PER_TIMEOUT).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    #[test]
    fn check_refuses_times_out_of_order() {
        let mut sound = Reachability::default();
        sound.sent(5);
        sound.answered(5);
        sound.sent(7);
        sound.sent(8);
        assert_eq!(sound.check(8), Ok(()));
        assert!(sound.check(7).is_err());
        for (acked_sent_at, silent_since) in [(9, None), (5, Some(5)), (5, Some(9))] {
            assert!(Reachability { acked_sent_at, silent_since, ..sound.clone() }.check(8).is_err());
        }
    }

    #[test]
    fn silent_follower_is_probed_at_even_intervals_until_it_is_unreachable() {
        let mut progress = Progress::new(0);
        let reprobe_at = |progress: &Progress| progress.reprobe_at(800_000, 400_000);
        assert_eq!(reprobe_at(&progress), Micros::MAX);
        progress.sent(1, 1_000);
        for at in [101_000, 201_000, 301_000, 401_000] {
            assert_eq!(reprobe_at(&progress), at);
            progress.sent(1, at);
        }
        assert_eq!(reprobe_at(&progress), progress.unreachable_at(800_000, 400_000));
        let mut progress = Progress::new(0);
        progress.sent(1, 1_000);
        progress.sent(1, 51_000);
        assert_eq!(reprobe_at(&progress), 101_000, "the silence counts from the first message");
    }

    #[test]
    fn follower_that_is_asked_and_silent_becomes_unreachable_after_a_while() {
        const STALL_US: Micros = 240_000;
        const FIRST_US: Micros = 480_000;
        let unreachable_at = |progress: &Progress| progress.unreachable_at(STALL_US, FIRST_US);
        let mut progress = Progress::new(0);
        assert_eq!(unreachable_at(&progress), Micros::MAX, "the leader has not asked it");
        progress.sent(1, 1_000);
        progress.sent(2, 9_000);
        assert_eq!(unreachable_at(&progress), 1_000 + FIRST_US, "it never answered");
        progress.heard(9_000, 10_000);
        assert_eq!(unreachable_at(&progress), Micros::MAX, "it has answered");
        progress.sent(3, 20_000);
        progress.sent(4, 30_000);
        assert_eq!(unreachable_at(&progress), 20_000 + STALL_US);
        progress.heard(30_000, 530_000);
        progress.sent(5, 600_000);
        let timeout_us = progress.link.longest_answer_us().expect("measured");
        assert!(2 * timeout_us > STALL_US);
        assert_eq!(unreachable_at(&progress), 600_000 + 2 * timeout_us, "it is slow");
        let mut relay = Progress::new(0);
        relay.heard(1_000, 1_500);
        relay.heard_on_relay(2_000, 202_000);
        relay.sent_on_relay(1, 300_000, 0);
        let timeout_us = relay.link.longest_answer_us().expect("measured");
        assert_eq!(unreachable_at(&relay), 300_000 + 2 * timeout_us, "the way through others is slow");
    }

    /// A follower that has answered one of so many messages, each after `round_trip_us`, and is
    /// asked again at 2,000 s.
    fn asked(answers_one_of: u64, round_trip_us: Micros) -> Progress {
        let mut progress = Progress::new(0);
        for n in 1..=1_000 {
            progress.sent(n, n * 1_000_000);
            if n % answers_one_of == 0 {
                progress.heard(n * 1_000_000, n * 1_000_000 + round_trip_us);
            }
        }
        progress.sent(1_001, 2_000_000_000);
        progress
    }

    #[test]
    fn silence_until_a_follower_is_unreachable_follows_its_losses_and_round_trips() {
        let patience = |progress: Progress| progress.unreachable_at(360_000, 480_000) - 2_000_000_000;
        assert_eq!(patience(asked(1, 100)), 360_000);
        assert_eq!(patience(asked(1, 240_000)), 480_000, "twice the round trip");
        let lossy = patience(asked(2, 80_000));
        assert!((360_000..500_000).contains(&lossy), "{lossy}");
        let lossier = patience(asked(4, 80_000));
        assert!((600_000..960_000).contains(&lossier), "{lossier}");
        assert_eq!(patience(asked(50, 80_000)), 960_000, "there is a limit");
    }
}
