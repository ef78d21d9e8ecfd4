//! Was it linearizable? Judges what clients saw, knowing nothing of replicas.
//!
//! A history is a list of operations, each with the time at which its client asked and the time at which it
//! was told the result. It is *linearizable* if every operation can be given one moment between those two
//! times at which it takes effect, so that each get returns what the latest put before it wrote (Herlihy and
//! Wing, *Linearizability: A Correctness Condition for Concurrent Objects*, 1990). A put whose outcome nobody
//! knows may take effect at any time after it was asked for, or never.
//!
//! A client repeats a put that a replica declined, and each attempt is a put of its own. A declined
//! attempt may have taken effect all the same, but no later than the acknowledgement of a later
//! attempt. In Raft its entry either precedes the entry of that later attempt, or a leader of a later
//! term has overwritten it (paper, 5.3). A history says by [`Operation::retry_of`] which attempt
//! repeats which. Without that a declined put is one of unknown outcome.
//!
//! | file | job |
//! |---|---|
//! | `attempts` | until when a declined put may take effect |
//! | `epochs` | which puts of the same text no get can confuse |
//! | `timeline` | one key's operations as a sequence of invocations and returns |
//! | `search` | whether some order explains them: the algorithm, and why its shortcuts are sound |
//! | `configuration` | what the search remembers of one order |
//! | `frontier` | all orders that it still follows, and what they may cost |
//! | `shrink` | a contradiction without what does not contribute to it |
//! | `explain`, `diagram` | a contradiction in words, and as a picture |
//! | `text` | texts of a history on a terminal |
//! | [`read`](mod@read) | histories from a file |
//!
//! Keys are judged one by one: a history is linearizable if each key's part of it is (Herlihy and Wing,
//! theorem 1). Times are compared, never subtracted, and equal times count as concurrent; so a coarse clock
//! can hide a contradiction but never make one.

mod attempts;
#[cfg(test)]
mod brute_force;
mod configuration;
mod diagram;
mod epochs;
mod explain;
mod frontier;
#[cfg(test)]
mod properties;
pub mod read;
mod search;
mod shrink;
#[cfg(test)]
mod tests;
mod text;
mod timeline;

use std::collections::HashMap;
use std::sync::Arc;

use frontier::Budget;
use search::Finding;
pub use text::{legible, printable};

/// What the search of one key may spend in [`check`], unless told otherwise: so many bytes for what it
/// remembers at any moment, and twice as many units of work, which take less than a minute. Memory for
/// the operations themselves comes on top. Histories of clients that write different values need
/// nothing of it, however long they are.
pub const DEFAULT_BUDGET: u64 = 500_000_000;

/// What one client asked, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The request's ID; for those who read the verdict.
    pub name: Arc<str>,
    /// Who asked; for those who read the verdict.
    pub client: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// What was asked and, for a get, answered.
    pub kind: Kind,
    /// When the client asked, in nanoseconds of any clock that all clients share.
    pub invoked: u64,
    /// When the client was told, by the same clock and not before `invoked`. `None` if it never was: then a
    /// put's outcome is unknown, and a get says nothing.
    pub returned: Option<u64>,
    /// How a replica declined it, if one did; then `returned` is `None`.
    pub declined: Option<Declined>,
    /// The `name` of the attempt directly before this one, if this is the same request asked again. That
    /// attempt is of the same key, and no copy of it is on its way to a replica any more.
    pub retry_of: Option<Arc<str>>,
}

/// The answer of a replica that did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined {
    /// Which answer.
    pub with: Refusal,
    /// When it came, by the clock of [`Operation::invoked`]; `None` if that is not known.
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

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sets the key to a value.
    Put {
        /// The value.
        value: Arc<str>,
    },
    /// Finds the key's value.
    Get {
        /// The value found; the empty string if the key was never put.
        value: Arc<str>,
    },
}

/// Whether a history is linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Linearizable,
    /// It is not, and this is why.
    NotLinearizable(Contradiction),
    /// Nobody knows: the budget ended before the search did. Not a pass.
    OutOfBudget {
        /// The first key whose search had to stop; no key checked to the end contradicts itself.
        key: Arc<str>,
        /// How many operations that key has.
        operations: usize,
    },
}

/// Operations of one key that no order explains, as few as the search finds: without any of its gets, and without any
/// put that no get can have read, the rest would make sense. Its `Display` is a diagram, of no more than
/// forty rows, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The key.
    pub key: Arc<str>,
    /// Some of its operations, by time of invocation.
    pub operations: Vec<Operation>,
}

/// Judges a history, in any order, of any keys. Deterministic; takes time proportional to the number of
/// operations (times its logarithm) and to what the search of ambiguous ones costs: up to `budget` bytes
/// for each key (see [`DEFAULT_BUDGET`]), and as much again to shrink a contradiction.
pub fn check(operations: &[Operation], budget: u64) -> Verdict {
    let mut undecided = None;
    for operations in by_key(operations) {
        let Some(key) = operations.first().map(|operation| &operation.key) else { continue };
        match search::search(&operations, &mut Budget::new(budget)) {
            Finding::Explained => {}
            Finding::Contradiction { moment } => {
                let operations = match moment {
                    Some(_) => operations,
                    None => timeline::unambiguous(&operations),
                };
                let moment = moment.unwrap_or(0);
                let operations = shrink::smallest(operations, moment, &mut Budget::new(budget));
                let operations = operations.into_iter().cloned().collect();
                return Verdict::NotLinearizable(Contradiction { key: Arc::clone(key), operations });
            }
            // The others are looked at all the same: each key has a budget of its own.
            Finding::OutOfBudget => {
                undecided.get_or_insert((Arc::clone(key), operations.len()));
            }
        }
    }
    match undecided {
        Some((key, operations)) => Verdict::OutOfBudget { key, operations },
        None => Verdict::Linearizable,
    }
}

/// The operations of each key, keys in order of first appearance.
fn by_key(operations: &[Operation]) -> Vec<Vec<&Operation>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut keys: Vec<Vec<&Operation>> = Vec::new();
    for operation in operations {
        let place = *places.entry(&operation.key).or_insert(keys.len());
        if place == keys.len() {
            keys.push(Vec::new());
        }
        keys[place].push(operation);
    }
    keys
}

impl Operation {
    /// What was written or read.
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
