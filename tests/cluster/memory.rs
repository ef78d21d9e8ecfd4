//! A cluster whose keys and values take all the memory that they may.

use crate::http;
use crate::processes::{Cluster, kvstore, wait_for};
use crate::resp::Reply;
use crate::service::served;

/// Half of the memory.
const HALF: usize = 600_000;

#[test]
fn full_cluster_refuses_writes_on_every_way_until_a_delete_makes_room() {
    let mut cluster = Cluster::of_three(&[("max-memory", "1")]);
    (0..3).for_each(|replica| cluster.start_one(replica));
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    let oom = Reply::Error("OOM command not allowed when used memory > 'maxmemory'.".into());
    let half = "v".repeat(HALF);
    for key in ["a", "b"] {
        assert_eq!(served(&mut cluster.client(leader), &["SET", key, &half]), Reply::ok());
    }
    for replica in [leader, follower] {
        let mut client = cluster.client(replica);
        assert_eq!(served(&mut client, &["SET", "c", "v"]), oom);
        assert_eq!(served(&mut client, &["KV.DO", "00AB", "1", "APPEND", "a", "v"]), oom);
        assert_eq!(served(&mut client, &["STRLEN", "a"]), Reply::Integer(HALF as i64));
        let refused = wait_for("an answer of the store", || {
            http::ask(&cluster.http(replica), "PUT", "/kv/c", b"v").filter(|answer| answer.status != 503)
        });
        assert_eq!(
            (refused.status, refused.text()),
            (507, "command not allowed when used memory > 'maxmemory'.\n")
        );
    }
    shows_its_memory(&cluster, leader);
    assert_eq!(served(&mut cluster.client(follower), &["DEL", "a"]), Reply::Integer(1));
    assert_eq!(served(&mut cluster.client(follower), &["SET", "c", "v"]), Reply::ok());
}

/// The replica says how much memory is used, and how much it may be.
fn shows_its_memory(cluster: &Cluster, replica: usize) {
    let mut client = cluster.client(replica);
    let limit = client.ask(&["CONFIG", "GET", "maxmemory"]).expect("an answer");
    assert_eq!(limit, Reply::Array(vec![Reply::bulk("maxmemory"), Reply::bulk("1048576")]));
    let used = 2 * (HALF + 161);
    wait_for("the memory in INFO", || {
        let Ok(Reply::Bulk(info)) = client.ask(&["INFO", "memory"]) else { return None };
        let info = String::from_utf8(info).expect("text");
        let has = |line: &str| info.lines().any(|other| other == line);
        (has(&format!("used_memory_dataset:{used}")) && has("maxmemory:1048576")).then_some(())
    });
    let metrics = http::ask(&cluster.http(replica), "GET", "/metrics", b"").expect("it listens");
    for line in [&format!("kvstore_data_bytes {used}.0\n"), "kvstore_max_data_bytes 1048576.0\n"] {
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
    let table = kvstore("status").arg(cluster.http(replica)).output().expect("it starts");
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(table.contains(" 1.1 of 1 MB "), "{table}");
}
