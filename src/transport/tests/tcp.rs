//! The mesh of TCP connections, as far as it keeps the rules of all transports.

use std::net::TcpListener;

use super::*;
use crate::transport::tcp::{LocalClients, Mesh, MeshLimits, MeshOptions};

struct NoClients;

impl LocalClients for NoClients {
    fn deliver(&self, _: &[u8]) {}
    fn forwarded(&self, _: Id, _: &[u8]) {}
    fn refused(&self, _: &[u8]) {}
    fn lost(&self, _: Id) {}
}

fn mesh() -> Arc<Mesh> {
    let options = MeshOptions {
        own: id(1),
        cluster: "test".to_owned(),
        secret: None,
        listen: TcpListener::bind("127.0.0.1:0").expect("a free port"),
        peers: Vec::new(),
        seed: 1,
        limits: MeshLimits::default(),
    };
    Mesh::start(options, Arc::new(NoClients)).expect("it starts")
}

#[test]
fn tcp_waits_until_then_and_no_longer() {
    let mesh = mesh();
    takes_what_is_there_and_waits_no_longer(&*mesh, |bytes| mesh.submit_bytes(bytes));
}

#[test]
fn tcp_stops_while_it_waits() {
    stops_while_it_waits(mesh());
}

#[test]
fn tcp_wakes_while_it_waits() {
    let mesh = mesh();
    wakes_while_it_waits(Arc::clone(&mesh) as Arc<dyn Transport>, |bytes| mesh.submit_bytes(bytes));
}

#[test]
fn tcp_loses_a_datagram_that_does_not_fit_and_refuses_a_long_one() {
    let mesh = mesh();
    mesh.submit_bytes(b"123456");
    mesh.submit_bytes(b"12345");
    assert_eq!(receive(&*mesh, 5), Err(Received::TooLong));
    assert_eq!(receive(&*mesh, 5), Ok(b"12345".to_vec()));
    let long = vec![0; mesh.max_datagram() + 1];
    let error = mesh.send(ANYWHERE, &long).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
