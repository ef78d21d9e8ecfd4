//! How likely it is that enough followers answer: decides how many are asked at once.

/// The chances of 0, 1, 2 ... answers from those that were asked.
#[derive(Clone, Debug)]
pub(super) struct Odds {
    exactly: Vec<f64>, // exactly[i]: the chance of i answers, for fewer than are wanted
    asked: usize,
}

impl Odds {
    /// Nobody was asked, and `wanted` answers are needed.
    pub(super) fn new(wanted: usize) -> Self {
        let mut exactly = [0.0].repeat(wanted);
        if let Some(none) = exactly.first_mut() {
            *none = 1.0;
        }
        Self { exactly, asked: 0 }
    }

    /// One more is asked, who answers with this chance, independent of the others.
    pub(super) fn ask(&mut self, chance: f64) {
        for answers in (0..self.exactly.len()).rev() {
            let one_less = if answers > 0 { self.exactly[answers - 1] } else { 0.0 };
            self.exactly[answers] = self.exactly[answers] * (1.0 - chance) + one_less * chance;
        }
        self.asked += 1;
    }

    /// Whether at least as many were asked as are wanted.
    pub(super) fn could_suffice(&self) -> bool {
        self.asked >= self.exactly.len()
    }

    /// The chance that as many answer as are wanted.
    pub(super) fn suffice(&self) -> f64 {
        1.0 - self.exactly.iter().sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_as_the_binomial_distribution_does() {
        let mut odds = Odds::new(2);
        odds.ask(0.72);
        assert!(!odds.could_suffice());
        odds.ask(0.72);
        assert!(odds.could_suffice());
        assert!((odds.suffice() - 0.72 * 0.72).abs() < 1e-12);
        odds.ask(0.72);
        assert!((odds.suffice() - (0.72_f64.powi(3) + 3.0 * 0.72_f64.powi(2) * 0.28)).abs() < 1e-12);
    }

    #[test]
    fn certain_answers_suffice_and_no_answers_are_needed_for_none() {
        let mut odds = Odds::new(1);
        odds.ask(1.0);
        assert!((odds.suffice() - 1.0).abs() < 1e-12);
        assert!((Odds::new(0).suffice() - 1.0).abs() < 1e-12);
    }
}
