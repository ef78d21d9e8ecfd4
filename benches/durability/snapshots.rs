//! Puts until the replicas have saved a snapshot.

use std::fs;
use std::path::Path;

use crate::network::Network;
use crate::processes::Cluster;

/// Puts between two looks for a new snapshot.
const STEP: u64 = 20_000;
const MOST_STEPS: u32 = 100;

/// Lets so many clients put until each of these replicas has saved one more snapshot.
pub fn put_until_taken(
    network: &mut Network,
    cluster: &mut Cluster,
    replicas: &[u16],
    clients: u16,
    mut next: impl FnMut() -> u64,
) {
    let newest = |cluster: &Cluster| -> Vec<_> {
        replicas.iter().map(|&own| newest(&cluster.data_directory(own))).collect()
    };
    let before = newest(cluster);
    let is_taken = |cluster: &Cluster| before.iter().zip(newest(cluster)).all(|(before, now)| *before != now);
    for _ in 0..MOST_STEPS {
        cluster.clients.put(network, clients, STEP, &mut next);
        if is_taken(cluster) {
            return;
        }
    }
    panic!("a replica takes no snapshot");
}

/// The name of the newest snapshot that is finished.
fn newest(directory: &Path) -> Option<String> {
    let names = fs::read_dir(directory)
        .expect("it exists")
        .filter_map(|file| file.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("snapshot-") && !name.ends_with(".tmp")).max()
}
