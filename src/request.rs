//! Requests of clients and their answers: one vocabulary for every kind of client.

use std::sync::Arc;

use crate::bytes::Bytes;
use crate::command::Command;
use crate::id::Id;
use crate::reply::Reply;

/// The name of one request of one client. A client that repeats a request repeats its `mid`, so a
/// replica recognises the repetition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    /// The client that asks.
    pub client: Id,
    /// The client's own name for this request (`MID` on the wire).
    pub mid: Arc<str>,
}

/// A request as it reaches a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client, and its name for the request.
    pub id: RequestId,
    /// The command that the client asks for.
    pub command: Command,
}

/// The one answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The state machine gave this reply: it served a read, did a write, or refused the command.
    Done(Reply),
    /// Ask the leader that the response names; this replica can't tell whether a write took or takes
    /// effect.
    Redirect,
    /// The replica had taken the request on as the leader, and leads no more: a write may take effect
    /// or not. Only a replica that forwards requests says so; others redirect.
    Unknown,
    /// The replica refuses: the request cannot be served, now or at all.
    Fail,
}

impl Outcome {
    /// A write took effect, and has nothing more to say.
    pub const OK: Self = Self::Done(Reply::Ok);

    /// The value that a get returned; empty if there is no such key.
    pub fn value(&self) -> Option<Bytes> {
        match self {
            Self::Done(Reply::Bytes(value)) => Some(value.clone()),
            Self::Done(Reply::Nil) => Some(Bytes::default()),
            _ => None,
        }
    }

    /// Whether the request was not served, so that its client tries again under another name.
    pub fn is_declined(&self) -> bool {
        match self {
            Self::Done(Reply::Error(refusal)) => refusal.is_by_session(),
            Self::Done(_) => false,
            Self::Redirect | Self::Unknown | Self::Fail => true,
        }
    }
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
