//! `kvstore backup`: the state of a running replica into a file.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use kvstore::storage::Files;

use crate::restore::{BackupFile, UNFINISHED};
use crate::{EXIT_UNREACHABLE, EXIT_USAGE, Failure, say, usage};

/// How long the replica may be silent.
const LIMIT: Duration = Duration::from_secs(30);
/// No answer has a longer head.
const MAX_HEAD_BYTES: u64 = 64 << 10;

/// A replica, and a file for its state.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct BackupOptions {
    /// The file, which must not exist.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The HTTP address of a replica that runs.
    #[arg(long, value_name = "HOST:PORT")]
    pub from: String,

    /// A file whose first line is the password of the cluster.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
The backup is the state of that replica after one entry of the log, all at one moment.
A follower may lack the latest writes; `kvstore status` shows how far each replica is.
The file is checked and synced before it gets its name. `kvstore restore` makes a new
cluster from it.

Exit codes: 0 done; 1 the replica did not answer or the disk failed; 2 the file exists,
or the replica refuses.";

/// Writes the file.
pub fn run(options: &BackupOptions) -> Result<ExitCode, Failure> {
    let path = &options.file;
    if path.exists() {
        return Err(usage(&format!("{} exists", path.display())));
    }
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let body = ask(&options.from, options.password_file.as_deref())?;
    let bytes = receive(body, &unfinished)?;
    let received = BackupFile::at(&unfinished)?;
    let cut_off = |_| Failure(EXIT_UNREACHABLE, format!("the backup was cut off: {}", unfinished.display()));
    let (id, keys) = received.examine().map_err(cut_off)?;
    let failed =
        |error: io::Error| Failure(EXIT_UNREACHABLE, format!("cannot create {}: {error}", path.display()));
    fs::rename(&unfinished, path).map_err(failed)?;
    received.files.sync_directory().map_err(failed)?;
    say(&format!("{}: {keys} keys, up to entry {}, {bytes} bytes", path.display(), id.index))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the replica, and returns the body of its answer.
fn ask(address: &str, password_file: Option<&Path>) -> Result<impl Read, Failure> {
    let unreachable = |error: io::Error| Failure(EXIT_UNREACHABLE, format!("cannot ask {address}: {error}"));
    let mut authorization = String::new();
    if let Some(file) = password_file {
        let text = fs::read_to_string(file)
            .map_err(|error| Failure(EXIT_USAGE, format!("cannot read {}: {error}", file.display())))?;
        let pair = format!(":{}", text.lines().next().unwrap_or_default());
        authorization = format!("Authorization: Basic {}\r\n", STANDARD.encode(pair));
    }
    let mut stream = connect(address).map_err(unreachable)?;
    // The answer of HTTP/1.0 is its body alone, up to the end of the connection.
    let request = format!("GET /backup HTTP/1.0\r\nHost: {address}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    let mut answer = BufReader::new(stream);
    let status = read_head(&mut answer).map_err(unreachable)?;
    if status == "200" {
        return Ok(answer);
    }
    let mut why = String::new();
    // The reason is for people; without it the status code must do.
    let _cut_off = answer.take(MAX_HEAD_BYTES).read_to_string(&mut why);
    let why = why.lines().next().unwrap_or_default();
    Err(Failure(EXIT_USAGE, format!("{address} refuses with {status}: {why}")))
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_write_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Reads the head of an answer, and returns the status code.
fn read_head(answer: &mut impl BufRead) -> io::Result<String> {
    let not_http = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    let mut head = answer.take(MAX_HEAD_BYTES);
    let mut first = String::new();
    head.read_line(&mut first)?;
    let status =
        first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).ok_or_else(not_http)?;
    loop {
        let mut line = String::new();
        match head.read_line(&mut line)? {
            0 => return Err(not_http()),
            _ if line.trim_end().is_empty() => return Ok(status.trim_end().to_owned()),
            _ => {}
        }
    }
}

/// Writes the body to a file, and syncs it. Returns its length.
fn receive(mut body: impl Read, path: &Path) -> Result<u64, Failure> {
    let failed =
        |error: io::Error| Failure(EXIT_UNREACHABLE, format!("cannot receive {}: {error}", path.display()));
    let mut file = File::create(path).map_err(failed)?;
    let bytes = io::copy(&mut body, &mut file).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(bytes)
}
