//! Real pipelines on a network inside this process; the test plays network and clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use kvstore::id::Id;
use kvstore::pipeline::{self, Counts, StageFailed};
use kvstore::replica::Options;
use kvstore::transport::{Address, Hub, MemoryTransport, Packet, SEQPACKET_MAX_DATAGRAM, Transport};
use serde_json::Value;

use crate::testkit::{CLIENT, id};

/// Longer than any step of a test takes; only a test that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

type Replica = (Arc<MemoryTransport>, JoinHandle<Result<Counts, StageFailed>>);

/// Replicas 0000, 0001 ... and the network between them.
pub struct Cluster {
    pub hub: Hub,
    replicas: BTreeMap<Id, Replica>,
}

/// Where the answers to [`Cluster::ask`] go.
pub fn client() -> Address {
    Address::Client(CLIENT)
}

impl Cluster {
    /// Starts the first `running` replicas of a cluster of `size`.
    pub fn start(size: u16, running: u16) -> Self {
        let hub = Hub::new(SEQPACKET_MAX_DATAGRAM);
        let start = |number: u16| {
            let own = id(number);
            let peers: Vec<Id> = (0..size).map(id).filter(|&peer| peer != own).collect();
            let transport = hub.attach(own);
            let shared: Arc<dyn Transport> = Arc::clone(&transport) as _;
            let options = Options::new(own, peers, u64::from(number));
            let run = move || pipeline::run(shared, &options);
            (own, (transport, std::thread::spawn(run)))
        };
        let replicas = (0..running).map(start).collect();
        Self { hub, replicas }
    }

    /// Carries the replicas' messages, as far as `passes` allows, until one comes for a client.
    pub fn next_answer(&self, mut passes: impl FnMut(&Packet) -> bool) -> Value {
        loop {
            let packet = self.hub.sent().recv_timeout(PATIENCE).expect("replicas say something");
            assert!(packet.bytes.len() <= SEQPACKET_MAX_DATAGRAM, "{} bytes", packet.bytes.len());
            if !passes(&packet) {
                continue;
            }
            if let Some(answer) = self.hub.route(packet) {
                return serde_json::from_slice(&answer.bytes).expect("JSON");
            }
        }
    }

    pub fn ask(&self, to: Id, kind: &str, mid: &str, key: &str, value: &str) {
        let request = serde_json::json!({
            "src": CLIENT.to_string(), "dst": to.to_string(), "leader": "FFFF",
            "type": kind, "MID": mid, "key": key, "value": value,
        });
        assert!(self.hub.deliver(to, request.to_string().into_bytes()));
    }

    /// The replica that answers a put, found in the way of a client.
    pub fn find_leader(&self) -> Id {
        let all: Vec<Id> = self.replicas.keys().copied().collect();
        self.put_until_ok("found", "yes", &all, |_| true)
    }

    /// Puts until one of the replicas `asked` says `ok`, and returns that replica. `passes` is as
    /// for `next_answer`.
    pub fn put_until_ok(
        &self,
        key: &str,
        value: &str,
        asked: &[Id],
        passes: impl FnMut(&Packet) -> bool,
    ) -> Id {
        self.ask_until_ok("put", key, value, asked, passes).0
    }

    /// Asks until one of the replicas `asked` says `ok`, and returns that replica and its answer.
    /// The leader of a busy machine may change at any time.
    pub fn ask_until_ok(
        &self,
        kind: &str,
        key: &str,
        value: &str,
        asked: &[Id],
        mut passes: impl FnMut(&Packet) -> bool,
    ) -> (Id, Value) {
        let mut at = asked[0];
        for attempt in 1.. {
            let mid = format!("{kind}-{key}-{attempt}");
            self.ask(at, kind, &mid, key, value);
            let answer = self.next_answer(&mut passes);
            assert_eq!(answer["MID"], mid);
            if answer["type"] == "ok" {
                return (at, answer);
            }
            let named = answer["leader"].as_str().and_then(|leader| leader.parse().ok());
            at = named.filter(|named| asked.contains(named)).unwrap_or(asked[attempt % asked.len()]);
        }
        unreachable!("there are more attempts than time");
    }

    /// Stops all replicas and returns the counts of each.
    pub fn stop(self) -> BTreeMap<Id, Counts> {
        self.replicas.values().for_each(|(transport, _)| transport.stop());
        let end = |(id, (_, thread)): (Id, Replica)| {
            (id, thread.join().expect("it does not panic").expect("no stage failed"))
        };
        self.replicas.into_iter().map(end).collect()
    }
}
