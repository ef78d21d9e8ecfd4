//! Replies of the state machine: the results of operations.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done.
    Ok,
    /// There is no such key, or a condition did not hold.
    Nil,
    /// A value.
    Bytes(Bytes),
    /// A number.
    Integer(i64),
    /// Several results, in the order of their operations.
    Array(Vec<Reply>),
    /// There is no result: in most cases because the command is refused, and changed nothing.
    Error(Refusal),
}

/// Why a command has no result. The texts are those of Redis, where Redis has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The value to increment is no whole number of 64 bits.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// The sum exceeds 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// The value or the increment is no decimal number.
    #[error("ERR value is not a valid float")]
    NotAFloat,
    /// The sum is no number.
    #[error("ERR increment would produce NaN or Infinity")]
    NanOrInfinity,
    /// The value would be longer than the store allows.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    TooLong,
    /// A deadline of zero or less from now, or one that no clock reaches.
    #[error("ERR invalid expire time")]
    InvalidDeadline,
    /// No command has this name.
    #[error("ERR unknown command")]
    UnknownCommand,
    /// The command lacks an argument, or has one that makes no sense.
    #[error("ERR syntax error")]
    Syntax,
    /// Another command was done under the name of this request.
    #[error("ERR another command was done under this request's name")]
    Reused,
    /// The request may have been done before, too long ago to tell.
    #[error("ERR request is too old: it may have been done before")]
    Forgotten,
    /// The session of the client expired, so the request may have been done before.
    #[error("ERR session expired: the request may have been done before")]
    SessionExpired,
    /// The reply does not fit into a message. A write with such a reply took effect.
    #[error("ERR reply does not fit into a message")]
    ReplyTooLong,
    /// The leader has no memory for a command that could need more. Nothing was proposed.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// The request was done, and its reply was too long to be remembered.
    #[error("ERR request was done before, and its reply is no longer known")]
    ReplyForgotten,
}

impl Refusal {
    /// Whether the client's session refuses the request, and not the operation its values.
    pub fn is_by_session(self) -> bool {
        matches!(self, Self::Reused | Self::Forgotten | Self::SessionExpired | Self::ReplyForgotten)
    }
}

impl Reply {
    /// How many bytes its texts have.
    pub fn text_len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Array(replies) => replies.iter().map(Self::text_len).sum(),
            Self::Ok | Self::Nil | Self::Integer(_) | Self::Error(_) => 0,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Nil => f.write_str("nil"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Error(refusal) => write!(f, "{refusal}"),
            Self::Array(replies) => {
                let texts: Vec<String> = replies.iter().map(Self::to_string).collect();
                write!(f, "[{}]", texts.join(", "))
            }
        }
    }
}
