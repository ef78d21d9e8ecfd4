//! Puts per second with a disk, beside those in memory, and the work of the disks.

use std::time::Duration;

use crate::clients::{KEY_BYTES, Run, VALUE_BYTES};
use crate::figures::{Spread, interleave};
use crate::network::Network;
use crate::place::Place;
use crate::processes::{Cluster, other_build};

const OUTSTANDING: [u16; 3] = [1, 64, 512];
const ROUNDS: usize = 10;
const BLOCK: Duration = Duration::from_millis(400);
const WARM_UP: Duration = Duration::from_secs(1);
const KEYS: u64 = 100_000;

pub fn print(place: &Place) {
    let beside = if other_build().is_some() { "other" } else { "in memory" };
    println!("\nPuts per second with a disk, beside the same: {beside}");
    println!(
        "{:>11} {:>9} {:>9} {:>9} {:>9} {:>9}  ratio (middle half)",
        "outstanding", "with disk", "p50 us", "p99 us", beside, "p99 us"
    );
    OUTSTANDING.into_iter().for_each(|clients| print_load(place, clients));
}

fn print_load(place: &Place, clients: u16) {
    let mut network = Network::default();
    let part = |name: &str| place.part(&format!("{name}-{clients}"));
    let mut sides = [
        Cluster::of_replicas(&mut network, part("disk"), true),
        match other_build() {
            Some(program) => Cluster::of_build(&mut network, part("other"), program),
            None => Cluster::of_replicas(&mut network, part("memory"), false),
        },
    ];
    let mut rng = fastrand::Rng::with_seed(1);
    for cluster in &mut sides {
        cluster.clients.put(&mut network, 1, 1, || 0); // finds the leader
        cluster.clients.put_for(&mut network, clients, WARM_UP, || rng.u64(..KEYS));
    }
    let rounds = interleave(ROUNDS, |side| {
        sides[side].clients.put_for(&mut network, clients, BLOCK, || rng.u64(..KEYS))
    });
    let ratios = rounds.iter().map(|[disk, memory]| per_second(disk) / per_second(memory)).collect();
    let mut all = [Run::default(), Run::default()];
    for (at, run) in rounds.into_iter().flatten().enumerate().flat_map(|(at, runs)| runs.map(|run| (at, run)))
    {
        all[at % 2].add(run);
    }
    let [disk, memory] = &all;
    println!(
        "{clients:>11} {:>9.0} {:>9.1} {:>9.1} {:>9.0} {:>9.1}  {}",
        disk.per_second(),
        disk.latency_us(0.5),
        disk.latency_us(0.99),
        memory.per_second(),
        memory.latency_us(0.99),
        Spread::new(ratios),
    );
    let [disk, memory] = sides;
    print_disks(disk, &mut network);
    memory.stop(&mut network);
}

fn per_second(blocks: &[Run; 2]) -> f64 {
    let puts: usize = blocks.iter().map(|run| run.latencies.len()).sum();
    puts as f64 / blocks.iter().map(|run| run.took.as_secs_f64()).sum::<f64>()
}

/// Prints the work of the disks for a put, from the start of the cluster on.
fn print_disks(cluster: Cluster, network: &mut Network) {
    let (leader, puts) = (cluster.clients.leader, cluster.clients.sent as f64);
    let stored = puts * (KEY_BYTES + VALUE_BYTES) as f64;
    for (own, counts) in (0..).zip(cluster.stop(network)) {
        println!(
            "{:>11} {:.3} syncs per put, or {:.1} puts per sync; for each byte stored {:.2} written to the log, \
             {:.2} otherwise",
            if own == leader { "leader" } else { "follower" },
            counts.syncs as f64 / puts,
            puts / counts.syncs as f64,
            counts.log_bytes as f64 / stored,
            counts.other_bytes as f64 / stored,
        );
    }
}
