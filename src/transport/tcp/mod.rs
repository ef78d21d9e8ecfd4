//! The replicas of a real cluster: one TCP connection from each replica to each other one.

mod envelope;

pub use envelope::{ENVELOPE_BYTES, Envelope, Kind};

use crate::id::Id;

/// The clients of this replica itself: its front ends. A mesh calls these from its own threads, and
/// they must not wait.
pub trait LocalClients: Send + Sync {
    /// A datagram of the kind [`Kind::Answer`] for one of them, or for one that is gone.
    fn deliver(&self, datagram: &[u8]);

    /// A datagram of the kind [`Kind::Request`] of one of them leaves for another replica. Only the
    /// connection to that replica has it from now on.
    fn forwarded(&self, to: Id, datagram: &[u8]);

    /// The connection to a replica is lost, and with it perhaps what was forwarded to it and the
    /// answers that were on their way.
    fn lost(&self, to: Id);
}
