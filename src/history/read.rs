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
//!
//! Other keys are ignored, and so are empty lines. A request that was asked again under another ID is
//! two operations, the first of them of unknown outcome.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use serde::Deserialize;

use super::diagram::legible;
use super::{Kind, Operation};

/// The longest line, in bytes, that is read.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

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
        let operation = reader.read_line(&bytes);
        operations.extend(operation.map_err(|reason| ReadError::Malformed { line, reason })?);
    }
    Ok(operations)
}

/// What has been read so far: texts, of which each is kept once, and the IDs.
#[derive(Default)]
struct Reader {
    texts: HashSet<Arc<str>>,
    ids: HashSet<Arc<str>>,
}

impl Reader {
    /// `None` if the line says nothing.
    fn read_line(&mut self, bytes: &[u8]) -> Result<Option<Operation>, Malformed> {
        if bytes.len() > MAX_LINE_BYTES {
            return Err(Malformed::TooLong);
        }
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
        let is_ok = is_ok(&line.outcome)?;
        if is_ok && returned.is_none() {
            return Err(Malformed::NoReturn);
        }
        let is_get = is_get(&line.r#type)?;
        let name: Arc<str> = line.id.into();
        if !self.ids.insert(Arc::clone(&name)) {
            return Err(Malformed::DuplicateId(legible(&name)));
        }
        if is_get && !is_ok {
            return Ok(None);
        }
        let value = self.once(&line.value.ok_or(Malformed::NoValue)?);
        let kind = if is_get { Kind::Get { value } } else { Kind::Put { value } };
        let (client, key) = (self.once(&line.client), self.once(&line.key));
        Ok(Some(Operation { name, client, key, kind, invoked, returned: returned.filter(|_| is_ok) }))
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

fn is_ok(outcome: &str) -> Result<bool, Malformed> {
    match outcome {
        "ok" => Ok(true),
        "fail" | "redirect" | "unknown" => Ok(false),
        _ => Err(Malformed::UnknownOutcome(legible(outcome))),
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
        let get = Operation { name, client, key, kind, invoked, returned };
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
