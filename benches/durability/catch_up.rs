//! A follower that was down while the others stored a million keys.

use std::time::{Duration, Instant};

use crate::clients::{Clients, Run};
use crate::network::{Network, REPLICAS, Watch};
use crate::place::Place;
use crate::processes::Cluster;

const KEYS: u64 = 1_000_000;
/// Clients that store them.
const WRITERS: u16 = 256;
/// Clients whose puts are measured, and for how long before the follower returns.
const CLIENTS: [u16; 2] = [1, 8];
const BEFORE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(120);

pub fn print(place: &Place) {
    println!("\nA follower returns that was down while {KEYS} keys were stored");
    println!(
        "{:>7} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>6}",
        "clients", "in step, s", "p50 before", "meanwhile", "p99 before", "meanwhile", "slowest", "x p99"
    );
    CLIENTS.into_iter().for_each(|clients| print_line(place, clients));
}

fn print_line(place: &Place, clients: u16) {
    let mut network = Network::default();
    let directory = place.part(&format!("catch-up-{clients}"));
    let mut cluster = Cluster::of_replicas(&mut network, directory, true, &[]);
    cluster.clients.put(&mut network, 1, 100, || 0);
    let follower = (cluster.clients.leader + 1) % REPLICAS;
    cluster.kill(&mut network, follower);
    let mut key = 0;
    let mut next = || {
        key += 1;
        key % KEYS
    };
    cluster.clients.put(&mut network, WRITERS, KEYS, &mut next);
    let before = cluster.clients.put_for(&mut network, clients, BEFORE, &mut next);

    let begun = Instant::now();
    cluster.start_one(&mut network, follower);
    let place = cluster.place();
    network.watch = Some(Watch { place, follower, committed: u64::MAX, matched: 0 });
    let meanwhile = until_in_step(&mut network, &mut cluster.clients, clients, &mut next);
    let took = begun.elapsed();
    let [(p50, p99), (p50_then, p99_then)] =
        [&before, &meanwhile].map(|run| (run.latency_us(0.5), run.latency_us(0.99)));
    println!(
        "{clients:>7} {:>12.2} {p50:>10.1} {p50_then:>10.1} {p99:>10.1} {p99_then:>10.1} {:>10.1} {:>6.2}",
        took.as_secs_f64(),
        meanwhile.latency_us(1.0),
        p99_then / p99
    );
    cluster.stop(&mut network);
}

/// Lets the clients put until the follower has acknowledged all that is committed.
fn until_in_step(network: &mut Network, clients: &mut Clients, count: u16, next: impl FnMut() -> u64) -> Run {
    let begun = Instant::now();
    clients.put_while(network, count, next, |network, _| {
        assert!(begun.elapsed() < PATIENCE, "the follower does not catch up");
        !network.watch.is_some_and(|watch| watch.is_in_step())
    })
}
