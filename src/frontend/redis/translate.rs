//! Commands on keys as commands of the store, and the store's replies as those of Redis.

use std::borrow::Cow;

use super::arguments::Call;
use super::failure::Failure;
use super::value::Value;
use crate::operation::Operation;
use crate::reply::{Refusal, Reply};

/// Turns the words of a request into a command of the store.
pub type Translate = fn(&Call<'_>) -> Result<Translation, Failure>;

/// An operation of the store that stands for a command of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The operation.
    pub operation: Operation,
    /// How its reply reads.
    pub shape: Shape,
}

/// How a reply of the store reads in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As it is.
    Plain,
    /// A text as a status (TYPE).
    Status,
    /// Done is 1, and not done 0 (SETNX).
    Flag,
    /// Milliseconds as seconds (TTL, EXPIRETIME).
    Seconds,
    /// The reply of a scan without its keys, because no key has the type that is asked for.
    NoKeys,
    /// Nil, or this error if there is a value: Redis looks for the key before it reads the number.
    NilOr(Failure),
}

impl Translation {
    /// One operation.
    pub fn one(operation: Operation, shape: Shape) -> Self {
        Self { operation, shape }
    }

    /// One operation whose reply stays as it is.
    pub fn plain(operation: Operation) -> Result<Self, Failure> {
        Ok(Self::one(operation, Shape::Plain))
    }
}

impl Shape {
    /// The reply of Redis. `name` is the command's.
    pub fn value(&self, name: &str, reply: Reply) -> Value {
        match (self, reply) {
            (Self::Status, Reply::Bytes(text)) => Value::Status(Cow::Owned(text.to_text().into_owned())),
            (Self::Flag, Reply::Ok) => Value::Integer(1),
            (Self::Flag, Reply::Nil) => Value::Integer(0),
            (Self::Seconds, Reply::Integer(millis)) if millis >= 0 => {
                Value::Integer(millis / 1_000 + i64::from(millis % 1_000 >= 500))
            }
            (Self::NilOr(failure), Reply::Bytes(_)) => failure.clone().into(),
            (Self::NoKeys, Reply::Array(mut parts)) => {
                parts.truncate(1);
                parts.push(Reply::Array(Vec::new()));
                plain(name, Reply::Array(parts))
            }
            (_, reply) => plain(name, reply),
        }
    }
}

fn plain(name: &str, reply: Reply) -> Value {
    match reply {
        Reply::Ok => Value::OK,
        Reply::Nil => Value::Null,
        Reply::Bytes(bytes) => Value::Bulk(bytes),
        Reply::Integer(number) => Value::Integer(number),
        Reply::Array(replies) => Value::Array(replies.into_iter().map(|reply| plain(name, reply)).collect()),
        Reply::Error(Refusal::InvalidDeadline) => Failure::expire_time(name).into(),
        Reply::Error(refusal) => Value::Error(Cow::Owned(refusal.to_string())),
    }
}
