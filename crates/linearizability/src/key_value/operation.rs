//! A put or a get, as its client saw it.

use std::sync::Arc;

use crate::attempts::Attempt;

/// One request of a client, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The request's ID. It stands in the picture of a contradiction, and `retry_of` refers to it.
    pub name: Arc<str>,
    /// The client. It stands in the picture and has no influence on the verdict.
    pub client: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The request and, for a get, its answer.
    pub kind: Kind,
    /// The moment at which the client sent the request, in nanoseconds of any clock that all
    /// clients share.
    pub invoked: u64,
    /// The moment at which the client received the result, by the same clock and not before
    /// `invoked`. `None` if it never did: then a put is pending, and a get says nothing.
    pub returned: Option<u64>,
    /// The refusal of a replica, if the client received one; then `returned` is `None`.
    pub declined: Option<Declined>,
    /// The `name` of the attempt directly before this one, if this is the same request again. That
    /// attempt has the same key, and no copy of it can reach a replica any more.
    pub retry_of: Option<Arc<str>>,
}

/// The answer of a replica that did not do what the client asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined {
    /// The kind of refusal.
    pub with: Refusal,
    /// The moment at which it came, by the clock of [`Operation::invoked`]; `None` if that is not
    /// known.
    pub at: Option<u64>,
}

/// The answers that decline a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The replica could not do it.
    Fail,
    /// Another replica can do it.
    Redirect,
}

/// A request and, for a get, its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sets the key to a value.
    Put {
        /// The value.
        value: Arc<str>,
    },
    /// Reads the key's value.
    Get {
        /// The value that the get returned; the empty text if the key was never put.
        value: Arc<str>,
    },
}

impl Operation {
    /// The value that the operation wrote or read.
    pub fn value(&self) -> &Arc<str> {
        match &self.kind {
            Kind::Put { value } | Kind::Get { value } => value,
        }
    }

    /// Whether it is a get.
    pub fn is_get(&self) -> bool {
        matches!(self.kind, Kind::Get { .. })
    }
}

impl Attempt for Operation {
    fn name(&self) -> &str {
        &self.name
    }

    fn retry_of(&self) -> Option<&str> {
        self.retry_of.as_deref()
    }

    fn is_declined(&self) -> bool {
        self.declined.is_some()
    }

    fn acknowledged(&self) -> Option<u64> {
        self.returned.filter(|_| !self.is_get())
    }
}
