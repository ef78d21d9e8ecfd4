//! Real pipelines that speak the binary dialect of a real cluster. The test plays the mesh between
//! them, and the front ends of each, whose client ID is that of their replica.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use kvstore::bytes::Bytes;
use kvstore::cluster::{self, decode_answer, encode_local_read, encode_request, request_id};
use kvstore::command::Command;
use kvstore::id::Id;
use kvstore::operation::Operation;
use kvstore::pipeline::{self, Counts, Setup, StageFailed};
use kvstore::replica::Options;
use kvstore::reply::Reply;
use kvstore::request::{Outcome, Request, RequestId, Response};
use kvstore::state_machine::Settings;
use kvstore::transport::{Address, Hub, MemoryTransport, Packet, Transport};

use crate::cluster::PATIENCE;
use crate::testkit::{self, id};

/// As a mesh has it.
const MAX_DATAGRAM: usize = 8 << 20;

const MAX_VALUE: usize = 1 << 20;

type Replica = (Arc<MemoryTransport>, JoinHandle<Result<Counts, StageFailed>>);

/// Three replicas, and the mesh between them.
struct Mesh {
    hub: Hub,
    replicas: BTreeMap<Id, Replica>,
    asked: u64,
}

/// An answer, the replica that gave it, and how often the request was forwarded.
struct Answered {
    response: Response,
    by: Id,
    forwarded: usize,
}

impl Mesh {
    fn start() -> Self {
        let hub = Hub::new(MAX_DATAGRAM);
        let all = (0..3).map(id);
        let start = |own: Id| {
            let peers: Vec<Id> = (0..3).map(id).filter(|&peer| peer != own).collect();
            let transport = hub.attach(own);
            let shared: Arc<dyn Transport> = Arc::clone(&transport) as _;
            let dialect = cluster::dialect(own, &peers);
            let state_machine = Settings { max_value_bytes: MAX_VALUE, ..Settings::default() };
            let seed = u64::from(own.number());
            let options = Options { forwards: true, state_machine, ..Options::new(own, peers, seed) };
            let setup = Setup { dialect, transport: shared, files: None, board: None };
            (own, (transport, std::thread::spawn(move || pipeline::run_in(setup, &options))))
        };
        let replicas = all.map(start).collect();
        Self { hub, replicas, asked: 0 }
    }

    /// A name for the next request of a front end of this replica.
    fn name(&mut self, own: Id) -> RequestId {
        self.asked += 1;
        testkit::request_id(own, format!("{:x}", self.asked))
    }

    /// Asks through this replica, and carries messages until the answer comes.
    fn ask(&mut self, through: Id, command: &Command) -> Answered {
        let request = Request { id: self.name(through), command: command.clone() };
        let mut datagram = Vec::new();
        encode_request(&mut datagram, &request);
        assert!(self.hub.deliver(through, datagram));
        self.answer_to(&request.id)
    }

    fn answer_to(&self, name: &RequestId) -> Answered {
        let mut forwarded = 0;
        loop {
            let packet = self.hub.sent().recv_timeout(PATIENCE).expect("replicas say something");
            forwarded += usize::from(request_id(&packet.bytes).as_ref() == Some(name));
            let Some(Packet { from: by, to, bytes }) = self.hub.route(packet) else { continue };
            let response = decode_answer(&bytes).expect("an answer");
            assert_eq!(to, Address::Client(response.id.client));
            if response.id == *name {
                return Answered { response, by, forwarded };
            }
        }
    }

    /// Asks through this replica until the state machine replies. The leader of a busy machine may
    /// change at any time.
    fn ask_until_done(&mut self, through: Id, command: impl Into<Command>) -> (Reply, Answered) {
        let command = command.into();
        loop {
            let answered = self.ask(through, &command);
            match answered.response.outcome.clone() {
                Outcome::Done(reply) => return (reply, answered),
                Outcome::Fail => panic!("the replica refuses it"),
                Outcome::Redirect | Outcome::Unknown => {}
            }
        }
    }

    fn stop(self) {
        self.replicas.values().for_each(|(transport, _)| transport.stop());
        for (own, (_, thread)) in self.replicas {
            let counts = thread.join().expect("it does not panic").expect("no stage failed");
            assert_eq!(counts.malformed, BTreeMap::new(), "at {own}");
        }
    }
}

#[test]
fn put_through_a_follower_is_forwarded_and_answered_by_the_leader() {
    let mut mesh = Mesh::start();
    let (_, Answered { by: mut leader, .. }) = mesh.ask_until_done(id(0), Operation::set("found", "yes"));
    loop {
        let follower = (0..3).map(id).find(|&id| id != leader).expect("three replicas");
        let (reply, answered) = mesh.ask_until_done(follower, Operation::set("k", "v"));
        assert_eq!(reply, Reply::Ok);
        assert_eq!(answered.forwarded == 0, answered.by == follower, "only a leader serves a request");
        leader = answered.by;
        if leader != follower {
            assert_eq!((answered.response.id.client, answered.response.leader), (follower, Some(leader)));
            break;
        }
    }
    let (reply, _) = mesh.ask_until_done(id(2), Operation::get("k"));
    assert_eq!(reply, Reply::Bytes("v".into()));
    mesh.stop();
}

#[test]
fn value_of_a_megabyte_is_stored_and_read_whatever_its_bytes_are() {
    let mut mesh = Mesh::start();
    // In JSON, a zero is six characters, and a byte that is no text is two digits or a character of
    // three bytes.
    for (key, byte) in [("text", b'v'), ("zeros", 0), ("no text", 0xFF)] {
        let value = Bytes::from(vec![byte; MAX_VALUE]);
        let (reply, _) = mesh.ask_until_done(id(1), Operation::set(key, value.clone()));
        assert_eq!(reply, Reply::Ok, "{key}");
        let (reply, _) = mesh.ask_until_done(id(2), Operation::get(key));
        assert!(reply == Reply::Bytes(value), "{key}");
        let append = Operation::Append { key: key.into(), value: "v".into() };
        let (reply, _) = mesh.ask_until_done(id(1), append);
        assert!(matches!(reply, Reply::Error(_)), "the state machine lets no value grow longer");
    }
    mesh.stop();
}

#[test]
fn leader_serves_a_local_read_from_its_own_state() {
    let mut mesh = Mesh::start();
    loop {
        let (_, Answered { by: leader, .. }) = mesh.ask_until_done(id(0), Operation::set("k", "v"));
        let name = mesh.name(leader);
        let mut datagram = Vec::new();
        encode_local_read(&mut datagram, &name, &Operation::get("k"), 0);
        assert!(mesh.hub.deliver(leader, datagram));
        let Answered { response, by, forwarded } = mesh.answer_to(&name);
        assert_eq!((by, forwarded), (leader, 0), "no other replica gets it");
        if response.outcome == testkit::value("v") {
            break;
        }
        assert_eq!(response.outcome, Outcome::Fail, "it leads no more");
    }
    mesh.stop();
}
