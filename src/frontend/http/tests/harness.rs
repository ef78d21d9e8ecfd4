//! A server on a port of its own, the store behind it, and a client.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bytes::Bytes;
use crate::clock::unix_millis;
use crate::command::{Command, Proposal};
use crate::frontend::facts::{ClusterFacts, Endpoint, MemberFacts};
use crate::frontend::http::{Handle, HttpOptions, HttpServer, Sources};
use crate::frontend::redis_server::ServerCounters;
use crate::frontend::store::{Answer, Freshness, Question, Store};
use crate::histogram::Histogram;
use crate::id::Id;
use crate::request::{Outcome, RequestId};
use crate::state_machine::{Settings, StateMachine};
use crate::testkit::{id, request_id};
use crate::transport::tcp::{Direction, Flow, Link, MeshView};
use crate::view::{Board, DiskView, FollowerView, View};

/// Only a test that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of a value here.
pub const MAX_VALUE_BYTES: usize = 1_000;

/// How the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As a cluster that works.
    Serves,
    /// Never.
    Silent,
    /// With this outcome, and without a look at the question.
    Says(Outcome),
}

/// A store without a cluster: one state machine.
pub struct FakeStore {
    pub mode: Mutex<Mode>,
    pub asked: Mutex<Vec<Question>>,
    machine: Mutex<(StateMachine, u64)>, // and the index of its last entry
    unanswered: Mutex<Vec<Answer>>,
}

impl FakeStore {
    fn new() -> Self {
        let settings = Settings { max_value_bytes: MAX_VALUE_BYTES, ..Settings::default() };
        Self {
            mode: Mutex::new(Mode::Serves),
            asked: Mutex::default(),
            machine: Mutex::new((StateMachine::new(settings), 0)),
            unanswered: Mutex::default(),
        }
    }

    fn serve(&self, command: &Command, name: Option<RequestId>) -> Outcome {
        let (machine, index) = &mut *self.machine.lock();
        if let Command::One(operation) = command
            && operation.is_read()
        {
            return Outcome::Done(machine.read(unix_millis(), operation).expect("no key expires"));
        }
        *index += 1;
        let request = name.or_else(|| Some(request_id(id(1), index.to_string())));
        let proposal = Proposal { at: unix_millis(), request, command: command.clone() };
        Outcome::Done(machine.apply(*index, &proposal))
    }
}

impl FakeStore {
    /// Answers the questions that it has left without an answer.
    pub fn answer_all(&self, outcome: &Outcome) {
        self.unanswered.lock().drain(..).for_each(|answer| answer(outcome.clone()));
    }
}

impl Store for FakeStore {
    fn ask(&self, question: Question, answer: Answer) {
        self.asked.lock().push(question.clone());
        let mode = self.mode.lock().clone();
        match mode {
            Mode::Serves => answer(self.serve(&question.command, question.name)),
            Mode::Says(outcome) => answer(outcome),
            Mode::Silent => self.unanswered.lock().push(answer),
        }
    }
}

/// The facts of a cluster of three.
pub struct FakeFacts(Board);

impl ClusterFacts for FakeFacts {
    fn own(&self) -> Id {
        id(1)
    }

    fn members(&self) -> Vec<MemberFacts> {
        let member = |number: u16| MemberFacts {
            id: id(number),
            redis: Endpoint { host: format!("host-{number}"), port: 6379 },
            http: Endpoint { host: format!("fe80::{number}"), port: 8080 },
            is_up: number != 3,
            round_trip_us: (number == 2).then_some(150),
        };
        (1..=3).map(member).collect()
    }

    fn view(&self) -> Arc<View> {
        self.0.view()
    }

    fn configuration(&self) -> Vec<(String, String)> {
        vec![("max-value-bytes".into(), MAX_VALUE_BYTES.to_string())]
    }
}

/// The view of a leader.
pub fn view() -> View {
    let writes = Histogram::default();
    [80, 120, 400].into_iter().for_each(|took_us| writes.count(took_us));
    let disk = DiskView {
        syncs: 3,
        writes: writes.buckets(),
        records: 3,
        log_bytes: 300,
        other_bytes: 4_096,
        ..DiskView::default()
    };
    View {
        at: crate::clock::BootTime::now().as_micros(),
        term: 7,
        leads: true,
        leader: Some(id(1)),
        first_index: 10,
        last_index: 100,
        commit_index: 98,
        applied: 97,
        keys: 5,
        elections_won: 2,
        followers: vec![FollowerView { id: id(2), match_index: 98, contact: Some(1) }],
        disk: Some(disk),
        ..View::default()
    }
}

