//! A healthy cluster, as its clients and operators see it.

use std::fs;

use crate::http;
use crate::processes::{Cluster, kvstore, signal, wait_for};
use crate::resp::{Client, Reply};

/// Asks until the cluster serves the request, which may take effect twice.
pub fn served(client: &mut Client, words: &[&str]) -> Reply {
    wait_for("an answer of the store", || {
        Some(client.ask(words).expect("the connection lives")).filter(|reply| !reply.is_leaderless())
    })
}

#[test]
fn each_replica_serves_writes_and_reads() {
    let cluster = Cluster::start();
    for writer in 0..3 {
        let value = format!("written at {writer}");
        assert_eq!(served(&mut cluster.client(writer), &["SET", "key", &value]), Reply::ok());
        for reader in 0..3 {
            assert_eq!(served(&mut cluster.client(reader), &["GET", "key"]), Reply::bulk(&value));
        }
    }
}

#[test]
fn value_of_a_megabyte_passes_through_a_follower() {
    let cluster = Cluster::start();
    let follower = (cluster.leader() + 1) % 3;
    let value = "v".repeat(1 << 20);
    assert_eq!(served(&mut cluster.client(follower), &["SET", "key", &value]), Reply::ok());
    assert_eq!(served(&mut cluster.client(follower), &["GET", "key"]), Reply::bulk(&value));
}

#[test]
fn longest_value_that_can_be_set_passes_through_a_follower_on_every_way() {
    const MOST: usize = 4 << 20;
    let mut cluster = Cluster::of_three(&[("max-value-bytes", "4194304")]);
    (0..3).for_each(|replica| cluster.start_one(replica));
    let follower = (cluster.leader() + 1) % 3;
    let value = "v".repeat(MOST);
    let mut client = cluster.client(follower);
    assert_eq!(served(&mut client, &["SET", "key", &value]), Reply::ok());
    assert_eq!(served(&mut client, &["GET", "key"]), Reply::bulk(&value));
    let http = cluster.http(follower);
    let ask = |method: &str, body: &[u8]| {
        wait_for("an answer of the store", || {
            http::ask(&http, method, "/kv/key", body).filter(|answer| ![503, 504].contains(&answer.status))
        })
    };
    assert_eq!(ask("PUT", value.as_bytes()).status, 204);
    assert!(ask("GET", b"").body == value.as_bytes());
}

#[test]
fn settings_come_from_flags_the_environment_or_a_file() {
    let mut cluster = Cluster::of_three(&[("password", "sesame"), ("secret", "hidden")]);
    cluster.start_one(0);
    let mut command = kvstore("serve");
    for (name, value) in cluster.settings(1) {
        command.env(format!("KVSTORE_{}", name.to_uppercase().replace('-', "_")), value);
    }
    command.stderr(cluster.log_file(1));
    cluster.start_with(1, command);
    let quoted = |value: &str| format!("{value:?}");
    let list = |value: &str| format!("[{}]", value.split(',').map(quoted).collect::<Vec<_>>().join(", "));
    let lines = cluster.settings(2).into_iter().map(|(name, value)| {
        let is_list = name == "peers" || name.ends_with("-addresses");
        format!("{name} = {}\n", if is_list { list(&value) } else { quoted(&value) })
    });
    let path = cluster.path().join("kvstore.toml");
    fs::write(&path, lines.collect::<String>()).expect("writable");
    let mut command = kvstore("serve");
    command.arg("--config").arg(&path).stderr(cluster.log_file(2));
    cluster.start_with(2, command);
    for replica in 0..3 {
        let mut client = cluster.client(replica);
        let refusal = client.ask(&["GET", "key"]).expect("an answer");
        assert_eq!(refusal, Reply::Error("NOAUTH Authentication required.".into()));
        assert_eq!(client.ask(&["AUTH", "sesame"]).expect("an answer"), Reply::ok());
        assert_eq!(served(&mut client, &["GET", "key"]), Reply::Nil);
    }
}

#[test]
fn replica_that_is_told_to_stop_answers_the_request_that_it_has() {
    let mut cluster = Cluster::of_three(&[("request-timeout", "60000")]);
    cluster.start_one(0);
    let mut waiting = cluster.client(0);
    waiting.send(&["SET", "key", "value"]).expect("the connection lives");
    let mut other = cluster.client(0);
    wait_for("the request at the replica", || match other.ask(&["CLIENT", "LIST"]) {
        Ok(Reply::Bulk(list)) => String::from_utf8_lossy(&list).contains("cmd=set").then_some(()),
        reply => panic!("{reply:?}"),
    });
    signal(&cluster.process(0).0, "TERM");
    let reply = waiting.reply().expect("an answer");
    assert!(matches!(&reply, Reply::Error(error) if error.starts_with("CLUSTERDOWN")), "{reply:?}");
    assert_eq!(cluster.process(0).ended().code(), Some(0));
}

#[test]
fn log_in_json_has_an_object_per_line() {
    let mut cluster = Cluster::of_three(&[("log-format", "json")]);
    cluster.start_one(0);
    drop(cluster.client(0));
    signal(&cluster.process(0).0, "INT");
    assert_eq!(cluster.process(0).ended().code(), Some(0));
    let log = cluster.log(0);
    let records: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(records.iter().any(|record| record["message"] == "starts" && record["id"] == "0001"), "{log}");
}

#[test]
fn error_that_ends_a_replica_is_an_object_too() {
    let cluster = Cluster::of_three(&[]);
    let path = cluster.path().join("kvstore.toml");
    fs::write(&path, "log-format = \"json\"\n").expect("writable");
    let path = path.to_str().expect("text");
    let _taken = std::net::TcpListener::bind(cluster.redis(0)).expect("it is free");
    for (words, code, message) in [
        (
            &["--log-format", "json", "--snapshot-after", "0"][..],
            2,
            "snapshot-after must be 1 to 1048576, not 0",
        ),
        (&["--log-format", "json", "--config", "/nowhere"], 2, "can't read /nowhere: "),
        (&["--config", path, "--log-tail", "9999999"], 2, "log-tail must be 0 to 1048576"),
        (&["--config", path], 1, "can't listen on "),
    ] {
        let mut command = cluster.command(0);
        let output = command.args(words).stderr(std::process::Stdio::piped()).output().expect("it starts");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), said.lines().count()), (Some(code), 1), "{said}");
        let record: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(record["level"], "ERROR", "{said}");
        assert!(record["message"].as_str().is_some_and(|text| text.starts_with(message)), "{said}");
    }
}
