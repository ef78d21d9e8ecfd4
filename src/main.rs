//! The command line: one replica under a simulator as a process, with its signals and wiring, and
//! the other commands.
//!
//! | file | job |
//! |---|---|
//! | `cli` | the words of the command line |
//! | `serve` | `kvstore serve`, `kvstore dev`, `kvstore status`: a real cluster |
//! | `check` | `kvstore check`: is a history linearizable? |
//! | `repair` | `kvstore repair`: cuts damage off a log |
//! | `backup` | `kvstore backup`: the state of a running replica as a file |
//! | `restore` | `kvstore restore` and `kvstore recover`: a new cluster from a backup or a directory |

mod backup;
mod check;
mod cli;
mod repair;
mod restore;
mod serve;
#[path = "../tests/testkit/mod.rs"]
#[cfg(test)]
mod testkit;

use std::hash::BuildHasher;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use clap::error::ErrorKind;
use kvstore::dialect::Dialect;
use kvstore::id::Id;
use kvstore::log::Format;
use kvstore::pipeline::{Setup, StageFailed};
use kvstore::storage::{self, Directory, Identity, MAX_NAME_BYTES, OpenError, Opened};
use kvstore::transport::{Seqpacket, Stdio, Stream, Transport, Udp};
use kvstore::{log, maelstrom, pipeline, replica, transport};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::level_filters::LevelFilter;
use tracing::{Level, info};

use cli::{Options, Role, RunOptions, Simulator, StorageOptions, Subcommand};

/// The simulator cannot be reached, stdout cannot be written to, or the disk failed.
const EXIT_UNREACHABLE: u8 = 1;
/// The command line makes no sense, or the directory is not this replica's; clap and most programs
/// use this code.
const EXIT_USAGE: u8 = 2;
/// A defect of the program: EX_SOFTWARE of sysexits.h.
const EXIT_SOFTWARE: u8 = 70;

/// How often a replica says how much of its log it has read.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// A reason to end, as a line for the user and an exit code.
struct Failure(u8, String);

fn main() -> ExitCode {
    let code = run().unwrap_or_else(|Failure(code, message)| {
        log::write_line(Level::ERROR, &format!("kvstore: {message}"));
        ExitCode::from(code)
    });
    log::flush();
    code
}

fn run() -> Result<ExitCode, Failure> {
    let Some(options) = parse_options()? else { return Ok(ExitCode::SUCCESS) };
    match &options.subcommand {
        Some(Subcommand::Check(options)) => check::run(options),
        Some(Subcommand::Maelstrom(options)) => run_in_maelstrom(options).map(|()| ExitCode::SUCCESS),
        Some(Subcommand::Repair(options)) => repair::run(options),
        Some(Subcommand::Backup(options)) => backup::run(options),
        Some(Subcommand::Restore(options)) => restore::restore(options),
        Some(Subcommand::Recover(options)) => restore::recover(options),
        Some(Subcommand::Serve(options)) => serve::run(options).map(|()| ExitCode::SUCCESS),
        Some(Subcommand::Dev(options)) => serve::dev::run(options),
        Some(Subcommand::Status(options)) => serve::status::run(options),
        None => replicate(&options).map(|()| ExitCode::SUCCESS),
    }
}

fn replicate(options: &Options) -> Result<(), Failure> {
    let role = options.role(is_socket).map_err(|error| usage(&error.to_string()))?;
    options.run.tuning.tuning().check().map_err(|error| usage(&error.to_string()))?;
    log::start(LevelFilter::from(options.run.log_level), Format::Text);

    let files = open_storage(&options.run.storage, role.own, &role.peers)?;
    // Before the connection, so that a simulator can stop every replica that has connected.
    let signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Failure(EXIT_SOFTWARE, format!("can't listen for signals: {error}")))?;
    let network = connect(&role)?;
    stop_on_signal(signals, stop_of(&network))?;

    let seed = options.run.seed.unwrap_or_else(|| random_seed(role.own));
    info!(id = %role.own, peers = ?role.peers, simulator = %role.simulator, seed, "starts");
    let replica = replica::Options {
        tuning: options.run.tuning.tuning(),
        log: options.run.storage.log_limits(),
        ..replica::Options::new(role.own, role.peers, seed)
    };
    let dialect = Dialect::of_simulators(replica.own, &replica.peers);
    run_pipeline(Setup { dialect, transport: network, files, board: None }, &replica)
}

/// Opens the directory of a replica that has one.
fn open_storage(
    options: &StorageOptions,
    own: Id,
    peers: &[Id],
) -> Result<Option<Opened<Directory>>, Failure> {
    let Some(path) = &options.data_dir else { return Ok(None) };
    if options.cluster.len() > MAX_NAME_BYTES {
        return Err(usage(&format!("the name of the cluster has more than {MAX_NAME_BYTES} bytes")));
    }
    let members = peers.iter().copied().chain([own]).collect();
    open_directory(path, &Identity { cluster: options.cluster.clone(), own, members }).map(Some)
}

/// Opens the directory of a replica. Reading a long log says how far it is.
fn open_directory(path: &Path, identity: &Identity) -> Result<Opened<Directory>, Failure> {
    let directory = Directory::create(path).map_err(|error| storage_failure(&error.into()))?;
    let mut said = Instant::now();
    let mut progress = |read: u64, of: u64| {
        if said.elapsed() >= PROGRESS_INTERVAL {
            said = Instant::now();
            let text = format!("kvstore: has read {} of {} MB of the log", read >> 20, of >> 20);
            log::write_line(Level::INFO, &text);
        }
    };
    let opened = storage::open(&directory, identity, &storage::Settings::default(), &mut progress)
        .map_err(|error| storage_failure(&error))?;
    if let Some(cut) = &opened.cut {
        let text =
            format!("kvstore: cut a record that was never finished off {} at byte {}", cut.file, cut.offset);
        log::write_line(Level::WARN, &text);
    }
    Ok(opened)
}

