//! Histories from a file as `run.py --history` writes it: one JSON object per line and request.
//!
//! | key | |
//! |---|---|
//! | `id` | a text, different in every line |
//! | `client`, `key` | texts |
//! | `type` | `get` or `put` |
//! | `value` | a text: what is put, or what an answered get returned; else `null` or not there |
//! | `invoked` | seconds of any clock, 0 or more |
//! | `returned` | the same, and not before `invoked`; `null` or not there if no answer came |
//! | `outcome` | `ok`; or `fail`, `redirect`, `unknown`: then nobody knows what became of a put |
//! | `retry_of` | the `id` of the attempt directly before this one; `null` or not there if this is the first |
//!
//! Other keys are ignored, and so are empty lines. A request that a client asks again under another ID
//! is two operations. The effect of a put that was answered `fail` or `redirect` comes, if at all,
//! before the `ok` of a later attempt. So a line has `retry_of` only if no copy of the earlier attempt
//! can reach a replica any more. The earlier attempt is of the same `key` and `type`, and its answer
//! comes before the retry is invoked. The lines may be in any order.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use serde::Deserialize;

use super::text::legible;
use super::{Declined, Kind, Operation, Refusal};

/// The longest line, in bytes, that is read.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Some editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How much of a JSON parser's complaint is shown, in characters: it quotes what it does not like.
const COMPLAINT_LENGTH: usize = 160;

/// Why a history is none. One line each.
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
        /// What is wrong with it.
        reason: Malformed,
    },
}

/// Why a line makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than [`MAX_LINE_BYTES`].
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// Some byte is part of no character.
    #[error("not UTF-8")]
    NotUtf8,
    /// Whatever it is, it starts with no brace.
    #[error("not a JSON object")]
    NotAnObject,
    /// Not JSON, or a key is missing, twice there or of the wrong type.
    #[error("{0}")]
    Json(String),
    /// Neither `get` nor `put`.
    #[error("unknown type \"{0}\"")]
    UnknownType(String),
    /// None of the four.
    #[error("unknown outcome \"{0}\"")]
    UnknownOutcome(String),
    /// Negative, or more than 64 bits of nanoseconds can tell.
    #[error("`{0}` is out of range (0 to 18446744073 seconds)")]
    BadTime(&'static str),
    /// An effect before its cause.
    #[error("returned before it was invoked")]
    ReturnedTooEarly,
    /// An `ok` that came at no time.
    #[error("outcome \"ok\" without `returned`")]
    NoReturn,
    /// A put, or an answered get, of nothing.
    #[error("no `value`")]
    NoValue,
    /// Another line has the same ID.
    #[error("id \"{0}\" is given twice")]
    DuplicateId(String),
    /// A retry of a request that no line has.
    #[error("`retry_of` names \"{0}\", which no line has")]
    UnknownAttempt(String),
    /// A retry of a request for another key.
    #[error("`retry_of` names \"{0}\", which has another key")]
    OtherKey(String),
    /// A put that repeats a get, or the other way round.
    #[error("`retry_of` names \"{0}\", which has another type")]
    OtherType(String),
    /// A retry before there was a reason for it.
    #[error("`retry_of` names \"{0}\", which was answered or invoked only after this")]
    LateAttempt(String),
    /// Attempts each of which comes before the other.
    #[error("`retry_of` names \"{0}\", which itself comes after this")]
    CyclicAttempts(String),
}

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
/// The first line that makes no sense, or what the source says if it fails.
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
    reader.check_retries()?;
    Ok(operations)
}

/// All texts so far, each of them once, and all requests by their IDs.
#[derive(Default)]
struct Reader {
    texts: HashSet<Arc<str>>,
    requests: HashMap<Arc<str>, Request>,
    retries: Vec<Arc<str>>, // the IDs of requests that repeat others
}

/// The part of a line that its retries must fit.
struct Request {
    line: usize,
    key: Arc<str>,
    is_get: bool,
    invoked: u64,
    answered: Option<u64>,
    retry_of: Option<Arc<str>>,
}

