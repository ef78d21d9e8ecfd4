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
        let mut bytes = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| bytes += &format!("${}\r\n{word}\r\n", word.len()));
        self.0.get_mut().write_all(bytes.as_bytes())
    }

    /// Sends a command and takes its reply.
    pub fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.send(words)?;
        self.reply()
    }

    /// Takes the next reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let Some(line) = line.strip_suffix("\r\n") else { return Err(io::ErrorKind::UnexpectedEof.into()) };
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
}
