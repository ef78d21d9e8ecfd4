//! Decimal numbers, added as Redis adds them on x86-64: in the 80-bit format of the x87, whose
//! mantissa has 64 bits, with 17 decimal places in the result.
//!
//! No hardware takes part, so the sum is the same on every machine. Numbers are read, added and
//! written exactly, with whole numbers of any length, and rounded once in each of these steps: to
//! the nearest, and to even at a tie, as IEEE 754 says and the C library of Linux does.

use num_bigint::{BigInt, BigUint, Sign};

use crate::reply::Refusal;

/// Redis takes no longer text for a number.
const MAX_LEN: usize = 5_119;

/// The bits of a mantissa.
const PRECISION: i64 = 64;

/// The least exponent, that of numbers near zero, and the greatest.
const MIN_EXPONENT: i64 = -16_445;
const MAX_EXPONENT: i64 = 16_320;

/// Decimal places of a result.
const PLACES: usize = 17;

/// A decimal exponent that is beyond those of all numbers, however many digits they have.
const FAR_EXPONENT: i64 = 1_000_000;

/// A number: `mantissa * 2^exponent`, or an infinite one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Number {
    Finite { negative: bool, mantissa: u64, exponent: i64 },
    Infinite,
}

/// The sum of two decimal numbers, as text.
pub(super) fn add(value: &[u8], increment: &[u8]) -> Result<String, Refusal> {
    let value = parse(value).ok_or(Refusal::NotAFloat)?;
    let increment = parse(increment).ok_or(Refusal::NotAFloat)?;
    match sum(&value, &increment) {
        Number::Finite { negative, mantissa, exponent } => Ok(print(negative, mantissa, exponent)),
        Number::Infinite => Err(Refusal::NanOrInfinity),
    }
}

fn sum(one: &Number, other: &Number) -> Number {
    let (Number::Finite { exponent: e1, .. }, Number::Finite { exponent: e2, .. }) = (one, other) else {
        return Number::Infinite; // or no number, which is refused in the same way
    };
    let least = *e1.min(e2);
    let (sign, magnitude) = (one.scaled(least) + other.scaled(least)).into_parts();
    round(sign == Sign::Minus, magnitude, least, false)
}

impl Number {
    /// The number as a multiple of `2^exponent`, which is not greater than its own.
    fn scaled(&self, to: i64) -> BigInt {
        let Self::Finite { negative, mantissa, exponent } = self else { return BigInt::ZERO };
        let sign = if *negative { Sign::Minus } else { Sign::Plus };
        BigInt::from_biguint(sign, BigUint::from(*mantissa) << (exponent - to))
    }
}

/// The number that is nearest to `magnitude * 2^exponent`, or to a little more if `inexact`.
fn round(negative: bool, magnitude: BigUint, exponent: i64, inexact: bool) -> Number {
    let bits = magnitude.bits() as i64;
    let dropped = (bits - PRECISION).max(MIN_EXPONENT - exponent);
    if dropped <= 0 {
        let mantissa = u64::try_from(magnitude).expect("no more than 64 bits");
        debug_assert!(!inexact);
        return limited(negative, mantissa, exponent);
    }
    let rounded = shift_right(&magnitude, dropped as u64, inexact);
    let exponent = exponent + dropped;
    match u64::try_from(&rounded) {
        Ok(mantissa) => limited(negative, mantissa, exponent),
        Err(_) => limited(negative, 1 << (PRECISION - 1), exponent + 1), // rounded up to 2^64
    }
}

/// `magnitude / 2^bits`, rounded to the nearest whole number, and to even at a tie. The magnitude is
/// a little more if `inexact`.
fn shift_right(magnitude: &BigUint, bits: u64, inexact: bool) -> BigUint {
    let quotient = magnitude >> bits;
    let half = magnitude.bit(bits - 1);
    let beyond_half = inexact || magnitude.trailing_zeros().is_some_and(|zeros| zeros < bits - 1);
    if half && (beyond_half || quotient.bit(0)) { quotient + 1_u8 } else { quotient }
}

