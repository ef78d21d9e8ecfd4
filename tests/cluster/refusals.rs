//! Wrong settings, and strangers at the ports.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use crate::processes::{Cluster, LIMIT, kvstore, wait_for};
use crate::resp::Reply;
use crate::service::served;

/// The command of a replica that ends with this code, and with one line on stderr.
fn refusal(mut command: Command, code: i32) -> String {
    let Output { status, stderr, .. } =
        command.stderr(std::process::Stdio::piped()).output().expect("it starts");
    let stderr = String::from_utf8(stderr).expect("UTF-8");
    assert_eq!((status.code(), stderr.lines().count()), (Some(code), 1), "{stderr}");
    stderr
}

/// The command of the first replica, with these words behind it.
fn with(cluster: &Cluster, words: &[&str]) -> Command {
    let mut command = cluster.command(0);
    command.args(words);
    command
}

#[test]
fn mistake_in_the_file_is_one_line_with_its_number() {
    let cluster = Cluster::of_three(&[]);
    let path = cluster.path().join("kvstore.toml");
    let path = path.to_str().expect("UTF-8");
    for (text, expected) in [
        ("# a comment\nport = 6379\n", "line 2: unknown field `port`"),
        ("max-connections = 'many'\n", "line 1: invalid type: string \"many\", expected u64"),
        ("\n\ncluster = \n", "line 3: "),
    ] {
        fs::write(path, text).expect("writable");
        let said = refusal(with(&cluster, &["--config", path]), 2);
        assert!(said.starts_with(&format!("kvstore: {path}, {expected}")), "{said}");
    }
    let said = refusal(with(&cluster, &["--config", "/nowhere"]), 2);
    assert!(said.starts_with("kvstore: can't read /nowhere: "), "{said}");
}

#[test]
fn directory_of_another_replica_or_cluster_is_refused() {
    let mut cluster = Cluster::of_three(&[]);
    cluster.start_one(0);
    drop(cluster.client(0));
    let directory = cluster.path().join("0");
    let directory = directory.to_str().expect("UTF-8");
    let said = refusal(with(&cluster, &[]), 2);
    assert!(said.contains(&format!("{directory} is in use by another process")), "{said}");
    cluster.kill(0);

    let place = |name: &str, value: String| (name.to_owned(), value);
    let settings = cluster.settings(1).into_iter().map(|(name, value)| match name.as_str() {
        "data-dir" => place(&name, directory.to_owned()),
        _ => place(&name, value),
    });
    let mut command = kvstore("serve");
    command.args(settings.flat_map(|(name, value)| [format!("--{name}"), value]));
    let said = refusal(command, 2);
    assert!(said.contains(&format!("{directory} belongs to replica 0001, not to 0002")), "{said}");

    let said = refusal(with(&cluster, &["--cluster", "other"]), 2);
    assert!(
        said.contains(&format!("{directory} belongs to cluster \"kvstore\" of 0001 0002 0003, not to")),
        "{said}"
    );
}

#[test]
fn port_in_use_is_named() {
    let mut cluster = Cluster::of_three(&[]);
    cluster.start_one(0);
    drop(cluster.client(0));
    let taken = cluster.redis(0);
    let mut command = kvstore("serve");
    let settings = cluster.settings(1).into_iter();
    let settings = settings.filter(|(name, _)| name != "redis-listen");
    command.args(settings.flat_map(|(name, value)| [format!("--{name}"), value]));
    command.args(["--redis-listen", &taken]);
    let said = refusal(command, 1);
    assert!(said.contains(&format!("can't listen on {taken}: ")), "{said}");
}

/// A cluster of three whose last replica has another setting; the two others serve.
fn odd_one_out(common: (&str, &str), odd: &str) -> Cluster {
    let mut cluster = Cluster::of_three(&[]);
    for replica in 0..3 {
        let mut command = cluster.command(replica);
        command.args([common.0, if replica == 2 { odd } else { common.1 }]);
        cluster.start_with(replica, command);
    }
    assert_eq!(served(&mut cluster.client(0), &["SET", "key", "value"]), Reply::ok());
    cluster
}

#[test]
fn replica_with_another_secret_stays_alone_and_both_sides_say_so() {
    let cluster = odd_one_out(("--secret", "sesame"), "Sesame");
    for replica in [0, 2] {
        wait_for("a line about the secret", || {
            cluster.log(replica).lines().any(|line| line.contains("secret")).then_some(())
        });
        assert!(!cluster.log(replica).to_lowercase().contains("sesame"), "the secret itself is in the log");
    }
}

#[test]
fn replica_of_another_cluster_stays_alone_and_both_sides_say_so() {
    let cluster = odd_one_out(("--cluster", "one"), "two");
    for replica in [0, 2] {
        wait_for("a line about the cluster", || {
            cluster.log(replica).lines().any(|line| line.contains("in another")).then_some(())
        });
    }
}

#[test]
fn stranger_at_the_port_of_the_replicas_gets_nothing_and_does_no_harm() {
    let mut cluster = Cluster::start();
    cluster.leader();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 10_000], b"*1\r\n$4\r\nPING\r\n"] {
        for replica in 0..3 {
            let mut stranger = TcpStream::connect(cluster.peers(replica)).expect("it listens");
            stranger.set_read_timeout(Some(LIMIT)).expect("a time");
            // The replica may have closed the connection already.
            let _refused = stranger.write_all(bytes);
            let mut answer = Vec::new();
            let _closed = stranger.read_to_end(&mut answer);
            assert!(answer.is_empty(), "{answer:?}");
        }
    }
    assert_eq!(served(&mut cluster.client(0), &["SET", "key", "value"]), Reply::ok());
    for replica in 0..3 {
        assert!(
            cluster.process(replica).0.try_wait().expect("our own").is_none(),
            "{}",
            cluster.log(replica)
        );
        assert!(!cluster.log(replica).contains("panic"), "{}", cluster.log(replica));
        wait_for("a line about strangers", || {
            cluster.log(replica).contains("refused a connection").then_some(())
        });
    }
}
