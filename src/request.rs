//! What a client asks and what it is told: one vocabulary for every kind of client.

use std::sync::Arc;

use crate::digest::digest;
use crate::id::Id;

/// One request of one client. A client that repeats a request repeats its
/// `mid`, and that is how a repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    /// Who asks.
    pub client: Id,
    /// The client's own name for this request (`MID` on the wire).
    pub mid: Arc<str>,
}

/// What a request wants done.
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

    /// A digest of what is asked: two requests that ask something else have different ones.
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
    /// Who asks, and under which name.
    pub id: RequestId,
    /// What is asked.
    pub operation: Operation,
}

/// The one answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A put took effect.
    Stored,
    /// A get found this value; the empty string if the key was never put.
    Value(Arc<str>),
    /// Ask the leader that the response names; this replica can't tell whether a put took or takes effect.
    Redirect,
    /// The replica refuses: the request cannot be served, now or at all.
    Fail,
}

/// An answer on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The request that this answers.
    pub id: RequestId,
    /// What became of it.
    pub outcome: Outcome,
    /// The leader as this replica knows it.
    pub leader: Option<Id>,
}
