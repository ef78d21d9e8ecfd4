//! A request of commands as its client saw it.

use std::sync::Arc;
use std::time::Duration;

use crate::attempts::Attempt;
use crate::key_value::{self, Declined, Kind, Refusal};

/// One request of a client, and its outcome: a command, or a transaction of several ones.
///
/// ```
/// use linearizability::command::{Command, Operation, Reply};
///
/// let cas = Operation::new("1", "alice", "x", Command::cas(Some("a"), "b"), 10);
/// let failed = cas.replied(20, Reply::Done(false));
/// assert_eq!(failed.returned(), Some(20));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The request's ID. It stands in the picture of a contradiction, and `retry_of` refers to it.
    pub name: Arc<str>,
    /// The client. It stands in the picture and has no influence on the verdict.
    pub client: Arc<str>,
    /// The commands with their keys. They take effect at one moment, in this order, or not at all.
    pub commands: Vec<(Arc<str>, Command)>,
    /// Keys with the values that the client saw when it noted their revisions (`None` if a key was
    /// absent). The operation takes effect only while the keys have these values.
    ///
    /// A store compares revisions and not values, so it also aborts when a key has changed and has
    /// its old value again. An operation that takes effect all the same is found only if each value
    /// is written once.
    pub watched: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The moment at which the client sent the request, in nanoseconds of any clock that all
    /// clients share.
    pub invoked: u64,
    /// The end of the operation.
    pub outcome: Outcome,
    /// The `name` of the attempt directly before this one, if this is the same request again. No
    /// copy of that attempt can reach a replica any more.
    pub retry_of: Option<Arc<str>>,
}

/// A request that concerns one key, whose value is a text or absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Asks for the value. [`Reply::Value`], or [`Reply::Empty`].
    Get,
    /// Sets the value. [`Reply::Done`] says whether it did.
    Set {
        /// The value.
        value: Arc<str>,
        /// The condition under which it is set.
        when: When,
        /// The time to live that the key then has.
        ttl: Ttl,
    },
    /// Removes the key. [`Reply::Done`] says whether it did: whether the key was there and met the
    /// condition.
    Delete {
        /// The condition under which it is removed.
        when: When,
    },
    /// Adds to the number that the value is; an absent key counts as 0. [`Reply::Number`] is the
    /// new number. [`Reply::Refused`] says that the value is no number (in the one way that Redis
    /// writes a 64-bit integer) or that the sum is out of range.
    Increment {
        /// The number that is added.
        by: i64,
    },
    /// Appends to the value; an absent key counts as the empty text. [`Reply::Number`] is the new
    /// length in bytes.
    Append {
        /// The text that is appended.
        value: Arc<str>,
    },
    /// Sets the time to live of a key that is there. [`Reply::Done`] says whether it did.
    Expire {
        /// The time from the effect of the command to the end of the key.
        ttl: Duration,
    },
    /// Ends the time to live of a key. [`Reply::Done`] says whether there was one.
    Persist,
}

/// The condition of a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// None.
    Always,
    /// The key is absent.
    Absent,
    /// The key has a value.
    Present,
    /// The key has this value.
    Is(Arc<str>),
    /// The key is absent or has this value.
    AbsentOr(Arc<str>),
    /// The key is absent or has another value.
    IsNot(Arc<str>),
}

/// The time to live of a key that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// The key lives on.
    Unlimited,
    /// The key has the time to live that it had.
    Keep,
    /// The time from the effect of the command to the end of the key.
    After(Duration),
}

/// The reply to one command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// To a get: the value, or `None` if the key is absent.
    Value(Option<Arc<str>>),
    /// To a get: the empty text, of a protocol that has no other way to say that a key is absent.
    Empty,
    /// Whether the command did what it asked for.
    Done(bool),
    /// The new number of an increment, or the new length of an append.
    Number(i64),
    /// To an increment that changed nothing because there is no such number.
    Refused,
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The operation took effect between its invocation and this moment.
    Replied {
        /// The moment at which the client received the replies, not before [`Operation::invoked`].
        at: u64,
        /// One reply for each command.
        replies: Vec<Reply>,
    },
    /// The operation had no effect and will have none, because a watched key had changed.
    Aborted {
        /// The moment at which the client knew.
        at: u64,
    },
    /// A replica did not do it. It may take effect all the same, but no later than a later attempt
    /// of the same request is answered.
    Declined(Declined),
    /// The client received no answer. The operation takes effect at any later moment, or never.
    Unknown,
}

impl Command {
    /// Sets the value, whatever it was.
    pub fn set(value: impl Into<Arc<str>>) -> Self {
        Self::Set { value: value.into(), when: When::Always, ttl: Ttl::Unlimited }
    }

