//! The core's types with this program's commands: proposals that are shared and never copied.

use std::sync::Arc;

use raft::{action, message, types};

use crate::command::Proposal;

/// The command of an entry: the log, messages and the state machine share it.
type Shared = Arc<Proposal>;

/// One replica's Raft state.
pub type Node = raft::Node<Shared>;
/// The settings of a replica's core.
pub type Settings = raft::Settings<Shared>;
/// Something that happened to a replica.
pub type Input = action::Input<Shared>;
/// An action that the core requests.
pub type Action = action::Action<Shared>;
/// A change of the state that a replica must never forget.
pub type Persist = action::Persist<Shared>;
/// The state that a replica finds on its disk when it starts.
pub type PersistentState = types::PersistentState<Shared>;
/// One slot of the replicated log.
pub type Entry = types::Entry<Shared>;
/// The effect of an entry when a replica applies it.
pub type Payload = types::Payload<Shared>;
/// One message between two replicas.
pub type Message = message::Message<Shared>;
/// The kinds of message.
pub type Body = message::Body<Shared>;
/// The leader's log, or the part of it that a follower lacks.
pub type AppendEntries = message::AppendEntries<Shared>;
/// The end of a log, for a candidate whose own log is behind it.
pub type LogTail = message::LogTail<Shared>;
/// An append that each follower on its way stores and sends on.
pub type RelayEntries = message::RelayEntries<Shared>;
