//! How long an answer takes: smoothed, with its variation (RFC 6298, section 2).

use crate::micros::Micros;

/// The least retransmission time: some ten round trips on one machine, so that the leader does not
/// take a busy scheduler for a lossy network.
pub(super) const MIN_RETRANSMIT_US: Micros = 2_000;

/// The longest retransmission time, before it doubles: about half of an election time-out, of which
/// a round trip must be a small part (paper, 5.6). The network held an answer that took longer, and
/// the leader need not wait as long for the next one.
pub(super) const MAX_RETRANSMIT_US: Micros = 250_000;

/// Smoothed round-trip time and its variation (RFC 6298, section 2).
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundTrip {
    smoothed_us: Micros,
    variation_us: Micros,
}

impl RoundTrip {
    /// Takes in one more sample.
    pub(super) fn update(known: &mut Option<Self>, sample: Micros) {
        *known = Some(known.map_or(Self::first(sample), |known| known.updated(sample)));
    }

    fn first(sample: Micros) -> Self {
        Self { smoothed_us: sample, variation_us: sample / 2 }
    }

    fn updated(self, sample: Micros) -> Self {
        Self {
            variation_us: (3 * self.variation_us + self.smoothed_us.abs_diff(sample)) / 4,
            smoothed_us: (7 * self.smoothed_us + sample) / 8,
        }
    }

    pub(super) fn timeout_us(self) -> Micros {
        (self.smoothed_us + 4 * self.variation_us).clamp(MIN_RETRANSMIT_US, MAX_RETRANSMIT_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6298, section 2, by hand.
    #[test]
    fn round_trip_is_smoothed_with_its_variation() {
        let first = RoundTrip::first(10_000);
        assert_eq!((first.smoothed_us, first.variation_us, first.timeout_us()), (10_000, 5_000, 30_000));
        let second = first.updated(18_000);
        assert_eq!((second.smoothed_us, second.variation_us, second.timeout_us()), (11_000, 5_750, 34_000));
        let third = second.updated(3_000);
        assert_eq!((third.smoothed_us, third.variation_us, third.timeout_us()), (10_000, 6_312, 35_248));
    }
}
