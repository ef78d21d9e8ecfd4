//! Switches that trade messages against latency, reads against failover, and simplicity against
//! both. Each choice is one switch, and all switches are here: a benchmark can turn each off, and a
//! user can see them all. The core gets its part of them ([`raft::Tuning`]), the sender and the
//! consensus stage theirs. The default is the best that was measured (`docs/performance.md`). No
//! choice touches safety.

pub use raft::tuning::{Detection, Reads, Topology};
use serde::{Deserialize, Serialize};

use crate::micros::Micros;

/// The longest coalescing window: beyond it a put takes longer than a round trip on most networks.
pub const MAX_COALESCE_WINDOW_US: Micros = 10_000;

/// All switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Whether all requests that wait become one append. Otherwise each is a batch of its own.
    pub batch: bool,
    /// Whether followers hear of every commit at once, by an append of its own, instead of with the
    /// next entry.
    pub commit_notices: bool,
    /// Whether the sender merges and packs messages that wait for one destination.
    pub coalesce: bool,
    /// How long the sender waits for more to merge and pack, in microseconds, 0 to
    /// [`MAX_COALESCE_WINDOW_US`].
    pub coalesce_window_us: Micros,
    /// Whether an entry goes to just enough followers, in turns, instead of to all.
    pub thrifty: bool,
    /// The way of an entry through the cluster.
    #[serde(with = "names::Topology")]
    pub topology: Topology,
    /// How the leader serves a read.
    #[serde(with = "names::Reads")]
    pub reads: Reads,
    /// How the followers find out that their leader is dead.
    #[serde(with = "names::Detection")]
    pub detection: Detection,
}

/// How the choices of the core are written in a plan.
mod names {
    use serde::{Deserialize, Serialize};

    use raft::tuning;

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "tuning::Topology", rename_all = "kebab-case")]
    pub enum Topology {
        Star,
        Relay,
        Adaptive,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "tuning::Reads", rename_all = "kebab-case")]
    pub enum Reads {
        Lease,
        ReadIndex,
        Log,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "tuning::Detection", rename_all = "kebab-case")]
    pub enum Detection {
        OnDemand,
        Heartbeats,
        Combined,
    }
}

/// Choices that contradict each other or are out of range. One line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TuningError {
    /// Without coalescing, the sender has no use for the time.
    #[error("a coalescing window needs coalescing")]
    WindowWithoutCoalescing,
    /// It would cost more latency than anything that it could save.
    #[error("the coalescing window must be 0 to {MAX_COALESCE_WINDOW_US} microseconds, not {0}")]
    WindowTooLong(Micros),
    /// A relay is a way through just enough followers.
    #[error("a relay needs thrifty replication")]
    RelayToAll,
}

impl Default for Tuning {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Tuning {
    /// The best that was measured.
    pub const DEFAULT: Self = {
        let core = raft::Tuning::DEFAULT;
        Self {
            batch: true,
            commit_notices: core.commit_notices,
            coalesce: true,
            coalesce_window_us: 0,
            thrifty: core.thrifty,
            topology: core.topology,
            reads: core.reads,
            detection: core.detection,
        }
    };

    /// Raft without any of these choices: an append per request to each follower, an answer to each
    /// append, commit notices to all, reads through the log.
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
    pub fn check(&self) -> Result<(), TuningError> {
        match () {
            () if self.coalesce_window_us > MAX_COALESCE_WINDOW_US => {
                Err(TuningError::WindowTooLong(self.coalesce_window_us))
            }
            () if self.coalesce_window_us > 0 && !self.coalesce => Err(TuningError::WindowWithoutCoalescing),
            () if self.topology == Topology::Relay && !self.thrifty => Err(TuningError::RelayToAll),
            () => Ok(()),
        }
    }

    /// The choices of the core.
    pub fn core(&self) -> raft::Tuning {
        let &Self { batch, commit_notices, thrifty, topology, reads, detection, .. } = self;
        let max_entries_per_append = if batch { usize::MAX } else { 1 };
        raft::Tuning { max_entries_per_append, commit_notices, thrifty, topology, reads, detection }
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
    fn tuning_that_contradicts_itself_is_refused() {
        let tuning = Tuning::DEFAULT;
        assert_eq!(tuning.check(), Ok(()));
        assert_eq!(Tuning::NAIVE.check(), Ok(()));
        let window = |coalesce, coalesce_window_us| Tuning { coalesce, coalesce_window_us, ..tuning }.check();
        assert_eq!(window(true, 10_000), Ok(()));
        assert_eq!(window(true, 10_001), Err(TuningError::WindowTooLong(10_001)));
        assert_eq!(window(false, 1), Err(TuningError::WindowWithoutCoalescing));
        let relay = Tuning { topology: Topology::Relay, ..tuning };
        assert_eq!(relay.check(), Ok(()));
        assert_eq!(Tuning { thrifty: false, ..relay }.check(), Err(TuningError::RelayToAll));
    }
}
