//! Meshes on real sockets of the loopback interface.

mod clients;
mod delivery;
mod pipelines;
mod pressure;
mod strangers;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::frame::HEADER_BYTES;
use super::hello::Identity;
use super::*;
use crate::clock::BootTime;
use crate::testkit::id;
use crate::transport::{Address, Received, Transport};

/// Only a test that fails waits so long.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A call of [`LocalClients`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Deliver(Vec<u8>),
    Forwarded(Id, Vec<u8>),
    Refused(Vec<u8>),
    Lost(Id),
}

struct Clients(Sender<Call>);

impl Clients {
    fn call(&self, call: Call) {
        let _over = self.0.send(call);
    }
}

impl LocalClients for Clients {
    fn deliver(&self, datagram: &[u8]) {
        self.call(Call::Deliver(datagram.to_vec()));
    }

    fn forwarded(&self, to: Id, datagram: &[u8]) {
        self.call(Call::Forwarded(to, datagram.to_vec()));
    }

    fn refused(&self, datagram: &[u8]) {
        self.call(Call::Refused(datagram.to_vec()));
    }

    fn lost(&self, to: Id) {
        self.call(Call::Lost(to));
    }
}

/// The names of replicas, and where they listen at the moment. A replica that is not there yet has no
/// address.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeMap<String, SocketAddr>>>);

fn name(of: u16) -> String {
    format!("replica-{of}:7000")
}

impl Names {
    /// Starts a mesh that receives all the time.
    fn start(&self, options: MeshOptions) -> Node {
        let (mesh, calls) = self.start_mesh(options);
        let (sender, received) = unbounded();
        let receiver = Arc::clone(&mesh);
        thread::spawn(move || {
            let mut buffer = vec![0; MAX_DATAGRAM];
            while let Ok(Received::Datagram(length)) = receiver.receive(&mut buffer, None) {
                let _over = sender.send(buffer[..length].to_vec());
            }
        });
        Node { mesh, calls, received }
    }

    /// Starts a mesh that receives nothing.
    fn start_deaf(&self, options: MeshOptions) -> Node {
        let (mesh, calls) = self.start_mesh(options);
        Node { mesh, calls, received: unbounded().1 }
    }

    fn start_mesh(&self, options: MeshOptions) -> (Arc<Mesh>, Receiver<Call>) {
        let address = options.listen.local_addr().expect("it is bound");
        self.0.lock().insert(name(options.own.number()), address);
        let (sender, calls) = unbounded();
        let names = self.clone();
        let resolve = Box::new(move |name: &str| Ok(names.0.lock().get(name).copied().into_iter().collect()));
        (Mesh::start_with(options, Arc::new(Clients(sender)), resolve).expect("it starts"), calls)
    }

    /// Where a replica listens.
    fn address(&self, of: u16) -> SocketAddr {
        self.0.lock()[&name(of)]
    }
}

/// A mesh, and all that it hands over.
struct Node {
    mesh: Arc<Mesh>,
    calls: Receiver<Call>,
    received: Receiver<Vec<u8>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.mesh.finish();
    }
}

impl Node {
    fn send(&self, to: Address, datagram: &[u8]) {
        self.mesh.send(to, datagram).expect("it never fails");
    }

    fn receive(&self) -> Vec<u8> {
        self.received.recv_timeout(TEST_TIMEOUT).expect("a datagram")
    }

    fn call(&self) -> Call {
        self.calls.recv_timeout(TEST_TIMEOUT).expect("a call")
    }

    fn link(&self, to: u16) -> Link {
        self.mesh.links().into_iter().find(|link| link.id == id(to)).expect("a peer")
    }

    fn wait_until_up(&self) {
        wait_until("all links are up", || self.mesh.links().iter().all(|link| link.is_up));
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = BootTime::now() + TEST_TIMEOUT;
    while !is_so() {
        assert!(BootTime::now() < limit, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// The options of a mesh on a port of its own.
fn options(own: u16, peers: &[u16]) -> MeshOptions {
    MeshOptions {
        own: id(own),
        cluster: "test".to_owned(),
        secret: Some("a secret".to_owned()),
        listen: listener(),
        peers: peers.iter().map(|&peer| (id(peer), name(peer))).collect(),
        seed: u64::from(own),
        limits: MeshLimits { silence: TEST_TIMEOUT, ..MeshLimits::default() },
    }
}

/// The options of mesh `own` of 1 to 3.
fn options_of_three(own: u16) -> MeshOptions {
    let peers: Vec<u16> = (1..=3).filter(|&peer| peer != own).collect();
    options(own, &peers)
}

/// Meshes 1 to 3 that know each other.
fn three() -> (Names, [Node; 3]) {
    let names = Names::default();
    let nodes = [1, 2, 3].map(|own| names.start(options_of_three(own)));
    nodes.iter().for_each(Node::wait_until_up);
    (names, nodes)
}

/// Meshes 1 and 2 that know each other.
fn two() -> (Names, [Node; 2]) {
    let names = Names::default();
    let nodes = [names.start(options(1, &[2])), names.start(options(2, &[1]))];
    nodes.iter().for_each(Node::wait_until_up);
    (names, nodes)
}

fn datagram(kind: Kind, of: u16, content: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    Envelope { kind, id: id(of) }.write(&mut datagram);
    datagram.extend(content);
    datagram
}

fn to_peer(peer: u16) -> Address {
    Address::Peer(id(peer))
}

fn identity(own: u16, others: &[u16]) -> Identity {
    let members = others.iter().map(|&other| id(other)).collect();
    Identity { own: id(own), cluster: "test".to_owned(), secret: b"a secret".to_vec(), members }
}

/// Dials a mesh by hand, as the replica `own`, and says a good hello.
fn dial_as(own: u16, to: u16, address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    let until = BootTime::now() + TEST_TIMEOUT;
    hello::dial(&identity(own, &[to]), id(to), &stream, until).expect("a good hello");
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("no error of the system");
    stream
}

/// A frame with a datagram.
fn framed(datagram: &[u8]) -> Vec<u8> {
    let mut frame = frame::header(0, datagram).to_vec();
    assert_eq!(frame.len(), HEADER_BYTES);
    frame.extend(datagram);
    frame
}

/// Writes bytes to a connection.
fn say(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the other side takes it");
}

/// All bytes until the other side closes the connection.
fn hear_all(mut stream: &TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("no error of the system");
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => {}
        // Bytes that the other side has not read make its end a reset.
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "it is not closed"),
    }
    heard
}
