//! Properties of the links of a network: delays of their own, a limited bandwidth, changed bytes.

use serde::{Deserialize, Serialize};

use crate::micros::Micros;

/// The longest delay that a distribution draws.
pub const LONGEST_DRAW_US: Micros = 10_000_000;

/// The links.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Links {
    /// Delays on top of those of the network. The first one that has a message's link counts.
    pub delays: Vec<LinkDelay>,
    /// Bytes per second of each link between two replicas, in each direction; none if it is
    /// unlimited.
    pub bandwidth: Option<u64>,
    /// The probability that a message of a core to another replica arrives with a changed byte.
    pub corrupt: f64,
}

impl Links {
    /// Whether the network looks at the bytes of a message.
    pub fn need_bytes(&self) -> bool {
        self.bandwidth.is_some() || self.corrupt > 0.0
    }

    /// Whether a cluster of so many replicas can have these links.
    pub fn are_sane(&self, replicas: usize) -> bool {
        let exists = |end: &End| !matches!(end, End::Replica(at) if *at >= replicas);
        let delay_is_sane = |delay: &LinkDelay| {
            let mut ends = delay.from.iter().chain(&delay.to).flatten();
            ends.all(exists) && delay.draw.is_sane()
        };
        self.delays.iter().all(delay_is_sane)
            && self.bandwidth.is_none_or(|bandwidth| (1_000..=1_000_000_000).contains(&bandwidth))
            && (0.0..=1.0).contains(&self.corrupt)
    }
}

/// The delay of the messages of some links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkDelay {
    /// Their senders; without a list, all.
    #[serde(default)]
    pub from: Option<Vec<End>>,
    /// Their receivers; without a list, all.
    #[serde(default)]
    pub to: Option<Vec<End>>,
    /// The distribution that each message draws from.
    pub draw: Distribution,
}

impl LinkDelay {
    /// Whether a message between these two has this delay.
    pub fn has(&self, from: End, to: End) -> bool {
        let is_among = |ends: &Option<Vec<End>>, end| ends.as_ref().is_none_or(|ends| ends.contains(&end));
        is_among(&self.from, from) && is_among(&self.to, to)
    }
}

/// A sender or a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// This replica.
    Replica(usize),
    /// Any client.
    Clients,
}

/// A distribution of delays, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Always the same.
    Constant(Micros),
    /// Evenly between the least and the greatest one.
    Uniform(Micros, Micros),
    /// The mean and the deviation; no delay is below 0.
    Normal(Micros, Micros),
    /// The least one, and the shape of the tail: the smaller, the heavier.
    Pareto(Micros, f64),
}

impl Distribution {
    fn is_sane(self) -> bool {
        match self {
            Self::Constant(always) => always <= LONGEST_DRAW_US,
            Self::Uniform(least, most) => least <= most && most <= LONGEST_DRAW_US,
            Self::Normal(mean, deviation) => mean.max(deviation) <= LONGEST_DRAW_US,
            Self::Pareto(least, shape) => least <= LONGEST_DRAW_US && shape > 0.0 && shape <= 100.0,
        }
    }
}