impl Reader {
    /// `None` if the line says nothing.
    fn read_line(&mut self, number: usize, bytes: &[u8]) -> Result<Option<Operation>, Malformed> {
        if bytes.len() > MAX_LINE_BYTES {
            return Err(Malformed::TooLong);
        }
        let bytes = if number == 1 { bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes) } else { bytes };
        let json = std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?.trim();
        if json.is_empty() {
            return Ok(None);
        }
        // An array of the right values would do for a struct.
        if !json.starts_with('{') {
            return Err(Malformed::NotAnObject);
        }
        let line: Line<'_> = serde_json::from_str(json).map_err(|error| complaint(&error))?;
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
        if self.requests.contains_key(&name) {
            return Err(Malformed::DuplicateId(legible(&name)));
        }
        let (client, key) = (self.once(&line.client), self.once(&line.key));
        let retry_of: Option<Arc<str>> = line.retry_of.map(Into::into);
        if retry_of.is_some() {
            self.retries.push(Arc::clone(&name));
        }
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

    fn check_retries(&self) -> Result<(), ReadError> {
        for name in &self.retries {
            let retry = &self.requests[name];
            let fits = self.check_retry(retry);
            fits.map_err(|reason| ReadError::Malformed { line: retry.line, reason })?;
        }
        // The times rule out all cycles but those of a single moment.
        let mut ends_somewhere: HashSet<&str> = HashSet::new();
        for name in &self.retries {
            let mut way: HashSet<&str> = HashSet::new();
            let mut next: Option<&str> = Some(name);
            while let Some(name) = next.filter(|&name| !ends_somewhere.contains(name)) {
                let request = &self.requests[name];
                if !way.insert(name) {
                    let reason =
                        Malformed::CyclicAttempts(legible(request.retry_of.as_deref().unwrap_or_default()));
                    return Err(ReadError::Malformed { line: request.line, reason });
                }
                next = request.retry_of.as_deref();
            }
            ends_somewhere.extend(way);
        }
        Ok(())
    }

