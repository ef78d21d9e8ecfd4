//! Bytes of an HTTP client: nothing panics, all that comes back is answers of HTTP, and the next client
//! is served.

#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use kvstore::command::{Command, Proposal};
use kvstore::frontend::facts::{ClusterFacts, MemberFacts};
use kvstore::frontend::http::{Handle, HttpOptions, HttpServer, Sources};
use kvstore::frontend::store::{Answer, Question, Store};
use kvstore::id::Id;
use kvstore::request::{Outcome, RequestId};
use kvstore::state_machine::{Settings, StateMachine};
use kvstore::transport::tcp::MeshView;
use kvstore::view::{Board, View};
use libfuzzer_sys::fuzz_target;
use parking_lot::Mutex;

/// Only a fault takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

fn own() -> Id {
    Id::new(1).expect("it is not reserved")
}

/// A state machine, and the index of its last entry.
struct Machine(Mutex<(StateMachine, u64)>);

impl Store for Machine {
    fn ask(&self, question: Question, answer: Answer) {
        let (machine, index) = &mut *self.0.lock();
        let read = match &question.command {
            Command::One(operation) => machine.read(1, operation),
            Command::Batch(_) => None,
        };
        let reply = read.unwrap_or_else(|| {
            *index += 1;
            let name = || RequestId { client: own(), mid: index.to_string().into() };
            let request = Some(question.name.unwrap_or_else(name));
            machine.apply(*index, &Proposal { at: 1, request, command: question.command })
        });
        answer(Outcome::Done(reply));
    }
}

struct Alone;

impl ClusterFacts for Alone {
    fn own(&self) -> Id {
        own()
    }

    fn members(&self) -> Vec<MemberFacts> {
        Vec::new()
    }

    fn view(&self) -> Arc<View> {
        Arc::default()
    }

    fn configuration(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

static SERVER: LazyLock<(SocketAddr, Handle)> = LazyLock::new(|| {
    let store = Machine(Mutex::new((StateMachine::new(Settings::default()), 0)));
    let options = HttpOptions { max_value_bytes: 1_000, ..HttpOptions::default() };
    let (network, waiting) = (Arc::new(MeshView::default), Arc::new(|| 0));
    let sources = Sources { facts: Arc::new(Alone), network, waiting, redis: None, board: Board::default() };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = HttpServer::start(listener, options, Arc::new(store), sources).expect("a thread");
    (server.address(), server)
});

fn told(bytes: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(SERVER.0).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // The server may have closed the connection after the first of the bytes.
    let _closed = client.write_all(bytes).and_then(|()| client.shutdown(Shutdown::Write));
    let mut answers = Vec::new();
    if let Err(error) = client.read_to_end(&mut answers) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    answers
}

fuzz_target!(|bytes: &[u8]| {
    let answers = told(bytes);
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{}", answers.escape_ascii());
    assert!(told(b"GET /livez HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1.0 200 "));
});
