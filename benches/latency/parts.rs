//! The parts of a put: the core without threads, the wire, and the way between two threads.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use kvstore::exchange::Inbound;
use kvstore::micros::Micros;
use kvstore::replication::Message;
use kvstore::request::Request;
use kvstore::wire::{self, Decoder};

use crate::clients::percentile;
use crate::samples::{acknowledgement, append};
use crate::testkit::cluster::Cluster;
use crate::testkit::{self, id};

const REPLICAS: u16 = 5;
const HOP_US: Micros = 10;
const CORE_PUTS: usize = 64_000;
const ROUNDS: usize = 50;
const MESSAGES: usize = 500;
const WARM_HANDOVERS: usize = 20_000;
const COLD_HANDOVERS: usize = 200;
const IDLE: Duration = Duration::from_millis(5);

pub fn print() {
    println!("\n{:<42} {:>9}", "part", "ns");
    for batch in [1, 64] {
        line(&format!("core of 5 replicas, a put in batches of {batch}"), core(batch));
    }
    for (name, message) in
        [("append of 1", append(1)), ("append of 64", append(64)), ("acknowledgement", acknowledgement())]
    {
        line(&format!("decode, {name}"), decode(&message));
        line(&format!("encode, {name}"), encode(&message));
    }
    for (name, count, idle) in
        [("warm", WARM_HANDOVERS, Duration::ZERO), ("after 5 ms", COLD_HANDOVERS, IDLE)]
    {
        let took = hand_over(count, idle);
        line(&format!("hand-over, {name}, p50"), percentile(&took, 0.5).as_nanos() as f64);
        line(&format!("hand-over, {name}, p99"), percentile(&took, 0.99).as_nanos() as f64);
    }
}

fn line(part: &str, ns: f64) {
    println!("{part:<42} {ns:>9.0}");
}

fn put(number: usize) -> Request {
    let (mid, key) = (format!("{number:032X}"), format!("{:032X}", number % 512));
    testkit::put(id(0x1000), mid, key, "0123456789ABCDEF".repeat(2))
}

/// The time that all replicas together need for a put, in ns.
fn core(batch: usize) -> f64 {
    let mut cluster = Cluster::new(REPLICAS);
    cluster.hop_us = HOP_US;
    let leader = cluster.elect();
    let mut stored = 0;
    let mut requests = (1..=CORE_PUTS).map(put).collect::<Vec<_>>().into_iter().map(Inbound::Client);
    let begin = Instant::now();
    for _ in 0..CORE_PUTS / batch {
        cluster.batch(leader, requests.by_ref().take(batch).collect());
        stored += cluster.stored();
    }
    let took = begin.elapsed();
    assert_eq!(stored, CORE_PUTS, "every put is stored");
    took.as_nanos() as f64 / CORE_PUTS as f64
}

/// The least that one of many messages took in any round, in ns.
fn least(mut round: impl FnMut() -> Duration) -> f64 {
    let least = (0..ROUNDS).map(|_| round()).min().expect("there are some");
    least.as_nanos() as f64 / MESSAGES as f64
}

fn encode(message: &Message) -> f64 {
    let mut buffer = Vec::new();
    let messages = std::slice::from_ref(message);
    least(|| {
        let begin = Instant::now();
        for _ in 0..MESSAGES {
            wire::encode_peer(&mut buffer, id(1), id(0), Some(id(1)), black_box(messages));
            black_box(&buffer);
        }
        begin.elapsed()
    })
}

fn decode(message: &Message) -> f64 {
    let mut datagram = Vec::new();
    wire::encode_peer(&mut datagram, id(1), id(0), Some(id(1)), std::slice::from_ref(message));
    let mut decoder = Decoder::new(id(0), [id(1)]);
    let mut out = Vec::new();
    least(|| {
        let mut datagrams = vec![datagram.clone(); MESSAGES]; // reading scrambles them
        let begin = Instant::now();
        for datagram in &mut datagrams {
            out.clear();
            decoder.decode(datagram, &mut out).expect("well formed");
            black_box(&out);
        }
        begin.elapsed()
    })
}

/// How long it takes until another thread has an item that was sent into its channel, in order.
fn hand_over(count: usize, idle: Duration) -> Vec<Duration> {
    let (there_in, there) = bounded::<Instant>(1);
    let (back_in, back) = bounded(1);
    let other = thread::spawn(move || {
        for sent_at in there {
            back_in.send(sent_at.elapsed()).expect("the other side waits for it");
        }
    });
    let once = |_| {
        if !idle.is_zero() {
            thread::sleep(idle);
        }
        there_in.send(Instant::now()).expect("the other side waits for it");
        back.recv().expect("it answers")
    };
    let mut took: Vec<Duration> = (0..count).map(once).collect();
    drop(there_in);
    other.join().expect("it does not panic");
    took.sort_unstable();
    took
}
