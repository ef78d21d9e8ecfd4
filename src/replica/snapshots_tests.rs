use super::*;
use crate::replica::LogLimits;
use crate::request::Request;
use crate::testkit::cluster::Cluster;
use crate::testkit::{self, CLIENT};

/// Logs that hold some tens of puts, and keep a few behind a snapshot.
const SMALL: LogLimits = LogLimits {
    snapshot_after_bytes: 8_000,
    tail_bytes: 1_000,
    max_bytes: 20_000,
    max_uncommitted_bytes: 4_000,
    max_chunk_bytes: usize::MAX,
};

/// Three replicas with small logs and a leader.
fn elected() -> (Cluster, Id) {
    let mut cluster = Cluster::with_log(3, SMALL);
    let leader = cluster.elect();
    (cluster, leader)
}

/// Puts so many keys, one after the other, with values of 100 bytes.
fn put_keys(cluster: &mut Cluster, at: Id, numbers: std::ops::Range<u32>) {
    for number in numbers {
        cluster.ask(at, &[put(number)]);
        cluster.run(10_000);
    }
}

fn put(number: u32) -> Request {
    testkit::put(CLIENT, number.to_string(), format!("k{number}"), "v".repeat(100))
}

fn base(cluster: &Cluster, id: Id) -> Index {
    cluster.replicas[&id].node().log().base().index
}

#[test]
fn replica_compacts_a_log_that_has_grown_and_keeps_a_tail() {
    let (mut cluster, leader) = elected();
    put_keys(&mut cluster, leader, 0..20);
    assert_eq!(base(&cluster, leader), 0, "the log is short");
    put_keys(&mut cluster, leader, 20..2_000);
    let log = cluster.replicas[&leader].node().log();
    assert!(log.base().index > 1_900, "{}", log.base());
    assert!(log.bytes_after(0) <= SMALL.snapshot_after_bytes + SMALL.tail_bytes + 1_000);
    assert!(log.bytes_after(0) >= SMALL.tail_bytes);
}

/// A cluster whose leader has compacted all that this follower lacks.
fn behind() -> (Cluster, Id, Id) {
    let (mut cluster, leader) = elected();
    put_keys(&mut cluster, leader, 0..10);
    let follower = cluster.follower();
    cluster.blocked.insert(follower);
    put_keys(&mut cluster, leader, 10..500);
    cluster.run(5_000_000);
    assert!(base(&cluster, leader) > cluster.replicas[&follower].node().log().last_index());
    (cluster, leader, follower)
}

#[test]
fn follower_that_lacks_compacted_entries_gets_the_state_and_goes_on() {
    let (mut cluster, leader, follower) = behind();
    cluster.blocked.clear();
    cluster.run(10_000_000);
    put_keys(&mut cluster, leader, 500..510);
    cluster.run(10_000_000);
    let state = |id: Id| cluster.replicas[&id].state_machine();
    assert!(base(&cluster, follower) > 10);
    assert_eq!(state(leader).len(), 510);
    assert_eq!(state(follower), state(leader));
    assert!(cluster.replicas[&leader].outgoing.is_empty());
    assert!(cluster.replicas[&follower].incoming.is_none());
}

#[test]
fn follower_with_the_state_of_a_snapshot_recognises_requests_from_before_it() {
    let (mut cluster, leader, follower) = behind();
    cluster.blocked.clear();
    cluster.run(10_000_000);
    cluster.replicas.remove(&leader);
    let next = cluster.elect();
    cluster.answers();
    cluster.ask(next, &[put(300)]);
    cluster.run(1_000_000);
    let state = cluster.replicas[&follower].state_machine();
    assert_eq!(state.len(), 500);
    assert_eq!(cluster.stored(), 1, "answered from the session");
    let applied = |id: Id| cluster.replicas[&id].applied();
    assert_eq!(applied(follower), cluster.replicas[&follower].node().commit_index());
}

#[test]
fn leader_refuses_writes_while_too_many_entries_are_not_committed() {
    let (mut cluster, leader) = elected();
    cluster.answers();
    let others: Vec<Id> = cluster.replicas.keys().copied().filter(|id| *id != leader).collect();
    cluster.blocked.extend(others);
    (0..100).for_each(|number| cluster.ask(leader, &[put(number)]));
    let refused =
        cluster.answers().into_iter().filter(|(_, _, outcome, _)| *outcome == testkit::FAIL).count();
    assert!((80..95).contains(&refused), "{refused}");
    let node = cluster.replicas[&leader].node();
    assert!(node.uncommitted_bytes() < SMALL.max_uncommitted_bytes + 1_000);
    cluster.blocked.clear();
    cluster.run(5_000_000);
    let next = cluster.elect();
    cluster.answers();
    cluster.ask(next, &[put(1_000)]);
    cluster.run(1_000_000);
    assert_eq!(cluster.stored(), 1, "there is room again");
}

#[test]
fn chunks_are_read_again_from_any_that_was_not_acknowledged() {
    let (cluster, leader, _) = behind();
    let state = cluster.replicas[&leader].state_machine().clone();
    let mut outgoing = Outgoing::new(EntryId { index: 1, term: 1 }, state);
    let mut chunks = Vec::new();
    while let Some((data, is_last)) = outgoing.read(chunks.len() as u64, 1_000) {
        chunks.push(data);
        if is_last {
            break;
        }
    }
    assert!(chunks.len() > 20);
    assert_eq!(outgoing.read(7, 1_000), Some((chunks[7].clone(), false)));
    assert_eq!(outgoing.read(9, 1_000), Some((chunks[9].clone(), false)), "out of order");
    outgoing.received(11);
    assert_eq!(outgoing.read(10, 1_000), Some((chunks[10].clone(), false)), "the last that was acknowledged");
    assert_eq!(outgoing.read(9, 1_000), None);
    assert_eq!(outgoing.read(0, 1_000), Some((chunks[0].clone(), false)), "a follower has restarted");
    let last = chunks.len() - 1;
    assert_eq!(outgoing.read(last as u64, 1_000), None, "its place is not known any more");
}
