//! The state as a stream of bytes: for a snapshot on disk, and for a follower that lacks entries
//! which its leader has dropped.
//!
//! A state machine is copied in constant time, and an [`Encoder`] takes the copy. So entries are
//! applied to the state while any thread encodes the copy, chunk by chunk. A [`Decoder`] takes the
//! chunks, however the stream is cut, and returns an equal state machine.
//!
//! # Contents
//!
//! The stream holds all that decides later replies: the index of the last entry, the time, keys
//! with values, deadlines and revisions, deletions and their bound, and each session with its chunks.
//! Sessions expire by the bytes of their chunks, so these must be the same after a restart. Left
//! out are parts that follow from others, and keys that wait to be freed (`trash`): no reply
//! depends on those. The settings are left out, too, since they are those of the cluster.
//!
//! Two replicas with the same state write the same bytes, because all parts stand in an order that
//! the state alone decides.
//!
//! # Form
//!
//! ```text
//! record      length (4 bytes, the low ones first), kind, fields
//! stream      1 header                version, applied, time, bound of deletions
//!             keys, by digest         key, value, revision, deadline if it has one
//!             deletions, by digest    digest (8 bytes), revision
//!             sessions, by client     client (2 bytes), parts; then its requests, some in each record
//!             tombstones, by client   client, settled, greatest
//!             1 footer                how many keys, deletions, sessions, tombstones
//! ```
//!
//! Numbers and texts have the form of [`codec`](crate::codec), and the same rules keep this form
//! stable. A stream that is cut, repeated or out of order is refused. Checksums are the task of
//! files and connections.
//!
//! # Costs
//!
//! A chunk takes time in proportion to its length, plus a search for its first key. A record is
//! never longer than one key with its value, or some requests of a session. So an encoder may run
//! on the consensus thread, a chunk at a time.
//!
//! | file | job |
//! |---|---|
//! | `encoder` | cuts the stream into chunks, from any position |
//! | `records` | writes the records |
//! | `decoder` | puts records together from chunks, and the state from records |

mod decoder;
mod encoder;
mod records;

pub use crate::codec::Malformed;
pub use decoder::Decoder;
pub use encoder::{Encoder, Position};

/// The version of the form, which is the first field of a stream.
const VERSION: u8 = 1;

/// The bytes of a record that hold the length of the rest.
const LENGTH_BYTES: usize = 4;

/// The kinds of record. A kind keeps its number for ever.
mod kind {
    pub const HEADER: u8 = 0;
    pub const KEY: u8 = 1;
    pub const KEY_WITH_DEADLINE: u8 = 2;
    pub const DELETION: u8 = 3;
    pub const SESSION: u8 = 4;
    pub const REQUESTS: u8 = 5;
    pub const TOMBSTONE: u8 = 6;
    pub const FOOTER: u8 = 7;
}

#[cfg(test)]
mod tests;
