//! The latency of a put at one client, beside the floor's.

use crate::clients::Run;
use crate::figures::{Spread, interleave, percentile_us};
use crate::floor::{self, Sizes};
use crate::logs;
use crate::network::Network;
use crate::place::Place;
use crate::processes::{Cluster, other_build};

const WARM_UP_PUTS: u64 = 2_000;
const ROUNDS: usize = 10;
const BLOCK_PUTS: u64 = 1_000;
/// Puts go round these keys.
const KEYS: u64 = 10_000;

pub fn print(place: &Place) {
    let mut network = Network::default();
    let mut replicas = Cluster::of_replicas(&mut network, place.part("replicas"), true);
    warm_up(&mut network, &mut replicas);
    let tally = network.take_tally(replicas.place());
    let sizes = Sizes {
        append: tally.from_leader.mean(),
        acknowledgement: tally.to_leader.mean(),
        answer: tally.answers.mean(),
        leader_record: logs::record_bytes(&place.part("record-1"), 1),
        // The other follower got the put before.
        follower_record: logs::record_bytes(&place.part("record-2"), 2),
    };
    println!(
        "\nLatency at one client. {:.2} messages between replicas for a put; {} bytes in a request, {sizes:?}",
        (tally.from_leader.messages + tally.to_leader.messages) as f64 / WARM_UP_PUTS as f64,
        replicas.clients.request_bytes(),
    );
    let (name, mut floor) = match other_build() {
        Some(program) => ("other", Cluster::of_build(&mut network, place.part("other"), program)),
        None => {
            let command = move |own| floor::command(own, sizes);
            ("floor", Cluster::start(&mut network, place.part("floor"), command))
        }
    };
    warm_up(&mut network, &mut floor);
    let mut key = 0;
    let rounds = interleave(ROUNDS, |side| {
        let cluster = if side == 0 { &mut replicas } else { &mut floor };
        cluster.clients.put(&mut network, 1, BLOCK_PUTS, || next(&mut key))
    });
    print_rounds(name, rounds);
    for cluster in [replicas, floor] {
        cluster.stop(&mut network);
    }
}

fn warm_up(network: &mut Network, cluster: &mut Cluster) {
    cluster.clients.put(network, 1, 1, || 0); // finds the leader
    network.take_tally(cluster.place());
    let mut key = 0;
    cluster.clients.put(network, 1, WARM_UP_PUTS, || next(&mut key));
}

/// The next key on the way round all keys.
fn next(key: &mut u64) -> u64 {
    *key = (*key + 1) % KEYS;
    *key
}

fn print_rounds(beside: &str, rounds: Vec<[[Run; 2]; 2]>) {
    let mut sides = [Vec::new(), Vec::new()];
    let (mut p50s, mut p99s) = (Vec::new(), Vec::new());
    for round in rounds {
        let mut of_round = round.map(|blocks| blocks.map(|run| run.latencies).concat());
        let mut ratio = |share| {
            let [replicas, floor] = of_round.each_mut().map(|latencies| percentile_us(latencies, share));
            replicas / floor
        };
        p50s.push(ratio(0.5));
        p99s.push(ratio(0.99));
        sides.iter_mut().zip(of_round).for_each(|(side, latencies)| side.extend(latencies));
    }
    println!("{:<10} {:>9} {:>9} {:>9}", "us", "p50", "p99", "p99.9");
    for (name, mut side) in ["replicas", beside].into_iter().zip(sides) {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile_us(&mut side, share));
        println!("{name:<10} {p50:>9.1} {p99:>9.1} {p999:>9.1}");
    }
    println!(
        "replicas / {beside}, median of {ROUNDS} rounds (middle half): p50 {}, p99 {}",
        Spread::new(p50s),
        Spread::new(p99s)
    );
}
