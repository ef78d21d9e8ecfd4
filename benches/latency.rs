//! How long a request takes, and how many a cluster answers in a second: real pipelines on real
//! transports, in real time. Beside each figure stands its floor: the time of the same messages
//! when no replica does any work.
//!
//! `cargo bench --bench latency [-- TRANSPORT...]`
//!
//! With names of transports (`memory`, `seqpacket`, `udp`) the bench measures only those, with
//! `parts` only the second table, with `catch-up` only the third. All of it takes about two
//! minutes. The machine should have nothing else to do.
//!
//! # How it is measured
//!
//! Each line has a cluster of its own. The bench plays the network and the clients, as `run.py`
//! does. One thread takes the replicas' messages, finds their receivers, and passes each on or
//! counts it as an answer. So a message between replicas has two hops: to this thread, and from it.
//! The bench loses and delays no message on purpose.
//!
//! Each client has one request on its way, and sends the next one as soon as it has the answer (a
//! closed loop). *Outstanding* is the number of clients. Keys and values have 32 characters. First
//! the cluster elects a leader and every client puts its key; then the bench counts for a second.
//! The latency is from the moment when the client hands its request to the network to the moment
//! when the network has the answer. It includes the time in queues, and with many clients it is
//! mostly that. An answer other than `ok` ends the bench. A client that has no answer when no
//! message moves any more repeats its request, as clients of a network that loses datagrams do. Its
//! latency counts from the first time, and a note says so.
//!
//! # The floor
//!
//! In place of each replica there is a thread that receives and sends fixed strings, as long as a
//! request, over the same transport. For a put: client to leader, leader to floor(n / 2) followers,
//! each back to the leader, and after the last one the leader to the client. For a get under the
//! lease: client to leader and back. There is no JSON, no log, no batch. The network in the middle
//! does the same for both.
//!
//! * `x p50` is the median latency in floors: 1.0 would be a replica whose own work takes no time.
//! * `x req/s` is the throughput in floors. A figure below 1 is the cost of the replicas' work. A
//!   figure above 1 is the gain of batches: replicas let many requests travel in one message, and
//!   the floor sends one message for each.
//!
//! All threads share the processors. With fewer processors than busy threads, the work of one
//! replica is the waiting time of the others. The floor with its many messages suffers most.
//!
//! # The parts
//!
//! The second table has the parts of a put. *Core* is a cluster of five in one loop, without
//! threads, sockets and JSON: the work of all five replicas for a put, together. *Decode* and
//! *encode* is the work of the wire for one message, the least of many rounds; the bench `codec`
//! has them beside other parsers. A *hand-over* is the time from a send into a channel until the
//! thread at its other end has the item. It is *warm* if that thread had an item a moment ago. The
//! other figure is after 5 ms of idleness, when the send has to wake the thread.
//!
//! In memory with few clients, floor and ratio change severalfold from run to run. They depend on
//! whether a message comes before or after the waiting thread has gone to sleep, and are no measure
//! of a replica's work. The hand-overs of the second table show how much lies between the two.
//!
//! # While a follower catches up
//!
//! The third table has the puts of eight clients during the five seconds after the network has
//! healed. One of five replicas was cut off while the clients added so many entries. In the row
//! with 0 entries the replica was not cut off.

#[path = "latency/catch_up.rs"]
mod catch_up;
#[path = "latency/clients.rs"]
mod clients;
#[path = "latency/cluster.rs"]
mod cluster;
#[path = "latency/network.rs"]
mod network;
#[path = "latency/parts.rs"]
mod parts;
mod samples;
#[path = "../tests/testkit/mod.rs"]
mod testkit;

use std::time::Duration;

use clients::{Clients, Operation, Run};
use cluster::{Cluster, Work};
use network::Kind;

/// How long a load lasts before it counts.
const WARM_UP: Duration = Duration::from_millis(100);
/// How long it counts.
const SPAN: Duration = Duration::from_secs(1);
/// How long the floor counts, which varies less.
const FLOOR_SPAN: Duration = Duration::from_millis(500);

const PUTS: [u16; 4] = [1, 8, 64, 512];
const GETS: [u16; 2] = [1, 64];

fn main() {
    // Cargo's own arguments begin with a dash.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| is_wanted(kind.name())).collect();
    if !kinds.is_empty() {
        print_head();
    }
    for kind in kinds {
        for replicas in [3, 5] {
            PUTS.into_iter().for_each(|clients| print_line(kind, replicas, Operation::Put, clients));
            GETS.into_iter().for_each(|clients| print_line(kind, replicas, Operation::Get, clients));
        }
    }
    if is_wanted("parts") {
        parts::print();
    }
    if is_wanted("catch-up") {
        catch_up::print();
    }
}

fn print_head() {
    println!("Latencies in microseconds\n");
    println!(
        "{:<9} {:>8} {:<4} {:>11} {:>9} {:>9} {:>9} {:>9}  {:>9} {:>9}  {:>6} {:>7}",
        "transport",
        "replicas",
        "kind",
        "outstanding",
        "p50",
        "p99",
        "p99.9",
        "req/s",
        "floor p50",
        "req/s",
        "x p50",
        "x req/s",
    );
}

fn print_line(kind: Kind, replicas: u16, operation: Operation, outstanding: u16) {
    let real = measure(kind, replicas, Work::Replica, operation, outstanding);
    // A get under the lease asks no follower.
    let followers = if operation == Operation::Put { replicas / 2 } else { 0 };
    let floor = measure(kind, replicas, Work::Floor { followers }, Operation::Floor, outstanding);
    println!(
        "{:<9} {replicas:>8} {:<4} {outstanding:>11} {:>9.1} {:>9.1} {:>9.1} {:>9.0}  {:>9.1} {:>9.0}  {:>6.2} {:>7.2}",
        kind.name(),
        operation.name(),
        real.latency_us(0.5),
        real.latency_us(0.99),
        real.latency_us(0.999),
        real.per_second(),
        floor.latency_us(0.5),
        floor.per_second(),
        real.latency_us(0.5) / floor.latency_us(0.5),
        real.per_second() / floor.per_second(),
    );
    for (what, run) in [("replicas", real), ("floor", floor)] {
        if run.repeated > 0 {
            println!("  of the line above, {what}: {} requests were asked again", run.repeated);
        }
    }
}

/// One load on a cluster of its own, from its first to its last thread.
fn measure(kind: Kind, replicas: u16, work: Work, operation: Operation, outstanding: u16) -> Run {
    let (network, transports) = network::connect(kind, replicas);
    let cluster = Cluster::start(transports, work);
    let mut clients = Clients::new(network, replicas);
    let first = if operation == Operation::Floor { Operation::Floor } else { Operation::Put };
    clients.run(first, 1, Duration::ZERO); // finds the leader for all
    clients.run(first, outstanding, Duration::ZERO); // every key has a value
    clients.run(operation, outstanding, WARM_UP);
    let span = if operation == Operation::Floor { FLOOR_SPAN } else { SPAN };
    let run = clients.run(operation, outstanding, span);
    cluster.stop();
    assert_eq!(run.refused, 0, "every request is answered `ok`");
    run
}
