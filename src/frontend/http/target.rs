//! The target of a request for a key: `/kv/KEY?stale=SECONDS`.

use std::time::Duration;

use crate::bytes::Bytes;
use crate::frontend::store::Freshness;
use crate::micros::Micros;

/// The path of all keys.
const KEYS: &str = "/kv/";

/// No state is so old: ten years.
const MAX_STALE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The part of a path after `/kv/`, still encoded; `None` for another path. The empty key is a key.
pub(super) fn encoded_key(path: &str) -> Option<&str> {
    path.strip_prefix(KEYS)
}

/// The key that this text encodes: `%` and two hexadecimal digits stand for any byte, all other
/// characters for themselves, a slash included. `None` if the digits are missing.
pub(super) fn key(encoded: &str) -> Option<Bytes> {
    let mut key = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            key.push(byte);
            continue;
        }
        let (&[high, low], after) = rest.split_first_chunk()?;
        key.push(digit(high)? << 4 | digit(low)?);
        rest = after;
    }
    Some(key.into())
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// How fresh a read must be by its query; the error says what is wrong with the query.
pub(super) fn freshness(query: Option<&str>) -> Result<Freshness, String> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(Freshness::Linearizable) };
    let Some(seconds) = query.strip_prefix("stale=") else {
        return Err("the query is not stale=SECONDS".into());
    };
    let age = seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let age = age.filter(|age| *age <= MAX_STALE).ok_or("stale is not a number of seconds")?;
    Ok(Freshness::Local(age.as_micros() as Micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_the_rest_of_the_path_with_its_escapes_decoded() {
        let decoded = |path| encoded_key(path).and_then(key).map(|key| key.to_vec());
        for (path, expected) in [
            ("/kv/", &b""[..]),
            ("/kv/a", b"a"),
            ("/kv/a/b//c+d", b"a/b//c+d"),
            ("/kv/%00%ff%2F%25%2f", b"\0\xff/%/"),
            ("/kv/%C3%A4", "ä".as_bytes()),
        ] {
            assert_eq!(decoded(path).as_deref(), Some(expected), "{path}");
        }
        for path in ["/kv", "/", "/KV/a", "/kv/%", "/kv/%4", "/kv/a%zz", "/kv/%+1"] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }

    #[test]
    fn freshness_is_a_number_of_seconds() {
        assert_eq!(freshness(None), Ok(Freshness::Linearizable));
        assert_eq!(freshness(Some("")), Ok(Freshness::Linearizable));
        for (query, micros) in [("stale=0", 0), ("stale=5", 5_000_000), ("stale=0.25", 250_000)] {
            assert_eq!(freshness(Some(query)), Ok(Freshness::Local(micros)), "{query}");
        }
        for query in
            ["stale", "stale=", "stale=-1", "stale=x", "stale=NaN", "stale=1e300", "fresh=1", "stale=1&a=b"]
        {
            assert!(freshness(Some(query)).is_err(), "{query}");
        }
    }
}
