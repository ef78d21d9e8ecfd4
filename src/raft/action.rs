//! What goes into the core and what comes out of it.

use std::sync::Arc;

use super::message::Message;
use super::types::Entry;
use crate::id::Id;
use crate::kv::Command;

/// The driver's name for a read that waits.
pub type ReadId = u64;

/// Something that happened to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time went by; due when [`Node::deadline`](super::Node::deadline) has come.
    Tick,
    /// Another replica's message arrived.
    Receive {
        /// Who sent it.
        from: Id,
        /// What it says.
        message: Message,
    },
    /// A client's write, for the leader to replicate.
    Propose(Arc<Command>),
    /// A client's read, for the leader to order.
    Read(ReadId),
}

/// What the driver must do, in the order in which the core lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message. It may be lost, repeated or overtaken.
    Send {
        /// To whom.
        to: Id,
        /// What.
        message: Message,
    },
    /// The entry is committed: apply it. Every index comes once, in order.
    Apply(Entry),
    /// The read may be answered from the state as it is after all the `Apply` before this.
    Serve(ReadId),
    /// This replica does not lead (any more). Whatever was proposed to it or asked of it and
    /// has been neither applied nor served so far is no longer its business; a
    /// proposal may still come to be committed by another leader.
    Abandon,
}
