//! A leader dies under load.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::processes::{Cluster, wait_for};
use crate::resp::{Client, Reply};
use crate::service::served;

/// How many clients write at once.
const WRITERS: usize = 3;
/// How many acknowledgements make a phase of the test.
const PHASE: usize = 300;

/// Writes one key after the other through changing replicas until it is told to stop, and notes the keys
/// whose writes are acknowledged.
fn write(addresses: &[String], writer: usize, acknowledged: &Mutex<Vec<String>>, stops: &AtomicBool) {
    let mut replica = writer;
    let mut client: Option<Client> = None;
    for number in 0.. {
        if stops.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("{writer}:{number}");
        let reply = match client.as_mut() {
            Some(client) => client.ask(&["SET", &key, &key]),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        };
        match reply {
            Ok(Reply::Simple(_)) => acknowledged.lock().expect("no panic").push(key),
            // Not acknowledged, so nothing is promised. The next key goes to another replica.
            Ok(Reply::Error(_)) | Err(_) => {
                replica = (replica + 1) % addresses.len();
                client = Client::connect(&addresses[replica]).ok();
            }
            Ok(reply) => panic!("{reply:?}"),
        }
    }
}

#[test]
fn acknowledged_writes_survive_a_killed_leader_which_catches_up_after_its_restart() {
    let mut cluster = Cluster::start();
    cluster.leader();
    let addresses: Vec<String> = (0..3).map(|replica| cluster.redis(replica)).collect();
    let (acknowledged, stops) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let count = || acknowledged.lock().expect("no panic").len();
    let more = |than: usize| wait_for("acknowledgements", || (count() >= than + PHASE).then_some(()));
    let killed = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (addresses, acknowledged, stops) = (&addresses, &acknowledged, &stops);
            scope.spawn(move || write(addresses, writer, acknowledged, stops));
        }
        more(0);
        let leader = cluster.leader();
        cluster.kill(leader);
        more(count());
        cluster.start_one(leader);
        more(count());
        stops.store(true, Ordering::Relaxed);
        leader
    });

    let keys = acknowledged.into_inner().expect("no panic");
    let last = keys.last().expect("some");
    let mut restarted = cluster.client(killed);
    assert_eq!(restarted.ask(&["READONLY"]).expect("an answer"), Reply::ok());
    wait_for("the killed replica has all", || {
        (restarted.ask(&["GET", last]).expect("an answer") == Reply::bulk(last)).then_some(())
    });
    for replica in 0..3 {
        let mut client = cluster.client(replica);
        for key in &keys {
            assert_eq!(served(&mut client, &["GET", key]), Reply::bulk(key), "at {replica}");
        }
    }
}
