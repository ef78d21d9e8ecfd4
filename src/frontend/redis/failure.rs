//! Errors that the front end itself finds. The texts are those of Redis 7, where it has one.

use std::borrow::Cow;

use super::value::Value;

/// The text of an error, with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Cow<'static, str>);

impl Failure {
    /// An option that the command does not have, or not here.
    pub const SYNTAX: Self = Self(Cow::Borrowed("ERR syntax error"));
    /// Not a whole number of 64 bits.
    pub const NOT_AN_INTEGER: Self = Self(Cow::Borrowed("ERR value is not an integer or out of range"));
    /// Names that the subscriptions of one client have no room for.
    pub const TOO_MANY_SUBSCRIPTIONS: Self = Self(Cow::Borrowed("ERR too many subscriptions"));
    /// The client has not given the password.
    pub const NO_AUTH: Self = Self(Cow::Borrowed("NOAUTH Authentication required."));
    /// The client has given a wrong password.
    pub const WRONG_PASSWORD: Self =
        Self(Cow::Borrowed("WRONGPASS invalid username-password pair or user is disabled."));
    /// A leader had taken the write on, and does not know its fate.
    pub const UNKNOWN: Self =
        Self(Cow::Borrowed("UNKNOWN The outcome of the write is unknown: it may take effect or not"));
    /// The cluster did not do the command.
    pub const CLUSTER_DOWN: Self =
        Self(Cow::Borrowed("CLUSTERDOWN The cluster cannot serve the command: nothing was changed"));
    /// The buffers of all connections take too much memory, or the store has none for the command.
    pub const OUT_OF_MEMORY: Self =
        Self(Cow::Borrowed("OOM command not allowed when used memory > 'maxmemory'."));
    /// This replica's own state is too old to be read.
    pub const STALE: Self =
        Self(Cow::Borrowed("MASTERDOWN The state of this replica is older than reads may be here"));

    /// Any other error.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }

    /// An error that repeats a client's word, between two texts. As in Redis, the word ends before a zero byte,
    /// and the error begins and ends with no line break.
    pub fn about(before: &str, word: &[u8], after: &str) -> Self {
        let text = format!("{before}{}{after}", String::from_utf8_lossy(up_to_zero(word)));
        Self::new(format!("ERR {}", text.trim_matches(['\r', '\n'])))
    }

    /// A deadline that makes no sense.
    pub fn expire_time(name: &str) -> Self {
        Self::new(format!("ERR invalid expire time in '{name}' command"))
    }

    /// The transaction that this error ends.
    pub fn aborts(self) -> Self {
        let text = self.0.strip_prefix("ERR ").unwrap_or(&self.0);
        Self::new(format!("EXECABORT Transaction discarded because of: {text}"))
    }

    /// Too few or too many arguments.
    pub fn arity(name: &str) -> Self {
        Self::new(format!("ERR wrong number of arguments for '{name}' command"))
    }
}

/// The part of a word that errors of Redis show.
pub fn up_to_zero(word: &[u8]) -> &[u8] {
    word.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl From<Failure> for Value {
    fn from(failure: Failure) -> Self {
        Self::Error(failure.0)
    }
}
