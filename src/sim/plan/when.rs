//! The occurrence that a fault waits for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::micros::Micros;

/// A fault begins some time after an occurrence. Those before the time of the fault do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The kind of occurrence.
    pub on: Condition,
    /// The number of the occurrence, at least 1.
    #[serde(default = "first")]
    pub count: u32,
    /// The time from the occurrence to the fault.
    #[serde(default)]
    pub after_us: Micros,
}

fn first() -> u32 {
    1
}

/// A kind of occurrence in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A replica tells a client that its write took effect.
    WriteAcknowledged,
    /// A replica answers the read of a client.
    GetAnswered,
    /// Another replica leads.
    LeaderChanged,
    /// A replica stops.
    Killed,
    /// A replica starts again.
    Rejoined,
    /// A partition begins.
    Partitioned,
    /// All partitions end.
    Healed,
    /// A replica sends a message of this type to another one.
    MessageSent(String),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.on)?;
        if self.count > 1 {
            write!(f, " {} times", self.count)?;
        }
        match self.after_us {
            0 => Ok(()),
            after_us => write!(f, ", then {:.6} s", after_us as f64 / 1e6),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteAcknowledged => "write_acknowledged",
            Self::GetAnswered => "get_answered",
            Self::LeaderChanged => "leader_changed",
            Self::Killed => "killed",
            Self::Rejoined => "rejoined",
            Self::Partitioned => "partitioned",
            Self::Healed => "healed",
            Self::MessageSent(kind) => return write!(f, "message_sent {kind}"),
        })
    }
}
