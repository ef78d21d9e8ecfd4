//! Requests of Redis clients, from bytes that come in pieces of any length.
//!
//! A request is an array of bulk strings, or a line of words ([`inline`](super::inline)):
//!
//! ```text
//! *2\r\n $3\r\n GET\r\n $5\r\n hello\r\n        (without the spaces)
//! GET hello\r\n
//! ```
//!
//! The parser keeps each argument as soon as it is complete, and remembers how far it has searched
//! for the end of a line. So it looks at no byte twice, however small the pieces are. It reserves
//! no memory for a length that a client only announces.

use memchr::memchr;

use super::arguments::whole_number;
use super::inline::split;
use crate::bytes::Bytes;

/// The most bytes of a line: of a request in words, and of a length. Redis has the same bound.
const MAX_LINE_BYTES: usize = 64 << 10;

/// The bounds of a client that has not given the password yet. Redis has the same.
const MAX_STRANGER_ARGUMENTS: i64 = 10;
const MAX_STRANGER_BULK_BYTES: i64 = 16_384;

/// The memory that an argument takes beside its bytes.
const ARGUMENT_BYTES: usize = 48;

/// An idle connection keeps a buffer of so many bytes at most.
const IDLE_BUFFER_BYTES: usize = 512;

/// The words of a request: the command and its arguments; never empty.
pub type Arguments = Vec<Bytes>;

/// The limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most bytes of one argument: 1 MiB (`proto-max-bulk-len` of Redis).
    pub argument_bytes: usize,
    /// The most arguments: 1,048,576.
    pub arguments: usize,
    /// The most bytes of all arguments together: 64 MiB.
    pub request_bytes: usize,
}

/// The fault of bytes that are no request. The texts are those of Redis, but for the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A line of words without an end.
    #[error("too big inline request")]
    LongLine,
    /// A quoted word without an end.
    #[error("unbalanced quotes in request")]
    Quotes,
    /// A number of arguments without an end.
    #[error("too big mbulk count string")]
    LongCount,
    /// A number of arguments that is no number, or too large.
    #[error("invalid multibulk length")]
    Count,
    /// Too many arguments before the password.
    #[error("unauthenticated multibulk length")]
    StrangerCount,
    /// The length of an argument without an end.
    #[error("too big bulk count string")]
    LongLength,
    /// An argument that does not begin with its length.
    #[error("expected '$', got '{}'", char::from(*.0))]
    NoLength(u8),
    /// A length that is no number, or too large.
    #[error("invalid bulk length")]
    Length,
    /// Too long an argument before the password.
    #[error("unauthenticated bulk length")]
    StrangerLength,
    /// All arguments together are too long.
    #[error("too big request")]
    Request,
}

/// Takes bytes, gives requests.
#[derive(Debug)]
pub struct Parser {
    limits: RequestLimits,
    buffer: Vec<u8>,
    start: usize,    // of the bytes that are not parsed; start <= searched <= buffer.len()
    searched: usize, // the line that begins at `start` has no end before this
    partial: Option<Partial>,
}

/// An array that is not complete.
#[derive(Debug, Default)]
struct Partial {
    arguments: Arguments,
    missing: usize,        // arguments that are not complete; at least 1
    length: Option<usize>, // of the first one that is missing, if it is known
    bytes: usize,          // of those that are complete
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { argument_bytes: 1 << 20, arguments: 1 << 20, request_bytes: 64 << 20 }
    }
}

impl Parser {
    /// A parser before the first byte.
    pub fn new(limits: RequestLimits) -> Self {
        Self { limits, buffer: Vec::new(), start: 0, searched: 0, partial: None }
    }

