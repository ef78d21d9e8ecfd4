//! Reads numbers, texts and lists, and trusts no length.

use raft::types::MAX_NUMBER;

use super::Malformed;
use crate::id::Id;

/// So many elements of a list have room before the first one is read.
const RESERVED: u64 = 16;

/// The rest of some bytes.
#[derive(Clone)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Checks that all bytes have been read.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.0.split_first().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(byte)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub fn flag(&mut self, name: &'static str) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::BadField(name)),
        }
    }

    /// A number in its shortest form.
    pub fn number(&mut self, name: &'static str) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            let (too_large, too_long) = (bits << shift >> shift != bits, shift > 0 && byte == 0);
            if too_large || too_long {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed::BadField(name))
    }

    /// A number that is not greater than `most`.
    pub fn number_up_to(&mut self, most: u64, name: &'static str) -> Result<u64, Malformed> {
        let number = self.number(name)?;
        if number <= most { Ok(number) } else { Err(Malformed::BadField(name)) }
    }

    /// A number within the bounds of indexes, terms and times.
    pub fn bounded(&mut self, name: &'static str) -> Result<u64, Malformed> {
        self.number_up_to(MAX_NUMBER, name)
    }

    /// The same, of a count that begins with 1.
    pub fn position(&mut self, name: &'static str) -> Result<u64, Malformed> {
        let number = self.bounded(name)?;
        if number > 0 { Ok(number) } else { Err(Malformed::BadField(name)) }
    }

    /// Checks the version of what follows.
    pub fn version(&mut self, known: u8) -> Result<(), Malformed> {
        let version = self.byte()?;
        if version == known { Ok(()) } else { Err(Malformed::UnknownVersion(version)) }
    }

    pub fn id(&mut self, name: &'static str) -> Result<Id, Malformed> {
        self.optional_id()?.ok_or(Malformed::BadField(name))
    }

    /// An ID, or the number that is none.
    pub fn optional_id(&mut self) -> Result<Option<Id>, Malformed> {
        Ok(Id::new(u16::from_le_bytes(self.array()?)))
    }

    pub fn signed(&mut self, name: &'static str) -> Result<i64, Malformed> {
        let number = self.number(name)?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A number that may be missing.
    pub fn option(&mut self, name: &'static str) -> Result<Option<u64>, Malformed> {
        if self.flag(name)? { self.number(name).map(Some) } else { Ok(None) }
    }

    pub fn bytes(&mut self, name: &'static str) -> Result<&'a [u8], Malformed> {
        let len = self.number(name)?;
        let (bytes, rest) = usize::try_from(len)
            .ok()
            .and_then(|len| self.0.split_at_checked(len))
            .ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn text(&mut self, name: &'static str) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| Malformed::BadField(name))
    }

    /// At most `most` elements. A length alone reserves little memory: the list grows with the
    /// elements that are there.
    pub fn list<T>(
        &mut self,
        most: usize,
        name: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let len = self.number_up_to(most as u64, name)?;
        let mut items = Vec::with_capacity(len.min(RESERVED) as usize);
        for _ in 0..len {
            items.push(item(self)?);
        }
        Ok(items)
    }
}
