//! The operations on keys. They mean what the commands of Redis 7 for strings mean, so that a front
//! end for Redis clients only translates.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

/// Milliseconds since 1970 (UTC), as the operating system counts them.
pub type UnixMillis = i64;

/// The index of the log entry that changed a key last. It only grows, also when the key is deleted
/// and set again, so it serves as a fencing token.
pub type Revision = u64;

/// One operation on one or more keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// The value of a key (GET).
    Get {
        /// The key.
        key: Bytes,
    },
    /// The values of several keys at one moment, nil for each that does not exist (MGET).
    GetMany {
        /// The keys.
        keys: Vec<Bytes>,
    },
    /// A part of a value (GETRANGE). Negative positions count from the end; both ends are included.
    GetRange {
        /// The key.
        key: Bytes,
        /// The first byte.
        start: i64,
        /// The last byte.
        end: i64,
    },
    /// The length of a value in bytes (STRLEN).
    Strlen {
        /// The key.
        key: Bytes,
    },
    /// How many of these keys exist; a key that is named twice counts twice (EXISTS).
    Exists {
        /// The keys.
        keys: Vec<Bytes>,
    },
    /// The type of a key: `string` or `none` (TYPE).
    Type {
        /// The key.
        key: Bytes,
    },
    /// The milliseconds that a key has left: -1 without a deadline, -2 without the key (PTTL).
    TimeToLive {
        /// The key.
        key: Bytes,
    },
    /// The deadline of a key in milliseconds since 1970: -1 and -2 as above (PEXPIRETIME).
    Deadline {
        /// The key.
        key: Bytes,
    },
    /// The revision of a key. For a key that does not exist: the index of the last entry that the
    /// state machine has applied.
    Revision {
        /// The key.
        key: Bytes,
    },
    /// The value of a key, its revision, and the milliseconds that it has left (-1 without a deadline),
    /// all at one moment; nil without the key.
    GetWithRevision {
        /// The key.
        key: Bytes,
    },
    /// The number of keys (DBSIZE).
    Count,
    /// Some keys, and the cursor for the next ones (SCAN). A scan from cursor 0 until the cursor is 0
    /// again returns every key that exists during the whole scan.
    Scan {
        /// 0, or the cursor of the last reply.
        cursor: u64,
        /// How many keys the operation looks at, about.
        count: u32,
        /// Only keys that match this glob-style pattern.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<Bytes>,
    },
    /// Sets the value of a key (SET).
    Set(Set),
    /// Sets several keys: all, or none if one of them exists and that is forbidden (MSET, MSETNX).
    SetMany {
        /// Keys and values; of a key that is named twice the last value counts.
        pairs: Vec<(Bytes, Bytes)>,
        /// Whether none of the keys may exist.
        if_absent: bool,
    },
    /// Returns the value of a key and deletes the key (GETDEL).
    GetDelete {
        /// The key.
        key: Bytes,
    },
    /// Returns the value of a key and changes its deadline (GETEX).
    GetExpire {
        /// The key.
        key: Bytes,
        /// The new deadline.
        expiry: Expiry,
    },
    /// Deletes keys and returns how many there were (DEL).
    Delete {
        /// The keys.
        keys: Vec<Bytes>,
    },
    /// Deletes a key if it has this value, and returns how many keys were deleted (DELIFEQ).
    DeleteIfEqual {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Adds to a whole number and returns the sum (INCRBY). A key that does not exist counts as 0.
    Increment {
        /// The key.
        key: Bytes,
        /// The difference.
        by: i64,
    },
    /// Adds to a decimal number and returns the sum (INCRBYFLOAT).
    IncrementFloat {
        /// The key.
        key: Bytes,
        /// The difference, as decimal text.
        by: Bytes,
    },
    /// Adds bytes to the end of a value and returns its length (APPEND).
    Append {
        /// The key.
        key: Bytes,
        /// The bytes to add.
        value: Bytes,
    },
    /// Overwrites a part of a value and returns its length (SETRANGE). Zero bytes fill a gap.
    SetRange {
        /// The key.
        key: Bytes,
        /// The position of the first byte that changes.
        offset: u64,
        /// The bytes.
        value: Bytes,
    },
    /// Gives a key a deadline and returns whether it did (EXPIRE and its family).
    Expire {
        /// The key.
        key: Bytes,
        /// The deadline.
        deadline: Deadline,
        /// A condition on the deadline that the key has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        condition: Option<DeadlineCondition>,
    },
    /// Takes the deadline of a key away and returns whether it had one (PERSIST).
    Persist {
        /// The key.
        key: Bytes,
    },
    /// Deletes all keys (FLUSHALL).
    Flush,
    /// Deletes keys whose deadline has passed, and returns how many. A leader proposes it of its own
    /// accord; a client cannot.
    RemoveExpired {
        /// The most keys that one such entry deletes.
        limit: u32,
    },
}

/// Sets the value of a key, if a condition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The key.
    pub key: Bytes,
    /// Its new value.
    pub value: Bytes,
    /// Unless this holds, the operation changes nothing; the reply is nil, or the old value if `get`
    /// is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// The new deadline.
    #[serde(default, skip_serializing_if = "Expiry::is_never")]
    pub expiry: Expiry,
    /// Whether the reply is the value that the key had, or nil if the key did not exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub get: bool,
}

/// A condition on a key before it is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The key does not exist (NX).
    Absent,
    /// The key exists (XX).
    Present,
    /// The key exists and has this value (IFEQ).
    Equal(Bytes),
    /// The key does not exist, or has another value (IFNE).
    Unequal(Bytes),
    /// The key exists and has this revision.
    Revision(Revision),
}

/// A moment, for the deadline of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// This many milliseconds after the entry's time.
    After(i64),
    /// This time.
    At(UnixMillis),
}

