//! The core's inputs and its actions.

use super::message::Message;
use super::types::{Entry, EntryId, HardState, Index, PersistentState};
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
    /// Hand the leadership over to a follower, if this replica leads. Until
    /// [`Node::is_transferring`](super::Node::is_transferring) is false again, the driver should keep
    /// further writes and reads for itself.
    TransferLeadership,
    /// A client waits, and this replica knows no leader or doubts its own.
    Suspect,
    /// A client's read, for the leader to order.
    Read(ReadId),
    /// This follower serves reads that rest on what is committed now: the next drain sends it an
    /// append with the commit index, and with the entries that it lacks.
    BringUpToDate(Id),
    /// A snapshot of the state machine covers the entries up to this index, all of which were
    /// handed out as [`Action::Apply`]. It survives whatever the log survives: it is on disk if the
    /// log is.
    SnapshotTaken(Index),
    /// A part of a snapshot, as [`Action::ReadSnapshot`] asked for it.
    SnapshotChunk(SnapshotChunk),
    /// The driver can't read the snapshot for this follower any more.
    SnapshotLost(Id),
    /// The driver has received all parts of this snapshot, and the snapshot is on disk.
    SnapshotReceived(EntryId),
    /// The parts that the driver has received are no snapshot: the leader must begin again.
    SnapshotRefused(EntryId),
}

/// A part of a snapshot for a follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// The follower.
    pub to: Id,
    /// The last entry that the snapshot covers.
    pub snapshot: EntryId,
    /// The number of the part, from 0.
    pub chunk: u64,
    /// Whether it is the last one.
    pub is_last: bool,
    /// The part.
    pub data: Vec<u8>,
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
    /// A snapshot replaces the log: all entries are gone, and the log begins after this one.
    pub base: Option<EntryId>,
    /// The log keeps the entries before this index and loses the rest.
    pub first_index: Index,
    /// The entries from `first_index` on, without a gap.
    pub entries: Vec<Entry<C>>,
}

impl<C> Persist<C> {
    /// Makes the change to the state that was saved before.
    pub fn apply_to(self, saved: &mut PersistentState<C>) {
        saved.hard_state = self.hard_state;
        if let Some(base) = self.base {
            saved.base = base;
            saved.entries.clear();
        }
        saved.entries.truncate((self.first_index - saved.base.index) as usize - 1);
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
    /// The entry is committed: apply it. Every index comes once, in order, but those that a
    /// snapshot covers. One drain hands out a bounded number of entries. If more are committed, the
    /// next drain is due at once.
    Apply(Entry<C>),
    /// Read a part of a snapshot for a follower, and hand it over as [`Input::SnapshotChunk`] before
    /// the next drain; [`Input::SnapshotLost`] if that is not possible. Part 0 of a snapshot that
    /// the driver does not know begins a transfer: the snapshot is the state machine as it is after
    /// all the `Apply` actions before this one. The transfer ends when [`Node::sends_snapshot`] no
    /// longer names it.
    ///
    /// [`Node::sends_snapshot`]: super::Node::sends_snapshot
    ReadSnapshot {
        /// The follower.
        to: Id,
        /// The last entry that the snapshot covers.
        snapshot: EntryId,
        /// The number of the part, from 0.
        chunk: u64,
    },
    /// Keep a part of a snapshot that the leader sends. The parts come in order, each once. Part 0
    /// begins a snapshot, and the parts of any other one that is not complete are of no use any
    /// more. When the last part has come, make the snapshot durable, and then report
    /// [`Input::SnapshotReceived`] or [`Input::SnapshotRefused`].
    ReceiveSnapshot {
        /// The last entry that the snapshot covers.
        snapshot: EntryId,
        /// The number of the part, from 0.
        chunk: u64,
        /// Whether it is the last part.
        is_last: bool,
        /// The part.
        data: Vec<u8>,
    },
    /// Replace the state machine by the snapshot that was received. The next `Apply` is of the entry
    /// after this one.
    InstallSnapshot(EntryId),
    /// The log has lost the entries up to this one: the disk may free their space.
    Compact(EntryId),
    /// Serve the read from the state after all the `Apply` actions before this one.
    ReadReady(ReadId),
    /// This replica does not lead, or no longer. The driver drops the proposals and reads that this
    /// replica has neither applied nor served. Another leader may still commit such a proposal.
    DropPending,
}