    fn check_retry(&self, retry: &Request) -> Result<(), Malformed> {
        let Some(name) = retry.retry_of.as_deref() else { return Ok(()) };
        let earlier = self.requests.get(name).ok_or_else(|| Malformed::UnknownAttempt(legible(name)))?;
        if earlier.key != retry.key {
            Err(Malformed::OtherKey(legible(name)))
        } else if earlier.is_get != retry.is_get {
            Err(Malformed::OtherType(legible(name)))
        } else if earlier.answered.unwrap_or(earlier.invoked) > retry.invoked {
            Err(Malformed::LateAttempt(legible(name)))
        } else {
            Ok(())
        }
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

/// Rounding keeps the order of times; those that it makes equal count as concurrent.
fn nanoseconds(key: &'static str, seconds: f64) -> Result<u64, Malformed> {
    let ns = seconds * 1e9;
    if (0.0..u64::MAX as f64).contains(&ns) { Ok(ns.round() as u64) } else { Err(Malformed::BadTime(key)) }
}

/// In one line, and without the line number that the parser counts from the start of ours.
fn complaint(error: &serde_json::Error) -> Malformed {
    let whole = error.to_string();
    let what = whole.rsplit_once(" at line ").map_or(&*whole, |(what, _)| what);
    let start: String = what.chars().take(COMPLAINT_LENGTH).filter(|c| !c.is_control()).collect();
    Malformed::Json(format!("{start} (column {})", error.column()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = r#"{"id":"1","client":"0010","type":"get","key":"k","value":"v","invoked":1.5,"returned":2.25,"outcome":"ok"}"#;

    fn read_text(text: &str) -> Result<Vec<Operation>, ReadError> {
        read(text.as_bytes())
    }

    /// The refusal of a history of one line, in which something was replaced.
    fn refusal(from: &str, to: &str) -> String {
        assert!(GET.contains(from));
        read_text(&GET.replace(from, to)).expect_err("it makes no sense").to_string()
    }

    #[test]
    fn a_line_is_an_operation() {
        let put = GET.replace("get", "put").replace(r#""1""#, r#""2""#);
        let operations = read_text(&format!("{GET}\n\n  {put}  ")).expect("a good history");
        let (name, client, key): (Arc<str>, Arc<str>, Arc<str>) = ("1".into(), "0010".into(), "k".into());
        let value: Arc<str> = "v".into();
        let kind = Kind::Get { value: Arc::clone(&value) };
        let (invoked, returned) = (1_500_000_000, Some(2_250_000_000));
        let get = Operation { name, client, key, kind, invoked, returned, declined: None, retry_of: None };
        let put = Operation { name: "2".into(), kind: Kind::Put { value }, ..get.clone() };
        assert_eq!(operations, [get, put]);
    }

    #[test]
    fn without_ok_a_get_says_nothing_and_a_put_is_of_unknown_outcome() {
        for outcome in ["fail", "redirect", "unknown"] {
            for returned in ["2.25", "null"] {
                let get = GET.replace(r#""ok""#, &format!("\"{outcome}\"")).replace("2.25", returned);
                assert_eq!(read_text(&get).expect("a good history"), []);
                let put = read_text(&get.replace("get", "put")).expect("a good history");
                assert_eq!((put.len(), put[0].returned), (1, None));
            }
        }
        let unanswered = r#"{"id":"1","client":"c","type":"get","key":"k","invoked":1,"outcome":"unknown"}"#;
        assert_eq!(read_text(unanswered).expect("a good history"), []);
    }

    /// A line per attempt: its ID, its outcome, when it was invoked and answered, and the attempt before it.
    fn attempts(lines: &[(&str, &str, u64, u64, Option<&str>)]) -> String {
        let line = |&(id, outcome, invoked, returned, retry_of): &(&str, &str, u64, u64, Option<&str>)| {
            serde_json::json!({
                "id": id, "client": "c", "type": "put", "key": "k", "value": "v", "invoked": invoked,
                "returned": returned, "outcome": outcome, "retry_of": retry_of,
            })
            .to_string()
        };
        lines.iter().map(line).collect::<Vec<String>>().join("\n")
    }

    #[test]
    fn retry_names_the_attempt_before_it_in_any_order_of_lines() {
        let text = attempts(&[
            ("3", "ok", 5, 6, Some("2")),
            ("1", "redirect", 1, 2, None),
            ("2", "fail", 3, 4, Some("1")),
        ]);
        let operations = read_text(&text).expect("a good history");
        let retries: Vec<Option<&str>> =
            operations.iter().map(|operation| operation.retry_of.as_deref()).collect();
        assert_eq!(retries, [Some("2"), None, Some("1")]);
        let refusals: Vec<Option<Declined>> = operations.iter().map(|operation| operation.declined).collect();
        let declined = |with, at| Some(Declined { with, at: Some(at) });
        let expected =
            [None, declined(Refusal::Redirect, 2_000_000_000), declined(Refusal::Fail, 4_000_000_000)];
        assert_eq!(refusals, expected);
        // A get that is left out is a request all the same.
        read_text(&text.replace("put", "get")).expect("a good history");
    }

    #[test]
    fn retry_that_fits_no_attempt_is_refused() {
        let refused = |text: &str| read_text(text).expect_err("it makes no sense").to_string();
        let first = ("1", "redirect", 1, 2, None);
        let second = |retry_of| ("2", "ok", 2, 3, Some(retry_of));
        read_text(&attempts(&[first, second("1")])).expect("a good history");
        let text = attempts(&[first, second("7\n")]);
        assert_eq!(refused(&text), r#"line 2: `retry_of` names "7\n", which no line has"#);
        let text = attempts(&[first, second("1")]).replacen("\"k\"", "\"j\"", 1);
        assert_eq!(refused(&text), r#"line 2: `retry_of` names "1", which has another key"#);
        let text = attempts(&[first, second("1")]).replacen("put", "get", 1);
        assert_eq!(refused(&text), r#"line 2: `retry_of` names "1", which has another type"#);
        let text = attempts(&[("1", "redirect", 1, 3, None), second("1")]);
        assert_eq!(
            refused(&text),
            r#"line 2: `retry_of` names "1", which was answered or invoked only after this"#
        );
        let text = text.replacen("\"returned\":3", "\"returned\":null", 1);
        read_text(&text).expect("a good history");
        let text = text.replacen("\"invoked\":1", "\"invoked\":3", 1);
        assert_eq!(
            refused(&text),
            r#"line 2: `retry_of` names "1", which was answered or invoked only after this"#
        );
        let text = attempts(&[first, second("1")]).replace(r#""retry_of":"1""#, r#""retry_of":1"#);
        assert!(refused(&text).starts_with("line 2: invalid type: integer `1`, expected a string"), "{text}");
    }

    #[test]
    fn attempts_in_a_circle_are_refused() {
        let at_once = |id, retry_of| (id, "redirect", 1, 1, Some(retry_of));
        let error = read_text(&attempts(&[at_once("1", "1")])).expect_err("a circle");
        assert_eq!(error.to_string(), r#"line 1: `retry_of` names "1", which itself comes after this"#);
        let text = attempts(&[at_once("0", "1"), at_once("1", "2"), at_once("2", "3"), at_once("3", "1")]);
        let error = read_text(&text).expect_err("a circle");
        assert_eq!(error.to_string(), r#"line 2: `retry_of` names "2", which itself comes after this"#);
    }

    #[test]
    fn long_chain_of_attempts_is_read_in_a_moment() {
        let mut text = String::new();
        for n in 0..20_000 {
            let (id, before) = (n.to_string(), (n + 1).to_string());
            let retry_of = (n < 19_999).then_some(&*before);
            text += &attempts(&[(&id, "redirect", 30_000 - n, 30_000 - n, retry_of)]);
            text.push('\n');
        }
        assert_eq!(read_text(&text).expect("a good history").len(), 20_000);
    }

    #[test]
    fn keys_that_nobody_knows_are_ignored_and_escapes_are_read() {
        let line = GET.replace(r#""k""#, r#""\u00e4\n", "more": {"deep": [1, null]}"#);
        let operations = read_text(&line).expect("a good history");
        assert_eq!(&*operations[0].key, "ä\n");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let out_of_range = |key: &str| format!("line 1: `{key}` is out of range (0 to 18446744073 seconds)");
        assert_eq!(refusal("get", "cas"), r#"line 1: unknown type "cas""#);
        assert_eq!(refusal(r#""ok""#, r#""maybe\n""#), r#"line 1: unknown outcome "maybe\n""#);
        assert_eq!(refusal("1.5", "-1.5"), out_of_range("invoked"));
        assert_eq!(refusal("2.25", "2e10"), out_of_range("returned"));
        assert_eq!(refusal("2.25", "1.25"), "line 1: returned before it was invoked");
        assert_eq!(refusal("2.25", "null"), r#"line 1: outcome "ok" without `returned`"#);
        assert_eq!(refusal(r#""v""#, "null"), "line 1: no `value`");
        assert_eq!(refusal(r#""value":"v","#, ""), "line 1: no `value`");
        assert_eq!(refusal("{", "[{"), "line 1: not a JSON object");
        assert_eq!(refusal(r#""id":"1","#, ""), "line 1: missing field `id` (column 97)");
        assert_eq!(
            refusal(r#""key":"k""#, r#""key":7"#),
            "line 1: invalid type: integer `7`, expected a string (column 46)"
        );
        assert_eq!(
            refusal("1.5", r#""now""#),
            r#"line 1: invalid type: string "now", expected f64 (column 76)"#
        );
        for (from, to) in [("1.5", "NaN"), ("1.5", "Infinity"), ("1.5", "1e999"), ("}", ""), ("}", "}}")] {
            assert!(refusal(from, to).ends_with(')'), "{to}");
        }
        assert_eq!(refusal(r#""key""#, r#""id":"2","key""#), "line 1: duplicate field `id` (column 43)");
    }

    #[test]
    fn a_refusal_names_the_line() {
        let error = read_text(&format!("{GET}\n\n{GET}\n")).expect_err("the same twice");
        assert_eq!(error.to_string(), r#"line 3: id "1" is given twice"#);
        let error = read(&b"\n\xFF\n"[..]).expect_err("no text");
        assert_eq!(error.to_string(), "line 2: not UTF-8");
    }

    #[test]
    fn an_endless_line_is_not_read_to_its_end() {
        let error = read(io::BufReader::new(io::repeat(b' '))).expect_err("too long");
        assert!(matches!(error, ReadError::Malformed { line: 1, reason: Malformed::TooLong }), "{error}");
    }

    #[test]
    fn a_complaint_is_short_and_of_one_line() {
        let refusal = refusal("1.5", &format!(r#""\n{}""#, "x".repeat(10_000)));
        assert!(refusal.len() < 250 && refusal.lines().count() == 1, "{refusal}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _any = read(&bytes[..]);
        }

        /// Valid lines with some bytes changed get further than noise does.
        #[test]
        fn any_damage_is_read_or_refused(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = GET.as_bytes().to_vec();
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Err(error) = read(&bytes[..]) {
                prop_assert_eq!(error.to_string().lines().count(), 1);
            }
        }
    }
}
