//! How long a step of a replica takes while its log and its map grow. No step may be long, however
//! much a replica holds: the replica answers no request meanwhile, and its followers depose a
//! leader that stands still.
//!
//! `cargo bench --bench steps [-- KEYS]`
//!
//! Three replicas in one thread, whose network is a loop, put five million new keys, or `KEYS`. An
//! eighth of them is for a client whose MIDs are random, the rest for seven clients that count. A
//! step is a batch as the pipeline's consensus stage makes it, of up to 64 puts or of another
//! replica's messages. The bench measures it in processor time of the thread, so a busy machine
//! does not count. Then a leader that owes as many answers as it can steps down.
//!
//! At last a leader dies before either of its two followers knows that any of its entries is
//! committed. These are a million small ones or 20,000 that fill a message each. The follower that
//! is elected commits all of them at once, and the other one learns it at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvstore::exchange::{Inbound, Outbound};
use kvstore::id::Id;
use kvstore::micros::Micros;
use kvstore::replica::{Options, Replica};
use kvstore::replication::AppendEntries;
use kvstore::request::{Request, RequestId};
use kvstore::transport::SEQPACKET_MAX_DATAGRAM;
use kvstore::wire::Limits;
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/testkit/mod.rs"]
mod testkit;

use testkit::{STORED, command, entry, id};

const REPLICAS: u16 = 3;
const KEYS: usize = 5_000_000;
const BATCH: usize = 64;
const CLIENTS: u16 = 8;
/// As many as a replica takes on.
const OWED: usize = 65_536;
/// How many entries two replicas have without knowing that they are committed: small ones, and
/// large ones of [`LARGE`] bytes.
const TAIL: usize = 1_000_000;
const LARGE_TAIL: usize = 20_000;
const LARGE: usize = 60_000;

fn main() {
    // Cargo's own arguments begin with a dash.
    let keys = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(KEYS);
    let mut cluster = Cluster::new();
    let leader = cluster.elect();
    cluster.steps = Steps::default();
    let mut rng = fastrand::Rng::with_seed(1);
    for first in (0..keys).step_by(BATCH) {
        let puts = (first..keys.min(first + BATCH)).map(|number| put(number, &mut rng));
        let puts = puts.map(Inbound::Client).collect();
        cluster.inboxes.insert(leader, puts);
        cluster.settle();
    }
    assert_eq!(cluster.stored, keys, "every put is stored");
    cluster.steps.print(&format!("{keys} new keys"));
    cluster.steps = Steps::default();
    cluster.step_down(leader, keys, &mut rng);
    cluster.steps.print(&format!("{OWED} requests, a leader steps down"));
    for (entries, value_len) in [(TAIL, 32), (LARGE_TAIL, LARGE)] {
        let mut cluster = Cluster::new();
        cluster.lose_leader(entries, &"v".repeat(value_len).into(), &mut rng);
        cluster.steps.print(&format!("{entries} entries with {value_len} bytes are committed at once"));
    }
}

fn put(number: usize, rng: &mut fastrand::Rng) -> Request {
    let client = number as u16 % CLIENTS;
    let mid = if client == 0 { format!("{:032X}", rng.u128(..)) } else { format!("{number:08x}") };
    let key = format!("{:032X}", rng.u128(..));
    testkit::put(id(0x1000 + client), mid, key, "0123456789ABCDEF".repeat(2))
}

/// Processor time of this thread, in nanoseconds.
fn processor_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[derive(Default)]
struct Steps {
    count: usize,
    total_ns: u64,
    above_1_ms: usize,
    above_10_ms: usize,
    longest: (u64, u64), // nanoseconds, and how many entries the replica's log had then
}

impl Steps {
    fn note(&mut self, ns: u64, entries: u64) {
        self.count += 1;
        self.total_ns += ns;
        self.above_1_ms += usize::from(ns > 1_000_000);
        self.above_10_ms += usize::from(ns > 10_000_000);
        self.longest = self.longest.max((ns, entries));
    }

    fn print(&self, what: &str) {
        let ms = |ns: u64| ns as f64 / 1e6;
        let (longest, entries) = self.longest;
        println!(
            "{what}: {} steps, {:.0} ms; above 1 ms: {}, above 10 ms: {}; longest: {:.2} ms with {entries} entries",
            self.count,
            ms(self.total_ns),
            self.above_1_ms,
            self.above_10_ms,
            ms(longest),
        );
    }
}

/// A cluster whose network is a loop.
struct Cluster {
    replicas: BTreeMap<Id, Replica>,
    inboxes: BTreeMap<Id, Vec<Inbound>>,
    now: Micros,
    stored: usize,
    steps: Steps,
}

