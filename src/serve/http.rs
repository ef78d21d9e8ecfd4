//! A GET over HTTP/1.1, enough for the replicas of this program: one connection per question, within
//! bounds of time and length.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// No answer is longer.
const MAX_ANSWER_BYTES: u64 = 4 << 20;

/// The body of the answer to a GET, whatever its status code.
///
/// # Errors
///
/// Among others `TimedOut` after `limit`, and `InvalidData` if the answer is not HTTP, or has another
/// length than it says.
pub fn get(address: &str, path: &str, limit: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + limit;
    let mut stream = connect(address, deadline)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 1 << 14];
    while answer.len() as u64 <= MAX_ANSWER_BYTES {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The name of the system for a read that took too long.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(timed_out()),
            Err(error) => return Err(error),
        }
        if let Some(body) = body(&answer)? {
            return Ok(body.to_vec());
        }
    }
    Err(invalid("the answer is too short or too long"))
}

fn connect(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut failed = invalid("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(timed_out()) } else { Ok(left) }
}

/// The body of an answer that is there whole.
fn body(answer: &[u8]) -> io::Result<Option<&[u8]>> {
    if !b"HTTP/1.1 ".starts_with(&answer[..answer.len().min(9)]) {
        return Err(invalid("the answer is not HTTP"));
    }
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&answer[..end]);
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let length = headers
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(|| invalid("the answer has no length"))?;
    Ok(answer[end + 4..].get(..length))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Only a test that fails waits so long.
    const LIMIT: Duration = Duration::from_secs(60);

    /// Asks a server that answers with these bytes and closes.
    fn answered(answer: &'static [u8]) -> io::Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it listens").to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.extend(byte);
            }
            let _closed = stream.write_all(answer);
            String::from_utf8(request).expect("text")
        });
        let body = get(&address, "/status", LIMIT);
        let request = server.join().expect("no panic");
        assert_eq!(request, format!("GET /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
        body
    }

    #[test]
    fn body_is_as_long_as_its_header_says() {
        let body = answered(b"HTTP/1.1 200 OK\r\nContent-Type: x\r\ncontent-length: 3\r\n\r\nabcdef");
        assert_eq!(body.expect("an answer"), b"abc");
        let body = answered(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!(body.expect("an answer"), b"no");
    }

    #[test]
    fn answer_that_is_not_http_or_is_cut_off_is_refused() {
        for answer in [
            &b"-ERR unknown command\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\n\r\nab",
            b"",
        ] {
            let error = answered(answer).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{answer:?}: {error}");
        }
    }

    #[test]
    fn silent_server_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it listens").to_string();
        let error = get(&address, "/", Duration::from_millis(1)).expect_err("no answer");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
