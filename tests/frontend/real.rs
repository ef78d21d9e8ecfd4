//! A Redis of our own for a test.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::world::MAX_VALUE_BYTES;

/// How long a Redis may take until it listens, or until a reply that differs is missed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a socket in a directory of its own; both go with it.
pub struct Server {
    process: Child,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server; `None`, and a line that says so, if Redis 7 is not installed.
    pub fn start(password: Option<&str>) -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output().ok();
        let is_7 = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).contains(" v=7.");
        if !version.as_ref().is_some_and(is_7) {
            eprintln!("skipped: redis-server 7 is not installed, so nothing is compared with Redis");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let fixed = ["--port", "0", "--save", "", "--appendonly", "no", "--databases", "1"];
        let process = Command::new("redis-server")
            .args(fixed)
            .args(["--unixsocket", "socket", "--proto-max-bulk-len", &MAX_VALUE_BYTES.to_string()])
            .args(password.iter().flat_map(|password| ["--requirepass", password]))
            .arg("--dir")
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
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
                    return Client { stream };
                }
                Err(error) => {
                    let ended = self.process.try_wait().expect("it is our own process");
                    assert!(
                        ended.is_none() && begun.elapsed() < PATIENCE,
                        "redis-server: {error}, {ended:?}"
                    );
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

/// A connection to a server.
pub struct Client {
    stream: UnixStream,
}

impl Client {
    /// Sends bytes. The server may have closed the connection because of the first of them.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    /// So many bytes of the server, or fewer if it closes or sends no more.
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) | Err(_) => break,
                Ok(read) => filled += read,
            }
        }
        bytes.truncate(filled);
        bytes
    }

    /// A line with its end.
    pub fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            match self.read(1)[..] {
                [byte] => line.push(byte),
                _ => break,
            }
        }
        line
    }

    /// Whether the server closes the connection.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}
