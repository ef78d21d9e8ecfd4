//! Where a server finds the facts that it shows to operators.

use std::fmt;
use std::sync::Arc;

use crate::frontend::facts::ClusterFacts;
use crate::frontend::redis_server::ServerCounters;
use crate::transport::tcp::MeshView;
use crate::view::Board;

/// The sources of `/status`, `/metrics` and `/backup`. A server asks them from its own thread, and they must not
/// wait.
#[derive(Clone)]
pub struct Sources {
    /// The replica and its cluster.
    pub facts: Arc<dyn ClusterFacts>,
    /// The links to the other replicas, and the messages on them.
    pub network: Arc<dyn Fn() -> MeshView + Send + Sync>,
    /// How many questions of the front ends wait for the store.
    pub waiting: Arc<dyn Fn() -> usize + Send + Sync>,
    /// The counters of the server for Redis clients, if there is one.
    pub redis: Option<Arc<ServerCounters>>,
    /// Where the replica hands out copies of its state, for backups.
    pub board: Board,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sources(of {})", self.facts.own())
    }
}
