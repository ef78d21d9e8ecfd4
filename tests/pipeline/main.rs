//! The stages together, on a network inside this process, and whole processes.

mod binary;
mod board;
mod cluster;
mod durable;
mod flood;
mod hostile;
mod logging;
#[path = "../testkit/mount.rs"]
mod mount;
mod process;
mod suspension;
#[path = "../testkit/mod.rs"]
mod testkit;

use std::io;
use std::sync::Arc;
use std::task::Waker;

use cluster::{Cluster, client};
use kvstore::clock::BootTime;
use kvstore::pipeline::{self, StageFailed};
use kvstore::replica::Options;
use kvstore::transport::{Address, Packet, Received, Transport};
use testkit::id;

#[test]
fn get_returns_the_value_that_was_put() {
    let cluster = Cluster::start(3, 3);
    let all: Vec<_> = (0..3).map(id).collect();
    cluster.put_until_ok("k", "v", &all, |_| true);
    let (_, answer) = cluster.ask_until_ok("get", "k", "", &all, |_| true);
    assert_eq!(answer["value"], "v");
    cluster.stop();
}

#[test]
fn follower_that_missed_forty_kilobytes_gets_them_in_messages_within_the_limit() {
    let cluster = Cluster::start(3, 3);
    let leader = cluster.find_leader();
    let away = (0..3).map(id).find(|&id| id != leader).expect("a follower");
    let value = "v".repeat(1_000);
    for n in 0..40 {
        cluster.ask(leader, "put", &format!("m{n}"), &format!("k{n}"), &value);
    }
    let not_away = |packet: &Packet| packet.to != Address::Peer(away);
    let declined = (0..40).filter(|_| cluster.next_answer(not_away)["type"] != "ok").count();
    let present: Vec<_> = (0..3).map(id).filter(|&id| id != away).collect();
    let mut leader = leader;
    for n in 0..declined {
        leader = cluster.put_until_ok(&format!("again{n}"), &value, &present, not_away);
    }
    // Now only the leader and the follower that was away can talk: a put needs that follower, and
    // so all entries that it missed.
    let both = [leader, away];
    cluster.put_until_ok("last", "v", &both, |packet| {
        let may_have = match packet.to {
            Address::Peer(to) => both.contains(&to),
            Address::Client(_) => true,
        };
        both.contains(&packet.from) && may_have
    });
    cluster.stop();
}

#[test]
fn replica_that_stops_redirects_the_requests_that_wait() {
    let cluster = Cluster::start(3, 1);
    cluster.ask(id(0), "put", "m1", "k", "v");
    // The answer to this shows that the replica has taken the put, which was sent before.
    let question = r#"{"src":"0001","dst":"0000","leader":"FFFF","type":"request_vote","term":1,"pre_vote":true,"campaign":1,"last_log_index":0,"last_log_term":0}"#;
    let mut question = question.as_bytes().to_vec();
    kvstore::wire::seal(&mut question);
    assert!(cluster.hub.deliver(id(0), question));
    let sent = cluster.hub.sent().clone();
    let is_vote = |packet: &Packet| String::from_utf8_lossy(&packet.bytes).contains("request_vote_response");
    let mut packets = Vec::new();
    while !packets.last().is_some_and(is_vote) {
        packets.push(sent.recv().expect("the replica lives"));
    }
    cluster.stop();
    packets.extend(sent.try_iter());
    // A replica on a slow machine gives the same answer before it stops, once it has held the put
    // for long.
    let answers: Vec<Packet> = packets.into_iter().filter(|packet| packet.to == client()).collect();
    let [answer] = answers.as_slice() else { panic!("{answers:?}") };
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes).expect("JSON");
    assert_eq!((&answer["type"], &answer["leader"]), (&"redirect".into(), &"FFFF".into()));
}

/// A network on which one call goes badly wrong.
struct Broken {
    receive: fn(Option<BootTime>) -> io::Result<Received>,
}

impl Transport for Broken {
    fn receive(&self, _buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        (self.receive)(until)
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.receive(buffer, Some(BootTime::now()))
    }

    fn send(&self, _to: Address, _datagram: &[u8]) -> io::Result<()> {
        panic!("on purpose, while sending");
    }

    fn try_send(&self, to: Address, datagram: &[u8]) -> io::Result<()> {
        self.send(to, datagram)
    }

    fn max_datagram(&self) -> usize {
        16_384
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn stop(&self) {}
}

fn options() -> Options {
    Options::new(id(0), vec![id(1), id(2)], 1)
}

#[test]
fn panic_in_a_stage_ends_the_pipeline_and_names_the_stage() {
    let broken = Arc::new(Broken { receive: |_| panic!("on purpose, while receiving") });
    let ended = pipeline::run(broken, &options());
    assert!(matches!(ended, Err(StageFailed::Panicked("receiver"))), "{ended:?}");

    // The receiver hears nothing; the sender fails on the first pre-vote.
    let silence = |until: Option<BootTime>| {
        std::thread::sleep(until.expect("a timer").left());
        Ok(Received::TimedOut)
    };
    let ended = pipeline::run(Arc::new(Broken { receive: silence }), &options());
    assert!(matches!(ended, Err(StageFailed::Panicked("sender"))), "{ended:?}");
}

#[test]
fn network_that_fails_ends_the_pipeline_and_names_the_reason() {
    let broken = Arc::new(Broken { receive: |_| Err(io::ErrorKind::PermissionDenied.into()) });
    let ended = pipeline::run(broken, &options());
    assert!(matches!(ended, Err(StageFailed::Io("receiver", _))), "{ended:?}");
}
