//! Histories from a file as `run.py --history` writes it: one JSON object per line and request.
//!
//! | key | |
//! |---|---|
//! | `id` | a text, different in every line |
//! | `client`, `key` | texts |
//! | `type` | `get` or `put` |
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

mod error;
mod retries;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::sync::Arc;

use serde::Deserialize;

use super::{Declined, Kind, Operation, Refusal};
use crate::text::legible;
pub use error::{Malformed, ReadError};
use retries::{Request, Requests};

/// The longest line, in bytes, that is read.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// The first bytes of a file that some editors write.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    client: Cow<'a, str>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    invoked: f64,
    returned: Option<f64>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    retry_of: Option<Cow<'a, str>>,
}

/// Reads a history to its end. Gets without an answer say nothing and are left out.
///
/// # Errors
///
/// The first line that makes no sense, or the error of the source.
pub fn read(mut source: impl BufRead) -> Result<Vec<Operation>, ReadError> {
    let mut reader = Reader::default();
    let mut operations = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        if source.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let operation = reader.read_line(line, &bytes);
        operations.extend(operation.map_err(|reason| ReadError::Malformed { line, reason })?);
    }
    reader.requests.check()?;
    Ok(operations)
}

#[derive(Default)]
struct Reader {
    texts: HashSet<Arc<str>>, // each of them once
    requests: Requests,
}

impl Reader {
    /// The operation of a line. `None` if the line is empty, or has a get without an answer.
    fn read_line(&mut self, number: usize, bytes: &[u8]) -> Result<Option<Operation>, Malformed> {
        if bytes.len() > MAX_LINE_BYTES {
            return Err(Malformed::TooLong);
        }
        let bytes = if number == 1 { bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes) } else { bytes };
        let json = std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?.trim();
        if json.is_empty() {
            return Ok(None);
        }
        // serde takes an array of the right values for a struct.
        if !json.starts_with('{') {
            return Err(Malformed::NotAnObject);
        }
        let line: Line<'_> = serde_json::from_str(json).map_err(|error| Malformed::json(&error))?;
        let invoked = nanoseconds("invoked", line.invoked)?;
        let returned = line.returned.map(|seconds| nanoseconds("returned", seconds)).transpose()?;
        if returned.is_some_and(|returned| returned < invoked) {
            return Err(Malformed::ReturnedTooEarly);
        }
        let outcome = outcome(&line.outcome)?;
        if outcome == Outcome::Ok && returned.is_none() {
            return Err(Malformed::NoReturn);
        }
        let is_get = is_get(&line.r#type)?;
        let name: Arc<str> = line.id.into();
        if self.requests.contains(&name) {
            return Err(Malformed::DuplicateId(legible(&name)));
        }
        let (client, key) = (self.once(&line.client), self.once(&line.key));
        let retry_of: Option<Arc<str>> = line.retry_of.map(Into::into);
        let request = Request {
            line: number,
            key: Arc::clone(&key),
            is_get,
            invoked,
            answered: returned,
            retry_of: retry_of.clone(),
        };
        self.requests.insert(Arc::clone(&name), request);
        if is_get && outcome != Outcome::Ok {
            return Ok(None);
        }
        let value = self.once(&line.value.ok_or(Malformed::NoValue)?);
        let kind = if is_get { Kind::Get { value } } else { Kind::Put { value } };
        let declined = match outcome {
            Outcome::Declined(with) => Some(Declined { with, at: returned }),
            Outcome::Ok | Outcome::Unknown => None,
        };
        let returned = returned.filter(|_| outcome == Outcome::Ok);
        Ok(Some(Operation { name, client, key, kind, invoked, returned, declined, retry_of }))
    }

    fn once(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }
}

fn is_get(kind: &str) -> Result<bool, Malformed> {
    match kind {
        "get" => Ok(true),
        "put" => Ok(false),
        _ => Err(Malformed::UnknownType(legible(kind))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    Declined(Refusal),
    Unknown,
}

fn outcome(text: &str) -> Result<Outcome, Malformed> {
    match text {
        "ok" => Ok(Outcome::Ok),
        "fail" => Ok(Outcome::Declined(Refusal::Fail)),
        "redirect" => Ok(Outcome::Declined(Refusal::Redirect)),
        "unknown" => Ok(Outcome::Unknown),
        _ => Err(Malformed::UnknownOutcome(legible(text))),
    }
}

/// Rounding keeps the order of times. Times that it makes equal count as concurrent.
fn nanoseconds(key: &'static str, seconds: f64) -> Result<u64, Malformed> {
    let ns = seconds * 1e9;
    if (0.0..u64::MAX as f64).contains(&ns) { Ok(ns.round() as u64) } else { Err(Malformed::BadTime(key)) }
}
