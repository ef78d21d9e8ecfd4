//! The command line: two dialects of one program, which the first word tells apart, and a
//! subcommand.

use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use kvstore::id::{Id, IdError};
use kvstore::log::Format;
use kvstore::replica::LogLimits;
use kvstore::tuning::{self, Tuning};
use serde::Deserialize;
use tracing::level_filters::LevelFilter;

use crate::backup::BackupOptions;
use crate::check::CheckOptions;
use crate::repair::RepairOptions;
use crate::restore::{RecoverOptions, RestoreOptions};
use crate::serve::ServeOptions;
use crate::serve::dev::DevOptions;
use crate::serve::status::StatusOptions;

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

/// The switches of [`Tuning`], each with its best choice as default. All replicas of a cluster need
/// the same.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Switches that trade messages against latency")]
pub struct TuningOptions {
    /// How the leader serves a read; all three ways are linearizable.
    #[arg(long, value_enum, value_name = "HOW", default_value = "lease")]
    reads: Reads,

    /// The way of an entry through the cluster.
    #[arg(long, value_enum, value_name = "WAY", default_value = "adaptive")]
    topology: Topology,

    /// How followers detect a dead leader.
    #[arg(long, value_enum, value_name = "HOW", default_value = "on-demand")]
    detection: Detection,

    /// How long the sender waits for more to send in one datagram, 0 to 10000 microseconds.
    #[arg(long, value_name = "MICROSECONDS", default_value = "0")]
    coalesce_window: u64,

    /// Send each message as a datagram of its own.
    #[arg(long)]
    no_coalescing: bool,

    /// Send each entry as an append of its own.
    #[arg(long)]
    no_batching: bool,

    /// Send each entry to all followers, not to just enough.
    #[arg(long)]
    no_thrift: bool,

    /// Tell followers of each commit at once, not with the next entry.
    #[arg(long)]
    commit_notices: bool,
}

impl TuningOptions {
    /// The switches in the form that the replica takes.
    pub fn tuning(&self) -> Tuning {
        Tuning {
            batch: !self.no_batching,
            commit_notices: self.commit_notices,
            coalesce: !self.no_coalescing,
            coalesce_window_us: self.coalesce_window,
            thrifty: !self.no_thrift,
            topology: self.topology.into(),
            reads: self.reads.into(),
            detection: self.detection.into(),
        }
    }
}

/// The choices of [`tuning::Topology`] as words; the comment on each word is its help text.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topology {
    /// The leader sends to each follower and each answers.
    Star,
    /// The leader sends to one follower, which sends on; the last one answers for all.
    Relay,
    /// Star where nothing is lost, relay where messages get lost.
    Adaptive,
}

/// The choices of [`tuning::Reads`] as words.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Without messages during its lease; rests on clocks of about the same rate.
    Lease,
    /// After one round to a quorum for all reads that wait; rests on no clock.
    ReadIndex,
    /// Through the log: each read is an entry and costs as much as a write.
    Log,
}

/// The choices of [`tuning::Detection`] as words.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detection {
    /// By requests of clients that miss the leader; needs few heartbeats.
    OnDemand,
    /// By heartbeats of the leader that stay away.
    Heartbeats,
}

impl From<Topology> for tuning::Topology {
    fn from(word: Topology) -> Self {
        match word {
            Topology::Star => Self::Star,
            Topology::Relay => Self::Relay,
            Topology::Adaptive => Self::Adaptive,
        }
    }
}

impl From<Reads> for tuning::Reads {
    fn from(word: Reads) -> Self {
        match word {
            Reads::Lease => Self::Lease,
            Reads::ReadIndex => Self::ReadIndex,
            Reads::Log => Self::Log,
        }
    }
}

impl From<Detection> for tuning::Detection {
    fn from(word: Detection) -> Self {
        match word {
            Detection::OnDemand => Self::OnDemand,
            Detection::Heartbeats => Self::Heartbeats,
        }
    }
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

/// The replica that this process is, and the place of its network.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    /// Where the simulator listens.
    pub simulator: Simulator,
    /// This replica.
    pub own: Id,
    /// All others; at least one, no duplicates.
    pub peers: Vec<Id>,
}

