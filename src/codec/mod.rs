//! The binary form of entries, for the log on disk, and of all that travels between the replicas of a
//! real cluster.
//!
//! # Stability
//!
//! A log outlives the program that wrote it, so the form only grows. Each kind of operation has a
//! number, which it keeps for ever; a new kind takes the next free number at the end of its list.
//! A change of the form of an existing kind takes another [`VERSION`], and the decoder then reads
//! both. A test pins the bytes of one entry of every kind.
//!
//! # Form
//!
//! ```text
//! entry       version, index, term, payload
//! payload     0                                         no-op
//!             1, at, command                            a leader's own command
//!             2, at, client (2 bytes), MID, command     a client's command
//! command     0, watches, operations                    a batch
//!             number of the operation, its fields       one operation
//!
//! messages    version, leader (2 bytes), messages       to another replica, at least one
//! message     number of its kind, term, its fields
//!
//! request     version, MID, command
//! local read  version, MID, greatest age, operation
//! answer      version, MID, leader (2 bytes), outcome
//!
//! read index  version, 0, life, round, applied          from a follower
//!             version, 1, life, round, index, time      from the leader
//! ```
//!
//! Numbers are varints: seven bits per byte, the low ones first. A signed number is folded first (0,
//! -1, 1, -2). A text is its length and its bytes; a list is its length and its elements. No value
//! has two forms, so an entry or a message that was decoded has the same bytes when it is encoded
//! again. An ID has two bytes, the low one first; FFFF stands for an unknown leader.
//!
//! # Hostile bytes
//!
//! The decoder has the bounds of [`wire`](crate::wire). A length reserves no memory, so the decoder
//! takes no more than a multiple of its input. Bytes after the end are refused. A checksum is the
//! task of the file and of the connection.
//!
//! # Why by hand
//!
//! `postcard` cannot read [`Bytes`](crate::bytes::Bytes) and [`Command`](crate::command::Command),
//! whose JSON forms are found by looking ahead. It also numbers the variants by their place in the
//! source, so an operation that is moved or inserted there would change the form of old logs.
//!
//! | file | job |
//! |---|---|
//! | `write` | writes numbers, texts and lists |
//! | `read` | reads them, and trusts no length |
//! | `entry` | an entry, its proposal and its request |
//! | `message` | messages between replicas, and the numbers of their kinds |
//! | `read_index` | reads that followers serve: an index of the leader |
//! | `request` | requests of clients, reads from a replica's own state, and answers |
//! | `operation` | commands and operations, and the numbers of their kinds |
//! | `reply` | replies, which snapshots of the state machine hold, and the numbers of their kinds |
//! | `size` | how long entries, messages and replies are before they are written |

mod entry;
mod message;
mod operation;
mod read;
mod read_index;
mod reply;
mod request;
mod size;
mod write;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use entry::{VERSION, decode_entry, encode_entry};
pub use message::{MESSAGES_VERSION, decode_messages, encode_messages};
pub(crate) use read::Reader;
pub use read_index::{READ_INDEX_VERSION, decode_read_index, encode_read_index};
pub(crate) use reply::{read_reply, write_reply};
pub use request::{
    REQUESTS_VERSION, decode_answer, decode_local_read, decode_request, decode_request_id, encode_answer,
    encode_local_read, encode_request,
};
pub(crate) use size::{entry_len_at_most, message_len_at_most, proposal_len_at_most, reply_len_at_most};
pub(crate) use write::Writer;

/// Why bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Malformed {
    /// They end within a value.
    #[error("ends too early")]
    Truncated,
    /// There are bytes after the end.
    #[error("bytes after the end")]
    Trailing,
    /// A later version of the program wrote them, or no version.
    #[error("version {0} of the format is unknown")]
    UnknownVersion(u8),
    /// A kind has a number that no version has given it.
    #[error("unknown kind of {0}")]
    UnknownKind(&'static str),
    /// A value is out of range, contradicts another, or is not in its one form.
    #[error("impossible value of {0}")]
    BadField(&'static str),
}
