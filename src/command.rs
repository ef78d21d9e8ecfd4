//! Commands: the requests of clients, and the proposals that the log carries to the state machine
//! of each replica.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::digest::digest;
use crate::operation::{Operation, Revision, UnixMillis};
use crate::request::RequestId;

/// The most operations of one batch, and the most watches.
pub const MAX_BATCH: usize = 1_024;

/// A client's command: one atomic step of the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// Several operations at one index of the log.
    Batch(Batch),
    /// One operation.
    One(Operation),
}

/// Several operations that take effect at once, unless a watched key has changed (WATCH, MULTI,
/// EXEC).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The keys that must not have changed; else the reply is nil, and nothing changes.
    pub watches: Vec<Watch>,
    /// The operations, in order. The reply has one result for each.
    pub operations: Vec<Operation>,
}

/// A key that must not have changed after a client looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The key.
    pub key: Bytes,
    /// The revision that [`Operation::Revision`] returned. No entry with a greater index may have
    /// changed the key.
    pub unchanged_since: Revision,
}

/// A command as the log carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The leader's wall clock when it proposed the command. The state machine's time is the
    /// greatest that it has seen.
    pub at: UnixMillis,
    /// The client, and its name for the request; `None` if a leader proposes of its own accord.
    pub request: Option<RequestId>,
    /// The command.
    pub command: Command,
}

impl Command {
    /// The operations, in order.
    pub fn operations(&self) -> &[Operation] {
        match self {
            Self::One(operation) => std::slice::from_ref(operation),
            Self::Batch(batch) => &batch.operations,
        }
    }

    /// Whether the command changes nothing, whatever the state is. A batch always goes through the
    /// log, because its watches are checked when it is applied.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::One(operation) if operation.is_read())
    }

    /// Whether it may add keys or bytes to the state.
    pub fn may_grow(&self) -> bool {
        self.operations().iter().any(Operation::may_grow)
    }

    /// A digest of the command. Different commands have different digests with overwhelming
    /// probability.
    pub fn digest(&self) -> u64 {
        match self {
            Self::One(Operation::Set(set)) if set.is_plain() => digest(&[&set.key, &set.value]),
            Self::One(Operation::Get { key }) => digest(&[key]),
            _ => digest(&[&serde_json::to_vec(self).expect("a command has a JSON form")]),
        }
    }

    /// Whether it has no more operations and watches than a batch may have.
    pub fn is_within_limits(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Batch(batch) => batch.operations.len() <= MAX_BATCH && batch.watches.len() <= MAX_BATCH,
        }
    }

    /// How many bytes its texts have.
    pub fn text_len(&self) -> usize {
        let watched: usize = match self {
            Self::Batch(batch) => batch.watches.iter().map(|watch| watch.key.len()).sum(),
            Self::One(_) => 0,
        };
        watched + self.operations().iter().map(Operation::text_len).sum::<usize>()
    }
}

impl From<Operation> for Command {
    fn from(operation: Operation) -> Self {
        Self::One(operation)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(operation) => write!(f, "{operation}"),
            Self::Batch(_) => f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?),
        }
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.command)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn commands_that_differ_have_other_digests() {
        let key = || "k".into();
        let operations = [
            Operation::get("k"),
            Operation::set("k", "v"),
            Operation::set("kv", ""),
            Operation::Append { key: key(), value: "v".into() },
            Operation::Increment { key: key(), by: 1 },
            Operation::Increment { key: key(), by: 2 },
            Operation::Delete { keys: vec![key()] },
            Operation::Delete { keys: vec![key(), key()] },
            Operation::Flush,
        ];
        let commands = operations.iter().cloned().map(Command::One);
        let batch = Batch { watches: Vec::new(), operations: operations.to_vec() };
        let digests: HashSet<u64> =
            commands.chain([Command::Batch(batch)]).map(|command| command.digest()).collect();
        assert_eq!(digests.len(), operations.len() + 1);
    }
}
