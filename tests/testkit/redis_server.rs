//! A Redis of our own for a test.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a Redis may take until it listens.
const START: Duration = Duration::from_secs(60);

/// A server with a socket in a directory of its own; both go with it.
pub struct RedisServer {
    process: Child,
    directory: tempfile::TempDir,
}

impl RedisServer {
    /// Starts a server that takes values of so many bytes, with further options; `None`, and a line that
    /// says so, if Redis 7 is not installed.
    pub fn start(max_value_bytes: usize, options: &[&str]) -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output().ok();
        let is_7 = |output: &Output| String::from_utf8_lossy(&output.stdout).contains(" v=7.");
        if !version.as_ref().is_some_and(is_7) {
            eprintln!("skipped: redis-server 7 is not installed, so nothing is compared with Redis");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--databases", "1"])
            .args(["--unixsocket", "socket", "--proto-max-bulk-len", &max_value_bytes.to_string()])
            .args(options)
            .arg("--dir")
            .arg(directory.path())
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("it has just told its version");
        Some(Self { process, directory })
    }

    /// Connects as soon as the server listens.
    pub fn connect(&mut self) -> UnixStream {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(self.directory.path().join("socket")) {
                Ok(stream) => return stream,
                Err(error) => {
                    let ended = self.process.try_wait().expect("it is our own process");
                    assert!(ended.is_none() && begun.elapsed() < START, "redis-server: {error}, {ended:?}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
