//! Replies that wait for answers of the store, and their course until the last answer.

use super::client::Client;
use super::facts::Facts;
use super::failure::Failure;
use super::scripts::{Extend, Step};
use super::transaction::{self, Part, Transaction};
use super::translate::Shape;
use super::value::{Protocol, Value};
use crate::bytes::Bytes;
use crate::command::{Command, Watch};
use crate::operation::Operation;
use crate::reply::Reply;
use crate::request::RequestId;

/// A command whose asks are ready.
#[derive(Debug)]
pub struct Prepared {
    /// The asks, in their order; at least one.
    pub commands: Vec<Command>,
    /// The name that the client gave the request.
    pub request: Option<RequestId>,
    /// The reply that waits for them.
    pub pending: Pending,
    /// Whether the next command runs only after this one has its reply.
    pub is_barrier: bool,
}

/// A reply that is not known yet.
#[derive(Debug)]
pub struct Pending {
    /// The protocol that the client reads it in.
    pub protocol: Protocol,
    /// The name of the command.
    pub command: &'static str,
    /// When the command ran.
    pub since_us: i64,
    /// The command.
    pub kind: Kind,
}

/// The answers that a reply waits for.
#[derive(Debug)]
pub enum Kind {
    /// The reply to one command of the store.
    Store {
        /// The command's name.
        name: &'static str,
        /// How its reply reads.
        shape: Shape,
    },
    /// The reply to a batch (EXEC).
    Exec(Vec<Part>),
    /// The revisions of keys, in their order (WATCH).
    Watch {
        /// The keys.
        keys: Vec<Bytes>,
        /// Their revisions, as far as they are known.
        revisions: Vec<Option<u64>>,
        /// How many are not known.
        missing: usize,
        /// Why one will not be known.
        failure: Option<Failure>,
    },
    /// A lock that gets more time (EVALSHA).
    Extend(Extend),
    /// Scans until the last key (KEYS).
    Keys {
        /// The pattern.
        pattern: Bytes,
        /// The keys so far.
        found: Vec<Value>,
        /// Their bytes.
        bytes: usize,
    },
    /// Scans until a key (RANDOMKEY).
    RandomKey {
        /// Whether the scan has begun at the first key again.
        is_second_round: bool,
    },
}

/// The next step of a reply.
#[derive(Debug)]
pub enum Next {
    /// Another ask for the same reply.
    Ask(Command),
    /// Other answers.
    Wait,
    /// The reply.
    Reply(Value),
}

/// The parts of a connection that answers change.
pub struct Surroundings<'a> {
    /// The client.
    pub client: &'a mut Client,
    /// Its transaction.
    pub transaction: &'a mut Transaction,
    /// Facts from outside.
    pub facts: &'a mut dyn Facts,
    /// The most bytes of the keys of one reply.
    pub limit: usize,
}

/// A scan in the largest steps.
pub fn scan(cursor: u64, count: u32, pattern: Option<&Bytes>) -> Command {
    Operation::Scan { cursor, count, pattern: pattern.cloned() }.into()
}

impl Kind {
    /// How many bytes of the reply wait here for its end.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Keys { bytes, .. } => *bytes,
            _ => 0,
        }
    }

    /// Takes the answer to one of the asks.
    pub fn take(&mut self, number: usize, reply: Result<Reply, Failure>, around: Surroundings<'_>) -> Next {
        if let Self::Watch { keys, revisions, missing, failure } = self {
            match (reply, revisions.get_mut(number)) {
                (Ok(Reply::Integer(revision)), Some(slot)) => *slot = Some(revision as u64),
                (Ok(_), _) => *failure = Some(Failure::CLUSTER_DOWN),
                (Err(refusal), _) => *failure = Some(refusal),
            }
            *missing = missing.saturating_sub(1);
            if *missing > 0 {
                return Next::Wait;
            }
            return Next::Reply(watched(keys, revisions, failure.take(), around.transaction));
        }
        let reply = match reply {
            Ok(reply) => reply,
            Err(failure) => return Next::Reply(failure.into()),
        };
        match self {
            Self::Store { name, shape } => Next::Reply(shape.value(name, reply)),
            Self::Exec(parts) => {
                let parts = std::mem::take(parts);
                Next::Reply(transaction::replied(parts, reply, around.client, around.facts))
            }
            Self::Extend(extend) => match extend.take(reply) {
                Step::Ask(command) => Next::Ask(command),
                Step::Reply(value) => Next::Reply(value),
            },
            Self::Keys { pattern, found, bytes } => match scanned(reply) {
                Ok((cursor, keys)) => {
                    *bytes += keys.iter().map(|key| key.len()).sum::<usize>();
                    found.extend(keys.into_iter().map(Value::Bulk));
                    if *bytes > around.limit {
                        let text = "ERR the keys that match are too many for one reply: use SCAN";
                        Next::Reply(Failure::new(text).into())
                    } else if cursor == 0 {
                        Next::Reply(Value::Array(std::mem::take(found)))
                    } else {
                        Next::Ask(scan(cursor, u32::MAX, Some(pattern)))
                    }
                }
                Err(reply) => Next::Reply(Shape::Plain.value("keys", reply)),
            },
            Self::RandomKey { is_second_round } => match scanned(reply) {
                Ok((cursor, keys)) => match keys.into_iter().next() {
                    Some(key) => Next::Reply(Value::Bulk(key)),
                    None if cursor == 0 && *is_second_round => Next::Reply(Value::Null),
                    None => {
                        *is_second_round |= cursor == 0;
                        Next::Ask(scan(cursor, 1, None))
                    }
                },
                Err(reply) => Next::Reply(Shape::Plain.value("randomkey", reply)),
            },
            Self::Watch { .. } => Next::Wait,
        }
    }
}

/// Watches the keys; if one has no revision, a transaction must not run as if it were watched.
fn watched(
    keys: &mut Vec<Bytes>,
    revisions: &[Option<u64>],
    failure: Option<Failure>,
    transaction: &mut Transaction,
) -> Value {
    let pairs = std::mem::take(keys).into_iter().zip(revisions);
    let watch = |(key, revision): (Bytes, &Option<u64>)| Some(Watch { key, unchanged_since: (*revision)? });
    transaction.watch(pairs.filter_map(watch).collect());
    match failure {
        Some(failure) => {
            transaction.break_up();
            failure.into()
        }
        None => Value::OK,
    }
}

/// The cursor and the keys of a scan, or the reply if it is no scan's.
fn scanned(reply: Reply) -> Result<(u64, Vec<Bytes>), Reply> {
    let Reply::Array(parts) = &reply else { return Err(reply) };
    let [Reply::Bytes(cursor), Reply::Array(keys)] = &**parts else { return Err(reply) };
    let Some(cursor) = cursor.as_str().and_then(|cursor| cursor.parse().ok()) else { return Err(reply) };
    let key = |key: &Reply| match key {
        Reply::Bytes(key) => Some(key.clone()),
        _ => None,
    };
    Ok((cursor, keys.iter().filter_map(key).collect()))
}
