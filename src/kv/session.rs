//! A client's session remembers the puts that were applied, so that no put is applied twice
//! (dissertation, 6.3).
//!
//! # Guarantees
//!
//! A client repeats a put under the MID that the put had. A session recognises the repetition as
//! long as it remembers the MID. Its size is bounded, so it cannot remember all. The guarantee
//! beyond that depends on the MIDs, which the client chooses:
//!
//! * **A client that numbers its puts**, each with a greater number than the one before: at most
//!   once, without limit. The session remembers the last [`SESSION_WINDOW`] puts, and of all
//!   earlier ones the greatest number. A put that it does not remember and whose number is not
//!   greater may have been applied. So it is [`Forgotten`](Fate::Forgotten): the session refuses it
//!   for ever. Numbers may have gaps and may come out of order. A session refuses a put only if
//!   more than `SESSION_WINDOW` later ones were applied before it.
//! * **A client that invents its MIDs** (at random, say): the session remembers its last
//!   [`NAMES_WINDOW`] puts. A MID without order does not show its age. So the session takes a put
//!   that comes again after more than so many others for a new one. A client that takes a new MID
//!   for each attempt never notices.
//!
//! A MID is a number if it has up to 16 hexadecimal digits, decimal ones included, or is a decimal
//! number up to 2^64 - 1. Leading zeros do not count. The session sees from the puts whether a
//! client numbers them. It compares numbers that are half of `SESSION_WINDOW` puts apart, and of
//! the last 512 such pairs three quarters must rise. Of random numbers half of the pairs rise; the
//! chance that 384 of 512 do is below 10^-29. With a quarter of the puts delayed by a lost message
//! three quarters still rise. The log alone decides, so all replicas see the same.
//!
//! # Costs
//!
//! A session keeps MIDs and contents as digests of 64 bits, so it does not grow with the length of
//! a client's texts. A put that it remembers takes about 60 bytes with the tables' spare room. That
//! makes 64 KB for a client that numbers its puts, and 4 MB for one that does not. There are at
//! most 65,535 sessions, because a client's ID has 16 bits.

use std::collections::{HashMap, VecDeque};

use crate::command::Command;
use crate::digest::digest;

/// How many of a client's latest puts its session remembers at least.
pub const SESSION_WINDOW: usize = 1_024;

/// How many it remembers of a client whose MIDs have no order.
pub const NAMES_WINDOW: usize = 65_536;

/// The distance of the puts whose numbers a session compares, and the number of such pairs that it
/// looks at.
const PAIRS: usize = SESSION_WINDOW / 2;

/// How many of these pairs rise if a client numbers its puts.
const RISING: usize = PAIRS / 4 * 3;

/// How many puts a session forgets at most when it records one: more than one, so that it shrinks
/// when its client begins to count.
const FORGOTTEN_AT_ONCE: usize = 2;

/// The fate of a put, by the session of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was not applied before: it may be.
    New,
    /// It was applied before: a repetition changes nothing and is answered like the first.
    Applied,
    /// Another put was applied under its MID: it is refused.
    Reused,
    /// It may have been applied and forgotten: it is refused.
    Forgotten,
}

/// A put as a session knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Put<'a> {
    /// Its MID.
    pub mid: &'a str,
    /// The digest of its key and value.
    pub content: u64,
}

/// The puts of one client that were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    contents: HashMap<u64, u64>, // by the digest of its MID, the content of each put that is remembered
    order: VecDeque<Remembered>, // the same puts, oldest first; at most NAMES_WINDOW
    rising: usize,               // how many of the last PAIRS pairs rise
    settled: Option<u64>,        // every number up to this one is remembered or refused; never decreases
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remembered {
    mid: u64, // its digest
    number: Option<u64>,
}

impl<'a> Put<'a> {
    /// The part of this command that a session keeps.
    pub fn of(command: &'a Command) -> Self {
        Self { mid: &command.request.mid, content: digest(&[&command.key, &command.value]) }
    }
}

impl Session {
    /// The fate of this put.
    pub fn fate(&self, put: &Put<'_>) -> Fate {
        self.fate_under(digest(&[put.mid]), put)
    }

