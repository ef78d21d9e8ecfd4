//! A Redis of our own for a test, and a client of it: just enough of its protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a Redis may take until it listens.
const START: Duration = Duration::from_secs(60);

/// A server with a socket in a directory of its own; both go with it.
pub struct Server {
    process: Child,
    directory: tempfile::TempDir,
}

/// A reply of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
    Array(Option<Vec<Answer>>),
}

/// A connection to a server.
pub struct Client {
    stream: BufReader<UnixStream>,
    requests: Vec<u8>, // not yet sent
}

impl Server {
    /// Starts a server; `None` if Redis 7 is not installed.
    pub fn start(max_value_bytes: usize) -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output().ok()?;
        if !String::from_utf8_lossy(&version.stdout).contains(" v=7.") {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let process = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--databases",
                "1",
                "--unixsocket",
                "socket",
            ])
            .args(["--proto-max-bulk-len", &max_value_bytes.to_string(), "--dir"])
            .arg(directory.path())
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("it has just told its version");
        Some(Self { process, directory })
    }

    /// Connects as soon as the server listens.
    pub fn connect(&mut self) -> Client {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(self.directory.path().join("socket")) {
                Ok(stream) => return Client { stream: BufReader::new(stream), requests: Vec::new() },
                Err(error) => {
                    let ended = self.process.try_wait().expect("it is our own process");
                    assert!(ended.is_none() && begun.elapsed() < START, "redis-server: {error}, {ended:?}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Client {
    /// Adds a command to those that the next [`send`](Self::send) sends.
    pub fn add(&mut self, words: &[impl AsRef<[u8]>]) {
        self.requests.extend(format!("*{}\r\n", words.len()).bytes());
        for word in words {
            self.requests.extend(format!("${}\r\n", word.as_ref().len()).bytes());
            self.requests.extend(word.as_ref());
            self.requests.extend(b"\r\n");
        }
    }

    /// Sends the commands.
    pub fn send(&mut self) {
        self.stream.get_mut().write_all(&self.requests).expect("the server lives");
        self.requests.clear();
    }

    /// Sends one command, and takes its reply.
    pub fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Answer {
        self.add(words);
        self.send();
        self.answer()
    }

    /// The next reply.
    pub fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server lives");
        let (kind, text) = line.trim_end().split_at(1);
        let len = || text.parse::<i64>().expect("a length");
        match kind {
            "+" => Answer::Status(text.into()),
            "-" => Answer::Error(text.into()),
            ":" => Answer::Integer(text.parse().expect("a number")),
            "$" => Answer::Bulk(usize::try_from(len()).ok().map(|len| {
                let mut bytes = vec![0; len + 2];
                self.stream.read_exact(&mut bytes).expect("the server lives");
                bytes.truncate(len);
                bytes
            })),
            "*" => Answer::Array(
                usize::try_from(len()).ok().map(|len| (0..len).map(|_| self.answer()).collect()),
            ),
            _ => panic!("no reply of Redis: {line:?}"),
        }
    }
}
