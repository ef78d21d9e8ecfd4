//! Random operations on a few keys, with values and numbers that lie at the edges.

use std::collections::BTreeSet;

use kvstore::bytes::Bytes;
use kvstore::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set, UnixMillis};

/// The greatest length of a value in the tests: the least that Redis can be set to.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// Deadlines that are compared with Redis lie so far apart that the time a sequence takes does not
/// matter, and those in absolute time between the others.
const FAR_MS: i64 = 1_000_000_000;
pub const APART_MS: i64 = 10_000_000;

const KEYS: &[&[u8]] = &[b"a", b"b", b"key:1", b"key:2", b"k\xff\x00", b"[x]", b"", b"a*b"];
const TEXTS: &[&[u8]] = &[
    b"",
    b"a",
    b"hello",
    b"\x00\xff",
    b"0",
    b"1",
    b"-1",
    b"007",
    b" 1",
    b"+5",
    b"1.5",
    b"3.0e3",
    b"-0",
    b"inf",
    b"nan",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551616",
    b"0x10",
    b"1e-5",
    b"1e4932",
    b"1e4000",
    b"-1e4932",
    b"0.1",
    b"10.50",
    b"123456789.123456789",
    b"1e",
    b".5",
    b"5.",
    b"-inf",
];
/// The first ones of them, whose sums are multiples of a quarter.
const SIMPLE_TEXTS: usize = 19;
const NUMBERS: &[i64] = &[0, 1, -1, 2, 10, -7, 1_000_000, i64::MAX, i64::MIN, i64::MAX - 1];
const PATTERNS: &[&[u8]] = &[
    b"*",
    b"**",
    b"key:*",
    b"key:?",
    b"[a-b]",
    b"[^a]",
    b"\\[x]",
    b"a\\*b",
    b"*b*",
    b"k[\x80-\xff]?",
    b"",
    b"[",
    b"?*",
];

/// For which partner the operations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partner {
    /// All of them, with deadlines that are near.
    Model,
    /// Those that Redis 7.0 has, with deadlines that are far off or long past.
    Redis,
}

/// Makes operations.
pub struct Generator {
    pub rng: fastrand::Rng,
    partner: Partner,
    now: UnixMillis,
    used: BTreeSet<i64>, // the numbers of deadlines, none of which may be equal to another
}