    /// The same, with the digest of its MID at hand.
    fn fate_under(&self, mid: u64, put: &Put<'_>) -> Fate {
        match self.contents.get(&mid) {
            Some(&content) if content == put.content => Fate::Applied,
            Some(_) => Fate::Reused,
            None if number(put.mid).is_some_and(|number| Some(number) <= self.settled) => Fate::Forgotten,
            None => Fate::New,
        }
    }

    /// Remembers a put that is applied, if it is new, and returns the fate that it had before.
    pub fn record(&mut self, put: &Put<'_>) -> Fate {
        let mid = digest(&[put.mid]);
        let fate = self.fate_under(mid, put);
        if fate == Fate::New {
            self.contents.insert(mid, put.content);
            self.order.push_back(Remembered { mid, number: number(put.mid) });
            self.rising += usize::from(self.rises(0));
            self.rising -= usize::from(self.rises(PAIRS));
            self.forget();
        }
        fate
    }

    /// Whether the number of the put before the last `back` puts is greater than that of `PAIRS`
    /// puts before.
    fn rises(&self, back: usize) -> bool {
        let Some(earlier) = self.order.len().checked_sub(1 + back + PAIRS) else { return false };
        let numbers = self.order[earlier].number.zip(self.order[earlier + PAIRS].number);
        numbers.is_some_and(|(earlier, later)| earlier < later)
    }

    /// Forgets the oldest puts that are too many. A number is settled only if it is behind those of
    /// the latest puts. Otherwise a number far ahead, from before the client began to count, would
    /// make the session refuse all others.
    fn forget(&mut self) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some(&Remembered { mid, number }) = self.order.front() else { return };
            let latest = self.order.iter().nth_back(PAIRS).and_then(|put| put.number);
            let settled = number.filter(|_| self.rising >= RISING && number < latest);
            let window = if settled.is_some() { SESSION_WINDOW } else { NAMES_WINDOW };
            if self.order.len() <= window {
                return;
            }
            self.settled = self.settled.max(settled);
            self.contents.remove(&mid);
            self.order.pop_front();
        }
    }
}

