//! Replicas whose clients follow no redirects.

use super::*;
use crate::tuning::{Detection, Tuning};

fn elected() -> (Cluster, Id) {
    let mut cluster = Cluster::forwarding(5);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let leader = cluster.leader();
    (cluster, leader)
}

#[test]
fn follower_forwards_a_write_to_the_leader_and_serves_a_read() {
    let (mut cluster, leader) = elected();
    let follower = cluster.follower();
    cluster.ask(follower, &[put("m1", "k", "v")]);
    cluster.ask(follower, &[get("m2", "k")]);
    assert_eq!(
        cluster.answers(),
        [(leader, "m1".into(), STORED, Some(leader)), (follower, "m2".into(), value("v"), Some(leader))]
    );
    assert!(cluster.replicas.values().all(|replica| replica.owes() == 0));
}

#[test]
fn request_that_is_forwarded_twice_takes_effect_once() {
    let (mut cluster, leader) = elected();
    let followers: Vec<Id> = cluster.replicas.keys().copied().filter(|&id| id != leader).collect();
    cluster.ask(followers[0], &[put("m1", "k", "v")]);
    cluster.ask(leader, &[put("m2", "k", "w")]);
    cluster.ask(followers[1], &[put("m1", "k", "v")]);
    cluster.ask(leader, &[get("m3", "k")]);
    let outcomes: Vec<Outcome> = cluster.answers().into_iter().map(|(_, _, outcome, _)| outcome).collect();
    assert_eq!(outcomes, [STORED, STORED, STORED, value("w")]);
}

#[test]
fn request_without_a_leader_is_redirected_to_no_leader_because_it_was_not_proposed() {
    let mut cluster = Cluster::forwarding(5);
    cluster.blocked = (0..5).map(id).collect();
    cluster.ask(id(0), &[put("m1", "k", "v")]);
    cluster.run(HOLD_US);
    assert_eq!(cluster.answers(), [(id(0), "m1".into(), REDIRECT, None)]);
}

#[test]
fn held_request_is_forwarded_when_a_leader_is_elected() {
    let mut cluster = Cluster::forwarding(5);
    cluster.ask(id(0), &[put("m1", "k", "v")]);
    cluster.run(HOLD_US - 1);
    let leader = cluster.leader();
    assert_eq!(cluster.answers(), [(leader, "m1".into(), STORED, Some(leader))]);
}

#[test]
fn outcome_of_a_proposed_write_is_unknown_after_its_leader_stepped_down() {
    let (mut cluster, leader) = elected();
    cluster.blocked = [leader].into();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    cluster.run(5 * ELECTION_TIMEOUT_US);
    let answers = cluster.answers();
    assert_eq!(answers, [(leader, "m1".into(), Outcome::Unknown, None)]);
}

#[test]
fn replica_that_stops_tells_proposed_requests_from_held_ones() {
    let (mut cluster, leader) = elected();
    let follower = cluster.follower();
    cluster.blocked = (0..5).map(id).collect();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    let stopped = |cluster: &mut Cluster, at: Id| {
        let replica = cluster.replicas.get_mut(&at).expect("it is there");
        replica.stop().into_iter().map(|response| response.outcome).collect::<Vec<_>>()
    };
    assert_eq!(stopped(&mut cluster, leader), [Outcome::Unknown]);
    cluster.run(10 * ELECTION_TIMEOUT_US);
    cluster.ask(follower, &[put("m2", "k", "v")]);
    assert_eq!(stopped(&mut cluster, follower), [REDIRECT]);
}

#[test]
fn client_that_asks_again_at_once_casts_no_suspicion_on_the_leader() {
    let (mut cluster, leader) = elected();
    let follower = cluster.follower();
    hear_leader(&mut cluster, follower);
    let mut out = Vec::new();
    for (now, mid) in [(1, "m1"), (2, "m2")] {
        let replica = cluster.replicas.get_mut(&follower).expect("it is there");
        replica.step_in_memory(cluster.now + now, [Inbound::Client(put(mid, "k", "v"))], &mut out);
    }
    let forward = |mid| Outbound::Forward { to: leader, request: put(mid, "k", "v") };
    assert_eq!(out, [forward("m1"), forward("m2")], "and no probe of the leader");
}

#[test]
fn follower_with_heartbeats_forwards_for_as_long_as_it_follows() {
    let tuning = Tuning { detection: Detection::Heartbeats, ..Tuning::DEFAULT };
    let mut cluster = Cluster::forwarding_with(5, tuning);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let (leader, follower) = (cluster.leader(), cluster.follower());
    hear_leader(&mut cluster, follower);
    let mut out = Vec::new();
    let replica = cluster.replicas.get_mut(&follower).expect("it is there");
    for (now, mid) in [(1, "m1"), (2 * REDIRECT_US, "m2"), (ELECTION_TIMEOUT_US / 4, "m3")] {
        replica.step_in_memory(cluster.now + now, [Inbound::Client(put(mid, "k", "v"))], &mut out);
    }
    let forward = |mid| Outbound::Forward { to: leader, request: put(mid, "k", "v") };
    assert_eq!(out, ["m1", "m2", "m3"].map(forward));
}

#[test]
fn answer_of_the_decoder_passes_in_order() {
    let (mut cluster, leader) = elected();
    let refusal = response(CLIENT, "m1", refused(Refusal::Syntax));
    cluster.batch(leader, vec![Inbound::Refused(refusal)]);
    assert_eq!(cluster.answers(), [(leader, "m1".into(), refused(Refusal::Syntax), None)]);
}

fn read_locally(mid: &str, key: &str, max_age_us: Micros) -> Inbound {
    let request = get(mid, key);
    let Command::One(operation) = request.command else { panic!("a get is one operation") };
    Inbound::LocalRead { id: request.id, operation, max_age_us }
}

#[test]
fn local_read_is_served_while_the_follower_lately_had_all_that_was_committed() {
    let (mut cluster, leader) = elected();
    let follower = cluster.follower();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    cluster.answers();
    let read = |cluster: &mut Cluster, mid: &str, max_age_us| {
        cluster.batch(follower, vec![read_locally(mid, "k", max_age_us)]);
        cluster.answers().remove(0).2
    };
    // An append tells the follower of the put, and later ones that it has everything.
    cluster.blocked =
        cluster.replicas.keys().copied().filter(|id| ![leader, follower].contains(id)).take(2).collect();
    cluster.ask(leader, &[put("m2", "k", "w")]);
    cluster.run(PATIENCE_US);
    cluster.answers();
    assert_eq!(read(&mut cluster, "m3", PATIENCE_US), value("w"));
    cluster.blocked = [follower].into();
    cluster.run(ELECTION_TIMEOUT_US);
    assert_eq!(read(&mut cluster, "m4", ELECTION_TIMEOUT_US / 2), Outcome::Fail);
    assert_eq!(read(&mut cluster, "m5", 10 * PATIENCE_US), value("w"));
}
