//! Facts about the cluster and this replica that front ends show to clients and operators.

use std::fmt;
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

/// A name or an address of a host, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host; an address of IPv6 has no brackets here.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A replica as its configuration and its connection show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberFacts {
    /// Its ID.
    pub id: Id,
    /// Where Redis clients reach it.
    pub redis: Endpoint,
    /// Where HTTP clients reach it.
    pub http: Endpoint,
    /// Whether this replica has a connection to it; this replica itself is up.
    pub is_up: bool,
    /// The latest round trip to it, in microseconds.
    pub round_trip_us: Option<u64>,
}
