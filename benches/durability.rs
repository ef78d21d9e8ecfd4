//! The cost of a disk: real processes with real files, beside a floor and beside the same in memory,
//! all in one run.
//!
//! `cargo bench --bench durability [-- PART...]`
//!
//! | part | figures | time |
//! |---|---|---|
//! | `latency` | a put at one client, beside the floor | 10 s |
//! | `throughput` | puts per second, beside the same in memory; syncs and bytes for a put | 1 min |
//! | `recovery` | the start from 0.5 GB of log, and from a snapshot of a million keys | 1 min |
//! | `catch-up` | a follower that was down while a million keys were stored | 1 min |
//! | `memory` | memory with a million keys, at rest and around a snapshot | 1 min |
//! | `soak` | ten million puts on a thousand keys: memory, files, throughput | 5 min |
//!
//! Without the name of a part the bench runs all but `soak`. The machine should have nothing else
//! to do. The files are in the build's own directory, or in that of `KVSTORE_BENCH_DIR`, which must
//! be on a disk.
//!
//! # How it is measured
//!
//! A cluster is three processes of this build's `kvstore`, each with a connection to the bench: a
//! Unix socket of sequenced packets. The bench is network and clients on one thread. So a message
//! between replicas has two hops. Keys have 32 bytes and values 100. Each client sends its next put
//! as soon as it has the answer to its last one.
//!
//! Two clusters that are compared run at the same time, and one of them works: 10 rounds of 4 short
//! blocks, the first cluster, the second twice, the first. Each round has a ratio. The median of the
//! ratios bears a machine and a disk whose speed drifts, and their middle half shows how much.
//!
//! `KVSTORE_BENCH_BESIDE` names another build of `kvstore` for `latency` and `throughput`. It has a
//! disk, too, and takes the place of the floor or of the cluster in memory.
//!
//! # The floor
//!
//! The bench starts itself three times more. Such a process has the same connection, receives and
//! sends messages of the same sizes (the means of the replicas' own) and appends records of the same
//! size to a file whose blocks were written before. For a put: client to leader; leader to one
//! follower, and to the other one for the next put; each writes its record and calls `fdatasync`,
//! the leader after it has sent, the follower before it answers; follower to leader to client. The
//! floor parses, checks and keeps nothing.

#[path = "durability/catch_up.rs"]
mod catch_up;
#[path = "durability/clients.rs"]
mod clients;
#[path = "durability/figures.rs"]
mod figures;
#[path = "durability/floor.rs"]
mod floor;
#[path = "durability/latency.rs"]
mod latency;
#[path = "durability/logs.rs"]
mod logs;
#[path = "durability/memory.rs"]
mod memory;
#[path = "durability/network.rs"]
mod network;
#[path = "durability/place.rs"]
mod place;
#[path = "durability/processes.rs"]
mod processes;
#[path = "durability/recovery.rs"]
mod recovery;
#[path = "durability/snapshots.rs"]
mod snapshots;
#[path = "../tests/testkit/mod.rs"]
mod testkit;
#[path = "durability/throughput.rs"]
mod throughput;

use place::Place;

/// Measures and prints a part.
type Part = fn(&Place);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((floor::WORD, numbers)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        return floor::run(numbers);
    }
    // Cargo's own arguments begin with a dash.
    let wanted: Vec<String> = arguments.into_iter().filter(|word| !word.starts_with('-')).collect();
    let is_named = |name: &str| wanted.iter().any(|wanted| wanted == name);
    let place = Place::create();
    let parts: [(&str, Part); 6] = [
        ("latency", latency::print),
        ("throughput", throughput::print),
        ("recovery", recovery::print),
        ("catch-up", catch_up::print),
        ("memory", memory::print),
        ("soak", memory::soak),
    ];
    for (name, print) in parts {
        if is_named(name) || (wanted.is_empty() && name != "soak") {
            print(&place);
        }
    }
}