/// A finite number, unless it is too large for that.
fn limited(negative: bool, mantissa: u64, exponent: i64) -> Number {
    let bits = PRECISION - i64::from(mantissa.leading_zeros());
    if mantissa != 0 && exponent + bits > MAX_EXPONENT + PRECISION {
        return Number::Infinite;
    }
    Number::Finite { negative, mantissa, exponent }
}

/// Reads what the C function `strtold` reads and Redis accepts. A number that is too large for the
/// format, or too small and not zero, is none.
fn parse(text: &[u8]) -> Option<Number> {
    let (negative, digits) = match text {
        _ if text.len() > MAX_LEN => return None,
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if [&b"inf"[..], b"infinity"].iter().any(|name| digits.eq_ignore_ascii_case(name)) {
        return Some(Number::Infinite);
    }
    let number = match digits {
        [b'0', b'x' | b'X', digits @ ..] => parse_hex(negative, digits)?,
        _ => parse_decimal(negative, digits)?,
    };
    (number != Number::Infinite).then_some(number)
}

/// Digits with a point somewhere and an exponent: the digits as one whole number, how many of them
/// stand after the point, and the exponent.
fn split(text: &[u8], radix: u32, marks: [u8; 2]) -> Option<(Vec<u8>, i64, i64)> {
    let mark = text.iter().position(|byte| marks.contains(byte));
    let (digits, exponent) = text.split_at(mark.unwrap_or(text.len()));
    let exponent = if exponent.is_empty() { 0 } else { parse_exponent(&exponent[1..])? };
    let point = digits.iter().position(|byte| *byte == b'.');
    let places = point.map_or(0, |point| digits.len() - point - 1);
    let whole: Vec<u8> =
        digits.iter().enumerate().filter(|(n, _)| Some(*n) != point).map(|(_, byte)| *byte).collect();
    let valid = !whole.is_empty() && whole.iter().all(|byte| char::from(*byte).is_digit(radix));
    valid.then_some((whole, places as i64, exponent))
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let far = |value: i64, digit: &u8| (value * 10 + i64::from(digit - b'0')).min(FAR_EXPONENT);
    let value = digits.iter().fold(0, far);
    Some(if negative { -value } else { value })
}

fn parse_decimal(negative: bool, text: &[u8]) -> Option<Number> {
    let (digits, places, exponent) = split(text, 10, *b"eE")?;
    let significant = digits.iter().skip_while(|digit| **digit == b'0').count() as i64;
    let exponent = exponent - places;
    if significant == 0 {
        return Some(Number::Finite { negative, mantissa: 0, exponent: 0 });
    }
    // The number is below 10^magnitude, and not below a tenth of that.
    let magnitude = significant + exponent;
    if !(-5_000..=5_000).contains(&magnitude) {
        return None;
    }
    let digits = BigUint::parse_bytes(&digits, 10)?;
    let ten = BigUint::from(10_u8);
    let number = if exponent >= 0 {
        round(negative, digits * ten.pow(exponent as u32), 0, false)
    } else {
        let divisor = ten.pow(exponent.unsigned_abs() as u32);
        // Two bits more than a mantissa has, so that rounding sees a half.
        let shift = (PRECISION + 2 + divisor.bits() as i64 - digits.bits() as i64).max(0);
        let dividend = digits << shift;
        let quotient = &dividend / &divisor;
        let inexact = &quotient * &divisor != dividend;
        round(negative, quotient, -shift, inexact)
    };
    not_underflown(number)
}

fn parse_hex(negative: bool, text: &[u8]) -> Option<Number> {
    let (digits, places, exponent) = split(text, 16, *b"pP")?;
    let digits = BigUint::parse_bytes(&digits, 16)?;
    if digits == BigUint::ZERO {
        return Some(Number::Finite { negative, mantissa: 0, exponent: 0 });
    }
    let exponent = exponent - 4 * places;
    if exponent.abs() > 50_000 {
        return None; // the digits make up for at most 20,476
    }
    not_underflown(round(negative, digits, exponent, false))
}

/// The number, unless it became zero by rounding.
fn not_underflown(number: Number) -> Option<Number> {
    (!matches!(number, Number::Finite { mantissa: 0, .. })).then_some(number)
}

/// The number with 17 decimal places, without the zeros at their end.
fn print(negative: bool, mantissa: u64, exponent: i64) -> String {
    let scaled = BigUint::from(mantissa) * 10_u64.pow(PLACES as u32);
    let rounded = match exponent {
        0.. => scaled << exponent,
        _ => shift_right(&scaled, exponent.unsigned_abs(), false),
    };
    if rounded == BigUint::ZERO {
        return "0".into();
    }
    let digits = format!("{rounded:0>width$}", rounded = rounded.to_string(), width = PLACES + 1);
    let (whole, places) = digits.split_at(digits.len() - PLACES);
    let places = places.trim_end_matches('0');
    let (sign, point) = (if negative { "-" } else { "" }, if places.is_empty() { "" } else { "." });
    format!("{sign}{whole}{point}{places}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(value: &str, increment: &str) -> String {
        add(value.as_bytes(), increment.as_bytes()).unwrap_or_else(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn sums_are_those_of_redis() {
        let cases = [
            ("0", "0", "0"),
            ("-0", "-0", "0"),
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0e3", "200", "3200"),
            ("3", "1.1", "4.1"),
            ("1", "-1.1", "-0.1"),
            (".5", "5.", "5.5"),
            ("+1", "-1e-17", "0.99999999999999999"),
            ("1e-18", "0", "0"),
            ("-6e-18", "0", "-0.00000000000000001"),
            ("0x1p3", "0X.8", "8.5"),
            ("0x10", "1", "17"),
            ("18446744073709551615", "0", "18446744073709551615"),
            ("18446744073709551617", "0", "18446744073709551616"),
            ("1000000000000000000000", "1", "1000000000000000000000"),
            ("0e99999999999999999999", "2", "2"),
        ];
        for (value, increment, expected) in cases {
            assert_eq!(sum(value, increment), expected, "{value} + {increment}");
        }
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        let long = "1".repeat(MAX_LEN + 1);
        let bad = [
            "",
            " 1",
            "1 ",
            "abc",
            "1e",
            "1e+",
            "e5",
            ".",
            "-",
            "+-1",
            "0x",
            "0xg",
            "0x1p",
            "1p3",
            "1.2.3",
            "nan",
            "1_0",
            "infinit",
            "1e4933",
            "1e-4951",
            "0x1p16384",
            "0x1p-16447",
            "1e99999999999999999999",
            &long,
        ];
        for text in bad {
            assert_eq!(add(text.as_bytes(), b"1"), Err(Refusal::NotAFloat), "{text:?}");
            assert_eq!(add(b"1", text.as_bytes()), Err(Refusal::NotAFloat), "{text:?}");
        }
    }

    #[test]
    fn sum_that_is_no_finite_number_is_refused() {
        for (value, increment) in [("inf", "1"), ("inf", "-inf"), ("1e4932", "1e4932"), ("-INFINITY", "0")] {
            assert_eq!(add(value.as_bytes(), increment.as_bytes()), Err(Refusal::NanOrInfinity));
        }
    }

    #[test]
    fn numbers_at_the_limits_of_the_format_are_rounded_to_even() {
        let finite = |mantissa, exponent| Some(Number::Finite { negative: false, mantissa, exponent });
        assert_eq!(parse(b"0x1p-16445"), finite(1, -16_445));
        assert_eq!(parse(b"0x1.8p-16446"), finite(1, -16_445));
        assert_eq!(parse(b"0x1p-16446"), None, "a tie, so it is rounded to zero");
        assert_eq!(parse(b"0x1.0000000000000001p0"), finite(1 << 63, -63));
        assert_eq!(parse(b"0x1.00000000000000011p0"), finite((1 << 63) + 1, -63));
        assert_eq!(parse(b"0x1.0000000000000003p0"), finite((1 << 63) + 2, -63));
        assert_eq!(parse(b"0x1.ffffffffffffffffp0"), finite(1 << 63, -62));
        assert_eq!(parse(b"0xffffffffffffffffp16320"), finite(u64::MAX, 16_320));
        assert_eq!(parse(b"0xffffffffffffffff8p16316"), None, "rounded up beyond the greatest");
        assert_eq!(sum("0xffffffffffffffffp16320", "0").len(), 4_933);
    }
}
