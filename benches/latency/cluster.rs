//! The replicas' ends of the network: replicas, or threads that only pass messages on.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use kvstore::pipeline;
use kvstore::replica::Options;
use kvstore::transport::{Address, Received, Transport};

use crate::clients::{self, DST, FIRST_CLIENT, LEADER, MAX_BYTES, SRC};
use crate::testkit::id;

/// The work of each thread for its messages.
#[derive(Clone, Copy)]
pub enum Work {
    /// All the work of a replica.
    Replica,
    /// Nothing: 0000 passes a request on to so many others, and answers when all of them have sent
    /// it back.
    Floor { followers: u16 },
}

/// Running threads, one per replica and those that it starts itself.
pub struct Cluster(Vec<(Arc<dyn Transport>, JoinHandle<()>)>);

impl Cluster {
    pub fn start(transports: Vec<Arc<dyn Transport>>, work: Work) -> Self {
        let replicas = transports.len() as u16;
        let start = |(own, transport): (u16, Arc<dyn Transport>)| {
            let shared = Arc::clone(&transport);
            let thread = thread::spawn(move || match work {
                Work::Replica => run_replica(shared, own, replicas),
                Work::Floor { followers } if own == 0 => lead_floor(&*shared, followers),
                Work::Floor { .. } => follow_floor(&*shared, own),
            });
            (transport, thread)
        };
        Self((0..).zip(transports).map(start).collect())
    }

    /// Stops all threads, and panics if any of them has failed.
    pub fn stop(self) {
        self.0.iter().for_each(|(transport, _)| transport.stop());
        self.0.into_iter().for_each(|(_, thread)| thread.join().expect("it does not panic"));
    }
}

fn run_replica(transport: Arc<dyn Transport>, own: u16, replicas: u16) {
    let peers = (0..replicas).filter(|&peer| peer != own).map(id).collect();
    let options = Options::new(id(own), peers, u64::from(own));
    pipeline::run(transport, &options).expect("no stage failed");
}

/// A leader's messages without its work. A passed-on request has its client where a request has the
/// leader.
fn lead_floor(transport: &dyn Transport, followers: u16) {
    let mut missing = vec![0u16; usize::from(u16::MAX)]; // by client: how many have not sent its request back
    let mut buffer = [0; MAX_BYTES];
    while let Ok(Received::Datagram(length)) = transport.receive(&mut buffer, None) {
        let datagram = &mut buffer[..length];
        let from = clients::read_hex(&datagram[SRC]);
        let client = if from < FIRST_CLIENT { clients::read_hex(&datagram[LEADER]) } else { from };
        let missing = &mut missing[usize::from(client)];
        if from == client {
            *missing = followers;
            clients::write_hex(&mut datagram[LEADER], client);
            clients::write_hex(&mut datagram[SRC], 0u16);
            for follower in 1..=followers {
                clients::write_hex(&mut datagram[DST], follower);
                let _stopped = transport.send(Address::Peer(id(follower)), datagram);
            }
        } else {
            *missing = u16::saturating_sub(*missing, 1); // it is more when a client asked twice
        }
        if *missing == 0 {
            clients::write_hex(&mut datagram[DST], client);
            let _stopped = transport.send(Address::Client(id(client)), datagram);
        }
    }
}

fn follow_floor(transport: &dyn Transport, own: u16) {
    let mut buffer = [0; MAX_BYTES];
    while let Ok(Received::Datagram(length)) = transport.receive(&mut buffer, None) {
        let datagram = &mut buffer[..length];
        clients::write_hex(&mut datagram[SRC], own);
        clients::write_hex(&mut datagram[DST], 0u16);
        let _stopped = transport.send(Address::Peer(id(0)), datagram);
    }
}
