//! Clients that misbehave at a real replica. Others are served meanwhile: their requests come to an
//! end. The bytes that a connection holds are counted in `src/frontend/redis_server/tests/bounds.rs`.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::processes::{Cluster, LIMIT};
use crate::resp::{Client, Reply, request};
use crate::service::served;

/// A connection that takes no byte for so long is full.
const FULL: Duration = Duration::from_millis(500);

const GIGABYTE: usize = 1 << 30;

/// The clients of the last test, and the memory that they may take.
const IDLE: usize = 5_000;
const BUSY: usize = 500;
const MEMORY_KIB: u64 = 300 << 10;
/// How often each of the busy clients writes and reads.
const ROUNDS: usize = 4;

/// Another client has its writes and reads served, at each replica.
fn others_are_served(cluster: &Cluster) {
    for replica in 0..3 {
        let mut client = cluster.client(replica);
        for number in 0..20 {
            let value = format!("{replica}:{number}");
            assert_eq!(served(&mut client, &["SET", "other", &value]), Reply::ok());
            assert_eq!(served(&mut client, &["GET", "other"]), Reply::bulk(&value));
        }
    }
}

/// The memory that a replica has taken at most.
fn peak_kib(cluster: &mut Cluster, replica: usize) -> u64 {
    let path = format!("/proc/{}/status", cluster.process(replica).0.id());
    let status = fs::read_to_string(path).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// A connection whose client reads nothing.
fn open(cluster: &Cluster, replica: usize) -> TcpStream {
    drop(cluster.client(replica)); // now it listens
    let stream = TcpStream::connect(cluster.redis(replica)).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a time");
    stream.set_write_timeout(Some(FULL)).expect("a time");
    stream
}

/// Writes the same bytes again and again, until the replica takes no more of them or `most` are sent.
/// Returns how many were sent.
fn flood(stream: &mut TcpStream, bytes: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most {
        match stream.write(&bytes[sent % bytes.len()..]) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break, // full, or closed by the replica
        }
    }
    sent
}

#[test]
fn clients_that_flood_and_take_no_replies_hurt_no_other() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader();
    let large = "v".repeat(100_000);
    assert_eq!(served(&mut cluster.client(leader), &["SET", "large", &large]), Reply::ok());
    let mut clients = Vec::new();
    for replica in [leader, (leader + 1) % 3] {
        let floods: [(&[&str], usize); 4] = [
            (&["PING"], 8 << 20),
            (&["GET", "large"], 4 << 20),
            (&["INCR", "n"], 128 << 10),
            (&["SET", "key", &large], 4 << 20),
        ];
        for (words, most) in floods {
            let mut client = open(&cluster, replica);
            let sent = flood(&mut client, request(words).repeat(100).as_bytes(), most);
            assert!(sent > 0);
            clients.push(client);
        }
    }
    others_are_served(&cluster);
    for replica in 0..3 {
        let peak = peak_kib(&mut cluster, replica);
        assert!(peak < MEMORY_KIB, "{peak} KiB at {replica}");
    }
    drop(clients);
    others_are_served(&cluster);
}

#[test]
fn gigabyte_is_refused_when_it_is_announced_and_ends_its_connection_when_it_comes() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader();
    let large = "v".repeat(1 << 20);
    let many = format!("${}\r\n{large}\r\n", large.len());
    for replica in [leader, (leader + 1) % 3] {
        let announced = format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n${GIGABYTE}\r\n");
        let mut client = open(&cluster, replica);
        client.write_all(announced.as_bytes()).expect("the replica reads it");
        let mut reply = String::new();
        client.read_to_string(&mut reply).expect("the replica closes the connection");
        assert_eq!(reply, "-ERR Protocol error: invalid bulk length\r\n");
        // One argument, a line without an end, and a request of a thousand arguments of a megabyte.
        for (beginning, content) in
            [(&*announced, &*large), ("SET a ", &large), ("*1025\r\n$4\r\nMSET\r\n", &many)]
        {
            let mut client = open(&cluster, replica);
            client.write_all(beginning.as_bytes()).expect("the replica reads it");
            let sent = flood(&mut client, content.as_bytes(), GIGABYTE);
            assert!(sent < GIGABYTE, "the replica takes all of it: {beginning:?}");
        }
        others_are_served(&cluster);
        let peak = peak_kib(&mut cluster, replica);
        assert!(peak < MEMORY_KIB, "{peak} KiB at {replica}");
    }
}

