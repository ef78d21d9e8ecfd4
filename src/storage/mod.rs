//! The files of one replica: its log and its snapshots, which survive crashes and power cuts.
//!
//! A replica promises with every vote and every acknowledgement that it will not forget. This module
//! keeps the promise: when [`LogWriter::write`] returns, a power cut does not undo the changes. And
//! it never makes one up: [`open()`] returns the state exactly as it was acknowledged, or refuses
//! with the name of the damaged file. It knows nothing of elections or commits; its caller decides
//! what to write, and when the log may be cut behind a snapshot.
//!
//! # The directory
//!
//! ```text
//! lock                     kept locked while a process has the directory
//! identity                 cluster, replica, format; written once
//! log-0000000007           segments of the log, oldest first
//! log-0000000008
//! log-0000000009           prepared: no record yet
//! spare-0000000006         a segment that the log needs no more, to be recycled
//! snapshot-120000-5        the state after entry 120000 of term 5
//! *.tmp                    not finished; removed at the next start
//! ```
//!
//! A segment is a file of fixed length. Its blocks are written before its first record, so that a
//! sync writes the record and nothing of the file system's own:
//!
//! ```text
//!            4096
//! | header  | position | record 18 | record 19 | mark 19 |  old bytes or zeros     |
//!  magic     hard state                         19 is durable
//!  number    last entry
//!  CRC
//!
//! | header  | position | record 12 | record 13 | ....     | record 16 | seal 16 |
//!                                                           16 is durable, and the last one here
//! ```
//!
//! A record holds the changes of one batch: term and vote, "the log begins behind this entry", "the
//! log ends with this entry", and entries. It costs one write and one sync. The position, the first
//! record of a segment, repeats the end of the log at that place. So older segments can go as soon
//! as a snapshot covers their entries, and recovery does not miss them.
//!
//! # Torn or damaged
//!
//! The writer syncs each record before it writes another byte. So at most one record is in doubt
//! after a crash, the last one, and nothing rests on it if its sync did not return. After a sync that
//! succeeded, the writer puts a mark behind the record; it does not sync the mark. Recovery reads up
//! to the first record that is not valid:
//!
//! ```text
//! | record 18 | record 19 | 20 is torn |  zeros  |           20 was never acknowledged: cut it
//! | record 18 | 19 is bad | record 20  | mark 20 |           19 was acknowledged: refuse
//! | record 18 | record 19 | 20 is bad  | mark 20 |           20 was acknowledged: refuse
//! ```
//!
//! The mark shows damage of the last record, too, if it reached the disk: after [`LogWriter::close`],
//! and soon after the last write in any case. Damage of a last record whose mark is lost looks like
//! a torn one. That takes a power cut and a broken sector at the same moment.
//!
//! # A failed sync is final
//!
//! After a failed sync the file may or may not have the data, and the system takes the data for
//! written: the next sync succeeds, and proves nothing. So the first error poisons the writer, and
//! the process must end. The next start writes the last record again before it syncs it, because the
//! file may show data that never reached the disk.
//!
//! # Order of operations
//!
//! * A new file is written under a temporary name, synced, renamed; then its directory is synced.
//! * A segment is sealed after its successor exists. So a sealed segment without a successor is
//!   damage.
//! * A segment that is freed is renamed, and the directory is synced, before its bytes change.
//! * A new snapshot is durable before the log is cut behind it, and before an older one is removed.
//! * [`open()`] checks the whole directory before it changes anything.
//!
//! # A snapshot and the log
//!
//! ```text
//! log        5 6 7 8 9 10 11      the tail 5 ..= 8 stays for slow followers
//! snapshot   .......8
//!
//! log        5 6 7                the snapshot came from the leader, and the log ends before it, or
//! snapshot   ...........11        has another entry 11: the log begins anew behind 11
//!
//! log                13 14 15     entry 12 is missing: damage
//! snapshot   ...........11
//! ```
//!
//! | file | job |
//! |---|---|
//! | `open` | reads and checks a directory, then takes it over |
//! | `writer` | appends batches to the log |
//! | `recovery` | reads the log, and tells torn from damaged |
//! | `repair` | cuts damage off when the operator asks for it |
//! | `snapshots`, `form` | saves and loads snapshots; the form of their files |
//! | `backup` | a snapshot for another cluster, and a new directory from one |
//! | `pool` | prepares segments ahead of need, and recycles them |
//! | `segment`, `record`, `changes` | the format of the log: files, their records, their contents |
//! | `identity` | the owner of the directory |
//! | `terms` | the terms of the log's entries, in little space |
//! | `bytes` | numbers in files |
//! | `files`, `directory` | system calls: the ones that are needed, and those of the real system |
//! | `error`, `counters` | why a directory is refused; statistics |

mod backup;
mod bytes;
mod changes;
mod counters;
mod directory;
mod error;
mod files;
mod form;
mod identity;
mod open;
mod pool;
mod record;
mod recovery;
mod repair;
mod segment;
mod snapshots;
mod terms;
mod writer;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};

pub use backup::{Backup, Origin, read_backup, rebuild};
pub use counters::Counters;
pub use directory::Directory;
pub use error::{OpenError, Reason};
pub use files::{FileHandle, Files};
pub use form::MAX_CHUNK_BYTES;
pub use identity::{Identity, MAX_NAME_BYTES};
pub use open::{identity_of, open};
pub use recovery::Progress;
pub use repair::{Repair, examine};
pub use snapshots::{Snapshots, Unfinished};
pub use writer::LogWriter;

use crate::replication::PersistentState;

/// The length of a segment. A thread of its own prepares it in some tens of milliseconds; a small
/// log has two of them.
const SEGMENT_BYTES: u64 = 16 << 20;
/// A snapshot frees many segments at once, and the log needs them again one by one.
const MOST_SPARES: usize = 4;

/// How the files are laid out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The length of new segments. Older ones keep theirs.
    pub segment_bytes: u64,
    /// How many segments are kept for later use.
    pub most_spares: usize,
    /// Whether a thread of its own prepares segments; otherwise the log writer waits for it.
    pub in_background: bool,
    /// Any number; differs between directories ([`Default`] draws it). A new directory keeps it.
    pub salt: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let salt = RandomState::new().hash_one(0);
        Self { segment_bytes: SEGMENT_BYTES, most_spares: MOST_SPARES, in_background: true, salt }
    }
}

impl Settings {
    fn segment_bytes(&self) -> u64 {
        segment::capacity(self.segment_bytes).max(segment::MIN_BYTES)
    }
}

/// A directory that is open. Its parts have one owner each, and may go to threads of their own.
pub struct Opened<F: Files> {
    /// Writes the log.
    pub log: LogWriter<F>,
    /// Saves and loads snapshots. The state machine starts from the newest one.
    pub snapshots: Snapshots<F>,
    /// The state to start from.
    pub state: PersistentState,
    /// The record that was cut from the end of the log, if there was one.
    pub cut: Option<Cut>,
}

/// A record that was never finished. No acknowledgement rested on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: String,
    /// Where the record began.
    pub offset: u64,
}
