//! The reasons why a source is no history.

use std::io;

use super::MAX_LINE_BYTES;

/// The part of a JSON parser's complaint that is shown, in characters. The parser quotes the text
/// that it does not like.
const COMPLAINT_LENGTH: usize = 160;

/// The reason why a source is no history, as one line.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line makes no sense.
    #[error("line {line}: {reason}")]
    Malformed {
        /// The number of the line, from 1.
        line: usize,
        /// The reason.
        reason: Malformed,
    },
}

/// The reason why a line makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The line has more than [`MAX_LINE_BYTES`].
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The line has a byte that is part of no character.
    #[error("not UTF-8")]
    NotUtf8,
    /// The line does not start with a brace.
    #[error("not a JSON object")]
    NotAnObject,
    /// The line is not JSON, or a key is missing, appears twice or has the wrong type.
    #[error("{0}")]
    Json(String),
    /// The type is none of those that the format has.
    #[error("unknown type \"{0}\"")]
    UnknownType(String),
    /// The outcome is none of the four.
    #[error("unknown outcome \"{0}\"")]
    UnknownOutcome(String),
    /// The time is negative, or exceeds 64 bits of nanoseconds.
    #[error("`{0}` is out of range (0 to 18446744073 seconds)")]
    BadTime(&'static str),
    /// The operation returned before it was invoked.
    #[error("returned before it was invoked")]
    ReturnedTooEarly,
    /// The outcome is `ok`, but there is no time of return.
    #[error("outcome \"ok\" without `returned`")]
    NoReturn,
    /// An argument or a result is not there.
    #[error("no `{0}`")]
    Missing(&'static str),
    /// A get has found a value and says that the key was absent.
    #[error("`exists` is false, but there is a `value`")]
    ValueOfAbsent,
    /// The condition of a put is neither `absent` nor `present`.
    #[error("unknown `if` \"{0}\" (absent or present)")]
    UnknownCondition(String),
    /// The time to live is 0.
    #[error("`ttl_ms` is 0")]
    NoTime,
    /// There are two times to live.
    #[error("both `ttl_ms` and `keep_ttl`")]
    TwoTimes,
    /// A transaction has no operations.
    #[error("`ops` is empty")]
    EmptyOps,
    /// An operation of a transaction is itself a transaction.
    #[error("a transaction in a transaction")]
    Nested,
    /// An operation of a transaction makes no sense.
    #[error("`ops[{place}]`: {reason}")]
    InOps {
        /// The place of the operation, from 0.
        place: usize,
        /// The reason.
        reason: Box<Malformed>,
    },
    /// Another line has the same ID.
    #[error("id \"{0}\" is given twice")]
    DuplicateId(String),
    /// No line has the request that this one repeats.
    #[error("`retry_of` names \"{0}\", which no line has")]
    UnknownAttempt(String),
    /// The request that this one repeats is for another key.
    #[error("`retry_of` names \"{0}\", which has another key")]
    OtherKey(String),
    /// A put repeats a get, or a get a put.
    #[error("`retry_of` names \"{0}\", which has another type")]
    OtherType(String),
    /// A retry was invoked before the attempt that it repeats had its answer.
    #[error("`retry_of` names \"{0}\", which was answered or invoked only after this")]
    LateAttempt(String),
    /// Attempts repeat each other in a circle.
    #[error("`retry_of` names \"{0}\", which itself comes after this")]
    CyclicAttempts(String),
}

impl Malformed {
    /// The complaint of the JSON parser in one line, without the number of the line, which the
    /// parser counts from the start of its input.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        let whole = error.to_string();
        let what = whole.rsplit_once(" at line ").map_or(&*whole, |(what, _)| what);
        let start: String = what.chars().take(COMPLAINT_LENGTH).filter(|c| !c.is_control()).collect();
        Self::Json(format!("{start} (column {})", error.column()))
    }
}