/// A directory that cannot be used is a mistake of its user; a disk that fails or is full is not.
fn storage_failure(error: &OpenError) -> Failure {
    let code = match error {
        OpenError::Io(error) if !is_of_path(error.kind()) => EXIT_UNREACHABLE,
        _ => EXIT_USAGE,
    };
    Failure(code, error.to_string())
}

/// Whether no disk but the path of a directory, or its permissions, is the reason of an error.
fn is_of_path(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound,
        PermissionDenied, ReadOnlyFilesystem,
    };
    matches!(
        kind,
        AlreadyExists
            | InvalidFilename
            | InvalidInput
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | ReadOnlyFilesystem
    )
}

/// Runs a replica until its network is closed.
fn run_pipeline(setup: Setup, replica: &replica::Options) -> Result<(), Failure> {
    let counts = pipeline::run_in(setup, replica).map_err(|error| match &error {
        StageFailed::Storage(error) => storage_failure(error),
        failed if failed.is_of_disk() => Failure(EXIT_UNREACHABLE, error.to_string()),
        _ => Failure(EXIT_SOFTWARE, error.to_string()),
    })?;
    info!(?counts, "stopped");
    Ok(())
}

/// Runs a node of Maelstrom until its standard input ends.
fn run_in_maelstrom(options: &RunOptions) -> Result<(), Failure> {
    let tuning = options.tuning.tuning();
    tuning.check().map_err(|error| usage(&error.to_string()))?;
    log::start(LevelFilter::from(options.log_level), Format::Text);
    let unreachable =
        |error: &dyn std::fmt::Display| Failure(EXIT_UNREACHABLE, format!("can't join Maelstrom: {error}"));
    let network = Arc::new(Stdio::open().map_err(|error| unreachable(&error))?);
    let names = maelstrom::join(&*network).map_err(|error| unreachable(&error))?;
    let signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Failure(EXIT_SOFTWARE, format!("can't listen for signals: {error}")))?;
    let network: Arc<dyn Transport> = network;
    stop_on_signal(signals, stop_of(&network))?;

    let (own, peers) = (names.own(), names.peers());
    let files = open_storage(&options.storage, own, &peers)?;
    let seed = options.seed.unwrap_or_else(|| random_seed(own));
    info!(name = %names.name(own), peers = peers.len(), seed, "starts");
    let log = options.storage.log_limits();
    let replica = replica::Options { tuning, log, forwards: true, ..replica::Options::new(own, peers, seed) };
    let dialect = maelstrom::dialect(&names);
    run_pipeline(Setup { dialect, transport: network, files, board: None }, &replica)
}

/// `None` if the user only asked for help or the version.
fn parse_options() -> Result<Option<Options>, Failure> {
    let error = match Options::try_parse() {
        Ok(options) => return Ok(Some(options)),
        Err(error) => error,
    };
    if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = error.kind() {
        return match error.print() {
            // The reader has closed stdout: it has seen enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure(EXIT_UNREACHABLE, format!("can't write to stdout: {error}")))
            }
            _ => Ok(None),
        };
    }
    // The first paragraph names the mistake; usage and advice follow it.
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let message = lines.join(" ");
    Err(usage(message.strip_prefix("error: ").unwrap_or(&message)))
}

fn usage(message: &str) -> Failure {
    Failure(EXIT_USAGE, format!("{message} (try --help)"))
}

/// Writes a line to stdout. A reader that has closed stdout has seen enough.
fn say(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure(EXIT_USAGE, format!("can't write to stdout: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_socket(name: &str) -> bool {
    Path::new(name).metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn connect(role: &Role) -> Result<Arc<dyn Transport>, Failure> {
    let path = Path::new(".").join(role.own.to_string());
    let connected: io::Result<Arc<dyn Transport>> = match role.simulator {
        Simulator::Unix => transport::connect_unix(&path),
        Simulator::Seqpacket => Seqpacket::connect(&path).map(|transport| Arc::new(transport) as _),
        Simulator::Stream => Stream::connect(&path).map(|transport| Arc::new(transport) as _),
        Simulator::Udp(port) => Udp::open(role.own, port.get()).map(|transport| Arc::new(transport) as _),
    };
    let place = match role.simulator {
        Simulator::Udp(port) => format!("UDP port {port}"),
        _ => path.display().to_string(),
    };
    connected
        .map_err(|error| Failure(EXIT_UNREACHABLE, format!("can't reach the simulator at {place}: {error}")))
}

/// Stops the transport, and with it, stage by stage, the pipeline.
fn stop_of(transport: &Arc<dyn Transport>) -> impl FnOnce() + Send + 'static {
    let transport = Arc::clone(transport);
    move || transport.stop()
}

/// Calls `stop`, which must not wait, at the first signal. A second signal has its default effect: it
/// ends the process.
fn stop_on_signal(mut signals: Signals, stop: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let listen = move || {
        let mut stop = Some(stop);
        for signal in signals.forever() {
            let Some(stop) = stop.take() else {
                // It only returns for signals that do nothing by default.
                let _never = signal_hook::low_level::emulate_default_handler(signal);
                continue;
            };
            info!(signal, "stops");
            stop();
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(listen);
    thread.map(drop).map_err(|error| Failure(EXIT_SOFTWARE, format!("can't start a thread: {error}")))
}

/// A seed from the ID and from the operating system's entropy, with which the standard library keys
/// its hasher. With the ID, no two replicas of a cluster share their jitter even if that entropy
/// were poor.
fn random_seed(own: Id) -> u64 {
    std::hash::RandomState::new().hash_one(own)
}