/// The deadline of a key after an operation that sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// None: the key stays until it is deleted.
    #[default]
    Never,
    /// The one that it has (KEEPTTL).
    Keep,
    /// This one.
    Set(Deadline),
}

/// A condition on the deadline of a key before another one is set. A key without a deadline counts
/// as one with an infinite deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineCondition {
    /// The key has none (NX).
    Absent,
    /// The key has one (XX).
    Present,
    /// The new one is later (GT).
    Later,
    /// The new one is earlier (LT).
    Earlier,
    /// The key has one, and the new one is later (XX GT).
    PresentAndLater,
    /// The key has one, and the new one is earlier (XX LT).
    PresentAndEarlier,
}

impl Expiry {
    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

impl Set {
    /// Sets a key without conditions.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        let (key, value) = (key.into(), value.into());
        Self { key, value, condition: None, expiry: Expiry::Never, get: false }
    }

    /// Whether it has no condition, no deadline and no value to return.
    pub fn is_plain(&self) -> bool {
        self.condition.is_none() && self.expiry.is_never() && !self.get
    }
}

impl Operation {
    /// Reads the value of a key.
    pub fn get(key: impl Into<Bytes>) -> Self {
        Self::Get { key: key.into() }
    }

    /// Sets a key without conditions.
    pub fn set(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Set(Set::new(key, value))
    }

    /// Whether the operation changes nothing, whatever the state is.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Get { .. }
                | Self::GetMany { .. }
                | Self::GetRange { .. }
                | Self::Strlen { .. }
                | Self::Exists { .. }
                | Self::Type { .. }
                | Self::TimeToLive { .. }
                | Self::Deadline { .. }
                | Self::Revision { .. }
                | Self::GetWithRevision { .. }
                | Self::Count
                | Self::Scan { .. }
        )
    }

    /// Whether the operation may add keys or bytes (`denyoom` of Redis). A set whose deadline passed in
    /// 1970 deletes its key.
    pub fn may_grow(&self) -> bool {
        match self {
            Self::Set(Set { expiry: Expiry::Set(Deadline::At(time)), .. }) => *time > 1,
            Self::Set(_)
            | Self::SetMany { .. }
            | Self::Increment { .. }
            | Self::IncrementFloat { .. }
            | Self::Append { .. }
            | Self::SetRange { .. } => true,
            _ => false,
        }
    }

    /// The deadline that this operation gives to a key, if it gives one.
    pub fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Expire { deadline, .. }
            | Self::GetExpire { expiry: Expiry::Set(deadline), .. }
            | Self::Set(Set { expiry: Expiry::Set(deadline), .. }) => Some(*deadline),
            _ => None,
        }
    }

    /// The keys that the operation names, in order.
    pub fn keys(&self) -> Vec<&Bytes> {
        match self {
            Self::Count | Self::Scan { .. } | Self::Flush | Self::RemoveExpired { .. } => Vec::new(),
            Self::GetMany { keys } | Self::Exists { keys } | Self::Delete { keys } => keys.iter().collect(),
            Self::SetMany { pairs, .. } => pairs.iter().map(|(key, _)| key).collect(),
            Self::Set(Set { key, .. })
            | Self::Get { key }
            | Self::GetRange { key, .. }
            | Self::Strlen { key }
            | Self::Type { key }
            | Self::TimeToLive { key }
            | Self::Deadline { key }
            | Self::Revision { key }
            | Self::GetWithRevision { key }
            | Self::GetDelete { key }
            | Self::GetExpire { key, .. }
            | Self::DeleteIfEqual { key, .. }
            | Self::Increment { key, .. }
            | Self::IncrementFloat { key, .. }
            | Self::Append { key, .. }
            | Self::SetRange { key, .. }
            | Self::Expire { key, .. }
            | Self::Persist { key } => vec![key],
        }
    }

    /// The values that the operation names, in order.
    pub fn values(&self) -> Vec<&Bytes> {
        match self {
            Self::Set(Set {
                value,
                condition: Some(Condition::Equal(old) | Condition::Unequal(old)),
                ..
            }) => {
                vec![old, value]
            }
            Self::Set(Set { value, .. })
            | Self::DeleteIfEqual { value, .. }
            | Self::Append { value, .. }
            | Self::SetRange { value, .. }
            | Self::IncrementFloat { by: value, .. }
            | Self::Scan { pattern: Some(value), .. } => vec![value],
            Self::SetMany { pairs, .. } => pairs.iter().map(|(_, value)| value).collect(),
            Self::Get { .. }
            | Self::GetMany { .. }
            | Self::GetRange { .. }
            | Self::Strlen { .. }
            | Self::Exists { .. }
            | Self::Type { .. }
            | Self::TimeToLive { .. }
            | Self::Deadline { .. }
            | Self::Revision { .. }
            | Self::GetWithRevision { .. }
            | Self::Count
            | Self::Scan { pattern: None, .. }
            | Self::GetDelete { .. }
            | Self::GetExpire { .. }
            | Self::Delete { .. }
            | Self::Increment { .. }
            | Self::Expire { .. }
            | Self::Persist { .. }
            | Self::Flush
            | Self::RemoveExpired { .. } => Vec::new(),
        }
    }

    /// How many bytes its keys and values have together.
    pub fn text_len(&self) -> usize {
        if let Self::Set(set) = self
            && set.is_plain()
        {
            return set.key.len() + set.value.len();
        }
        self.keys().iter().chain(&self.values()).map(|text| text.len()).sum()
    }
}

/// A plain set as `key=value`, a plain get as its key, and any other operation as its JSON.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(set) if set.is_plain() => write!(f, "{}={}", set.key, set.value),
            Self::Get { key } => write!(f, "{key}"),
            _ => f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?),
        }
    }
}
