//! Requests at a leader that hands its leadership over.

use super::*;

#[test]
fn requests_wait_while_the_leadership_is_handed_over_and_go_to_the_successor() {
    let mut cluster = Cluster::forwarding(3);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let leader = cluster.leader();
    let replica = cluster.replicas.get_mut(&leader).expect("it is there");
    replica.transfer_leadership(cluster.now);
    cluster.ask(leader, &[put("m1", "k", "v"), put("m2", "k", "w")]);
    let successor = cluster.leader();
    assert_ne!(successor, leader);
    let answer = |mid: &str, outcome| (successor, mid.to_owned(), outcome, Some(successor));
    assert_eq!(cluster.answers(), [answer("m1", STORED), answer("m2", STORED)]);
}

#[test]
fn request_that_came_before_a_transfer_is_answered_by_its_leader() {
    let mut cluster = Cluster::forwarding(3);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let leader = cluster.leader();
    let replica = cluster.replicas.get_mut(&leader).expect("it is there");
    replica.handle(cluster.now, Inbound::Client(put("m1", "k", "v")));
    replica.transfer_leadership(cluster.now);
    cluster.batch(leader, Vec::new());
    assert_ne!(cluster.leader(), leader);
    assert_eq!(cluster.answers(), [(leader, "m1".into(), STORED, Some(leader))]);
}

#[test]
fn replica_that_retires_hands_over_each_time_it_leads() {
    let mut cluster = Cluster::forwarding(3);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let first = cluster.leader();
    for replica in cluster.replicas.values_mut().filter(|replica| replica.node().id() == first) {
        replica.retire();
    }
    cluster.batch(first, Vec::new());
    let second = cluster.leader();
    assert_ne!(second, first);
    cluster.blocked.insert(second);
    cluster.run(20 * ELECTION_TIMEOUT_US);
    let third = cluster.replicas.keys().copied().find(|id| ![first, second].contains(id));
    let leads = |id: Id| cluster.replicas[&id].node().is_leader();
    assert_eq!((leads(first), third.map(leads)), (false, Some(true)));
}

#[test]
fn read_whose_entry_would_come_too_late_goes_to_the_successor() {
    let mut cluster = Cluster::forwarding(3);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let leader = cluster.leader();
    cluster.ask(leader, &[set_for("m1", "k", "v", 500)]);
    cluster.run(500 * MILLI_US);
    cluster.answers();
    let replica = cluster.replicas.get_mut(&leader).expect("it is there");
    // The read must go through the log, because the key has expired. It is served first by a round of
    // messages, with which the leader also learns that a follower is ready to take over.
    replica.handle(cluster.now, Inbound::Client(get("m2", "k")));
    replica.transfer_leadership(cluster.now);
    cluster.batch(leader, Vec::new());
    let successor = cluster.leader();
    assert_ne!(successor, leader);
    assert_eq!(cluster.answers(), [(successor, "m2".into(), NIL, Some(successor))]);
}
