//! How long puts take while a follower receives the entries that it has missed.

use std::time::Duration;

use crate::clients::{Clients, Operation};
use crate::cluster::{Cluster, Work};
use crate::network::{self, Kind};

const REPLICAS: u16 = 5;

/// How many entries the follower lacks when the network heals.
const MISSED: [usize; 3] = [0, 500_000, 1_000_000];

/// Clients that add these entries, in rounds of so long.
const WRITERS: u16 = 512;
const ROUND: Duration = Duration::from_millis(100);

/// Clients whose puts are measured, and for how long.
const CLIENTS: u16 = 8;
const SPAN: Duration = Duration::from_secs(5);

pub fn print() {
    println!(
        "\n{:<9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "transport", "replicas", "missed", "p50", "p99", "slowest", "req/s"
    );
    MISSED.into_iter().for_each(print_line);
}

fn print_line(missed: usize) {
    let (network, transports) = network::connect(Kind::Memory, REPLICAS);
    let cluster = Cluster::start(transports, Work::Replica);
    let mut clients = Clients::new(network, REPLICAS);
    clients.run(Operation::Put, 1, Duration::ZERO); // finds the leader for all
    let added = if missed > 0 { leave_behind(&mut clients, missed) } else { 0 };
    let run = clients.run(Operation::Put, CLIENTS, SPAN);
    cluster.stop();
    println!(
        "{:<9} {REPLICAS:>8} {added:>9} {:>9.1} {:>9.1} {:>9.1} {:>9.0}",
        Kind::Memory.name(),
        run.latency_us(0.5),
        run.latency_us(0.99),
        run.latency_us(1.0),
        run.per_second(),
    );
    if run.refused > 0 {
        println!("  of the line above: {} puts were sent on to another replica", run.refused);
    }
}

/// Adds at least so many entries while one follower is cut off, and connects it again. Returns how many.
fn leave_behind(clients: &mut Clients, entries: usize) -> usize {
    clients.cut_off_a_follower();
    let mut added = 0;
    while added < entries {
        added += clients.run(Operation::Put, WRITERS, ROUND).answered();
    }
    clients.heal();
    added
}
