//! Facts about the cluster and this replica that front ends show to clients and operators.

use std::sync::Arc;

use crate::id::Id;
use crate::view::View;

/// The source of these facts. Front ends ask it from their own threads, and it must not wait.
pub trait ClusterFacts: Send + Sync {
    /// This replica.
    fn own(&self) -> Id;

    /// All replicas, this one included, in the order of their IDs.
    fn members(&self) -> Vec<MemberFacts>;

    /// This replica's latest view of itself and of the others.
    fn view(&self) -> Arc<View>;

    /// Settings and limits to show, by their names in the configuration file.
    fn configuration(&self) -> Vec<(String, String)>;
}

/// A replica as its configuration and its connection show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberFacts {
    /// Its ID.
    pub id: Id,
    /// The host at which clients reach it.
    pub host: String,
    /// Its port for Redis clients.
    pub redis_port: u16,
    /// Its port for HTTP.
    pub http_port: u16,
    /// Whether this replica has a connection to it; this replica itself is up.
    pub is_up: bool,
    /// The latest round trip to it, in microseconds.
    pub round_trip_us: Option<u64>,
}
