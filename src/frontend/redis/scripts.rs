//! EVALSHA of the scripts of redis-py's `Lock`. A lock is released and extended by scripts, which a
//! client names by the SHA-1 of their text. This store runs no scripts; it does what these do, in
//! one entry of the log, or in two that a watch makes one.

use super::arguments::{Call, is, whole_number};
use super::failure::Failure;
use super::value::Value;
use crate::bytes::Bytes;
use crate::command::{Batch, Command, Watch};
use crate::operation::{Deadline, Operation};
use crate::reply::Reply;

/// Deletes the key if it has this value (`LUA_RELEASE_SCRIPT`, the same in versions 3 to 8).
const RELEASE: &str = "c3f8721cbb97f72bc19e972846bd7aaf91901658";
/// Adds to the time that the key has left, or replaces it, if the key has this value.
const EXTEND: &str = "a4e8783852e6b949f9ef3a97212805108459a890";
/// Gives the key so much time if it has this value.
const REACQUIRE: &str = "1cac51482acf5858da00f6d685d68f886cd6b6b2";

/// How often an extension begins again because the key has changed meanwhile.
const MOST_TRIES: u32 = 16;

/// A script, and what it is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// One command does it.
    Once(Command),
    /// The key is looked at first.
    Extend(Extend),
}

/// A key that gets more time if it has this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extend {
    key: Bytes,
    token: Bytes,
    millis: i64,
    is_added: bool, // to the time that is left; else in place of it
    needs_deadline: bool,
    tries: u32,
    is_looking: bool,
}

/// The next step of an extension.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Another command.
    Ask(Command),
    /// The reply.
    Reply(Value),
}

/// The script that a request names.
pub fn named(call: &Call<'_>) -> Result<Script, Failure> {
    let count = call.words.get(2).and_then(|word| whole_number(word)).ok_or(Failure::NOT_AN_INTEGER)?;
    let rest = call.rest(3);
    if count < 0 {
        return Err(Failure::new("ERR Number of keys can't be negative"));
    }
    if count > rest.len() as i64 {
        return Err(Failure::new("ERR Number of keys can't be greater than number of args"));
    }
    let digest = call.word(1);
    let unknown = || {
        let text =
            "ERR there are no scripts but those of redis-py's Lock, with one key: use MULTI, or DELIFEQ";
        Err(Failure::new(text))
    };
    let (1, [key, token, arguments @ ..]) = (count, rest) else { return unknown() };
    let (key, token) = (key.clone(), token.clone());
    let millis = |word: &Bytes| whole_number(word).ok_or(Failure::NOT_AN_INTEGER);
    let (millis, is_added, needs_deadline) = match arguments {
        [] if is(&digest, RELEASE) => {
            return Ok(Script::Once(Operation::DeleteIfEqual { key, value: token }.into()));
        }
        [word] if is(&digest, REACQUIRE) => (millis(word)?, false, false),
        [word, replaces] if is(&digest, EXTEND) => (millis(word)?, is(replaces, "0"), true),
        _ => return unknown(),
    };
    let (tries, is_looking) = (0, true);
    Ok(Script::Extend(Extend { key, token, millis, is_added, needs_deadline, tries, is_looking }))
}

impl Extend {
    /// Looks at the key: its value, the time that it has left, and its revision, all at one moment.
    pub fn look(&self) -> Command {
        let key = || self.key.clone();
        let operations = vec![
            Operation::Get { key: key() },
            Operation::TimeToLive { key: key() },
            Operation::Revision { key: key() },
        ];
        Command::Batch(Batch { watches: Vec::new(), operations })
    }

    /// Takes the store's reply to the last command.
    pub fn take(&mut self, reply: Reply) -> Step {
        match reply {
            Reply::Array(replies) if self.is_looking => self.looked(&replies),
            Reply::Array(replies) => Step::Reply(match &*replies {
                [Reply::Integer(done)] => Value::Integer(*done),
                _ => Failure::CLUSTER_DOWN.into(),
            }),
            Reply::Nil if !self.is_looking && self.tries < MOST_TRIES => {
                self.is_looking = true;
                Step::Ask(self.look())
            }
            Reply::Nil if !self.is_looking => {
                Step::Reply(Failure::new("ERR the key changes all the time").into())
            }
            Reply::Error(refusal) => Step::Reply(Failure::new(refusal.to_string()).into()),
            _ => Step::Reply(Failure::CLUSTER_DOWN.into()),
        }
    }

    fn looked(&mut self, replies: &[Reply]) -> Step {
        let [Reply::Bytes(value), Reply::Integer(left), Reply::Integer(revision)] = replies else {
            return Step::Reply(Value::Integer(0)); // there is no such key
        };
        if *value != self.token || (self.needs_deadline && *left < 0) {
            return Step::Reply(Value::Integer(0));
        }
        let millis = if self.is_added { self.millis.saturating_add(*left) } else { self.millis };
        let (key, deadline) = (self.key.clone(), Deadline::After(millis));
        let watch = Watch { key: key.clone(), unchanged_since: *revision as u64 };
        let operations = vec![Operation::Expire { key, deadline, condition: None }];
        self.tries += 1;
        self.is_looking = false;
        Step::Ask(Command::Batch(Batch { watches: vec![watch], operations }))
    }
}
