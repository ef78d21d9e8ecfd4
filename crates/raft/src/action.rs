//! What goes into the core and what comes out of it.

use super::message::Message;
use super::types::{Entry, HardState, Index, PersistentState};
use crate::id::Id;

/// The driver's name for a read that waits.
pub type ReadId = u64;

/// Something that happened to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<C> {
    /// Time went by; due when [`Node::deadline`](super::Node::deadline) has come.
    Tick,
    /// Another replica's message arrived.
    Receive {
        /// Who sent it.
        from: Id,
        /// What it says.
        message: Message<C>,
    },
    /// Every [`Persist`] up to this number is on disk and survives a crash.
    Persisted(u64),
    /// A client's write, for the leader to replicate.
    Propose(C),
    /// A client came back from the leader, to whom it was sent, in vain.
    Suspect,
    /// A client's read, for the leader to order.
    Read(ReadId),
}

/// A change of what a replica must never forget. Whatever rests on it comes out only after [`Input::Persisted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist<C> {
    /// Counts these changes, from 1. They reach the disk in this order, several at once if the driver likes.
    pub number: u64,
    /// Term and vote from now on.
    pub hard_state: HardState,
    /// The log keeps what is before this index and loses the rest.
    pub first_index: Index,
    /// What then follows, from `first_index`, without a gap.
    pub entries: Vec<Entry<C>>,
}

impl<C> Persist<C> {
    /// Makes the change to what was saved before.
    pub fn apply_to(self, saved: &mut PersistentState<C>) {
        saved.hard_state = self.hard_state;
        saved.entries.truncate(self.first_index as usize - 1);
        saved.entries.extend(self.entries);
    }
}

/// What the driver must do, in the order in which the core lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<C> {
    /// Send a message. It may be lost, repeated or overtaken.
    Send {
        /// To whom.
        to: Id,
        /// What.
        message: Message<C>,
    },
    /// Write a change to disk and say when it is there; meanwhile the core goes on.
    Persist(Persist<C>),
    /// The entry is committed: apply it. Every index comes once, in order. One drain hands out a bounded number,
    /// and the next drain is due at once if more are committed.
    Apply(Entry<C>),
    /// The read may be answered from the state as it is after all the `Apply` before this.
    ReadReady(ReadId),
    /// This replica does not lead (any more). Whatever was proposed to it or asked of it and
    /// has been neither applied nor served so far is no longer its business; a
    /// proposal may still come to be committed by another leader.
    DropPending,
}
