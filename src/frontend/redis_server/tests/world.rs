//! Servers with fake stores, and their clients.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::{Handle, RedisServer, ServerOptions};
use crate::command::{Command, Proposal};
use crate::frontend::facts::{ClusterFacts, Endpoint, MemberFacts};
use crate::frontend::store::{Answer, Question, Store};
use crate::id::Id;
use crate::request::Outcome;
use crate::state_machine::{Settings, StateMachine};
use crate::testkit::id;
use crate::view::{FollowerView, View};

/// Only a failure waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The time of the store.
const NOW: i64 = 1_700_000_000_000;

/// A state machine that answers at once, on the thread that asks.
pub struct Machine(Mutex<StateMachine>);

impl Default for Machine {
    fn default() -> Self {
        Self(Mutex::new(StateMachine::new(Settings { max_value_bytes: 1 << 20, ..Settings::default() })))
    }
}

impl Store for Machine {
    fn ask(&self, question: Question, answer: Answer) {
        let mut machine = self.0.lock();
        let Question { command, name, .. } = question;
        let read = match &command {
            Command::One(operation) => machine.read(NOW, operation),
            Command::Batch(_) => None,
        };
        let reply = read.unwrap_or_else(|| {
            let index = machine.applied() + 1;
            machine.apply(index, &Proposal { at: NOW, request: name, command })
        });
        drop(machine);
        answer(Outcome::Done(reply));
    }
}

/// A store that answers when the test says so.
#[derive(Default)]
pub struct Questions(Mutex<VecDeque<(Question, Answer)>>);

impl Store for Questions {
    fn ask(&self, question: Question, answer: Answer) {
        self.0.lock().push_back((question, answer));
    }
}

impl Questions {
    /// The next question, as soon as it is there.
    pub fn next(&self) -> (Question, Answer) {
        wait_for(|| self.0.lock().pop_front())
    }
}

/// A cluster of three replicas in which this one leads.
pub struct Cluster;

impl ClusterFacts for Cluster {
    fn own(&self) -> Id {
        id(0)
    }

    fn members(&self) -> Vec<MemberFacts> {
        let member = |number: u16| MemberFacts {
            id: id(number),
            redis: Endpoint { host: format!("10.0.0.{number}"), port: 6_379 },
            http: Endpoint { host: format!("10.0.1.{number}"), port: 8_080 },
            is_up: number < 2,
            round_trip_us: None,
        };
        (0..3).map(member).collect()
    }

    fn view(&self) -> Arc<View> {
        let followers = vec![FollowerView { id: id(1), match_index: 41, contact: None }];
        Arc::new(View { term: 7, leads: true, applied: 42, keys: 5, followers, ..View::default() })
    }

    fn configuration(&self) -> Vec<(String, String)> {
        vec![("kv.reads".to_owned(), "lease".to_owned())]
    }
}

/// Waits until there is one.
pub fn wait_for<T>(found: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn serve(options: ServerOptions, store: Arc<dyn Store>) -> Handle {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    RedisServer::start(listener, options, store, Arc::new(Cluster)).expect("it starts")
}

/// A server with a state machine behind it.
pub fn serve_machine(options: ServerOptions) -> Handle {
    serve(options, Arc::new(Machine::default()))
}

/// A client.
pub struct Client(pub TcpStream);

impl Client {
    pub fn of(handle: &Handle) -> Self {
        let stream = TcpStream::connect(handle.address()).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// The next bytes from the server are these.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut found = vec![0; expected.len()];
        let mut length = 0;
        while length < found.len() {
            match self.0.read(&mut found[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) => panic!("{error} after {}", found[..length].escape_ascii()),
            }
        }
        assert_eq!(found[..length].escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[track_caller]
    pub fn ask(&mut self, request: &str, reply: &str) {
        self.send(format!("{request}\r\n"));
        self.expect(reply);
    }

    /// One reply that is a bulk string.
    pub fn ask_bulk(&mut self, request: &str) -> String {
        self.send(format!("{request}\r\n"));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("the length of the reply");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let length: usize = head.trim_start_matches('$').trim_end().parse().expect("a bulk string");
        let mut text = vec![0; length + 2];
        self.0.read_exact(&mut text).expect("the reply");
        String::from_utf8(text).expect("text")
    }

    /// The server has closed the connection, after these bytes.
    #[track_caller]
    pub fn expect_end(&mut self, expected: impl AsRef<[u8]>) {
        self.expect(expected);
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "{}", rest.escape_ascii()),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

/// A request as an array of bulk strings.
pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
    bytes
}
