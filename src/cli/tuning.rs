//! The switches that trade messages against latency.

use clap::ValueEnum;
use kvstore::tuning::{self, Tuning};
use serde::Deserialize;

/// The switches of [`Tuning`], each with its best choice as default. All replicas of a cluster need
/// the same.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Switches that trade messages against latency")]
pub struct TuningOptions {
    /// How the leader serves a read; all three ways are linearizable.
    #[arg(long, value_enum, value_name = "HOW", default_value = "lease")]
    reads: Reads,

    /// The way of an entry through the cluster.
    #[arg(long, value_enum, value_name = "WAY", default_value = "adaptive")]
    topology: Topology,

    /// How followers detect a dead leader.
    #[arg(long, value_enum, value_name = "HOW", default_value = "on-demand")]
    detection: Detection,

    /// How long the sender waits for more to send in one datagram, 0 to 10000 microseconds.
    #[arg(long, value_name = "MICROSECONDS", default_value = "0")]
    coalesce_window: u64,

    /// Send each message as a datagram of its own.
    #[arg(long)]
    no_coalescing: bool,

    /// Send each entry as an append of its own.
    #[arg(long)]
    no_batching: bool,

    /// Send each entry to all followers, not to just enough.
    #[arg(long)]
    no_thrift: bool,

    /// Tell followers of each commit at once, not with the next entry.
    #[arg(long)]
    commit_notices: bool,
}

impl TuningOptions {
    /// The switches in the form that the replica takes.
    pub fn tuning(&self) -> Tuning {
        Tuning {
            batch: !self.no_batching,
            commit_notices: self.commit_notices,
            coalesce: !self.no_coalescing,
            coalesce_window_us: self.coalesce_window,
            thrifty: !self.no_thrift,
            topology: self.topology.into(),
            reads: self.reads.into(),
            detection: self.detection.into(),
        }
    }
}

/// The choices of [`tuning::Topology`] as words; the comment on each word is its help text.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topology {
    /// The leader sends to each follower and each answers.
    Star,
    /// The leader sends to one follower, which sends on; the last one answers for all.
    Relay,
    /// Star where nothing is lost, relay where messages get lost.
    Adaptive,
}

/// The choices of [`tuning::Reads`] as words.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Without messages during its lease; rests on clocks of about the same rate.
    Lease,
    /// After one round to a quorum for all reads that wait; rests on no clock.
    ReadIndex,
    /// Through the log: each read is an entry and costs as much as a write.
    Log,
}

/// The choices of [`tuning::Detection`] as words.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detection {
    /// By requests of clients that miss the leader; needs few heartbeats.
    OnDemand,
    /// By heartbeats of the leader that stay away.
    Heartbeats,
    /// By heartbeats that stay away, and then by probes of the leader.
    Combined,
}

impl From<Topology> for tuning::Topology {
    fn from(word: Topology) -> Self {
        match word {
            Topology::Star => Self::Star,
            Topology::Relay => Self::Relay,
            Topology::Adaptive => Self::Adaptive,
        }
    }
}

impl From<Reads> for tuning::Reads {
    fn from(word: Reads) -> Self {
        match word {
            Reads::Lease => Self::Lease,
            Reads::ReadIndex => Self::ReadIndex,
            Reads::Log => Self::Log,
        }
    }
}

impl From<Detection> for tuning::Detection {
    fn from(word: Detection) -> Self {
        match word {
            Detection::OnDemand => Self::OnDemand,
            Detection::Heartbeats => Self::Heartbeats,
            Detection::Combined => Self::Combined,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Options;

    #[test]
    fn tuning_without_options_is_the_default() {
        let tuning =
            |line: &str| Options::try_parse_from(line.split_whitespace()).expect("fine").run.tuning.tuning();
        assert_eq!(tuning("kvstore 0000 0001"), Tuning::DEFAULT);
        let naive = "kvstore --no-batching --commit-notices --no-coalescing --no-thrift --topology star --reads log \
                     --detection heartbeats";
        assert_eq!(tuning(naive), Tuning::NAIVE);
    }
}
