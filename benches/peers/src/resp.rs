//! The protocol of Redis, as far as SET, GET and WAIT need it.

use std::io::{self, Write};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A read takes what has come, up to this.
pub(crate) const READ_BYTES: usize = 16 * 1024;
/// A write that reaches no replica for so long has failed.
const WAIT_MS: &[u8] = b"1000";

/// One client's connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Whether a SET is sent together with a WAIT for one replica.
    waits: bool,
    request: Vec<u8>,
    /// Bytes from the server that are no whole reply yet.
    received: Vec<u8>,
}

/// One reply of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(Vec<u8>),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
    Error(Vec<u8>),
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, waits: bool) -> Self {
        Self { stream, waits, request: Vec::new(), received: Vec::with_capacity(READ_BYTES) }
    }

    pub(crate) async fn set(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.request.clear();
        write_command(&mut self.request, &[b"SET", key, value]);
        if self.waits {
            write_command(&mut self.request, &[b"WAIT", b"1", WAIT_MS]);
        }
        self.stream.write_all(&self.request).await?;
        was_stored(self.reply().await?)?;
        if self.waits {
            match self.reply().await? {
                Reply::Integer(1..) => {}
                other => return Err(unexpected("WAIT", &other)),
            }
        }
        Ok(())
    }

    pub(crate) async fn get(&mut self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.request.clear();
        write_command(&mut self.request, &[b"GET", key]);
        self.stream.write_all(&self.request).await?;
        value_of(self.reply().await?)
    }

    /// The next reply, which may need several reads.
    async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((reply, length)) = parse(&self.received)? {
                self.received.drain(..length);
                return Ok(reply);
            }
            self.received.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The reply to a SET.
pub(crate) fn was_stored(reply: Reply) -> io::Result<()> {
    match reply {
        Reply::Status(_) => Ok(()),
        other => Err(unexpected("SET", &other)),
    }
}

/// The reply to a GET.
pub(crate) fn value_of(reply: Reply) -> io::Result<Option<Vec<u8>>> {
    match reply {
        Reply::Bulk(value) => Ok(value),
        other => Err(unexpected("GET", &other)),
    }
}

pub(crate) fn write_command(request: &mut Vec<u8>, words: &[&[u8]]) {
    let _ = write!(request, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(request, "${}\r\n", word.len());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
}

/// The first reply and its length, if it is whole.
pub(crate) fn parse(received: &[u8]) -> io::Result<Option<(Reply, usize)>> {
    let Some(end) = received.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let (Some(kind), line, next) = (received.first(), received.get(1..end).unwrap_or_default(), end + 2)
    else {
        return Ok(None);
    };
    let reply = match kind {
        b'+' => Reply::Status(line.to_vec()),
        b'-' => Reply::Error(line.to_vec()),
        b':' => Reply::Integer(number(line)?),
        b'$' => match usize::try_from(number(line)?) {
            Err(_) => Reply::Bulk(None),
            Ok(length) => {
                let Some(value) = received.get(next..next + length + 2) else { return Ok(None) };
                return Ok(Some((Reply::Bulk(Some(value[..length].to_vec())), next + length + 2)));
            }
        },
        other => return Err(io::Error::other(format!("a reply of the unknown type {other}"))),
    };
    Ok(Some((reply, next)))
}

fn number(line: &[u8]) -> io::Result<i64> {
    let text = str::from_utf8(line).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| io::Error::other("a reply with a malformed number"))
}

fn unexpected(command: &str, reply: &Reply) -> io::Error {
    match reply {
        Reply::Error(text) => io::Error::other(String::from_utf8_lossy(text).into_owned()),
        other => io::Error::other(format!("{command} was answered with {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_when_it_is_whole() {
        let whole = b"$3\r\na\r\n\r\n:1\r\n";
        for length in 0..9 {
            assert_eq!(parse(&whole[..length]).expect("well formed"), None, "{length} bytes");
        }
        let value = Reply::Bulk(Some(b"a\r\n".to_vec()));
        assert_eq!(parse(whole).expect("well formed"), Some((value, 9)));
        assert_eq!(parse(&whole[9..]).expect("well formed"), Some((Reply::Integer(1), 4)));
    }

    #[test]
    fn absent_keys_statuses_and_errors_are_told_apart() {
        let cases: [(&[u8], Reply); 3] = [
            (b"$-1\r\n", Reply::Bulk(None)),
            (b"+OK\r\n", Reply::Status(b"OK".to_vec())),
            (b"-ERR no\r\n", Reply::Error(b"ERR no".to_vec())),
        ];
        for (bytes, reply) in cases {
            assert_eq!(parse(bytes).expect("well formed"), Some((reply, bytes.len())));
        }
        assert!(parse(b"HTTP/1.1 400\r\n").is_err());
        assert!(parse(b":one\r\n").is_err());
    }

    #[test]
    fn a_command_is_an_array_of_words() {
        let mut request = Vec::new();
        write_command(&mut request, &[b"GET", b"key"]);
        assert_eq!(request, b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
    }
}