/// The number that a MID is, if it is one.
fn number(mid: &str) -> Option<u64> {
    if !mid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match mid.trim_start_matches('0') {
        "" => (!mid.is_empty()).then_some(0),
        digits if digits.len() <= 16 => u64::from_str_radix(digits, 16).ok(),
        digits => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(mid: &str) -> Put<'_> {
        Put { mid, content: 7 }
    }

    /// A session that has recorded the puts with these MIDs, all of which were new.
    fn session(mids: impl Iterator<Item = String>) -> Session {
        let mut session = Session::default();
        for mid in mids {
            assert_eq!(session.record(&put(&mid)), Fate::New, "{mid}");
        }
        session
    }

    fn random_mids(seed: u64, length: usize, of: &'static [u8]) -> impl Iterator<Item = String> {
        let mut rng = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(move || (0..length).map(|_| of[rng.usize(..of.len())] as char).collect())
    }

    fn hex(n: usize) -> String {
        format!("{n:x}")
    }

    #[test]
    fn repeated_put_is_recognised_and_another_under_its_mid_refused() {
        let mut session = session(["m".into()].into_iter());
        assert_eq!(session.record(&put("m")), Fate::Applied);
        assert_eq!(session.record(&Put { mid: "m", content: 8 }), Fate::Reused);
        assert_eq!(session.fate(&put("m")), Fate::Applied);
    }

    #[test]
    fn numbered_put_is_applied_never_again_however_late_it_comes() {
        for count in [SESSION_WINDOW + 1, 10 * SESSION_WINDOW] {
            let session = session((0..count).map(hex));
            let fate = |n: usize| session.fate(&put(&hex(n)));
            assert!((0..count - SESSION_WINDOW).all(|n| fate(n) == Fate::Forgotten));
            assert!((count - SESSION_WINDOW..count).all(|n| fate(n) == Fate::Applied));
            assert!((count..2 * count).all(|n| fate(n) == Fate::New));
            assert_eq!(session.order.len(), SESSION_WINDOW);
            assert_eq!(session.contents.len(), SESSION_WINDOW);
        }
    }

    #[test]
    fn numbers_count_however_they_are_written() {
        let ways: [fn(usize) -> String; 5] = [
            |n| n.to_string(),
            |n| format!("{n:X}"),
            |n| format!("{n:032x}"),
            |n| format!("{}", 1_764_000_000_000_000_000 + 1_000 * n as u64),
            |n| format!("{:x}", 17 * n),
        ];
        for way in ways {
            let session = session((0..3 * SESSION_WINDOW).map(way));
            assert_eq!(session.fate(&put(&way(5))), Fate::Forgotten, "{}", way(5));
        }
    }

    #[test]
    fn numbers_out_of_order_are_applied_once_each() {
        // Every seventh is delayed by 800 others, and all by up to a hundred.
        let mut rng = fastrand::Rng::with_seed(1);
        let delay = |n: usize| if n.is_multiple_of(7) { 800 } else { 0 };
        let mut order: Vec<(usize, usize)> =
            (0..20_000).map(|n| (n + delay(n) + rng.usize(..100), n)).collect();
        order.sort_unstable();
        let session = session(order.iter().map(|(_, n)| hex(*n)));
        assert!((0..18_000).all(|n| session.fate(&put(&hex(n))) == Fate::Forgotten));
        assert_eq!(session.order.len(), SESSION_WINDOW);
    }

    #[test]
    fn random_mid_that_is_new_is_never_refused_and_is_remembered_for_the_longer_window() {
        let alphabets: [(usize, &[u8]); 4] = [
            (16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
            (16, b"0123456789abcdef"),
            (12, b"0123456789"),
            (32, b"0123456789abcdef"),
        ];
        for (seed, (length, of)) in alphabets.into_iter().enumerate() {
            let mids = || random_mids(seed as u64, length, of);
            let session = session(mids().take(2 * NAMES_WINDOW));
            assert_eq!((session.order.len(), session.contents.len()), (NAMES_WINDOW, NAMES_WINDOW));
            assert_eq!(session.settled, None);
            assert!(mids().skip(NAMES_WINDOW).take(9).all(|mid| session.fate(&put(&mid)) == Fate::Applied));
        }
    }

    #[test]
    fn client_that_begins_to_count_is_recognised_and_its_session_shrinks() {
        let random = random_mids(1, 16, b"0123456789abcdef").take(NAMES_WINDOW);
        let session = session(random.chain((0..3 * NAMES_WINDOW).map(hex)));
        assert_eq!(session.order.len(), SESSION_WINDOW);
        assert_eq!(session.fate(&put("0")), Fate::Forgotten);
    }

    #[test]
    fn number_far_ahead_of_the_others_refuses_none_of_them() {
        let mids = (0..9 * SESSION_WINDOW).map(|n| if n == SESSION_WINDOW { "f".repeat(16) } else { hex(n) });
        let session = session(mids);
        assert_eq!(session.fate(&put(&hex(9 * SESSION_WINDOW))), Fate::New);
        assert_eq!(session.fate(&put("0")), Fate::Forgotten);
    }

    #[test]
    fn client_that_stops_counting_keeps_its_settled_numbers() {
        let mut session = session((0..2 * SESSION_WINDOW).map(hex));
        for mid in random_mids(1, 16, b"GHIJKLMNOPQRSTUVWXYZ").take(2 * NAMES_WINDOW) {
            assert_eq!(session.record(&put(&mid)), Fate::New);
        }
        assert_eq!(session.fate(&put("0")), Fate::Forgotten);
        assert_eq!(session.order.len(), NAMES_WINDOW);
    }

    #[test]
    fn mid_that_is_no_number_has_none() {
        for mid in ["", "m1", "+1", "-1", "1.5", "0x1f", " 1", "fffffffffffffffff", "18446744073709551616"] {
            assert_eq!(number(mid), None, "{mid:?}");
        }
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("000"), Some(0));
        assert_eq!(number("fFfFffffffffffff"), Some(u64::MAX));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
    }
}