/// A server and its store.
pub struct Fixture {
    pub store: Arc<FakeStore>,
    pub board: Board,
    pub handle: Handle,
}

impl Fixture {
    pub fn start() -> Self {
        Self::with(|options| options)
    }

    /// A server with other options.
    pub fn with(change: impl FnOnce(HttpOptions) -> HttpOptions) -> Self {
        let (store, board) = (Arc::new(FakeStore::new()), Board::default());
        board.publish(view());
        let network = || {
            let links = vec![Link {
                id: id(2),
                address: "host-2:7000".into(),
                is_up: true,
                since: 0,
                messages_in: 11,
                bytes_in: 1_100,
                messages_out: 12,
                bytes_out: 1_200,
                dropped: 1,
                reconnects: 2,
                refusal: None,
                round_trip_us: Some(150),
                queued_bytes: 40,
            }];
            let flow =
                Flow { peer: id(2), direction: Direction::Out, kind: "append", messages: 9, bytes: 900 };
            MeshView { links, flows: vec![flow], ..MeshView::default() }
        };
        let facts = Arc::new(FakeFacts(board.clone()));
        let redis = Some(Arc::new(ServerCounters::default()));
        let (network, waiting) = (Arc::new(network), Arc::new(|| 3));
        let sources = Sources { facts, network, waiting, redis, board: board.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let limits = HttpOptions {
            max_value_bytes: MAX_VALUE_BYTES,
            head_limit: PATIENCE,
            body_limit: PATIENCE,
            write_limit: PATIENCE,
            store_limit: PATIENCE,
            ready_limit: PATIENCE,
            ..HttpOptions::default()
        };
        let server = HttpServer::start(listener, change(limits), Arc::clone(&store) as _, sources);
        Self { store, board, handle: server.expect("it starts") }
    }

    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.handle.address()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        Client { stream, received: Vec::new() }
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.connect().ask(method, target, headers, body)
    }

    pub fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, &[], b"")
    }

    pub fn put(&self, target: &str, body: &[u8]) -> Reply {
        self.ask("PUT", target, &[], body)
    }

    /// Waits until this holds.
    pub fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "it never holds");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A client with one connection.
pub struct Client {
    pub stream: TcpStream,
    received: Vec<u8>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes it");
    }

    pub fn send_request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        self.send(&[head.as_bytes(), b"\r\n", body].concat());
    }

    pub fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send_request(method, target, headers, body);
        self.receive(method == "HEAD")
    }

    /// The next answer, which has no body if it is one to HEAD.
    pub fn receive(&mut self, is_head: bool) -> Reply {
        let end = loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(self.receive_some(), "closed: {:?}", String::from_utf8_lossy(&self.received));
        };
        let head = String::from_utf8(self.received.drain(..end + 4).collect()).expect("text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        let headers: Vec<(String, String)> =
            headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut reply = Reply { status: status.expect("a status line"), headers, body: Vec::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        let length = if is_head || matches!(reply.status, 204 | 304) { 0 } else { length };
        while self.received.len() < length {
            assert!(self.receive_some(), "closed");
        }
        reply.body = self.received.drain(..length).collect();
        reply
    }

    /// An answer whose body ends with the connection.
    pub fn receive_all(&mut self) -> Reply {
        let mut reply = self.receive(false);
        while self.receive_some() {}
        reply.body = std::mem::take(&mut self.received);
        reply
    }

    /// Whether the server closes the connection, after bytes that are left aside.
    pub fn is_closed(&mut self) -> bool {
        while self.receive_some() {}
        true
    }

    fn receive_some(&mut self) -> bool {
        let mut part = [0; 4_096];
        match self.stream.read(&mut part) {
            Ok(length) => {
                self.received.extend(&part[..length]);
                length > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The entity tag, which must be there.
    pub fn tag(&self) -> &str {
        self.header("etag").expect("an entity tag")
    }
}

/// A read that does not accept old state.
pub fn is_linearizable(question: &Question) -> bool {
    question.freshness == Freshness::Linearizable
}

pub fn bytes(text: &str) -> Bytes {
    text.into()
}