    /// Sets the value to `to` if it is `from`; `None` stands for an absent key.
    pub fn cas(from: Option<&str>, to: impl Into<Arc<str>>) -> Self {
        let when = from.map_or(When::Absent, |from| When::Is(from.into()));
        Self::Set { value: to.into(), when, ttl: Ttl::Unlimited }
    }

    /// Removes the key.
    pub fn delete() -> Self {
        Self::Delete { when: When::Always }
    }

    /// The time to live that the command gives to its key, if it gives one.
    pub(super) fn ttl(&self) -> Option<Duration> {
        match *self {
            Self::Set { ttl: Ttl::After(ttl), .. } | Self::Expire { ttl } => Some(ttl),
            _ => None,
        }
    }
}

impl Operation {
    /// An operation of one command that was sent at `invoked` and has no answer.
    pub fn new(
        name: impl Into<Arc<str>>,
        client: impl Into<Arc<str>>,
        key: impl Into<Arc<str>>,
        command: Command,
        invoked: u64,
    ) -> Self {
        Self::transaction(name, client, [(key, command)], invoked)
    }

    /// An operation of several commands that was sent at `invoked` and has no answer.
    pub fn transaction<K: Into<Arc<str>>>(
        name: impl Into<Arc<str>>,
        client: impl Into<Arc<str>>,
        commands: impl IntoIterator<Item = (K, Command)>,
        invoked: u64,
    ) -> Self {
        Self {
            name: name.into(),
            client: client.into(),
            commands: commands.into_iter().map(|(key, command)| (key.into(), command)).collect(),
            watched: Vec::new(),
            invoked,
            outcome: Outcome::Unknown,
            retry_of: None,
        }
    }

    /// The same operation, which also watches a key that had this value.
    pub fn watching(mut self, key: impl Into<Arc<str>>, value: Option<&str>) -> Self {
        self.watched.push((key.into(), value.map(Into::into)));
        self
    }

    /// The same operation of one command, which received this reply.
    pub fn replied(self, at: u64, reply: Reply) -> Self {
        self.replied_all(at, [reply])
    }

    /// The same operation, which received one reply for each command.
    pub fn replied_all(self, at: u64, replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { outcome: Outcome::Replied { at, replies: replies.into_iter().collect() }, ..self }
    }

    /// The same operation, which was aborted because a watched key had changed.
    pub fn aborted(self, at: u64) -> Self {
        Self { outcome: Outcome::Aborted { at }, ..self }
    }

    /// The same operation, which a replica declined; `at` is the moment of its answer, if known.
    pub fn declined(self, with: Refusal, at: Option<u64>) -> Self {
        Self { outcome: Outcome::Declined(Declined { with, at }), ..self }
    }

    /// The same operation, which repeats an earlier attempt.
    pub fn retrying(self, name: impl Into<Arc<str>>) -> Self {
        Self { retry_of: Some(name.into()), ..self }
    }

    /// The moment at which the client received the replies, or the answer that there are none
    /// because the operation was aborted.
    pub fn returned(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Replied { at, .. } | Outcome::Aborted { at } => Some(at),
            Outcome::Declined(_) | Outcome::Unknown => None,
        }
    }

    /// The replies, if the client received some.
    pub fn replies(&self) -> Option<&Vec<Reply>> {
        match &self.outcome {
            Outcome::Replied { replies, .. } => Some(replies),
            Outcome::Aborted { .. } | Outcome::Declined(_) | Outcome::Unknown => None,
        }
    }

    /// Whether it only asks for values.
    pub fn is_get(&self) -> bool {
        self.commands.iter().all(|(_, command)| *command == Command::Get)
    }
}

/// A put or a get as a command. A get that returned the empty text has found this text or no key.
impl From<key_value::Operation> for Operation {
    fn from(own: key_value::Operation) -> Self {
        let key_value::Operation { name, client, key, kind, invoked, returned, declined, retry_of } = own;
        let (command, reply) = match kind {
            Kind::Put { value } => (Command::set(value), Reply::Done(true)),
            Kind::Get { value } if value.is_empty() => (Command::Get, Reply::Empty),
            Kind::Get { value } => (Command::Get, Reply::Value(Some(value))),
        };
        let outcome = match (returned, declined) {
            (Some(at), _) => Outcome::Replied { at, replies: vec![reply] },
            (None, Some(declined)) => Outcome::Declined(declined),
            (None, None) => Outcome::Unknown,
        };
        let commands = vec![(key, command)];
        Self { name, client, commands, watched: Vec::new(), invoked, outcome, retry_of }
    }
}

impl Attempt for Operation {
    fn name(&self) -> &str {
        &self.name
    }

    fn retry_of(&self) -> Option<&str> {
        self.retry_of.as_deref()
    }

    fn is_declined(&self) -> bool {
        matches!(self.outcome, Outcome::Declined(_))
    }

    fn acknowledged(&self) -> Option<u64> {
        self.returned().filter(|_| !self.is_get())
    }
}