impl Generator {
    pub fn new(seed: u64, partner: Partner, now: UnixMillis) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), partner, now, used: BTreeSet::new() }
    }

    /// Moves the time near which deadlines lie.
    pub fn advance(&mut self, now: UnixMillis) {
        self.now = now;
    }

    pub fn one<'a, T: ?Sized>(&mut self, of: &'a [&'a T]) -> &'a T {
        of[self.rng.usize(..of.len())]
    }

    pub fn key(&mut self) -> Bytes {
        self.one(KEYS).into()
    }

    pub fn keys(&mut self) -> Vec<Bytes> {
        (0..self.rng.usize(1..5)).map(|_| self.key()).collect()
    }

    pub fn pattern(&mut self) -> Bytes {
        self.one(PATTERNS).into()
    }

    fn text(&mut self) -> Bytes {
        match self.partner {
            Partner::Model => self.one(&TEXTS[..SIMPLE_TEXTS]).into(),
            Partner::Redis => self.one(TEXTS).into(),
        }
    }

    fn number(&mut self) -> i64 {
        if self.rng.bool() { NUMBERS[self.rng.usize(..NUMBERS.len())] } else { self.rng.i64(-9..9) }
    }

    /// Decimal text; for the model a multiple of a quarter.
    fn decimal(&mut self) -> Bytes {
        if self.partner == Partner::Model {
            return format!("{}", f64::from(self.rng.i32(-99..99)) / 4.0).into();
        }
        match self.rng.u8(..6) {
            0 => self.text(),
            1 => format!("{}", self.rng.f64() * 100.0 - 50.0).into(),
            2 => format!("{:e}", self.rng.f64()).into(),
            3 => format!("{}e{}", self.rng.i64(..), self.rng.i32(-40..40)).into(),
            4 => {
                format!("-0x{:x}.{:x}p{}", self.rng.u64(..), self.rng.u64(..), self.rng.i32(-120..120)).into()
            }
            _ => format!("{}.{}", self.rng.i32(-99..99), self.rng.u128(..)).into(),
        }
    }

    /// Text that is, or looks like, a number of any size.
    pub fn any_decimal(&mut self) -> Bytes {
        let mut digits = |most: usize| -> String {
            let digit = [b'0', b'9', b'0' + self.rng.u8(..10)];
            (0..self.rng.usize(..most)).map(|_| digit[self.rng.usize(..3)] as char).collect()
        };
        let (whole, part, mut zeros) = (digits(25), digits(25), digits(400).replace(|_: char| true, "0"));
        let sign = ["", "", "-", "+"][self.rng.usize(..4)];
        let exponent = self.rng.i32(-40..40);
        match self.rng.u8(..12) {
            0 => self.one(TEXTS).into(),
            1 => format!("{sign}{whole}.{part}e{}", self.rng.i32(-5_010..4_960)).into(),
            2 => format!("{sign}0x{:x}.{:x}p{exponent}", self.sparse(), self.sparse()).into(),
            3 => format!("{sign}0X{:x}P{}", self.sparse(), self.rng.i32(-16_500..16_400)).into(),
            4 => format!("{sign}{:e}", f64::from_bits(self.rng.u64(..))).into(),
            5 => {
                zeros.truncate(self.rng.usize(..=zeros.len()));
                format!("{sign}{whole}{zeros}.{zeros}{part}E{exponent}").into()
            }
            6 => format!("{sign}{}", self.sparse()).into(),
            7 => {
                format!("{sign}{}.{}", self.sparse(), ["5", "25", "125", "0625"][self.rng.usize(..4)]).into()
            }
            _ => format!("{sign}{whole}.{part}").into(),
        }
    }

    /// A number that is near one with few bits, so that sums lie near the middle between two numbers.
    fn sparse(&mut self) -> u128 {
        let bit = |rng: &mut fastrand::Rng| 1_u128 << rng.u32(..72);
        let (one, other) = (bit(&mut self.rng), bit(&mut self.rng));
        (one | other).wrapping_add(u128::from(self.rng.u8(..3))).saturating_sub(1)
    }

    fn deadline(&mut self) -> Deadline {
        if self.rng.u8(..12) == 0 {
            let odd = [0, -1, 1, i64::MAX, i64::MIN, -FAR_MS];
            let odd = odd[self.rng.usize(..odd.len())];
            // A deadline in a millisecond would pass while a sequence runs.
            let odd = if odd == 1 && self.partner == Partner::Redis { 0 } else { odd };
            return if self.rng.bool() { Deadline::After(odd) } else { Deadline::At(odd) };
        }
        if self.partner == Partner::Model {
            let near = self.rng.i64(-20..40);
            return if self.rng.bool() { Deadline::After(near) } else { Deadline::At(self.now + near) };
        }
        let mut number = self.rng.i64(0..10_000);
        while !self.used.insert(number) {
            number = self.rng.i64(0..10_000);
        }
        let far = FAR_MS + number * APART_MS;
        if self.rng.bool() { Deadline::After(far) } else { Deadline::At(self.now + far + APART_MS / 2) }
    }

    fn expiry(&mut self) -> Expiry {
        match self.rng.u8(..6) {
            0 | 1 => Expiry::Keep,
            2 => Expiry::Set(self.deadline()),
            _ => Expiry::Never,
        }
    }

    fn deadline_condition(&mut self) -> Option<DeadlineCondition> {
        match self.rng.u8(..10) {
            0 => Some(DeadlineCondition::Absent),
            1 => Some(DeadlineCondition::Present),
            2 => Some(DeadlineCondition::Later),
            3 => Some(DeadlineCondition::Earlier),
            4 => Some(DeadlineCondition::PresentAndLater),
            5 => Some(DeadlineCondition::PresentAndEarlier),
            _ => None,
        }
    }

    fn condition(&mut self) -> Option<Condition> {
        match self.rng.u8(..if self.partner == Partner::Model { 10 } else { 6 }) {
            0 => Some(Condition::Absent),
            1 => Some(Condition::Present),
            6 => Some(Condition::Equal(self.text())),
            7 => Some(Condition::Unequal(self.text())),
            8 => Some(Condition::Revision(self.rng.u64(..40))),
            _ => None,
        }
    }

    fn offset(&mut self) -> u64 {
        match self.rng.u16(..400) {
            0 => i64::MAX as u64,
            1 => 1 << 40,
            2 => MAX_VALUE_BYTES as u64,
            3 => MAX_VALUE_BYTES as u64 - 1,
            4 => MAX_VALUE_BYTES as u64 - 5,
            _ => self.rng.u64(..12),
        }
    }

    /// An operation that changes nothing.
    pub fn read(&mut self) -> Operation {
        let key = self.key();
        match self.rng.u8(..if self.partner == Partner::Model { 11 } else { 9 }) {
            0 => Operation::GetRange { key, start: self.number(), end: self.number() },
            1 => Operation::Strlen { key },
            2 => Operation::Exists { keys: self.keys() },
            3 => Operation::Type { key },
            4 => Operation::TimeToLive { key },
            5 => Operation::Deadline { key },
            6 => Operation::Count,
            7 => Operation::GetMany { keys: self.keys() },
            9 => Operation::Revision { key },
            10 => Operation::GetWithRevision { key },
            _ => Operation::Get { key },
        }
    }

    fn set(&mut self) -> Operation {
        let value = if self.rng.bool() { self.text() } else { self.decimal() };
        let set = Set::new(self.key(), value);
        Operation::Set(Set {
            condition: self.condition(),
            expiry: self.expiry(),
            get: self.rng.bool(),
            ..set
        })
    }

    /// An operation that may change something, but for a flush.
    pub fn write(&mut self) -> Operation {
        let key = self.key();
        match self.rng.u8(..if self.partner == Partner::Model { 24 } else { 21 }) {
            0 => Operation::set(key, self.text()),
            1 | 2 => Operation::Increment { key, by: self.number() },
            3 | 4 => Operation::IncrementFloat { key, by: self.decimal() },
            5 | 6 => Operation::Append { key, value: self.text() },
            7 => Operation::SetRange { key, offset: self.offset(), value: self.text() },
            8 | 9 => {
                let (deadline, condition) = (self.deadline(), self.deadline_condition());
                Operation::Expire { key, deadline, condition }
            }
            10 => Operation::Persist { key },
            11 => Operation::GetDelete { key },
            12 => Operation::GetExpire { key, expiry: self.expiry() },
            13 => Operation::Delete { keys: self.keys() },
            14 | 15 => {
                let pairs = self.keys().into_iter().map(|key| (key, self.text())).collect();
                Operation::SetMany { pairs, if_absent: self.rng.bool() }
            }
            21 | 22 => Operation::DeleteIfEqual { key, value: self.text() },
            23 => Operation::RemoveExpired { limit: self.rng.u32(..3) },
            _ => self.set(),
        }
    }

    /// Any operation.
    pub fn operation(&mut self) -> Operation {
        match self.rng.u8(..60) {
            0 => Operation::Flush,
            1..20 => self.read(),
            _ => self.write(),
        }
    }
}
