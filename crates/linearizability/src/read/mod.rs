//! Histories from a file as `run.py --history` writes it: one JSON object per line and request.
//!
//! | key | |
//! |---|---|
//! | `id` | a text, different in every line |
//! | `client` | a text |
//! | `type` | `get`, `put` or one of the others below |
//! | `key` | a text; a `transaction` has none |
//! | `value` | a text: the value that is put or that an answered get returned; else `null` or not there |
//! | `invoked` | seconds of any clock, 0 or more |
//! | `returned` | the same, and not before `invoked`; `null` or not there if no answer came |
//! | `outcome` | `ok`; or `fail`, `redirect`, `unknown`: then a put is pending |
//! | `retry_of` | the `id` of the attempt directly before this one; `null` or not there if this is the first |
//!
//! Other keys are ignored, and so are empty lines. A request that a client asks again under another
//! ID is two operations. The effect of a put that was answered `fail` or `redirect` comes, if at
//! all, before the `ok` of a later attempt. So a line has `retry_of` only if no copy of the earlier
//! attempt can reach a replica any more. The earlier attempt is of the same `key` and `type`, and
//! its answer comes before the retry is invoked. The lines may be in any order.
//!
//! # Commands
//!
//! Everything above holds for all commands. A line with the outcome `ok` has the results; in other
//! lines they are ignored.
//!
//! | `type` | arguments | results |
//! |---|---|---|
//! | `get` | | `value`; `exists` is `false` if the key is absent, `true` if not |
//! | `put` | `value`; `if` is `"absent"` or `"present"`; `ttl_ms`, or `keep_ttl`: `true` | `done`, if there is an `if` |
//! | `cas` | `from`, a text, or `null` for an absent key; `to`; `create`: `true` sets an absent key, too; `ttl_ms`, or `keep_ttl`: `true` | `done` |
//! | `delete` | `from`, a text, if only that value is to be deleted | `done` |
//! | `increment` | `by`, an integer; else 1 | `result`, the new number; or `error`, a text, if there is none |
//! | `append` | `value` | `result`, the new length in bytes |
//! | `expire` | `ttl_ms` | `done` |
//! | `persist` | | `done` |
//! | `transaction` | `ops`, a list of objects with `type`, `key`, arguments and results; `watched`, a list of objects with `key` and `value`, a text or `null` | `aborted`: `true` if a watched key had changed: then `ops` have no results |
//!
//! `done` says whether the command did what it asked for. An optional argument or result may be
//! `null`. [`Command`](crate::command::Command) and [`Operation`](crate::command::Operation) say what
//! each of them means.
//!
//! A get without `exists` that returned the empty text has found this text or no key: a protocol of
//! puts and gets cannot tell them apart.
//!
//! A file of nothing but puts and gets, without any of the new keys, is a [`History::KeyValue`].
//!
//! # Example
//!
//! ```json
//! {"id": "1", "client": "a", "type": "cas", "key": "x", "from": null, "to": "1", "done": true, "invoked": 1, "returned": 2, "outcome": "ok"}
//! {"id": "2", "client": "a", "type": "increment", "key": "x", "by": 4, "result": 5, "invoked": 3, "returned": 4, "outcome": "ok"}
//! {"id": "3", "client": "b", "type": "put", "key": "lock", "value": "b", "if": "absent", "ttl_ms": 500, "done": false, "invoked": 3, "returned": 4, "outcome": "ok"}
//! {"id": "4", "client": "b", "type": "transaction", "watched": [{"key": "x", "value": "5"}], "ops": [{"type": "put", "key": "x", "value": "0"}, {"type": "get", "key": "y", "exists": false}], "invoked": 5, "returned": 6, "outcome": "ok"}
//! ```

mod error;
mod line;
mod retries;
#[cfg(test)]
mod tests;

use std::io::{BufRead, Read};
use std::sync::Arc;

use crate::command;
use crate::key_value;
use crate::text::legible;
pub use error::{Malformed, ReadError};
use line::{AnyOperation, Line, Texts, Type};
use retries::Requests;

/// The longest line, in bytes, that is read.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// The first bytes of a file that some editors write.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The operations of a file, but for gets without an answer, which say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// Puts and gets, for [`key_value::check`].
    KeyValue(Vec<key_value::Operation>),
    /// Other commands, too, for [`command::check`].
    Commands(Vec<command::Operation>),
}

impl History {
    /// The number of operations.
    pub fn len(&self) -> usize {
        match self {
            Self::KeyValue(operations) => operations.len(),
            Self::Commands(operations) => operations.len(),
        }
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add(&mut self, operation: AnyOperation) {
        match (&mut *self, operation) {
            (_, AnyOperation::Plain(None)) => {}
            (Self::KeyValue(operations), AnyOperation::Plain(Some(new))) => operations.push(new),
            (Self::KeyValue(operations), AnyOperation::Command(new)) => {
                let earlier = std::mem::take(operations).into_iter().map(Into::into);
                *self = Self::Commands(earlier.collect());
                self.add(AnyOperation::Command(new));
            }
            (Self::Commands(operations), AnyOperation::Plain(Some(new))) => operations.push(new.into()),
            (Self::Commands(operations), AnyOperation::Command(new)) => {
                let says_nothing = new.is_get() && new.returned().is_none();
                operations.extend(Some(new).filter(|_| !says_nothing));
            }
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self::KeyValue(Vec::new())
    }
}

/// Reads a history to its end.
///
/// # Errors
///
/// The first line that makes no sense, or the error of the source.
pub fn read(mut source: impl BufRead) -> Result<History, ReadError> {
    let mut reader = Reader::default();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        if source.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        reader.read_line(line, &bytes).map_err(|reason| ReadError::Malformed { line, reason })?;
    }
    reader.requests.check()?;
    Ok(reader.history)
}

#[derive(Default)]
struct Reader {
    texts: Texts,
    requests: Requests,
    history: History,
}

impl Reader {
    /// Adds the operation of a line, if the line is not empty.
    fn read_line(&mut self, number: usize, bytes: &[u8]) -> Result<(), Malformed> {
        if bytes.len() > MAX_LINE_BYTES {
            return Err(Malformed::TooLong);
        }
        let bytes = if number == 1 { bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes) } else { bytes };
        let json = std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?.trim();
        if json.is_empty() {
            return Ok(());
        }
        // serde takes an array of the right values for a struct.
        if !json.starts_with('{') {
            return Err(Malformed::NotAnObject);
        }
        let line: Line<'_> = line::parse(json)?;
        let name: Arc<str> = Arc::from(&*line.id);
        if self.requests.contains(&name) {
            return Err(Malformed::DuplicateId(legible(&name)));
        }
        let (request, operation) = line.read(json, number, Arc::clone(&name), &mut self.texts)?;
        self.requests.insert(name, request);
        self.history.add(operation);
        Ok(())
    }
}
