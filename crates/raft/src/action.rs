//! The core's inputs and its actions.

use super::message::Message;
use super::types::{Entry, HardState, Index, PersistentState};
use crate::id::Id;

/// The driver's name for a read that waits for proof of leadership.
pub type ReadId = u64;

/// An event at a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<C> {
    /// Time went by; due when [`Node::deadline`](super::Node::deadline) has come.
    Tick,
    /// Another replica's message arrived.
    Receive {
        /// The sender.
        from: Id,
        /// Its term and body.
        message: Message<C>,
    },
    /// Every [`Persist`] up to this number is on disk and survives a crash.
    Persisted(u64),
    /// A command, for the leader to replicate.
    Propose(C),
    /// A client waits, and this replica knows no leader or doubts its own.
    Suspect,
    /// A client's read, for the leader to order.
    Read(ReadId),
}

/// A change of the state that a replica must never forget. The messages that rest on it come out
/// after [`Input::Persisted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist<C> {
    /// Counts these changes, from 1. They reach the disk in this order, several at once if the
    /// driver likes.
    pub number: u64,
    /// Term and vote from now on.
    pub hard_state: HardState,
    /// The log keeps the entries before this index and loses the rest.
    pub first_index: Index,
    /// The entries from `first_index` on, without a gap.
    pub entries: Vec<Entry<C>>,
}

impl<C> Persist<C> {
    /// Makes the change to the state that was saved before.
    pub fn apply_to(self, saved: &mut PersistentState<C>) {
        saved.hard_state = self.hard_state;
        saved.entries.truncate(self.first_index as usize - 1);
        saved.entries.extend(self.entries);
    }
}

/// A task for the driver. The driver executes them in the order in which the core lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<C> {
    /// Send a message. It may be lost, repeated or overtaken.
    Send {
        /// The receiver.
        to: Id,
        /// The message.
        message: Message<C>,
    },
    /// Write a change to disk and report it as [`Input::Persisted`]; meanwhile the core goes on.
    Persist(Persist<C>),
    /// The entry is committed: apply it. Every index comes once, in order. One drain hands out a
    /// bounded number of entries. If more are committed, the next drain is due at once.
    Apply(Entry<C>),
    /// Serve the read from the state after all the `Apply` actions before this one.
    ReadReady(ReadId),
    /// This replica does not lead, or no longer. The driver drops the proposals and reads that this
    /// replica has neither applied nor served. Another leader may still commit such a proposal.
    DropPending,
}
