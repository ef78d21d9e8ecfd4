//! Replies as Redis clients read them, in both versions of the protocol.
//!
//! A client that has said `HELLO 3` reads RESP3, which has maps, sets, doubles and one null. Any
//! other client reads RESP2, where a map is an array of keys and values and a double is a text.

use std::borrow::Cow;

use crate::bytes::Bytes;

/// The version of the protocol that a client reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, until the client asks for the other one.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A short text of the server, like `OK`.
    Status(Cow<'static, str>),
    /// An error; its first word is its code.
    Error(Cow<'static, str>),
    /// A number.
    Integer(i64),
    /// A decimal number.
    Double(f64),
    /// Bytes.
    Bulk(Bytes),
    /// A text for people to read.
    Verbatim(String),
    /// No value.
    Null,
    /// No array: RESP2 tells it from no value.
    NullArray,
    /// Several replies.
    Array(Vec<Value>),
    /// Several replies without an order.
    Set(Vec<Value>),
    /// Pairs of replies.
    Map(Vec<(Value, Value)>),
    /// Several replies that are no answer to a command, as RESP3 tells them apart.
    Push(Vec<Value>),
    /// Several replies to one command, one behind the other.
    Several(Vec<Value>),
}

impl Value {
    /// `OK`.
    pub const OK: Self = Self::Status(Cow::Borrowed("OK"));

    /// Bytes of a text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Bulk(text.as_ref().into())
    }

    /// Pairs of texts.
    pub fn texts(pairs: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (Self::text(key), Self::text(value))).collect())
    }

    /// Adds the reply to bytes that go to the client.
    pub fn write(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let is_3 = protocol == Protocol::Resp3;
        match self {
            Self::Status(text) => line(b'+', text.as_bytes(), out),
            Self::Error(text) => line(b'-', text.as_bytes(), out),
            Self::Integer(number) => head(b':', *number, out),
            Self::Double(number) if is_3 => line(b',', double(*number).as_bytes(), out),
            Self::Double(number) => bulk(b'$', double(*number).as_bytes(), out),
            Self::Bulk(bytes) => bulk(b'$', bytes, out),
            Self::Verbatim(text) if is_3 => bulk(b'=', &[b"txt:", text.as_bytes()].concat(), out),
            Self::Verbatim(text) => bulk(b'$', text.as_bytes(), out),
            Self::Null | Self::NullArray if is_3 => out.extend_from_slice(b"_\r\n"),
            Self::Null => out.extend_from_slice(b"$-1\r\n"),
            Self::NullArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Several(values) => values.iter().for_each(|value| value.write(protocol, out)),
            Self::Array(values) | Self::Set(values) | Self::Push(values) => {
                let kind = match self {
                    Self::Set(_) if is_3 => b'~',
                    Self::Push(_) if is_3 => b'>',
                    _ => b'*',
                };
                head(kind, values.len(), out);
                values.iter().for_each(|value| value.write(protocol, out));
            }
            Self::Map(pairs) => {
                if is_3 {
                    head(b'%', pairs.len(), out);
                } else {
                    head(b'*', 2 * pairs.len(), out);
                }
                for (key, value) in pairs {
                    key.write(protocol, out);
                    value.write(protocol, out);
                }
            }
        }
    }
}

/// A line. An error may repeat a client's words, and a line that they break would be two replies.
fn line(kind: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    out.extend_from_slice(b"\r\n");
}

fn head(kind: u8, number: impl ToString, out: &mut Vec<u8>) {
    line(kind, number.to_string().as_bytes(), out);
}

fn bulk(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    head(kind, bytes.len(), out);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// The shortest text that is read as the same number.
fn double(number: f64) -> String {
    if number.is_nan() { "nan".into() } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_has_the_bytes_of_each_protocol() {
        let inner = || vec![Value::Null, Value::Integer(-7)];
        let cases = [
            (Value::OK, "+OK\r\n", "+OK\r\n"),
            (Value::Error("ERR a\r\nb".into()), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (Value::Integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (Value::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Value::Double(-f64::INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n"),
            (Value::Double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n"),
            (Value::text(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Value::Verbatim("a".into()), "$1\r\na\r\n", "=5\r\ntxt:a\r\n"),
            (Value::Null, "$-1\r\n", "_\r\n"),
            (Value::NullArray, "*-1\r\n", "_\r\n"),
            (Value::Array(inner()), "*2\r\n$-1\r\n:-7\r\n", "*2\r\n_\r\n:-7\r\n"),
            (Value::Set(inner()), "*2\r\n$-1\r\n:-7\r\n", "~2\r\n_\r\n:-7\r\n"),
            (Value::Push(inner()), "*2\r\n$-1\r\n:-7\r\n", ">2\r\n_\r\n:-7\r\n"),
            (Value::Several(inner()), "$-1\r\n:-7\r\n", "_\r\n:-7\r\n"),
            (Value::texts([("a", "b")]), "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "%1\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ];
        for (value, resp2, resp3) in cases {
            for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
                let mut bytes = Vec::new();
                value.write(protocol, &mut bytes);
                assert_eq!(String::from_utf8_lossy(&bytes), expected, "{value:?}");
            }
        }
    }
}