/// Where the simulator listens.
#[derive(Debug, PartialEq, Eq)]
pub enum Simulator {
    /// On the socket named like this replica, in the working directory. The connection shows its
    /// kind.
    Unix,
    /// On such a socket, of sequenced packets.
    Seqpacket,
    /// On such a socket, of lines.
    Stream,
    /// On this port of 127.0.0.1.
    Udp(NonZeroU16),
}

/// Why a command line makes no sense. One line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Nothing but options.
    #[error("no IDs given: usage is kvstore [PORT] <MY ID> <ID>...")]
    NoIds,
    /// The first word is neither an ID nor a port.
    #[error("{0:?} is neither an ID (four hexadecimal digits, upper case) nor a UDP port (1 to 65535)")]
    NeitherIdNorPort(String),
    /// The word in the place of the port is no port.
    #[error("{0:?} is not a UDP port (1 to 65535)")]
    BadPort(String),
    /// A word in the place of an ID is no ID.
    #[error("{word:?} is not an ID: {reason}")]
    BadId {
        /// The word.
        word: String,
        /// The rule that it breaks.
        reason: IdError,
    },
    /// This replica cannot be its own peer.
    #[error("{0} is this replica's own ID and cannot be another's too")]
    OwnAmongOthers(Id),
    /// An ID names two replicas.
    #[error("{0} is given twice")]
    Duplicate(Id),
    /// A cluster of one replica has no follower.
    #[error("no other replica given")]
    NoOthers,
}

impl Options {
    /// Reads the arguments that are not options. `is_socket` says whether a socket of this name
    /// is in the working directory.
    pub fn role(&self, is_socket: impl Fn(&str) -> bool) -> Result<Role, UsageError> {
        let (first, rest) = self.words.split_first().ok_or(UsageError::NoIds)?;
        match self.transport {
            Some(TransportKind::Seqpacket) => read_ids(Simulator::Seqpacket, &self.words),
            Some(TransportKind::Stream) => read_ids(Simulator::Stream, &self.words),
            Some(TransportKind::Udp) => {
                let port = parse_port(first).ok_or_else(|| UsageError::BadPort(first.clone()))?;
                read_ids(Simulator::Udp(port), rest)
            }
            None => match tell_apart(first, is_socket)? {
                Simulator::Udp(port) => read_ids(Simulator::Udp(port), rest),
                unix => read_ids(unix, &self.words),
            },
        }
    }
}

fn tell_apart(first: &str, is_socket: impl Fn(&str) -> bool) -> Result<Simulator, UsageError> {
    let is_id = first.parse::<Id>() != Err(IdError::Malformed);
    match (is_id, parse_port(first)) {
        (true, Some(_)) if is_socket(first) => Ok(Simulator::Unix),
        (_, Some(port)) => Ok(Simulator::Udp(port)),
        (true, None) => Ok(Simulator::Unix),
        (false, None) => Err(UsageError::NeitherIdNorPort(first.to_owned())),
    }
}

fn parse_port(word: &str) -> Option<NonZeroU16> {
    // The digits are checked because `parse` would take a leading plus sign.
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
}

fn read_ids(simulator: Simulator, words: &[String]) -> Result<Role, UsageError> {
    let parse =
        |word: &String| word.parse::<Id>().map_err(|reason| UsageError::BadId { word: word.clone(), reason });
    let ids = words.iter().map(parse).collect::<Result<Vec<Id>, _>>()?;
    let (&own, peers) = ids.split_first().ok_or(UsageError::NoIds)?;
    if peers.contains(&own) {
        return Err(UsageError::OwnAmongOthers(own));
    }
    if let Some((_, id)) = peers.iter().enumerate().find(|&(at, id)| peers[..at].contains(id)) {
        return Err(UsageError::Duplicate(*id));
    }
    if peers.is_empty() {
        return Err(UsageError::NoOthers);
    }
    Ok(Role { simulator, own, peers: peers.to_vec() })
}

