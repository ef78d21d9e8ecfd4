//! The memory of replicas with a million keys, and of replicas that overwrite a few keys for long.

use std::time::Duration;

use crate::clients::Run;
use crate::network::{Network, REPLICAS};
use crate::place::{Place, size_of};
use crate::processes::Cluster;
use crate::snapshots::put_until_taken;

const KEYS: u64 = 1_000_000;
const CLIENTS: u16 = 64;
/// How long all but one client rest then: the replicas end the snapshots that they have begun.
const REST: Duration = Duration::from_secs(10);

const SOAK_KEYS: u64 = 1_000;
const SOAK_STEP: u64 = 1_000_000;
const SOAK_STEPS: u64 = 10;

pub fn print(place: &Place) {
    println!("\nMemory with {KEYS} keys, in MB");
    let mut network = Network::default();
    let mut cluster = Cluster::of_replicas(&mut network, place.part("memory"), true);
    let mut key = 0;
    let mut next = || {
        key += 1;
        key % KEYS
    };
    cluster.clients.put(&mut network, CLIENTS, KEYS, &mut next);
    cluster.clients.put_for(&mut network, 1, REST, &mut next);
    println!("{:>10} {:>9} {:>9} {:>22}", "", "at rest", "most", "most around a snapshot");
    let at_rest: Vec<_> = (0..REPLICAS).map(|own| cluster.process(own).memory_mb()).collect();
    (0..REPLICAS).for_each(|own| cluster.process(own).forget_peak());
    let mut rng = fastrand::Rng::with_seed(1);
    put_until_taken(&mut network, &mut cluster, &[0, 1, 2], CLIENTS, || rng.u64(..KEYS));
    for (own, (now, most)) in (0..).zip(at_rest) {
        let (_, around) = cluster.process(own).memory_mb();
        println!("{:>10} {now:>9.0} {most:>9.0} {around:>22.0}", role(&cluster, own));
    }
    cluster.stop(&mut network);
}

/// Ten million puts on a thousand keys.
pub fn soak(place: &Place) {
    println!("\nPuts on {SOAK_KEYS} keys, {CLIENTS} outstanding");
    let mut network = Network::default();
    let mut cluster = Cluster::of_replicas(&mut network, place.part("soak"), true);
    cluster.clients.put(&mut network, 1, 1, || 0); // finds the leader
    let mut rng = fastrand::Rng::with_seed(1);
    println!("{:>9} {:>9} {:>9}  {:<28} MB of files", "puts", "puts/s", "p99 us", "MB of memory");
    let mut rates = Vec::new();
    for step in 1..=SOAK_STEPS {
        let run = cluster.clients.put(&mut network, CLIENTS, SOAK_STEP, || rng.u64(..SOAK_KEYS));
        print_step(&cluster, step * SOAK_STEP, &run);
        rates.push(run.per_second());
    }
    println!("last million / first: {:.2}", rates[rates.len() - 1] / rates[0]);
    cluster.stop(&mut network);
}

fn print_step(cluster: &Cluster, puts: u64, run: &Run) {
    let each = |figure: &dyn Fn(u16) -> f64| {
        (0..REPLICAS).map(|own| format!("{:>9.0}", figure(own))).collect::<String>()
    };
    println!(
        "{puts:>9} {:>9.0} {:>9.1} {:<29} {}",
        run.per_second(),
        run.latency_us(0.99),
        each(&|own| cluster.process(own).memory_mb().0),
        each(&|own| size_of(&cluster.data_directory(own)) as f64 / 1e6),
    );
}

fn role(cluster: &Cluster, own: u16) -> &'static str {
    if own == cluster.clients.leader { "leader" } else { "follower" }
}
