//! The password of a request: `Authorization: Bearer PASSWORD`, or `Basic` with any user.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use crate::frontend::password::is_equal;

/// Whether the request has the right password, if it needs one.
pub(super) fn is_right(password: Option<&[u8]>, headers: &HeaderMap) -> bool {
    let Some(right) = password else { return true };
    let given = headers.get(AUTHORIZATION).and_then(|header| given(header.as_bytes()));
    given.is_some_and(|given| is_equal(right, &given))
}

fn given(header: &[u8]) -> Option<Vec<u8>> {
    let space = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, credentials) = (&header[..space], header[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(credentials.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = STANDARD.decode(credentials).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn allows(header: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(header).expect("a header"));
        is_right(Some(b"se:cret"), &headers)
    }

    #[test]
    fn password_is_taken_from_either_scheme_and_compared_whole() {
        assert!(is_right(None, &HeaderMap::new()));
        assert!(!is_right(Some(b"se:cret"), &HeaderMap::new()));
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for right in ["Bearer se:cret", "bearer  se:cret", &basic("me:se:cret"), &basic(":se:cret")] {
            assert!(allows(right), "{right}");
        }
        let wrong = ["", "se:cret", "Bearer", "Bearer se:cre", "Bearer se:crets", "Digest se:cret"];
        for wrong in wrong.into_iter().chain([&*basic("me:secret"), &basic("se:cret"), "Basic !", "Basic "]) {
            assert!(!allows(wrong), "{wrong}");
        }
    }
}
