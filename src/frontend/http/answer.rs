//! Answers to HTTP requests.

use std::borrow::Cow;
use std::fmt::Display;

use http_body_util::{Either, Full};
use hyper::body::Bytes as Body;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};

use super::backup::Pieces;
use crate::bytes::Bytes;
use crate::operation::Revision;

/// An answer with its whole body, or with one that comes piece by piece.
pub(super) type HttpAnswer = Response<Either<Full<Body>, Pieces>>;

/// Browsers do not guess what an answer is.
const NO_SNIFF: (&str, &str) = ("x-content-type-options", "nosniff");

/// The milliseconds until the deadline of a key, if it has one.
const TIME_TO_LIVE: HeaderName = HeaderName::from_static("kv-time-to-live");

/// A request that was not served: its answer is a line of text.
#[derive(Debug)]
pub(super) struct Failed {
    status: StatusCode,
    text: Cow<'static, str>,
    closes: bool,
}

impl Failed {
    /// A request with this status code, and the reason.
    pub fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), closes: false }
    }

    /// The answer also ends the connection, because the rest of the request may still come.
    pub fn and_close(self) -> Self {
        Self { closes: true, ..self }
    }

    /// Its answer.
    pub fn answer(self) -> HttpAnswer {
        let mut answer = line(self.status, self.text);
        if self.closes {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// A value that a response shares with the store.
struct Shared(Bytes);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// An answer of this type with this body.
pub(super) fn content(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> HttpAnswer {
    let mut answer = empty(status);
    *answer.body_mut() = Either::Left(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// An answer with a line of text, which ends here with a line break.
pub(super) fn line(status: StatusCode, text: impl Display) -> HttpAnswer {
    content(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> HttpAnswer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(HeaderName::from_static(NO_SNIFF.0), HeaderValue::from_static(NO_SNIFF.1));
    answer
}

/// An answer whose body is a stream of bytes.
pub(super) fn streamed(pieces: Pieces) -> HttpAnswer {
    let mut answer = empty(StatusCode::OK);
    *answer.body_mut() = Either::Right(pieces);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    answer
}

/// The value of a key, and the milliseconds until its deadline. A cache may keep the value, and must
/// ask for each use whether it has changed.
pub(super) fn value(value: Bytes, revision: Revision, left_ms: Option<u64>) -> HttpAnswer {
    let body = Body::from_owner(Shared(value));
    let mut answer = tagged(content(StatusCode::OK, "application/octet-stream", body), revision);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(left_ms) = left_ms {
        answer.headers_mut().insert(TIME_TO_LIVE, HeaderValue::from(left_ms));
    }
    answer
}

/// The answer with the revision of a key as its entity tag.
pub(super) fn tagged(mut answer: HttpAnswer, revision: Revision) -> HttpAnswer {
    let tag = HeaderValue::try_from(format!("\"{revision}\"")).expect("digits between quotes");
    answer.headers_mut().insert(ETAG, tag);
    answer
}

/// The answer to a method that this path does not have.
pub(super) fn other_method(allowed: &'static str) -> HttpAnswer {
    let mut answer = line(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {allowed}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// The answer to a request without the right password.
pub(super) fn stranger() -> HttpAnswer {
    let mut answer = line(StatusCode::UNAUTHORIZED, "the password is missing or wrong");
    for scheme in ["Basic realm=\"kvstore\"", "Bearer"] {
        answer.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    answer
}
