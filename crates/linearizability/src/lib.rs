//! Tells whether a history of concurrent operations is linearizable, and if not, why.
//!
//! A history is a list of operations, each with the time at which its client sent it and the time
//! at which the client received the answer. It is *linearizable* if each operation can take effect
//! at one moment between these two times, such that one sequential object gives all the answers
//! (Herlihy and Wing, *Linearizability: A Correctness Condition for Concurrent Objects*, 1990). An
//! operation without an answer is *pending*: it takes effect at any later moment, or never.
//!
//! # Modules
//!
//! | file | job |
//! |---|---|
//! | [`key_value`] | the checker for puts and gets, with its own search, sentences and file format |
//! | `limits` | how much a search may spend |
//! | `diagram`, `text` | operations as a picture, and texts that a terminal cannot misread |
//!
//! Times are compared, never subtracted, and equal times count as concurrent. So a coarse clock can
//! hide a contradiction, but it never makes one.

mod diagram;
pub mod key_value;
mod limits;
mod text;

pub use limits::{Exhausted, Limits};
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
