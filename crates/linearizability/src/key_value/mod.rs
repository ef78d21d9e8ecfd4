//! The checker for puts and gets of keys.
//!
//! A get returns the value of the latest put to its key, or the empty text if there is none. A put
//! without an acknowledgement is *pending*: it takes effect at any moment after its invocation, or
//! never.
//!
//! A client repeats a put that a replica declined, and each attempt is a put of its own. A declined
//! attempt may have taken effect all the same, but no later than the acknowledgement of a later
//! attempt. In Raft its entry precedes the entry of that later attempt, or a leader of a later term
//! has overwritten it (Ongaro and Ousterhout 2014, 5.3). A history says by [`Operation::retry_of`]
//! which attempt repeats which. Without that field a declined put is pending.
//!
//! Keys are judged one by one: a history is linearizable if each key's part of it is (Herlihy and
//! Wing 1990, theorem 1).
//!
//! | file | job |
//! |---|---|
//! | `operation` | a put or a get, as its client saw it |
//! | `epochs` | which puts of the same text no get can confuse |
//! | `timeline` | one key's operations as a sequence of invocations and returns |
//! | `search` | whether some order explains them: the algorithm, and why its shortcuts are sound |
//! | `configuration` | the part of an order that the search remembers |
//! | `frontier` | all orders that the search still follows, and what they cost |
//! | `shrink` | a contradiction without the operations that it does not need |
//! | `explain`, `diagram` | a contradiction in words, and as a picture |

#[cfg(test)]
mod brute_force;
mod configuration;
mod diagram;
mod epochs;
mod explain;
mod frontier;
mod operation;
#[cfg(test)]
mod properties;
mod search;
mod shrink;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::HashMap;
use std::sync::Arc;

pub use operation::{Declined, Kind, Operation, Refusal};

use crate::Limits;
use crate::limits::Budget;
use search::Finding;

/// Whether a history of puts and gets is linearizable.
pub type Verdict = crate::Verdict<Arc<str>, Contradiction>;

/// Operations of one key that no order explains, as few as the search finds. Every get among them
/// is needed for the contradiction, and so is every put that no get can have read.
///
/// Its `Display` is a diagram of no more than forty rows, and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The key.
    pub key: Arc<str>,
    /// Some of its operations, by time of invocation.
    pub operations: Vec<Operation>,
}

/// Judges a history, in any order, of any keys.
///
/// The same history always gets the same verdict. The time is proportional to the number of
/// operations (times its logarithm), plus the time to search the ambiguous ones: each key may spend
/// the whole `limits`, and as much again to shrink a contradiction.
pub fn check(operations: &[Operation], limits: Limits) -> Verdict {
    let mut undecided = None;
    for operations in by_key(operations) {
        let Some(key) = operations.first().map(|operation| &operation.key) else { continue };
        match search::search(&operations, &mut Budget::new(limits)) {
            Finding::Explained => {}
            Finding::Contradiction { moment } => {
                let operations = match moment {
                    Some(_) => operations,
                    None => timeline::unambiguous(&operations),
                };
                let moment = moment.unwrap_or(0);
                let operations = shrink::smallest(operations, moment, &mut Budget::new(limits));
                let operations = operations.into_iter().cloned().collect();
                return Verdict::NotLinearizable(Contradiction { key: Arc::clone(key), operations });
            }
            // The search of the next key has a budget of its own, and may find a contradiction.
            Finding::Undecided(exhausted) => {
                undecided.get_or_insert((Arc::clone(key), operations.len(), exhausted));
            }
        }
    }
    match undecided {
        Some((key, operations, exhausted)) => Verdict::Undecided { key, operations, exhausted },
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
