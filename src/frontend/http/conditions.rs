//! The headers of a request for a key that decide whether and how often it takes effect.
//!
//! The entity tag of a key is its revision between quotes. A tag without quotes is taken, too,
//! because shells make them hard to write.

use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::id::Id;
use crate::operation::Revision;
use crate::request::RequestId;

/// The header that names a request, so that its repetition takes effect once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A condition on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// None.
    Always,
    /// The key does not exist (`If-None-Match: *`).
    Absent,
    /// The key exists (`If-Match: *`).
    Present,
    /// The key exists and has this revision (`If-Match: "REVISION"`).
    Revision(Revision),
    /// No key has this entity tag.
    Never,
}

/// The condition of a write; the error says what is wrong with the headers.
pub(super) fn of_write(headers: &HeaderMap) -> Result<Condition, &'static str> {
    match (single(headers, &IF_MATCH)?, single(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(Condition::Always),
        (None, Some("*")) => Ok(Condition::Absent),
        (None, Some(_)) => Err("a write takes If-None-Match: * only"),
        (Some("*"), None) => Ok(Condition::Present),
        (Some(tag), None) => Ok(revision(tag).map_or(Condition::Never, Condition::Revision)),
        (Some(_), Some(_)) => Err("a write takes either If-Match or If-None-Match"),
    }
}

/// Whether the client has the value of a key with this revision already (`If-None-Match`).
pub(super) fn is_known(headers: &HeaderMap, current: Revision) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|header| header.to_str().ok());
    let mut tags = tags.flat_map(|header| header.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || revision(tag.strip_prefix("W/").unwrap_or(tag)) == Some(current))
}

/// The one value of this header. A request with several is refused, because the server would have to
/// choose.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let (value, other) = (values.next(), values.next());
    let text = value.map(|value| value.to_str().map_err(|_| "a condition is not text")).transpose()?;
    if other.is_some() || text.is_some_and(|text| text.contains(',')) {
        return Err("a condition names one revision");
    }
    Ok(text.map(str::trim))
}

/// The revision that an entity tag names; `None` if it is no tag of this server.
fn revision(tag: &str) -> Option<Revision> {
    let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    digits.parse().ok().filter(|revision: &Revision| revision.to_string() == digits)
}

/// The name of a write (`Idempotency-Key: CLIENT-SEQUENCE`), as KV.DO has it: four hexadecimal
/// digits, and a number that this client uses for no other write.
pub(super) fn name(headers: &HeaderMap) -> Result<Option<RequestId>, &'static str> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let parts = text.split_once('-').filter(|_| values.next().is_none());
    let id = parts.and_then(|(client, sequence)| {
        let client: Id = client.to_ascii_uppercase().parse().ok()?;
        let is_number = !sequence.is_empty() && sequence.bytes().all(|byte| byte.is_ascii_digit());
        let sequence: u64 = sequence.parse().ok().filter(|_| is_number)?;
        Some(RequestId { client, mid: sequence.to_string().into() })
    });
    id.map(Some).ok_or("Idempotency-Key is not CLIENT-SEQUENCE: four hexadecimal digits and a number")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::testkit::{id, request_id};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        headers
    }

    #[test]
    fn condition_of_a_write_is_read_from_its_headers() {
        let is = |pairs: &[(&str, &str)]| of_write(&headers(pairs));
        assert_eq!(is(&[]), Ok(Condition::Always));
        assert_eq!(is(&[("if-none-match", "*")]), Ok(Condition::Absent));
        assert_eq!(is(&[("if-match", "*")]), Ok(Condition::Present));
        for tag in ["\"17\"", "17", " \"17\" "] {
            assert_eq!(is(&[("if-match", tag)]), Ok(Condition::Revision(17)), "{tag}");
        }
        for tag in ["W/\"17\"", "\"017\"", "+17", "\"\"", "", "\"18446744073709551616\"", "\"17"] {
            assert_eq!(is(&[("if-match", tag)]), Ok(Condition::Never), "{tag}");
        }
        for pairs in [
            &[("if-match", "\"1\", \"2\"")][..],
            &[("if-match", "1"), ("if-match", "2")],
            &[("if-match", "1"), ("if-none-match", "*")],
            &[("if-none-match", "\"1\"")],
            &[("if-match", "ä")],
        ] {
            assert!(is(pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn client_knows_a_value_by_any_of_its_tags() {
        let knows = |tags: &str| is_known(&headers(&[("if-none-match", tags)]), 17);
        assert!(["*", "\"17\"", "W/\"17\"", "\"1\", \"17\"", "17"].into_iter().all(knows));
        assert!(!["", "\"1\"", "\"170\"", "x"].into_iter().any(knows));
        assert!(!is_known(&HeaderMap::new(), 17));
    }

    #[test]
    fn name_of_a_write_is_a_client_and_a_number() {
        let is = |text: &str| name(&headers(&[("idempotency-key", text)]));
        assert_eq!(name(&HeaderMap::new()), Ok(None));
        for text in ["00c1-7", "00C1-7", "\"00C1-7\"", "00C1-007"] {
            assert_eq!(is(text), Ok(Some(request_id(id(0xC1), "7"))), "{text}");
        }
        for text in [
            "",
            "7",
            "00C1",
            "00C1-",
            "C1-7",
            "FFFF-7",
            "00C1-x",
            "00C1--7",
            "00C1-+7",
            "00C1-18446744073709551616",
        ] {
            assert!(is(text).is_err(), "{text}");
        }
        let twice = headers(&[("idempotency-key", "00C1-7"), ("idempotency-key", "00C1-8")]);
        assert!(name(&twice).is_err());
    }
}
