//! A Redis client as simple as can be: one connection, RESP2.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::processes::LIMIT;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A simple text.
    Simple(String),
    /// An error with its code.
    Error(String),
    /// A number.
    Integer(i64),
    /// A text of any bytes.
    Bulk(Vec<u8>),
    /// No value.
    Nil,
    /// Several replies.
    Array(Vec<Reply>),
}

impl Reply {
    /// The reply to a write without a result.
    pub fn ok() -> Self {
        Self::Simple("OK".into())
    }

    /// A text.
    pub fn bulk(text: &str) -> Self {
        Self::Bulk(text.into())
    }

    /// Whether it says that the leader changed or is gone, as may happen at any time on a busy machine.
    pub fn is_leaderless(&self) -> bool {
        matches!(self, Self::Error(error) if is_leaderless(error))
    }
}

/// Whether an error says that the leader changed or is gone.
pub fn is_leaderless(error: &str) -> bool {
    error.starts_with("CLUSTERDOWN") || error.starts_with("UNKNOWN")
}

/// The bytes of a command.
pub fn request(words: &[&str]) -> String {
    let mut bytes = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| bytes += &format!("${}\r\n{word}\r\n", word.len()));
    bytes
}

/// A connection.
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects to an address.
    pub fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command, without its reply.
    pub fn send(&mut self, words: &[&str]) -> io::Result<()> {
        self.send_bytes(request(words).as_bytes())
    }

    /// Sends bytes that need not be a command.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Sends a command and takes its reply.
    pub fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.send(words)?;
        self.reply()
    }

    /// Takes the next reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().map_err(io::Error::other);
        Ok(match kind {
            "+" => Reply::Simple(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Integer(number()?),
            "$" if rest == "-1" => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; number()? as usize + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array((0..number()?).map(|_| self.reply()).collect::<Result<_, _>>()?),
            _ => return Err(io::Error::other(format!("no reply: {line:?}"))),
        })
    }

    /// Takes the bytes of the next reply, which may be one of RESP3.
    pub fn reply_bytes(&mut self) -> io::Result<Vec<u8>> {
        let (mut bytes, mut replies) = (Vec::new(), 1);
        while replies > 0 {
            let line = self.line()?;
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
            let (kind, rest) = line.split_at(1);
            let number = || rest.parse::<i64>().map_err(io::Error::other);
            replies -= 1;
            match kind {
                "+" | "-" | ":" | "_" | "," | "#" | "(" => {}
                "$" if rest == "-1" => {}
                "$" | "=" | "!" => {
                    let length = u64::try_from(number()?).map_err(io::Error::other)? + 2;
                    (&mut self.0).take(length).read_to_end(&mut bytes)?;
                }
                "*" | "~" | ">" => replies += number()?.max(0),
                "%" => replies += 2 * number()?.max(0),
                _ => return Err(io::Error::other(format!("no reply: {line:?}"))),
            }
        }
        Ok(bytes)
    }

    /// Takes a line, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
