//! The history that a checker judges: the requests and answers of all clients, with their times.

use std::sync::Arc;

/// One operation, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<C, A> {
    /// The client. It stands in the picture of a contradiction and has no influence on the verdict.
    pub client: Arc<str>,
    /// The request.
    pub call: C,
    /// The moment at which the client sent the request, in nanoseconds of any clock that all
    /// clients share.
    pub invoked: u64,
    /// The end of the operation.
    pub outcome: Outcome<A>,
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<A> {
    /// The client received an answer. The operation took effect between its invocation and this
    /// moment.
    Returned {
        /// The moment of the answer, by the clock of [`Operation::invoked`].
        at: u64,
        /// The answer.
        answer: A,
    },
    /// The client received no answer, or one that leaves the effect open. The operation takes
    /// effect once at some moment after its invocation, or never.
    Pending {
        /// The operation takes no effect after this moment. `None` if there is no such moment.
        until: Option<u64>,
    },
}

impl<C, A> Operation<C, A> {
    /// An operation that was sent at `invoked` and has not returned.
    pub fn pending(client: impl Into<Arc<str>>, call: C, invoked: u64) -> Self {
        Self { client: client.into(), call, invoked, outcome: Outcome::Pending { until: None } }
    }

    /// The same operation, which returned this answer.
    pub fn returned(self, at: u64, answer: A) -> Self {
        Self { outcome: Outcome::Returned { at, answer }, ..self }
    }

    /// The same operation, which takes effect no later than `until`, or never.
    ///
    /// So ends, for example, a request that a server has refused: it may have taken effect before
    /// the refusal, or a late copy of it may do so up to a moment that is known.
    pub fn pending_until(self, until: u64) -> Self {
        Self { outcome: Outcome::Pending { until: Some(until) }, ..self }
    }

    /// The answer, if the client received one.
    pub fn answer(&self) -> Option<&A> {
        match &self.outcome {
            Outcome::Returned { answer, .. } => Some(answer),
            Outcome::Pending { .. } => None,
        }
    }

    /// The last moment at which the operation can take effect, if there is one.
    pub fn latest_effect(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Returned { at, .. } => Some(at),
            Outcome::Pending { until } => until,
        }
    }
}
