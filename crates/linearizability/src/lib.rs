//! Tells whether a history of concurrent operations is linearizable, and if not, why.
//!
//! A history is a list of operations, each with the times at which its client sent the request and
//! received the answer. It is *linearizable* if each operation can take effect at one moment
//! between these two times, such that one sequential object gives all the answers. (Herlihy and
//! Wing defined this in *Linearizability: A Correctness Condition for Concurrent Objects*, 1990.)
//! An operation without an answer is *pending*: it takes effect at any later moment, or never.
//!
//! There are three checkers:
//!
//! * [`key_value::check`] judges puts and gets, the most common history. It knows how a put changes
//!   the answer to a get, so it stays fast where many operations are pending.
//! * [`command::check`] judges the commands of a key-value store: compare-and-set, deletes,
//!   counters, appends, times to live, and transactions of several keys.
//! * [`check`] judges a history of any other object. A [`Model`] says what the object does:
//!   [`models`] has registers with compare-and-set and counters, and the README shows how to write
//!   one.
//!
//! [`read`](mod@read) reads a history from a file for the first two.
//!
//! # Modules
//!
//! | file | job |
//! |---|---|
//! | `history` | operations of any object |
//! | [`models`] and `model` | the trait for objects, and two objects |
//! | `checker`, `search` | the checker for any model: the parts of a history, and the search of one |
//! | `beam`, `structures` | parts that both searches have: attempts of growing width, slots and sets |
//! | `contradiction` | a contradiction of any model, without the reads that it does not need |
//! | [`command`] | the checker for commands with replies: their object, and its part of the search |
//! | [`key_value`] | the checker for puts and gets, with its own search and sentences |
//! | [`read`](mod@read) | histories from a file |
//! | `attempts` | the last moment at which a declined request may take effect |
//! | `limits` | how much a search may spend |
//! | `diagram`, `text` | operations as a picture, and texts that a terminal cannot misread |
//!
//! Times are compared, never subtracted, and equal times count as concurrent. So a coarse clock can
//! hide a contradiction, but it never makes one.

mod attempts;
mod beam;
mod checker;
pub mod command;
mod contradiction;
mod diagram;
mod history;
pub mod key_value;
mod limits;
mod model;
pub mod models;
pub mod read;
mod search;
mod structures;
#[cfg(test)]
mod tests;
mod text;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use checker::{ContradictionOf, VerdictOf, check};
pub use contradiction::Contradiction;
pub use history::{Operation, Outcome};
pub use limits::{Exhausted, Limits};
pub use model::Model;
pub use text::{legible, printable};

/// Whether a history is linearizable. `K` names a key, and `C` is a contradiction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<K, C> {
    /// The history is linearizable.
    Linearizable,
    /// The history is not linearizable, and these operations show it.
    NotLinearizable(C),
    /// The search of a key ended at one of the [`Limits`]. This is not a pass: the history may or
    /// may not be linearizable. No key whose search came to its end contradicts itself.
    Undecided {
        /// The first key whose search ended early.
        key: K,
        /// The number of operations of this key.
        operations: usize,
        /// The limit that ended the search.
        exhausted: Exhausted,
    },
}