    /// Adds bytes that have arrived.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// How many bytes wait to be parsed.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// How many bytes of memory the buffer and the arguments of an incomplete request take, about.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity() + self.partial.as_ref().map_or(0, |partial| partial.bytes)
    }

    /// The next request, if it is complete. After an error the connection has to close.
    pub fn next(&mut self, is_stranger: bool) -> Result<Option<Arguments>, ProtocolError> {
        loop {
            let advanced = match (&self.partial, self.buffer.get(self.start)) {
                (Some(_), _) => self.argument(is_stranger)?,
                (None, Some(b'*')) => self.begin(is_stranger)?,
                (None, Some(_)) => match self.words()? {
                    Some(words) if words.is_empty() => true,
                    Some(words) => return Ok(Some(words)),
                    None => false,
                },
                (None, None) => {
                    self.shrink();
                    false
                }
            };
            if !advanced {
                return Ok(None);
            }
            if let Some(partial) = self.partial.take_if(|partial| partial.missing == 0) {
                return Ok(Some(partial.arguments));
            }
        }
    }

    /// The words of a line.
    fn words(&mut self) -> Result<Option<Arguments>, ProtocolError> {
        let Some(end) = self.find(b'\n', ProtocolError::LongLine)? else { return Ok(None) };
        let line = &self.buffer[self.start..end];
        let words = split(line.strip_suffix(b"\r").unwrap_or(line)).ok_or(ProtocolError::Quotes);
        self.skip_to(end + 1);
        words.map(Some)
    }

    /// The number of arguments. Returns whether it was there.
    fn begin(&mut self, is_stranger: bool) -> Result<bool, ProtocolError> {
        let Some(end) = self.line(ProtocolError::LongCount)? else { return Ok(false) };
        let count = whole_number(&self.buffer[self.start + 1..end]).ok_or(ProtocolError::Count)?;
        if is_stranger && count > MAX_STRANGER_ARGUMENTS && count <= i64::from(i32::MAX) {
            return Err(ProtocolError::StrangerCount);
        }
        let missing = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        if missing > self.limits.arguments {
            return Err(ProtocolError::Count);
        }
        self.skip_to(end + 2);
        self.partial = (missing > 0).then(|| Partial { missing, ..Partial::default() });
        Ok(true)
    }

    /// The next argument of the array, or its length. Returns whether it was there.
    fn argument(&mut self, is_stranger: bool) -> Result<bool, ProtocolError> {
        let Some(length) = self.partial.as_ref().and_then(|partial| partial.length) else {
            return self.length(is_stranger);
        };
        let end = self.start + length;
        if self.buffer.len() < end + 2 {
            return Ok(false);
        }
        let argument = Bytes::from(&self.buffer[self.start..end]);
        self.skip_to(end + 2);
        if let Some(partial) = &mut self.partial {
            partial.bytes += length + ARGUMENT_BYTES;
            partial.arguments.push(argument);
            partial.missing -= 1;
            partial.length = None;
        }
        Ok(true)
    }

    fn length(&mut self, is_stranger: bool) -> Result<bool, ProtocolError> {
        let Some(end) = self.line(ProtocolError::LongLength)? else { return Ok(false) };
        let line = &self.buffer[self.start..end];
        let Some(digits) = line.strip_prefix(b"$") else {
            return Err(ProtocolError::NoLength(self.buffer[self.start]));
        };
        let length = whole_number(digits).filter(|length| *length >= 0).ok_or(ProtocolError::Length)?;
        let bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= self.limits.argument_bytes);
        let bytes = bytes.ok_or(ProtocolError::Length)?;
        if is_stranger && length > MAX_STRANGER_BULK_BYTES {
            return Err(ProtocolError::StrangerLength);
        }
        self.skip_to(end + 2);
        if let Some(partial) = &mut self.partial {
            if partial.bytes + bytes > self.limits.request_bytes {
                return Err(ProtocolError::Request);
            }
            partial.length = Some(bytes);
        }
        Ok(true)
    }

    /// The end of the line that begins at `start`, if it and one more byte are there.
    fn line(&mut self, too_long: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let end = self.find(b'\r', too_long)?;
        Ok(end.filter(|end| end + 1 < self.buffer.len()))
    }

    /// The place of the byte that ends the line.
    fn find(&mut self, last: u8, too_long: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let bound = self.buffer.len().min(self.start + MAX_LINE_BYTES + 1);
        let found = memchr(last, &self.buffer[self.searched..bound]);
        self.searched += found.unwrap_or(bound - self.searched);
        match found {
            Some(_) => Ok(Some(self.searched)),
            None if bound > self.start + MAX_LINE_BYTES => Err(too_long),
            None => Ok(None),
        }
    }

    fn skip_to(&mut self, place: usize) {
        self.start = place;
        self.searched = place;
    }

    /// All bytes are parsed: gives a large buffer back.
    fn shrink(&mut self) {
        self.buffer.clear();
        self.skip_to(0);
        if self.buffer.capacity() > IDLE_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
    }
}
