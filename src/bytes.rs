//! Keys and values: any bytes, shared and never copied.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The key under which bytes that are no UTF-8 stand in JSON, as hexadecimal digits.
const HEX: &str = "hex";

/// A key or a value. A clone shares the bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Arc<[u8]>);

impl Bytes {
    /// The bytes as text, if they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The bytes as text; bytes that are no UTF-8 show as replacement characters.
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Arc<str>> for Bytes {
    fn from(text: Arc<str>) -> Self {
        Self(text.into())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Shows enough of the bytes to tell them from others.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_text();
        match text.char_indices().nth(12) {
            Some((end, _)) if text.len() > 16 => write!(f, "{}…", &text[..end]),
            _ => f.write_str(&text),
        }
    }
}

/// A string if the bytes are UTF-8, and else an object with their hexadecimal digits.
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(text) = self.as_str() {
            return serializer.serialize_str(text);
        }
        let digits: String = self.iter().flat_map(|&byte| hex_digits(byte)).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(HEX, &digits)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or an object with hexadecimal digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        Ok(text.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
        let entry: Option<(String, String)> = map.next_entry()?;
        let digits = entry.filter(|(key, _)| key == HEX).map(|(_, digits)| digits);
        let bytes = digits.as_deref().and_then(from_hex).ok_or_else(|| de::Error::custom("no hex digits"))?;
        match map.next_key::<de::IgnoredAny>()? {
            None => Ok(bytes.into()),
            Some(_) => Err(de::Error::custom("more than hex digits")),
        }
    }
}

fn hex_digits(byte: u8) -> [char; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 0xF].map(|digit| char::from(DIGITS[usize::from(digit)]))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let value = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let pair = |&[high, low]: &[u8; 2]| Some(value(high)? << 4 | value(low)?);
    rest.is_empty().then(|| pairs.iter().map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_json() {
        for bytes in [&b""[..], b"text", "ä\n\"".as_bytes(), b"\xff\x00", &[0x80; 40]] {
            let json = serde_json::to_string(&Bytes::from(bytes)).expect("serializes");
            assert_eq!(serde_json::from_str::<Bytes>(&json).expect("deserializes"), Bytes::from(bytes));
        }
        assert_eq!(
            serde_json::to_string(&Bytes::from(&b"\xff\x0a"[..])).expect("serializes"),
            r#"{"hex":"ff0a"}"#
        );
    }

    #[test]
    fn json_that_is_no_bytes_is_refused() {
        for json in ["1", "[]", "{}", r#"{"hex":"f"}"#, r#"{"hex":"zz"}"#, r#"{"hex":"ff","more":1}"#] {
            assert!(serde_json::from_str::<Bytes>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn only_long_texts_are_shortened() {
        let shown = |text: &str| Bytes::from(text).to_string();
        assert_eq!(shown("0123456789abcdef"), "0123456789abcdef");
        assert_eq!(shown("0123456789abcdefg"), "0123456789ab…");
        assert_eq!(shown(&"ä".repeat(12)), "ä".repeat(12), "never in the middle of a character");
        assert_eq!(shown(&"ä".repeat(13)), format!("{}…", "ä".repeat(12)));
    }
}
