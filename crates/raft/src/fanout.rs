//! How likely it is that enough followers answer. It decides how many followers a leader asks at
//! once.

use super::leader::Leader;
use super::progress::Progress;
use crate::id::Id;

/// A leader asks more followers until enough answers are as likely as this. At 15 % loss both of
/// two followers answer in 52 % of the cases, which is cheaper than a third message each time; at
/// 30 % only in 24 %, and most writes would wait for a retransmission.
pub(super) const MIN_QUORUM_PROBABILITY: f64 = 0.4;

/// The chances of 0, 1, 2 ... answers from the followers that the leader has asked.
#[derive(Clone, Debug)]
struct Odds {
    exactly: Vec<f64>, // exactly[i]: the chance of i answers, for fewer than are wanted
    asked: usize,
}

impl Odds {
    /// No follower was asked so far, and `wanted` answers are needed.
    fn new(wanted: usize) -> Self {
        let mut exactly = [0.0].repeat(wanted);
        if let Some(none) = exactly.first_mut() {
            *none = 1.0;
        }
        Self { exactly, asked: 0 }
    }

    /// One more follower is asked. It answers with this chance, independent of the others.
    fn ask(&mut self, chance: f64) {
        for answers in (0..self.exactly.len()).rev() {
            let one_less = if answers > 0 { self.exactly[answers - 1] } else { 0.0 };
            self.exactly[answers] = self.exactly[answers] * (1.0 - chance) + one_less * chance;
        }
        self.asked += 1;
    }

    /// Whether at least as many followers were asked as answers are wanted.
    fn can_reach_quorum(&self) -> bool {
        self.asked >= self.exactly.len()
    }

    /// The chance of as many answers as are wanted.
    fn suffice(&self) -> f64 {
        1.0 - self.exactly.iter().sum::<f64>()
    }
}

impl Leader {
    /// Chooses followers to ask besides those that were asked already, so that `wanted` answers
    /// come with the chance `likely`, or at least can come. `asked` has the chance of an answer
    /// from a follower that was asked already, and `None` for any other. Responsive followers that
    /// are not far behind go first; among equals the last hop of a failed relay, which may know
    /// acknowledgements of others; then the follower that the leader has sent nothing for longest.
    pub(super) fn choose(
        &self,
        wanted: usize,
        likely: f64,
        asked: impl Fn(&Progress) -> Option<f64>,
    ) -> Vec<Id> {
        let mut fanout = Odds::new(wanted);
        let mut others = Vec::new();
        for (id, progress) in &self.followers {
            match asked(progress) {
                Some(chance) => fanout.ask(chance),
                None => {
                    let last_resort = progress.is_last_resort();
                    others.push((
                        (last_resort, !progress.is_last_relay_hop(), progress.last_sent_at(), *id),
                        progress,
                    ));
                }
            }
        }
        others.sort_by_key(|&(order, _)| order);
        let mut chosen = Vec::new();
        for ((last_resort, .., id), progress) in others {
            if fanout.can_reach_quorum() && (last_resort || fanout.suffice() >= likely) {
                break;
            }
            fanout.ask(progress.answer_rate());
            chosen.push(id);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::id;
    use crate::micros::Micros;

    /// A follower that answers one message of so many, and whether it is silent by now.
    type Kind = (u64, bool);

    /// A follower of this kind. The leader sends its first message at `start`.
    fn follower((answers_one_of, silent): Kind, start: Micros) -> Progress {
        let mut progress = Progress::new(0);
        for n in 1..=1_000 {
            progress.sent(n, start + n);
            if n % answers_one_of == 0 {
                progress.heard(start + n, start + n);
            }
        }
        while silent && progress.is_responsive() {
            progress.expire();
        }
        progress
    }

    /// The followers that a leader of five chooses for two answers if they are of these kinds, and it has
    /// asked the first `before` of them already.
    fn asks(kinds: [Kind; 4], before: u16) -> Vec<u16> {
        let numbered = (0..).zip(kinds);
        let followers = numbered.map(|(n, kind)| {
            let mut progress = follower(kind, 9 - Micros::from(n));
            if n < before {
                progress.choose_up_to(2_000);
            }
            (id(n), progress)
        });
        let leader = Leader::new(followers.collect(), 0);
        let asked =
            |progress: &Progress| (progress.target_index() == 2_000).then_some(progress.answer_rate());
        leader.choose(2, MIN_QUORUM_PROBABILITY, asked).into_iter().map(Id::number).collect()
    }

    #[test]
    fn leader_asks_until_enough_answers_are_likely_the_longest_left_alone_first() {
        let all = |answers_one_of| [(answers_one_of, false); 4];
        assert_eq!(asks(all(1), 0), [3, 2]);
        assert_eq!(asks(all(2), 0), [3, 2, 1]);
        assert_eq!(asks(all(4), 0), [3, 2, 1, 0]);
        assert_eq!(asks(all(1), 1), [3]);
        assert_eq!(asks(all(1), 2), [0; 0]);
        assert_eq!(asks(all(2), 2), [3]);
    }

    #[test]
    fn leader_asks_silent_followers_only_where_the_others_are_too_few() {
        let with_silent = |silent: [bool; 4]| silent.map(|silent| (1, silent));
        assert_eq!(asks(with_silent([false, true, false, true]), 0), [2, 0]);
        assert_eq!(asks(with_silent([false, true, true, true]), 0), [0, 3]);
        let lossy = [(4, false), (4, false), (1, true), (1, true)];
        assert_eq!(asks(lossy, 0), [1, 0], "two could do, however unlikely");
    }

    #[test]
    fn odds_are_those_of_the_binomial_distribution() {
        let mut fanout = Odds::new(2);
        fanout.ask(0.72);
        assert!(!fanout.can_reach_quorum());
        fanout.ask(0.72);
        assert!(fanout.can_reach_quorum());
        assert!((fanout.suffice() - 0.72 * 0.72).abs() < 1e-12);
        fanout.ask(0.72);
        assert!((fanout.suffice() - (0.72_f64.powi(3) + 3.0 * 0.72_f64.powi(2) * 0.28)).abs() < 1e-12);
    }

    #[test]
    fn one_certain_answer_suffices_for_one_and_no_answer_for_none() {
        let mut fanout = Odds::new(1);
        fanout.ask(1.0);
        assert!((fanout.suffice() - 1.0).abs() < 1e-12);
        assert!((Odds::new(0).suffice() - 1.0).abs() < 1e-12);
    }
}
