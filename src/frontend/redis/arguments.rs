//! Arguments of commands: numbers and options.

use super::failure::Failure;
use crate::bytes::Bytes;

/// A command with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name of the command as errors have it: lower case, `client|list` for a command of a
    /// command.
    pub name: &'static str,
    /// All words of the request; as many as the command's arity demands.
    pub words: &'a [Bytes],
}

impl Call<'_> {
    /// The word at this place, where the arity of the command guarantees one.
    pub fn word(&self, place: usize) -> Bytes {
        self.words.get(place).cloned().unwrap_or_default()
    }

    /// The number at this place.
    pub fn integer(&self, place: usize) -> Result<i64, Failure> {
        self.words.get(place).and_then(|word| whole_number(word)).ok_or(Failure::NOT_AN_INTEGER)
    }

    /// The words from this place on.
    pub fn rest(&self, place: usize) -> &[Bytes] {
        self.words.get(place..).unwrap_or_default()
    }
}

/// Whether a word is this one, in capital letters or not.
pub fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// The number that a text is, in the one way in which Redis reads arguments: no sign but `-`, no
/// leading zeros, no spaces.
pub fn whole_number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if is_canonical { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::whole_number;

    #[test]
    fn number_is_read_as_redis_reads_it() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(whole_number(number.to_string().as_bytes()), Some(number));
        }
        for text in ["", "-", "+1", "-0", "00", "01", " 1", "1 ", "1.0", "1e3", "9223372036854775808"] {
            assert_eq!(whole_number(text.as_bytes()), None, "{text:?}");
        }
    }
}