#[test]
fn ten_thousand_commands_in_one_write_have_their_replies_in_order() {
    let cluster = Cluster::start();
    let leader = cluster.leader();
    for replica in [leader, (leader + 1) % 3] {
        let mut client = cluster.client(replica);
        served(&mut client, &["SET", "n", "0"]);
        client.send_bytes(request(&["INCR", "n"]).repeat(10_000).as_bytes()).expect("it is read");
        others_are_served(&cluster);
        let replies: Vec<Reply> = (0..10_000).map(|_| client.reply().expect("a reply")).collect();
        let counted = |reply: &Reply| match reply {
            Reply::Integer(count) => Some(*count),
            reply if reply.is_leaderless() => None,
            reply => panic!("{reply:?}"),
        };
        let counts: Vec<i64> = replies.iter().filter_map(counted).collect();
        assert!(counts.is_sorted_by(|one, next| one < next), "{counts:?}");
        // Without an error, each of them counts.
        assert!(counts.len() < 10_000 || counts.last() == Some(&10_000), "{:?}", counts.last());
    }
}

#[test]
fn half_commands_wait_for_their_rest_and_hurt_no_other() {
    let cluster = Cluster::start();
    let leader = cluster.leader();
    let command = request(&["SET", "half", "value"]);
    let mut clients = Vec::new();
    for replica in [leader, (leader + 1) % 3] {
        for split in 1..command.len() {
            let mut client = cluster.client(replica);
            let (first, rest) = command.split_at(split);
            client.send_bytes(first.as_bytes()).expect("it is read");
            clients.push((client, rest));
        }
    }
    let mut watching = cluster.client(leader);
    assert_eq!(served(&mut watching, &["WATCH", "half", "other"]), Reply::ok());
    assert_eq!(served(&mut watching, &["MULTI"]), Reply::ok());
    others_are_served(&cluster);
    for (client, rest) in &mut clients {
        client.send_bytes(rest.as_bytes()).expect("it is read");
        let reply = client.reply().expect("a reply");
        assert!(reply == Reply::ok() || reply.is_leaderless(), "{reply:?}");
    }
    assert_eq!(served(&mut watching, &["PING"]), Reply::Simple("QUEUED".into()));
    watching.send(&["EXEC"]).expect("it is read");
    assert_eq!(watching.reply_bytes().expect("a reply"), b"*-1\r\n", "its keys have changed");
}

/// Whether this process and those that it starts may open so many files.
fn may_open(files: u64) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return true;
    }
    maximum.is_none_or(|maximum| maximum >= files)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).is_ok()
}

#[test]
fn five_thousand_idle_and_five_hundred_busy_clients_take_less_than_300_megabytes() {
    if !may_open((IDLE + BUSY + 1_000) as u64) {
        eprintln!("skipped: a process may not open {} files here", IDLE + BUSY + 1_000);
        return;
    }
    let mut cluster = Cluster::start();
    let replica = (cluster.leader() + 1) % 3;
    let mut idle: Vec<Client> = (0..IDLE).map(|_| cluster.client(replica)).collect();
    for client in idle.iter_mut().step_by(2) {
        assert_eq!(client.ask(&["PING"]).expect("a reply"), Reply::Simple("PONG".into()));
    }
    let mut busy: Vec<Client> = (0..BUSY).map(|_| cluster.client(replica)).collect();
    let value = "v".repeat(100);
    for round in 0..ROUNDS {
        for (number, client) in busy.iter_mut().enumerate() {
            let key = format!("{number}:{round}");
            client
                .send(&["SET", &key, &value])
                .and_then(|()| client.send(&["GET", &key]))
                .expect("it is read");
        }
        for client in &mut busy {
            let (set, get) = (client.reply().expect("a reply"), client.reply().expect("a reply"));
            assert!(set == Reply::ok() || set.is_leaderless(), "{set:?}");
            assert!(get == Reply::bulk(&value) || set.is_leaderless() || get.is_leaderless(), "{get:?}");
        }
    }
    others_are_served(&cluster);
    for client in idle.iter_mut().chain(&mut busy) {
        assert_eq!(client.ask(&["PING"]).expect("the connection lives"), Reply::Simple("PONG".into()));
    }
    let peak = peak_kib(&mut cluster, replica);
    println!("{IDLE} idle and {BUSY} busy clients: {peak} KiB at most");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}
