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

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use kvstore::exchange::Inbound;
use kvstore::id::Id;
use kvstore::micros::Micros;
use kvstore::replica::Replica;
use kvstore::replication::AppendEntries;
use kvstore::request::{Request, RequestId};
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/testkit/mod.rs"]
mod testkit;

use testkit::cluster::{Cluster, Step};
use testkit::{entry, id, proposal};

const REPLICAS: u16 = 3;
const HOP_US: Micros = 10;
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
    let mut bench = Bench::new();
    let leader = bench.cluster.elect();
    let mut rng = fastrand::Rng::with_seed(1);
    bench.grow(leader, keys, &mut rng);
    bench.print(&format!("{keys} new keys"));
    bench.step_down(leader, keys, &mut rng);
    bench.print(&format!("{OWED} requests, a leader steps down"));
    for (entries, value_len) in [(TAIL, 32), (LARGE_TAIL, LARGE)] {
        let mut bench = Bench::new();
        bench.lose_leader(entries, &"v".repeat(value_len).into(), &mut rng);
        bench.print(&format!("{entries} entries with {value_len} bytes are committed at once"));
    }
}

fn put(number: usize, rng: &mut fastrand::Rng) -> Request {
    let client = number as u16 % CLIENTS;
    let mid = if client == 0 { format!("{:032X}", rng.u128(..)) } else { format!("{number:08x}") };
    let key = format!("{:032X}", rng.u128(..));
    testkit::put(id(0x1000 + client), mid, key, "0123456789ABCDEF".repeat(2))
}

/// A batch of puts.
fn puts(numbers: Range<usize>, rng: &mut fastrand::Rng) -> Vec<Inbound> {
    numbers.map(|number| Inbound::Client(put(number, rng))).collect()
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

/// A cluster, and the steps of its replicas since it was measured last.
struct Bench {
    cluster: Cluster,
    steps: Rc<RefCell<Steps>>,
}

impl Bench {
    fn new() -> Self {
        let steps = Rc::new(RefCell::new(Steps::default()));
        let noted = Rc::clone(&steps);
        let step: Step = Box::new(move |replica, now, inbox, out| {
            let begin = processor_ns();
            replica.step_in_memory(now, inbox, out);
            noted.borrow_mut().note(processor_ns() - begin, replica.node().log().last_index());
        });
        let mut cluster = Cluster::stepping(REPLICAS, step);
        cluster.hop_us = HOP_US;
        Self { cluster, steps }
    }

    /// Prints the steps since the measurement began.
    fn print(&self, what: &str) {
        self.steps.borrow().print(what);
    }

    fn begin_measurement(&self) {
        self.steps.take();
    }

    /// Puts so many new keys.
    fn grow(&mut self, leader: Id, keys: usize, rng: &mut fastrand::Rng) {
        self.begin_measurement();
        let mut stored = 0;
        for first in (0..keys).step_by(BATCH) {
            self.cluster.batch(leader, puts(first..keys.min(first + BATCH), rng));
            stored += self.cluster.stored();
        }
        assert_eq!(stored, keys, "every put is stored");
    }

    /// Cuts the leader off with as many requests as it takes on, until it has stepped down.
    fn step_down(&mut self, leader: Id, first: usize, rng: &mut fastrand::Rng) {
        self.begin_measurement();
        self.cluster.replicas.retain(|own, _| *own == leader);
        for first in (first..first + OWED).step_by(BATCH) {
            self.cluster.batch(leader, puts(first..first + BATCH, rng));
        }
        while self.cluster.replicas[&leader].owes() > 0 {
            self.cluster.pass_deadline();
        }
    }

    /// The leader stores puts of this value in its two followers, never says that any is committed,
    /// and is gone.
    fn lose_leader(&mut self, entries: usize, value: &Arc<str>, rng: &mut fastrand::Rng) {
        let gone = id(REPLICAS - 1);
        self.cluster.replicas.remove(&gone);
        let mut entry = |index: usize| {
            let RequestId { client, mid } = put(index, rng).id;
            entry(index as u64, 1, proposal(client, mid, format!("{index:x}"), Arc::clone(value)))
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
                self.cluster.batch(id(to), vec![Inbound::Peer { from: gone, message: message.clone() }]);
            }
        }
        self.begin_measurement();
        let leader = self.cluster.elect();
        let lags = |replica: &Replica| replica.node().commit_index() <= entries as u64;
        while self.cluster.replicas.values().any(lags) {
            self.cluster.pass_deadline();
        }
        assert!(self.cluster.replicas[&leader].node().is_leader());
    }
}
