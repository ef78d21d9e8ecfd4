//! Why a directory is not opened: one clear line each.

use std::fmt;
use std::io;

use raft::id::Id;
use raft::types::EntryId;

/// Why a directory is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{directory} is in use by another process")]
    InUse {
        /// The directory.
        directory: String,
    },
    /// It has no files of a replica.
    #[error("{directory} is not the directory of a replica")]
    NoReplica {
        /// The directory.
        directory: String,
    },
    /// It has the data of a replica, and is to be made anew.
    #[error("{directory} has the data of a replica already")]
    NotEmpty {
        /// The directory.
        directory: String,
    },
    /// It belongs to another replica of this cluster.
    #[error("{directory} belongs to replica {found}, not to {expected}")]
    OtherReplica {
        /// The directory.
        directory: String,
        /// Its owner.
        found: Id,
        /// The replica that starts.
        expected: Id,
    },
    /// It belongs to a replica of another cluster.
    #[error("{directory} belongs to cluster {found}, not to {expected}")]
    OtherCluster {
        /// The directory.
        directory: String,
        /// The name and the members of its cluster.
        found: String,
        /// The name and the members of the cluster of the replica that starts.
        expected: String,
    },
    /// A newer version of this program wrote it.
    #[error("{file} has format {found}, and this version of kvstore knows formats up to {known}")]
    NewerFormat {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// The newest format of this program.
        known: u32,
    },
    /// A file is not as the storage left it.
    #[error("{file} is damaged at byte {offset}: {reason}. {REMEDY}")]
    Damaged {
        /// The file.
        file: String,
        /// Where its damage begins.
        offset: u64,
        /// The fault.
        reason: Reason,
    },
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The remedies that people have.
const REMEDY: &str = "Nothing was changed. Restore a copy, if the replica has not run since it was made; `kvstore \
                      repair` shows what else is possible, and what that would lose. With an empty directory \
                      this replica would have forgotten its votes";

/// The fault of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its end is missing.
    Short,
    /// A checksum does not fit.
    Checksum,
    /// It is a file of another kind.
    Magic,
    /// Its format is not known.
    Version(u32),
    /// It belongs to another directory.
    Owner,
    /// It stands in the place of another file of this directory.
    Place,
    /// Its checksum fits, but its contents make no sense.
    Contents,
    /// Its checksum fits, but an entry does not decode.
    Entry,
    /// The file is missing.
    Missing,
    /// A record is invalid, and there are later ones.
    Middle,
    /// Neither this segment nor another one has a record.
    Empty,
    /// A record is not the successor of the one before it.
    Order,
    /// The log begins behind the end of the snapshot.
    Gap {
        /// The last entry of the snapshot.
        snapshot: EntryId,
        /// The entry before the first of the log.
        base: EntryId,
    },
    /// Other files are there, but this one is not.
    Unowned,
    /// It is the snapshot of a directory.
    NoBackup,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "its end is missing",
            Self::Checksum => "its checksum does not fit",
            Self::Magic => "this is a file of another kind",
            Self::Version(version) => return write!(f, "its format {version} is unknown"),
            Self::Owner => "it belongs to another directory",
            Self::Place => "it stands in the place of another file",
            Self::Contents => "its contents make no sense",
            Self::Entry => "an entry in it makes no sense",
            Self::Missing => "it is missing",
            Self::Middle => "a record is damaged, and later ones are not",
            Self::Empty => "it has no valid record, and no other segment has one",
            Self::Order => "a record does not continue the log",
            Self::Gap { snapshot, base } => {
                return write!(
                    f,
                    "the log begins behind entry {}, but the newest snapshot ends with entry {}",
                    base.index, snapshot.index
                );
            }
            Self::NoBackup => "it is the snapshot of a replica, and no backup",
            Self::Unowned => "it is missing, but there is a log or a snapshot",
        })
    }
}
