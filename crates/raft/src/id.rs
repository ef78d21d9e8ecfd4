//! Names of replicas and clients: four hexadecimal digits, upper case.

use std::fmt;
use std::str::FromStr;

/// The text on the wire in place of an ID: "every other replica" as a destination, "unknown" as a
/// leader.
pub const NOBODY: &str = "FFFF";

/// The name of one replica or client, `0000` to `FFFE`. `FFFF` is never an `Id`:
/// where the wire allows it, the code says `Option<Id>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u16);

/// Why a text is not an [`Id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not exactly four of the digits `0-9A-F`.
    #[error("an ID is four hexadecimal digits, upper case")]
    Malformed,
    /// The reserved name, which stands for no replica or for every other replica.
    #[error("FFFF is reserved and names no replica")]
    Reserved,
}

impl Id {
    /// The ID with this number, or `None` for the reserved 0xFFFF.
    pub const fn new(number: u16) -> Option<Self> {
        if number == u16::MAX { None } else { Some(Self(number)) }
    }

    /// The number that the four digits spell.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The four digits.
    pub fn digits(self) -> [u8; 4] {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        [12, 8, 4, 0].map(|shift| DIGITS[usize::from(self.0 >> shift & 0xF)])
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digit = |b: &u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
        if text.len() != 4 || !text.as_bytes().iter().all(digit) {
            return Err(IdError::Malformed);
        }
        let number = u16::from_str_radix(text, 16).map_err(|_| IdError::Malformed)?;
        Self::new(number).ok_or(IdError::Reserved)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_read_from_the_text_that_it_prints() {
        for number in [0, 1, 0x10, 0xABCD, 0xFFFE] {
            let id = Id::new(number).expect("not reserved");
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().as_bytes(), id.digits());
        }
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "0", "000", "00000", "00a0", "+001", "-001", " 001", "00G0", "０001"] {
            assert_eq!(text.parse::<Id>(), Err(IdError::Malformed), "{text:?}");
        }
        assert_eq!("FFFF".parse::<Id>(), Err(IdError::Reserved));
    }
}
