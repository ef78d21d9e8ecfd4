//! The checker for commands with replies: puts and gets, compare-and-set, deletes, counters,
//! appends, times to live, and transactions of all of these over several keys.
//!
//! A key is absent or has a text. Each command takes effect at one moment and its reply says what it
//! did ([`Command`], [`Reply`]). A transaction is an operation of several commands, which take
//! effect at one moment, in their order, or not at all.
//!
//! ```
//! use std::time::Duration;
//! use linearizability::command::{Command, Operation, Reply, Verdict, check};
//! use linearizability::Limits;
//!
//! // Two clients move 5 from x to y, and a third one sees only half of it.
//! let add = |name, by| Operation::new(name, "alice", "x", Command::Increment { by }, 1);
//! let deposit = add("1", 5).replied(2, Reply::Number(5));
//! let transfer = [("x", -5), ("y", 5)].map(|(key, by)| (key, Command::Increment { by }));
//! let transfer = Operation::transaction("2", "bob", transfer, 3)
//!     .replied_all(9, [Reply::Number(0), Reply::Number(5)]);
//! let look = ["x", "y"].map(|key| (key, Command::Get));
//! let look = Operation::transaction("3", "carol", look, 4)
//!     .replied_all(8, [Reply::Value(Some("0".into())), Reply::Value(None)]);
//!
//! let Verdict::NotLinearizable(found) =
//!     check(&[deposit, transfer, look], Duration::ZERO, Limits::default())
//! else {
//!     panic!("no moment has a sum of 0")
//! };
//! assert_eq!(found.operations.len(), 3);
//! ```
//!
//! # Outcomes
//!
//! | outcome | meaning |
//! |---|---|
//! | replied | the operation took effect between its invocation and its return, with these replies |
//! | aborted | it had no effect, because a watched key had changed; such an answer is always believed |
//! | declined | it may have taken effect, but no later than the answer to a later attempt of it |
//! | unknown | it takes effect at any moment after its invocation, once, or never |
//!
//! # Times to live
//!
//! The clocks of replicas differ. `clock_difference` is the largest difference between any two of
//! them, with the resolution of their times. A key that was given a time to live between two moments
//! is present until that time has passed since the first moment, less the difference. It is absent
//! when that time has passed since the second moment, and the difference. In between both are right,
//! but once it was absent it does not come back by itself. The essay of `parts` draws this.
//!
//! # Modules
//!
//! | file | job |
//! |---|---|
//! | `operation` | requests and replies, as their clients saw them |
//! | `strings` | the object: the next state and the reply of each command |
//! | `parts` | keys that are judged together, their operations and expiries as tasks of the search |
//! | `contradiction` | operations that contradict each other, as a picture and a sentence |
//!
//! Histories of nothing but puts and gets have a faster checker, [`key_value`](crate::key_value).

mod contradiction;
mod operation;
mod parts;
mod strings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use contradiction::Contradiction;
pub use operation::{Command, Operation, Outcome, Reply, Ttl, When};

use crate::Limits;
use crate::attempts::deadlines;
use crate::checker::judge;
use parts::{Calls, divide};
use strings::Strings;

/// Whether a history of commands is linearizable. The key of an undecided one is the first of those
/// that are judged together.
pub type Verdict = crate::Verdict<Arc<str>, Contradiction>;

/// Judges a history, in any order, of any keys.
///
/// Keys that share a transaction are judged together, all others alone; each such part may spend
/// the whole `limits`, and as much again to shrink a contradiction. The same history always gets the
/// same verdict.
pub fn check(operations: &[Operation], clock_difference: Duration, limits: Limits) -> Verdict {
    let deadlines = deadlines(&operations.iter().collect::<Vec<_>>());
    let mut undecided = None;
    for part in divide(operations, &deadlines) {
        let calls = Calls::new(&part, clock_difference);
        let model = Strings::new(part.keys.len(), calls.values());
        match judge(&model, &calls.tasks(&model, &part), limits) {
            Ok(None) => {}
            Ok(Some(found)) => {
                return Verdict::NotLinearizable(Contradiction::new(operations, &part, &calls, &found));
            }
            // The search of the next part has a budget of its own, and may find a contradiction.
            Err(exhausted) => {
                undecided.get_or_insert((Arc::clone(part.keys[0]), part.operations.len(), exhausted));
            }
        }
    }
    match undecided {
        Some((key, operations, exhausted)) => Verdict::Undecided { key, operations, exhausted },
        None => Verdict::Linearizable,
    }
}
