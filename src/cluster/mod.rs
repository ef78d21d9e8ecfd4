//! The binary dialect of a real cluster, between its replicas and from the front ends of each.
//!
//! A datagram begins with its [`Envelope`](crate::transport::tcp::Envelope). The mesh that carries it
//! reads no further. The rest is binary ([`codec`](crate::codec)):
//!
//! | kind | ID of the envelope | content |
//! |---|---|---|
//! | `Peer` | the sender | the leader that it knows, and one message of Raft or several |
//! | `Request` | the client | a request, from a front end or forwarded by a follower |
//! | `Answer` | the client | the answer to a request or to a local read |
//! | `LocalRead` | the client | a read from the receiver's own state |
//! | `ReadIndex` | the sender | an index for reads that a follower serves: the request or the answer |
//!
//! The front ends of a replica share one client ID, that of the replica. So the client of a request
//! or of an entry may have the ID of a replica here, unlike in the JSON of the simulators.

mod dialect;
#[cfg(any(test, feature = "fuzz"))]
pub mod guarantees;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use dialect::{counting_dialect, decode_answer, dialect, encode_local_read, encode_request, request_id};
