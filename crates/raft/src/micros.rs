//! The unit of time of everything that is pure: the core, a replica, a simulation.

/// A point in time or a span, in microseconds. Points count from an arbitrary
/// origin of the driver's; they are never compared between replicas.
pub type Micros = u64;
