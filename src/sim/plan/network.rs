//! The network of a plan.

use serde::{Deserialize, Serialize};

use crate::micros::Micros;

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The least and the greatest delay; each message draws its own.
    pub delay_us: (Micros, Micros),
    /// The greatest ratio between the delays of two pairs. Each direction of a pair draws its own
    /// factor from 1 to this.
    pub uneven: u64,
    /// The probability that a message takes ten times as long.
    pub slow: f64,
    /// The probability that a message between replicas is lost.
    pub loss: f64,
    /// The probability that a message between replicas arrives twice.
    pub duplicate: f64,
    /// The greatest time from the first arrival to the second, in microseconds. With 0 each arrival
    /// draws its own delay.
    #[serde(default)]
    pub echo_us: Micros,
    /// Whether every datagram is encoded as JSON and decoded again, as in the pipeline.
    pub wire: bool,
    /// Whether messages of one pair may overtake each other.
    pub reorder: bool,
    /// The longest datagram, in bytes, without its checksum.
    pub max_datagram: usize,
    /// The least and the greatest time that a stage of the pipeline takes to wake up and work.
    pub stage_us: (Micros, Micros),
}
