//! The replicas of a real cluster: a mesh of TCP connections.
//!
//! | file | job |
//! |---|---|
//! | `mesh` | the transport: its threads, and where each datagram goes |
//! | `envelope` | the first bytes of a datagram, which a mesh reads |
//! | `frame` | how datagrams and pings follow each other on a connection |
//! | `hello` | how a connection begins: both sides prove that they belong to the cluster |
//! | `door` | listens, and lets strangers say hello |
//! | `dialer` | the thread that keeps the connection to one other replica |
//! | `peer` | one other replica, and its link as operators see it |
//! | `queue` | bytes that the connection to a replica has not taken yet |
//! | `inbox` | receives from all connections and from the own front ends |
//! | `origins` | through which connections the requests of each client came |
//! | `traffic` | the messages to and from each other replica, by kind |
//! | `burst` | one line of the log per burst of refusals |
//! | `guarantees` | for tests and fuzzing: what holds for any bytes of a stranger |
//!
//! # Connections
//!
//! Each replica dials each other one, and sends only on the connection that it dialled. So two
//! replicas have two connections, one per direction. One shared connection would need a rule for
//! two replicas that dial each other at the same moment, and a second rule for the broken one that
//! only one side has noticed. With two, the dialer alone decides when a connection is made and
//! ended, and one thread or lock owns each direction. The price is a few more acknowledgements of
//! TCP. On the reverse direction of a connection, the listener sends nothing but pongs.
//!
//! A replica is known by its ID and never by its address: the name of a peer is resolved at each
//! attempt, and the hello says who is there. A second connection from the same replica replaces the
//! first one.
//!
//! # Threads
//!
//! ```text
//!  own front ends --submit--+
//!  connection from A -------+--> poll set of the thread that receives
//!  connection from B -------+
//!
//!  the thread that sends ---> connection to A   what it does not take waits for the dialer of A
//!                       \---> connection to B   what it does not take waits for the dialer of B
//! ```
//!
//! * A hand-over to a sleeping thread costs more than the work on a message. So the thread that sends
//!   writes to the socket itself, and the thread that receives reads all sockets itself: a round
//!   trip on one machine takes 23 us at the median, against 38 us with a reader thread and a channel
//!   at both ends. A receiver that falls behind pushes back to its peers, through TCP.
//! * A write never waits. The rest waits in a bounded queue, and the dialer of that peer writes it.
//!   A slow peer has its own queue and its own thread, so it slows no other peer.
//! * When a queue is full, a message of Raft is dropped, since Raft sends again. An own client learns
//!   that its request was not sent. An answer that finds no room ends the connection, so the
//!   replica that waits for it learns that answers are lost.
//!
//! # The end
//!
//! A replica that stops leaves in order, so that no request is lost:
//!
//! ```text
//!  leaves                             another replica
//!    |<-- request ------------------------|
//!    |--- Leaving ----------------------->|  sends no more: its own clients learn that at once
//!    |<-- request (sent before) ----------|
//!    |<-- end of its connection ----------|
//!    |--- answer, or the request again -->|
//!    |--- end of the connection --------->|  nothing else was lost
//! ```
//!
//! # What it protects, and what not
//!
//! A hello proves that both sides know the secret of the cluster, and does not show the secret. A
//! stranger gets a version and a nonce, and costs a thread for some seconds. The number of
//! strangers is bounded: beyond it the oldest goes, so that silent ones do not keep a replica out. Nothing is encrypted, and nothing after the hello is authenticated: a
//! network in which others can read or change packets needs a VPN. TLS is for later.

mod burst;
mod dialer;
mod door;
mod envelope;
mod frame;
#[cfg(any(test, feature = "fuzz"))]
pub mod guarantees;
mod hello;
mod inbox;
mod mesh;
mod origins;
mod peer;
mod queue;
mod traffic;

#[cfg(test)]
mod tests;

pub use envelope::{ENVELOPE_BYTES, Envelope, Kind};
pub use mesh::{MAX_DATAGRAM, Mesh, MeshLimits, MeshOptions, MeshView};
pub use peer::Link;
pub use traffic::{Direction, Flow, MessageKind, Traffic};

use crate::id::Id;

/// The clients of this replica itself: its front ends. A mesh calls these from its own threads and
/// from those that send and receive. They must not wait, and must not send through the mesh;
/// [`Mesh::submit`] is allowed.
pub trait LocalClients: Send + Sync {
    /// A datagram of the kind [`Kind::Answer`] for one of them, or for one that is gone.
    fn deliver(&self, datagram: &[u8]);

    /// A datagram of the kind [`Kind::Request`] of one of them leaves for another replica. Only the
    /// connection to that replica has it from now on.
    fn forwarded(&self, to: Id, datagram: &[u8]);

    /// A datagram of the kind [`Kind::Request`] of one of them was for another replica, and was
    /// certainly not sent: there is no connection to that replica, or too much waits for it. This
    /// replica does not have it any more. The same is so for a request that was
    /// [`forwarded`](Self::forwarded) to a replica that had to forward it in turn and could not.
    fn refused(&self, datagram: &[u8]);

    /// A connection to or from a replica is lost, and with it perhaps what was forwarded to it and
    /// the answers that were on their way.
    fn lost(&self, to: Id);
}
