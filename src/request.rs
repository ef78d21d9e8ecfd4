//! Requests of clients and their answers: one vocabulary for every kind of client.

use std::sync::Arc;

use crate::digest::digest;
use crate::id::Id;

/// The name of one request of one client. A client that repeats a request repeats its `mid`, so a
/// replica recognises the repetition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    /// The client that asks.
    pub client: Id,
    /// The client's own name for this request (`MID` on the wire).
    pub mid: Arc<str>,
}

/// The operation that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read the value of a key.
    Get {
        /// The key.
        key: Arc<str>,
    },
    /// Set the value of a key.
    Put {
        /// The key.
        key: Arc<str>,
        /// Its new value.
        value: Arc<str>,
    },
}

impl Operation {
    /// How many bytes its texts have.
    pub fn text_len(&self) -> usize {
        match self {
            Self::Get { key } => key.len(),
            Self::Put { key, value } => key.len() + value.len(),
        }
    }

    /// A digest of the operation. Two operations that differ have different digests, but for
    /// chance.
    pub fn digest(&self) -> u64 {
        match self {
            Self::Get { key } => digest(&[key]),
            Self::Put { key, value } => digest(&[key, value]),
        }
    }
}

/// A request as it reaches a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client, and its name for the request.
    pub id: RequestId,
    /// The operation that the client asks for.
    pub operation: Operation,
}

/// The one answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A put took effect.
    Stored,
    /// A get found this value; the empty string if the key was never put.
    Value(Arc<str>),
    /// Ask the leader that the response names; this replica can't tell whether a put took or takes
    /// effect.
    Redirect,
    /// The replica refuses: the request cannot be served, now or at all.
    Fail,
}

/// An answer on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The request that this answers.
    pub id: RequestId,
    /// The result of the request.
    pub outcome: Outcome,
    /// The leader as this replica knows it.
    pub leader: Option<Id>,
}
