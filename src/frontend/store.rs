//! The store as a front end sees it: questions in, outcomes out, without Raft or sockets.

use crate::command::Command;
use crate::micros::Micros;
use crate::request::{Outcome, RequestId};

/// What a front end asks of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The command.
    pub command: Command,
    /// The name that the client gave the request (`KV.DO`, `Idempotency-Key`): a repetition under
    /// this name takes effect once. The store names all others.
    pub name: Option<RequestId>,
    /// How old the state may be from which a read is served.
    pub freshness: Freshness,
}

/// How old the state may be from which a read is served. Writes ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The state covers everything that was acknowledged before the question.
    Linearizable,
    /// This replica's own state, if the replica heard from a leader so many microseconds ago at most
    /// (`READONLY`, `?stale=SECONDS`). Otherwise the outcome is [`Outcome::Fail`].
    Local(Micros),
}

/// Takes the outcome of one question. It is called once, from any thread, and must not wait.
pub type Answer = Box<dyn FnOnce(Outcome) + Send>;

/// The store. The outcomes mean:
///
/// | outcome | a write | a read |
/// |---|---|---|
/// | `Done` | took effect, or was refused by the state machine | is served |
/// | `Unknown` | may take effect or not, now or later; it is never repeated | was not served |
/// | `Fail`, `Redirect` | takes no effect | was not served |
pub trait Store: Send + Sync {
    /// Asks a question. Questions of one thread reach the store in their order.
    fn ask(&self, question: Question, answer: Answer);

    /// Asks a question of a client that has several under way at once: its writes take effect in the
    /// order of its questions, or fail. Without this, a store that tries a write again may let a
    /// later one overtake it.
    fn ask_in_order(&self, _client: u64, question: Question, answer: Answer) {
        self.ask(question, answer);
    }
}
