//! The command line: two dialects of one program, which the first word tells apart, and a
//! subcommand. `role` has the dialects, `tuning` the switches of the protocol.

mod role;
mod tuning;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use kvstore::log::Format;
use kvstore::replica::LogLimits;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;

use crate::backup::BackupOptions;
use crate::check::CheckOptions;
use crate::repair::RepairOptions;
use crate::restore::{RecoverOptions, RestoreOptions};
use crate::serve::ServeOptions;
use crate::serve::dev::DevOptions;
use crate::serve::status::StatusOptions;
pub use role::{Role, Simulator};
pub use tuning::{Detection, Reads, TuningOptions};

/// A replica of a linearizable key-value store.
#[derive(Debug, Parser)]
#[command(
    name = "kvstore",
    version,
    about = "One replica of a linearizable key-value store replicated by Raft.",
    override_usage = "kvstore [OPTIONS] <MY ID> <ID>...\n       kvstore [OPTIONS] <PORT> <MY ID> <ID>...\n       \
        kvstore dev [OPTIONS]\n       kvstore serve [OPTIONS]\n       kvstore status [ADDRESS]...\n       \
        kvstore check <HISTORY>\n       kvstore maelstrom [OPTIONS]\n       kvstore repair [--yes] --data-dir <DIR>\n       \
        kvstore backup <FILE> --from <ADDRESS>\n       kvstore restore <BACKUP> --data-dir <DIR> ...\n       \
        kvstore recover --from <DIR> --data-dir <DIR> ...",
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
)]
pub struct Options {
    /// How the replica reaches the simulator; by default the first argument decides.
    #[arg(long, value_enum, value_name = "TRANSPORT")]
    pub transport: Option<TransportKind>,

    /// The options that a replica has under every simulator.
    #[command(flatten)]
    pub run: RunOptions,

    /// The port, if any, the ID of this replica, and the IDs of all others.
    #[arg(value_name = "PORT or ID", hide = true)]
    pub words: Vec<String>,

    /// Another job than being a replica; its word is neither an ID nor a port.
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,
}

/// Jobs of the program beside being a replica.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Tells whether a recorded history is linearizable.
    Check(CheckOptions),
    /// Runs a node of Maelstrom's workload lin-kv on standard input and output.
    Maelstrom(RunOptions),
    /// Cuts damage off the log of a replica, or shows it.
    Repair(RepairOptions),
    /// Writes the state of a running replica to a file.
    Backup(BackupOptions),
    /// Makes the directory of a replica of a new cluster from a backup.
    Restore(RestoreOptions),
    /// The same from the directory of a replica whose quorum is gone for good.
    Recover(RecoverOptions),
    /// Runs one replica of a cluster that Redis clients and HTTP reach.
    Serve(Box<ServeOptions>),
    /// Runs a whole cluster on this machine.
    Dev(DevOptions),
    /// Shows the replicas of a cluster.
    Status(StatusOptions),
}

/// The options that a replica has under every simulator.
#[derive(Debug, clap::Args)]
pub struct RunOptions {
    /// The least severe level of the records that go to stderr.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "warn")]
    pub log_level: LogLevel,

    /// Makes the jitter of elections repeatable; by default it differs from run to run.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Where the replica keeps its state.
    #[command(flatten)]
    pub storage: StorageOptions,

    /// The switches of `kvstore::tuning`.
    #[command(flatten)]
    pub tuning: TuningOptions,
}

/// Where a replica keeps its state, and how much of it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "State")]
pub struct StorageOptions {
    /// Keep the state in this directory, across restarts; without it the state is in memory only.
    #[arg(long, value_name = "DIRECTORY", env = "KVSTORE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// The name of the cluster, which a new directory keeps, at most 255 bytes.
    #[arg(long, value_name = "NAME", default_value = "kvstore", env = "KVSTORE_CLUSTER")]
    pub cluster: String,

    /// Take a snapshot when the log has grown by so many megabytes of memory, 1 to 1048576.
    #[arg(long, value_name = "MEGABYTES", default_value = "64", value_parser = megabytes(1))]
    pub snapshot_after: u64,

    /// Keep so many megabytes of the log behind a snapshot for slow followers, 0 to 1048576.
    #[arg(long, value_name = "MEGABYTES", default_value = "16", value_parser = megabytes(0))]
    pub log_tail: u64,

    /// Refuse writes while so many megabytes of the log are not committed, 1 to 1048576.
    #[arg(long, value_name = "MEGABYTES", default_value = "64", value_parser = megabytes(1))]
    pub max_uncommitted: u64,
}

/// A number of megabytes that is still a number of bytes.
fn megabytes(least: u64) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(least..=1 << 20)
}

impl StorageOptions {
    /// The bounds of the log.
    pub fn log_limits(&self) -> LogLimits {
        LogLimits {
            snapshot_after_bytes: self.snapshot_after << 20,
            tail_bytes: self.log_tail << 20,
            max_uncommitted_bytes: self.max_uncommitted << 20,
            ..LogLimits::default()
        }
    }
}

const AFTER_HELP: &str = "\
An ID is four hexadecimal digits, upper case. FFFF is reserved.

Transports:
  seqpacket  The simulator listens on a Unix socket of sequenced packets that is
             named like this replica's ID and lies in the working directory.
  stream     The same with a stream socket; each line is a message.
  udp        The simulator listens on the UDP port of 127.0.0.1 that comes first.

If the first argument could be both, as 0001 could, it is an ID if a socket of
that name is in the working directory, and else a port. The replica finds out
the kind of a socket when it connects. --transport overrides all of this.

The replica runs until the simulator closes the socket, or until SIGTERM or SIGINT.

With --data-dir a write that was acknowledged survives crashes and power cuts. The
directory belongs to one replica of one cluster; `docs/storage.md` describes it.

Exit codes: 0 clean stop, 1 simulator not reached, or a disk that failed or is full,
2 bad command line, or a directory that is in use, damaged, another replica's or not
writable, 70 internal error.

Examples:
  kvstore 0000 0001 0002             replica 0000 of three, at the socket ./0000
  kvstore 9000 0000 0001 0002        the same replica, at UDP port 9000
  kvstore --transport udp --log-level debug --seed 7 1234 0000 0001 0002";

/// How a replica reaches the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransportKind {
    /// A Unix socket of sequenced packets.
    Seqpacket,
    /// A Unix stream socket that carries lines.
    Stream,
    /// UDP on the loopback interface.
    Udp,
}

/// The least severe level of the records that go to stderr.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Deserialize)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// The form of the records that go to stderr.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object of JSON per line.
    Json,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}
