//! Draws the delay of a message from a distribution.

use fastrand::Rng;

use super::plan::{Distribution, LONGEST_DRAW_US};
use crate::micros::Micros;

/// Draws a delay, at most the longest one. It is a whole number of microseconds, so a machine whose
/// logarithm differs in its last bit draws the same.
pub(super) fn draw(distribution: Distribution, rng: &mut Rng) -> Micros {
    match distribution {
        Distribution::Constant(always) => always,
        Distribution::Uniform(least, most) => rng.u64(least..=most),
        Distribution::Normal(mean, deviation) => whole(mean as f64 + deviation as f64 * standard_normal(rng)),
        Distribution::Pareto(least, shape) => whole(least as f64 / (1.0 - rng.f64()).powf(1.0 / shape)),
    }
}

/// A draw of the normal distribution with mean 0 and deviation 1 (Box and Muller, 1958).
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Within 0 and the longest delay. A least delay of 0 stays 0, however small its divisor.
fn whole(delay_us: f64) -> Micros {
    (delay_us.max(0.0).round() as Micros).min(LONGEST_DRAW_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(distribution: Distribution) -> Vec<Micros> {
        let mut rng = Rng::with_seed(1);
        let mut draws: Vec<Micros> = (0..10_000).map(|_| draw(distribution, &mut rng)).collect();
        draws.sort_unstable();
        draws
    }

    /// The share of the draws above a delay.
    fn share_above(draws: &[Micros], delay_us: Micros) -> f64 {
        draws.iter().filter(|&&one| one > delay_us).count() as f64 / draws.len() as f64
    }

    #[test]
    fn constant_and_uniform_draws_stay_within_their_bounds() {
        let constant = draws(Distribution::Constant(7));
        assert_eq!((constant[0], constant[9_999]), (7, 7));
        let uniform = draws(Distribution::Uniform(100, 199));
        assert_eq!((uniform[0], uniform[9_999]), (100, 199));
    }

    #[test]
    fn normal_draws_have_their_mean_and_deviation_and_are_never_negative() {
        let normal = draws(Distribution::Normal(10_000, 2_000));
        assert!((9_900..=10_100).contains(&normal[5_000]), "{}", normal[5_000]);
        assert!((0.14..0.18).contains(&share_above(&normal, 12_000)), "one deviation above");
        assert!((0.015..0.030).contains(&share_above(&normal, 14_000)), "two deviations above");
        let cut_off = draws(Distribution::Normal(0, 2_000));
        assert!((0.45..0.55).contains(&share_above(&cut_off, 0)));
    }

    /// With shape 2, one delay in four is twice the least one or longer.
    #[test]
    fn pareto_draws_have_a_heavy_tail_up_to_the_longest_delay() {
        let pareto = draws(Distribution::Pareto(1_000, 2.0));
        assert!(pareto[0] >= 1_000);
        assert!((0.23..0.27).contains(&share_above(&pareto, 2_000)));
        assert!((0.005..0.015).contains(&share_above(&pareto, 10_000)));
        let heaviest = draws(Distribution::Pareto(1_000, 0.000_001));
        assert_eq!(heaviest[9_999], LONGEST_DRAW_US);
        assert_eq!(draws(Distribution::Pareto(0, 0.000_001))[9_999], 0);
    }
}