impl Cluster {
    fn new() -> Self {
        let replica = |own| {
            let peers = (0..REPLICAS).filter(|&peer| peer != own).map(id).collect();
            let options = Options::new(id(own), peers, u64::from(own));
            let limits = Limits::new(SEQPACKET_MAX_DATAGRAM, options.tuning.topology, options.peers.len());
            (id(own), Replica::new(&options, limits, Default::default(), 0))
        };
        let replicas = (0..REPLICAS).map(replica).collect();
        Self { replicas, inboxes: BTreeMap::new(), now: 0, stored: 0, steps: Steps::default() }
    }

    /// Ends a batch of each replica that has something to do, and again, until all are idle.
    fn settle(&mut self) {
        while !self.inboxes.is_empty() {
            self.now += 10;
            for (to, inbox) in std::mem::take(&mut self.inboxes) {
                self.step(to, inbox);
            }
        }
    }

    fn step(&mut self, to: Id, inbox: Vec<Inbound>) {
        let replica = self.replicas.get_mut(&to).expect("it is one of them");
        let mut out = Vec::new();
        let begin = processor_ns();
        replica.step_in_memory(self.now, inbox, &mut out);
        self.steps.note(processor_ns() - begin, replica.node().log().last_index());
        for outbound in out {
            match outbound {
                Outbound::Peer { to: peer, .. } if !self.replicas.contains_key(&peer) => {}
                Outbound::Peer { to: peer, message, .. } => {
                    self.inboxes.entry(peer).or_default().push(Inbound::Peer { from: to, message });
                }
                Outbound::Client(response) => {
                    self.stored += usize::from(response.outcome == STORED);
                }
            }
        }
    }

    /// Advances the time to the next deadline, and ends the batches that are due.
    fn go_on(&mut self) {
        self.now = self.replicas.values().map(Replica::deadline).min().expect("there are some").max(self.now);
        let all: Vec<Id> = self.replicas.keys().copied().collect();
        all.into_iter().for_each(|own| self.step(own, Vec::new()));
    }

    /// Lets 0000 hold a request until a replica leads, and returns that one.
    fn elect(&mut self) -> Id {
        self.step(id(0), vec![Inbound::Client(put(0, &mut fastrand::Rng::with_seed(2)))]);
        loop {
            self.settle();
            let leads = |replica: &&Replica| replica.node().is_leader();
            if let Some(leader) = self.replicas.values().find(leads) {
                self.stored = 0;
                return leader.node().id();
            }
            self.go_on();
        }
    }

    /// Cuts the leader off with as many requests as it takes on, until it has stepped down.
    fn step_down(&mut self, leader: Id, first: usize, rng: &mut fastrand::Rng) {
        self.replicas.retain(|own, _| *own == leader);
        for number in (first..first + OWED).step_by(BATCH) {
            let puts = (number..number + BATCH).map(|number| put(number, rng)).map(Inbound::Client).collect();
            self.step(leader, puts);
        }
        while self.replicas[&leader].owes() > 0 {
            self.now = self.replicas[&leader].deadline().max(self.now);
            self.step(leader, Vec::new());
        }
    }

    /// The leader stores puts of this value in its two followers, never says that any is committed,
    /// and is gone.
    fn lose_leader(&mut self, entries: usize, value: &Arc<str>, rng: &mut fastrand::Rng) {
        let gone = id(REPLICAS - 1);
        self.replicas.remove(&gone);
        let mut entry = |index: usize| {
            let RequestId { client, mid } = put(index, rng).id;
            entry(index as u64, 1, command(client, mid, format!("{index:x}"), Arc::clone(value)))
        };
        for first in (1..=entries).step_by(BATCH) {
            let append = AppendEntries {
                prev_log_index: first as u64 - 1,
                prev_log_term: u64::from(first > 1),
                leader_commit: 0,
                sent_at: first as u64,
                entries: (first..=entries.min(first + BATCH - 1)).map(&mut entry).collect(),
            };
            let message = testkit::append(1, append);
            for to in 0..REPLICAS - 1 {
                self.step(id(to), vec![Inbound::Peer { from: gone, message: message.clone() }]);
            }
        }
        self.steps = Steps::default();
        let leader = self.elect();
        let lags = |replica: &Replica| replica.node().commit_index() <= entries as u64;
        while self.replicas.values().any(lags) {
            self.go_on();
            self.settle();
        }
        assert!(self.replicas[&leader].node().is_leader());
    }
}
