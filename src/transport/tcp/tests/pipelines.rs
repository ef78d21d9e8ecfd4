//! Replicas over a mesh: pipelines with threads, which speak the binary dialect.

use super::*;
use crate::cluster;
use crate::pipeline::{self, Setup};
use crate::replica::Options;
use crate::request::{Outcome, Request};
use crate::testkit::{STORED, get, put, value};

/// A replica in memory and its mesh.
struct Replica {
    node: Node,
    ended: Receiver<bool>,
    asked: u64,
}

impl Replica {
    fn start(names: &Names, own: u16) -> Self {
        let mesh_options = options_of_three(own);
        let peers: Vec<Id> = mesh_options.peers.iter().map(|(peer, _)| *peer).collect();
        let (mesh, calls) = names.start_mesh(mesh_options);
        let hold_us = u64::try_from(TEST_TIMEOUT.as_micros()).expect("it fits");
        let dialect = cluster::dialect(id(own), &peers);
        let options = Options { forwards: true, hold_us, ..Options::new(id(own), peers, u64::from(own)) };
        let transport = Arc::clone(&mesh) as Arc<dyn Transport>;
        let (sender, ended) = unbounded();
        thread::spawn(move || {
            let result = pipeline::run_in(Setup { dialect, transport, files: None, board: None }, &options);
            let _over = sender.send(result.is_ok());
        });
        Self { node: Node { mesh, calls, received: unbounded().1 }, ended, asked: 0 }
    }

    /// Asks until the replica knows the outcome.
    fn ask(&mut self, request: impl Fn(Id, String) -> Request) -> Outcome {
        loop {
            self.asked += 1;
            let request = request(self.node.mesh.own(), format!("{:X}", self.asked));
            let mut datagram = Vec::new();
            cluster::encode_request(&mut datagram, &request);
            assert!(self.node.mesh.submit(datagram));
            match self.outcome_of(&request) {
                None | Some(Outcome::Unknown | Outcome::Redirect) => {}
                Some(outcome) => return outcome,
            }
        }
    }

    /// The outcome of a request; `None` if it may never come.
    fn outcome_of(&self, request: &Request) -> Option<Outcome> {
        loop {
            match self.node.call() {
                Call::Deliver(answer) => {
                    let answer = cluster::decode_answer(&answer).expect("an answer");
                    if answer.id == request.id {
                        return Some(answer.outcome);
                    }
                }
                Call::Forwarded(..) => {}
                Call::Refused(_) | Call::Lost(_) => return None,
            }
        }
    }
}

#[test]
fn replicas_serve_the_clients_of_all_over_the_mesh_and_survive_a_stop() {
    let names = Names::default();
    let mut replicas = [1, 2, 3].map(|own| Replica::start(&names, own));
    for (number, replica) in replicas.iter_mut().enumerate() {
        let text = number.to_string();
        assert_eq!(replica.ask(|client, mid| put(client, mid, "key", &*text)), STORED);
    }
    for replica in &mut replicas {
        assert_eq!(replica.ask(|client, mid| get(client, mid, "key")), value("2"));
    }
    let [first, mut second, mut third] = replicas;
    first.node.mesh.stop();
    assert_eq!(first.ended.recv_timeout(TEST_TIMEOUT), Ok(true), "a clean end");
    drop(first);
    assert_eq!(second.ask(|client, mid| put(client, mid, "key", "new")), STORED);
    assert_eq!(third.ask(|client, mid| get(client, mid, "key")), value("new"));
    let mut first = Replica::start(&names, 1);
    assert_eq!(first.ask(|client, mid| get(client, mid, "key")), value("new"));
}
