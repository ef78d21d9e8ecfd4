//! A backup of a running cluster, and a new cluster from it.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::processes::{Cluster, kvstore};
use crate::resp::Reply;
use crate::service::served;

fn backup(file: &Path, from: &str) -> Output {
    kvstore("backup").arg(file).args(["--from", from]).output().expect("it starts")
}

fn restore(file: &Path, cluster: &Cluster, replica: usize) -> Output {
    let directory = cluster.path().join(replica.to_string());
    let id = format!("{:04X}", replica + 1);
    let mut command = kvstore("restore");
    command.arg(file).arg("--data-dir").arg(directory);
    command
        .args(["--id", &id, "--members", "0001,0002,0003", "--cluster", "new"])
        .output()
        .expect("it starts")
}

#[test]
fn new_cluster_has_the_keys_of_the_backup_and_goes_on() {
    let old = Cluster::start();
    let mut client = old.client(0);
    for number in 0..200 {
        assert_eq!(served(&mut client, &["SET", &format!("k{number}"), "old"]), Reply::ok());
    }
    served(&mut client, &["INCR", "counter"]);
    let file = old.path().join("backup");
    // The leader has all that it acknowledged.
    let from = old.http(old.leader());
    let done = backup(&file, &from);
    assert!(done.status.success(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains(": 201 keys, up to entry "), "{done:?}");
    let again = backup(&file, &from);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    served(&mut client, &["SET", "k0", "after the backup"]);

    let mut new = Cluster::of_three(&[("cluster", "new")]);
    for replica in 0..3 {
        let done = restore(&file, &new, replica);
        assert!(done.status.success(), "{done:?}");
        new.start_one(replica);
    }
    let mut client = new.client(1);
    assert_eq!(served(&mut client, &["GET", "k0"]), Reply::bulk("old"));
    assert_eq!(served(&mut client, &["DBSIZE"]), Reply::Integer(201));
    assert_eq!(served(&mut client, &["INCR", "counter"]), Reply::Integer(2));
}

#[test]
fn backup_from_what_is_no_replica_leaves_no_file() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("backup");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it listens").to_string();
    drop(listener);
    let refused = backup(&file, &address);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let error = String::from_utf8(refused.stderr).expect("UTF-8");
    assert!(error.starts_with(&format!("kvstore: cannot ask {address}: ")), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(fs::read_dir(place.path()).expect("it exists").count(), 0);
}
