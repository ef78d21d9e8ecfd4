//! What trades messages against latency, reads against failover, and simplicity against both: each of these choices is
//! one switch, and all of them are here, so that a benchmark can turn each off and a user can see what there is. The
//! default is the best that was measured (`docs/performance.md`). No choice touches safety.

use serde::{Deserialize, Serialize};

use crate::micros::Micros;

/// The longest coalescing window: beyond it a put takes longer than a round trip on most networks.
pub const MAX_COALESCE_WINDOW_US: Micros = 10_000;

/// All switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levers {
    /// Whether all requests that wait become one append. Otherwise each is a batch of its own.
    pub batch: bool,
    /// Whether followers hear of every commit at once, by an append of its own, instead of with the next entry.
    pub commit_notices: bool,
    /// Whether the sender merges and packs what waits for one destination.
    pub coalesce: bool,
    /// How long the sender waits for more to merge and pack, in microseconds, 0 to [`MAX_COALESCE_WINDOW_US`].
    pub coalesce_window_us: Micros,
    /// Whether an entry goes to just enough followers, in turns, instead of to all.
    pub thrifty: bool,
    /// The way of an entry through the cluster.
    pub topology: Topology,
    /// What a read costs.
    pub reads: Reads,
    /// How a dead leader is found out.
    pub detection: Detection,
}

/// The way of an entry through the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// The leader sends to each follower and each answers.
    Star,
    /// The leader sends to one follower, which sends on; the last one answers for all.
    Relay,
    /// Star where nothing is lost, relay where messages get lost.
    Adaptive,
}

/// What a read costs. All three are linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Nothing while a lease lasts; rests on clocks that run at about the same rate.
    Lease,
    /// One round to a quorum for all reads that wait; rests on no clock.
    ReadIndex,
    /// As much as a write: each read is an entry in the log.
    Log,
}

/// How a dead leader is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Detection {
    /// By requests that miss it; silence costs nothing.
    OnDemand,
    /// By heartbeats that stay away.
    Heartbeats,
}

/// Choices that contradict each other or are out of range. One line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeversError {
    /// Nobody would be there to use the time.
    #[error("a coalescing window needs coalescing")]
    WindowWithoutCoalescing,
    /// It would cost more latency than anything that it could save.
    #[error("the coalescing window must be 0 to {MAX_COALESCE_WINDOW_US} microseconds, not {0}")]
    WindowTooLong(Micros),
    /// A relay is a way through just enough followers.
    #[error("a relay needs thrifty replication")]
    RelayToAll,
}

impl Default for Levers {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Levers {
    /// The best that was measured.
    pub const DEFAULT: Self = Self {
        batch: true,
        commit_notices: false,
        coalesce: true,
        coalesce_window_us: 0,
        thrifty: true,
        topology: Topology::Adaptive,
        reads: Reads::Lease,
        detection: Detection::OnDemand,
    };

    /// What Raft does without any of it: an append per request to everybody, an answer to each, a notice of
    /// each commit to everybody, reads through the log.
    pub const NAIVE: Self = Self {
        batch: false,
        commit_notices: true,
        coalesce: false,
        coalesce_window_us: 0,
        thrifty: false,
        topology: Topology::Star,
        reads: Reads::Log,
        detection: Detection::Heartbeats,
    };

    /// Whether the choices go together.
    ///
    /// # Errors
    ///
    /// The first rule that they break.
    pub fn check(&self) -> Result<(), LeversError> {
        match () {
            () if self.coalesce_window_us > MAX_COALESCE_WINDOW_US => {
                Err(LeversError::WindowTooLong(self.coalesce_window_us))
            }
            () if self.coalesce_window_us > 0 && !self.coalesce => Err(LeversError::WindowWithoutCoalescing),
            () if self.topology == Topology::Relay && !self.thrifty => Err(LeversError::RelayToAll),
            () => Ok(()),
        }
    }

    /// How many inputs the consensus stage takes as one batch, if it may take so many.
    pub fn batch_of(&self, most: usize) -> usize {
        if self.batch { most } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_itself_is_refused() {
        let levers = Levers::DEFAULT;
        assert_eq!(levers.check(), Ok(()));
        assert_eq!(Levers::NAIVE.check(), Ok(()));
        let window = |coalesce, coalesce_window_us| Levers { coalesce, coalesce_window_us, ..levers }.check();
        assert_eq!(window(true, 10_000), Ok(()));
        assert_eq!(window(true, 10_001), Err(LeversError::WindowTooLong(10_001)));
        assert_eq!(window(false, 1), Err(LeversError::WindowWithoutCoalescing));
        let relay = Levers { topology: Topology::Relay, ..levers };
        assert_eq!(relay.check(), Ok(()));
        assert_eq!(Levers { thrifty: false, ..relay }.check(), Err(LeversError::RelayToAll));
    }
}