impl fmt::Display for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.write_str("unix socket"),
            Self::Seqpacket => f.write_str("seqpacket"),
            Self::Stream => f.write_str("stream"),
            Self::Udp(port) => write!(f, "udp port {port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    #[test]
    fn tuning_without_options_is_the_default() {
        let tuning =
            |line: &str| Options::try_parse_from(line.split_whitespace()).expect("fine").run.tuning.tuning();
        assert_eq!(tuning("kvstore 0000 0001"), Tuning::DEFAULT);
        let naive = "kvstore --no-batching --commit-notices --no-coalescing --no-thrift --topology star --reads log \
                     --detection heartbeats";
        assert_eq!(tuning(naive), Tuning::NAIVE);
    }

    fn role(line: &str, sockets: &[&str]) -> Result<Role, UsageError> {
        let options = Options::try_parse_from(line.split_whitespace()).expect("options are fine");
        options.role(|name| sockets.contains(&name))
    }

    fn simulator(line: &str, sockets: &[&str]) -> Simulator {
        role(line, sockets).expect("a good command line").simulator
    }

    fn udp(port: u16) -> Simulator {
        Simulator::Udp(NonZeroU16::new(port).expect("not 0"))
    }

    #[test]
    fn first_word_tells_the_dialects_apart() {
        assert_eq!(simulator("kvstore 00A0 0001 0002", &[]), Simulator::Unix);
        assert_eq!(simulator("kvstore 0000 0001 0002", &[]), Simulator::Unix, "0 is no port");
        assert_eq!(simulator("kvstore 54321 0000 0001", &[]), udp(54321));
        assert_eq!(simulator("kvstore 80 0000 0001", &[]), udp(80));
    }

    #[test]
    fn word_that_could_be_both_is_an_id_if_there_is_such_a_socket() {
        assert_eq!(simulator("kvstore 0001 0000 0002", &["0001"]), Simulator::Unix);
        assert_eq!(simulator("kvstore 0001 0000 0002", &["0000"]), udp(1));
        assert_eq!(simulator("kvstore 9000 0000 0002", &[]), udp(9000));
    }

    #[test]
    fn transport_option_overrides_the_first_word() {
        assert_eq!(simulator("kvstore --transport seqpacket 0001 0000", &[]), Simulator::Seqpacket);
        assert_eq!(simulator("kvstore --transport stream 0001 0000", &[]), Simulator::Stream);
        assert_eq!(simulator("kvstore --transport udp 0001 0000 0002", &["0001"]), udp(1));
        let refusal = role("kvstore --transport udp 00A1 0000 0002", &[]);
        assert_eq!(refusal, Err(UsageError::BadPort("00A1".into())));
    }

    #[test]
    fn own_id_and_peers_keep_their_places() {
        let expected = Role { simulator: udp(9000), own: id(2), peers: vec![id(0), id(1)] };
        assert_eq!(role("kvstore 9000 0002 0000 0001", &[]), Ok(expected));
    }

    #[test]
    fn command_line_that_makes_no_sense_is_refused() {
        let bad_id = |word: &str, reason| Err(UsageError::BadId { word: word.into(), reason });
        assert_eq!(role("kvstore", &[]), Err(UsageError::NoIds));
        assert_eq!(role("kvstore 9000", &[]), Err(UsageError::NoIds));
        assert_eq!(role("kvstore 9000 0000", &[]), Err(UsageError::NoOthers));
        assert_eq!(role("kvstore 0000", &[]), Err(UsageError::NoOthers));
        assert_eq!(role("kvstore 0000 001", &[]), bad_id("001", IdError::Malformed));
        assert_eq!(role("kvstore 0000 00a1", &[]), bad_id("00a1", IdError::Malformed));
        assert_eq!(role("kvstore 0000 FFFF", &[]), bad_id("FFFF", IdError::Reserved));
        assert_eq!(role("kvstore FFFF 0001", &[]), bad_id("FFFF", IdError::Reserved));
        assert_eq!(role("kvstore 0000 0001 0001", &[]), Err(UsageError::Duplicate(id(1))));
        assert_eq!(role("kvstore 0000 0001 0000", &[]), Err(UsageError::OwnAmongOthers(id(0))));
        for word in ["abc", "65536", "99999999999", "+80", "00a0", "12.5"] {
            let refusal = Err(UsageError::NeitherIdNorPort(word.into()));
            assert_eq!(role(&format!("kvstore {word} 0001 0002"), &[]), refusal);
        }
    }
}
