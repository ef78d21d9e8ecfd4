//! A client of Redis: just enough of its protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

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

impl Client {
    /// A client of this connection.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), requests: Vec::new() }
    }

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
