//! A follower that was down while the others stored a million keys.

use std::time::{Duration, Instant};

use crate::clients::{Clients, Run};
use crate::network::{Network, REPLICAS, Watch};
use crate::place::Place;
use crate::processes::Cluster;
use crate::snapshots::put_until_taken;

const KEYS: u64 = 1_000_000;
/// Clients that store them.
const WRITERS: u16 = 1_024;
/// Clients whose puts are measured, and for how long before the follower returns.
const CLIENTS: u16 = 8;
const BEFORE: Duration = Duration::from_secs(5);
/// How long all but one client rest before that.
const REST: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

pub fn print(place: &Place) {
    println!("\nA follower returns that was down while {KEYS} keys were stored");
    let mut network = Network::default();
    let mut cluster = Cluster::of_replicas(&mut network, place.part("catch-up"), true);
    cluster.clients.put(&mut network, 1, 100, || 0);
    let follower = (cluster.clients.leader + 1) % REPLICAS;
    cluster.kill(&mut network, follower);
    let mut key = 0;
    let mut next = || {
        key += 1;
        key % KEYS
    };
    cluster.clients.put(&mut network, WRITERS, KEYS, &mut next);
    // The next snapshot is far away then.
    let others = [1, 2].map(|step| (follower + step) % REPLICAS);
    put_until_taken(&mut network, &mut cluster, &others, WRITERS, &mut next);
    cluster.clients.put_for(&mut network, 1, REST, &mut next);
    let before = cluster.clients.put_for(&mut network, CLIENTS, BEFORE, &mut next);

    let begun = Instant::now();
    cluster.start_one(&mut network, follower);
    network.watch = Some(Watch::new(cluster.place(), follower));
    let meanwhile = until_in_step(&mut network, &mut cluster.clients, &mut next);
    let took = begun.elapsed();
    println!("in step after {:.2} s, {CLIENTS} clients meanwhile", took.as_secs_f64());
    if meanwhile.redirected > 0 {
        println!("the leader changed: {} puts were sent on to another replica", meanwhile.redirected);
    }
    println!("{:<9} {:>9} {:>9} {:>9} {:>9}", "us", "puts/s", "p50", "p99", "slowest");
    for (name, run) in [("before", &before), ("meanwhile", &meanwhile)] {
        let [p50, p99, slowest] = [0.5, 0.99, 1.0].map(|share| run.latency_us(share));
        println!("{name:<9} {:>9.0} {p50:>9.1} {p99:>9.1} {slowest:>9.1}", run.per_second());
    }
    println!("p99 meanwhile / before: {:.2}", meanwhile.latency_us(0.99) / before.latency_us(0.99));
    cluster.stop(&mut network);
}

/// Lets the clients put until the follower has acknowledged all that is committed.
fn until_in_step(network: &mut Network, clients: &mut Clients, next: impl FnMut() -> u64) -> Run {
    let begun = Instant::now();
    clients.put_while(network, CLIENTS, next, |network, _| {
        assert!(begun.elapsed() < PATIENCE, "the follower does not catch up");
        !network.watch.is_some_and(|watch| watch.is_in_step())
    })
}
