//! A client of a real Redis.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::redis_server::RedisServer;
use super::world::MAX_VALUE_BYTES;

/// How long a Redis may take until a reply that differs is missed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a server, perhaps with a password; `None` if Redis 7 is not installed.
pub fn start(password: Option<&str>) -> Option<RedisServer> {
    let options = password.map_or_else(Vec::new, |password| vec!["--requirepass", password]);
    RedisServer::start(MAX_VALUE_BYTES, &options)
}

/// A connection to a server.
pub struct Client {
    stream: UnixStream,
}

impl Client {
    /// A client of this server.
    pub fn connect(server: &mut RedisServer) -> Self {
        let stream = server.connect();
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        Self { stream }
    }

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
