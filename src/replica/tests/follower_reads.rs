//! Reads that followers serve by an index of the leader.

use super::super::follower_reads::{MAX_LAG, MAX_ROUNDS, ROUND_US};
use super::*;
use crate::exchange::{ReadIndex, Round};
use crate::tuning::{Detection, Tuning};

/// A cluster of five with heartbeats that forwards, its leader, and a follower that has just heard
/// it.
fn elected() -> (Cluster, Id, Id) {
    let tuning = Tuning { detection: Detection::Heartbeats, ..Tuning::DEFAULT };
    let mut cluster = Cluster::forwarding_with(5, tuning);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let (leader, follower) = (cluster.leader(), cluster.follower());
    hear_leader(&mut cluster, follower);
    (cluster, leader, follower)
}

/// One batch of one replica, whose messages go nowhere.
fn step(cluster: &mut Cluster, at: Id, inputs: impl IntoIterator<Item = Inbound>) -> Vec<Outbound> {
    let mut out = Vec::new();
    let replica = cluster.replicas.get_mut(&at).expect("it is there");
    replica.step_in_memory(cluster.now, inputs, &mut out);
    out
}

fn read(mid: &str) -> Inbound {
    Inbound::Client(get(mid, "k"))
}

/// The round of the only message.
fn round_of(out: &[Outbound]) -> Round {
    match out {
        [Outbound::ReadIndex { message: ReadIndex::Request { round, .. }, .. }] => *round,
        other => panic!("no request of a round: {other:?}"),
    }
}

fn granted(from: Id, round: Round, index: Index) -> Inbound {
    Inbound::ReadIndex { from, message: ReadIndex::Response { round, index, time: 0 } }
}

/// The requests that were answered.
fn answered(out: &[Outbound]) -> Vec<&str> {
    let answers = out.iter().filter_map(|outbound| match outbound {
        Outbound::Client(Response { id, outcome: Outcome::Done(_), .. }) => Some(&*id.mid),
        _ => None,
    });
    answers.collect()
}

fn applied(cluster: &Cluster, at: Id) -> Index {
    cluster.replicas[&at].applied()
}

#[test]
fn reads_that_arrive_together_cost_two_messages_together() {
    let (mut cluster, leader, follower) = elected();
    let mids: Vec<String> = (0..64).map(|number| number.to_string()).collect();
    let asked = step(&mut cluster, follower, mids.iter().map(|mid| read(mid)));
    let round = round_of(&asked);
    let request = ReadIndex::Request { round, applied: applied(&cluster, follower) };
    let granted = step(&mut cluster, leader, [Inbound::ReadIndex { from: follower, message: request }]);
    let [Outbound::ReadIndex { to, message }] = granted[..] else { panic!("one answer: {granted:?}") };
    assert_eq!(to, follower);
    let out = step(&mut cluster, follower, [Inbound::ReadIndex { from: leader, message }]);
    assert_eq!(answered(&out), mids);
    assert_eq!(out.len(), 64, "and no other message");
    assert_eq!(cluster.replicas[&follower].view(0).follower_reads, 64);
    assert_eq!(cluster.replicas[&follower].owes(), 0);
}

#[test]
fn follower_that_lacks_an_entry_gets_it_with_the_index_and_waits_for_no_heartbeat() {
    let (mut cluster, leader, _) = elected();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    let commit_index = applied(&cluster, leader);
    let behind = cluster.replicas.keys().copied().filter(|&at| applied(&cluster, at) < commit_index);
    let behind: Vec<Id> = behind.collect();
    assert_eq!(behind.len(), 4, "no follower has heard of the commit");
    cluster.answers();
    let now = cluster.now;
    for at in behind {
        cluster.ask(at, &[get("m2", "k")]);
        assert_eq!(cluster.answers(), [(at, "m2".into(), value("v"), Some(leader))]);
    }
    assert_eq!(cluster.now, now);
}

#[test]
fn read_waits_until_its_follower_has_applied_the_index() {
    let (mut cluster, leader, follower) = elected();
    let round = round_of(&step(&mut cluster, follower, [read("m1")]));
    let index = applied(&cluster, follower) + 1;
    assert_eq!(step(&mut cluster, follower, [granted(leader, round, index)]), []);
    cluster.ask(leader, &[put("m2", "k", "v")]);
    assert_eq!(applied(&cluster, leader), index);
    cluster.answers();
    cluster.run(ELECTION_TIMEOUT_US / 3);
    assert_eq!(cluster.answers(), [(follower, "m1".into(), value("v"), Some(leader))]);
}

#[test]
fn round_serves_no_read_that_arrived_after_its_request() {
    let (mut cluster, leader, follower) = elected();
    let index = applied(&cluster, follower);
    let first = round_of(&step(&mut cluster, follower, [read("m1")]));
    let second = round_of(&step(&mut cluster, follower, [read("m2")]));
    assert_eq!(step(&mut cluster, follower, [read("m3")]), [], "there are {MAX_ROUNDS} rounds");
    let out = step(&mut cluster, follower, [granted(leader, first, index), read("m4")]);
    assert_eq!(answered(&out), ["m1"]);
    let third = round_of(&out[1..]);
    let out = step(&mut cluster, follower, [granted(leader, third, index)]);
    assert_eq!(answered(&out), ["m3", "m4"], "answers may overtake each other");
    assert_eq!(answered(&step(&mut cluster, follower, [granted(leader, second, index)])), ["m2"]);
}

#[test]
fn answer_that_is_not_of_the_leader_for_a_present_round_counts_for_nothing() {
    let (mut cluster, leader, follower) = elected();
    let index = applied(&cluster, follower);
    let earlier = round_of(&step(&mut cluster, follower, [read("m1")]));
    let other = *cluster.replicas.keys().find(|at| ![leader, follower].contains(at)).expect("there are five");
    assert_eq!(step(&mut cluster, follower, [granted(other, earlier, index)]), []);
    let of_other_life = Round { life: earlier.life ^ 1, ..earlier };
    assert_eq!(step(&mut cluster, follower, [granted(leader, of_other_life, index)]), []);
    assert_eq!(answered(&step(&mut cluster, follower, [granted(leader, earlier, index)])), ["m1"]);
    let later = round_of(&step(&mut cluster, follower, [read("m2")]));
    assert_ne!(earlier, later);
    assert_eq!(step(&mut cluster, follower, [granted(leader, earlier, index)]), []);
    assert_eq!(answered(&step(&mut cluster, follower, [granted(leader, later, index)])), ["m2"]);
}

#[test]
fn two_lives_of_a_replica_have_no_round_in_common() {
    let life = |seed| {
        let options = Options { forwards: true, ..Options::new(id(0), vec![id(1)], seed) };
        let limits = Limits::new(SEQPACKET_MAX_DATAGRAM, options.tuning.topology, 1);
        Replica::new(&options, limits, Saved::default(), 0).follower_reads.life()
    };
    assert_ne!(life(1), life(2));
}

#[test]
fn round_without_an_answer_ends_and_its_reads_join_another_one() {
    let (mut cluster, leader, follower) = elected();
    let index = applied(&cluster, follower);
    let lost = round_of(&step(&mut cluster, follower, [read("m1")]));
    let begun_at = cluster.now;
    cluster.run(ROUND_US - 1);
    assert_eq!(cluster.answers(), []);
    let later = step(&mut cluster, follower, [read("m2")]);
    assert_ne!(round_of(&later), lost);
    assert!(cluster.replicas[&follower].deadline() <= begun_at + ROUND_US);
    cluster.now = begun_at + ROUND_US;
    let again = round_of(&step(&mut cluster, follower, []));
    assert_eq!(step(&mut cluster, follower, [granted(leader, lost, index)]), []);
    assert_eq!(answered(&step(&mut cluster, follower, [granted(leader, again, index)])), ["m1", "m2"]);
}

#[test]
fn read_that_no_round_serves_in_time_is_redirected_to_no_leader() {
    let (mut cluster, leader, follower) = elected();
    cluster.loses_read_indexes = true;
    let asked_at = cluster.now;
    cluster.ask(follower, &[get("m1", "k")]);
    cluster.run(HOLD_US - 1);
    assert_eq!(cluster.answers(), []);
    cluster.run(ROUND_US);
    assert_eq!(cluster.answers(), [(follower, "m1".into(), REDIRECT, None)]);
    assert_eq!(cluster.replicas[&follower].node().leader(), Some(leader));
    assert!(cluster.now > asked_at + HOLD_US);
}

#[test]
fn reads_are_served_once_after_their_leader_is_lost() {
    let (mut cluster, leader, follower) = elected();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    cluster.run(ELECTION_TIMEOUT_US / 3);
    cluster.answers();
    cluster.blocked = [leader].into();
    cluster.run(ELECTION_TIMEOUT_US / 2);
    cluster.ask(follower, &[get("m2", "k")]);
    assert_eq!(cluster.replicas[&follower].node().leader(), Some(leader), "so it asks in vain");
    cluster.run(5 * ELECTION_TIMEOUT_US);
    let answers = cluster.answers();
    let [(from, mid, outcome, named)] = &answers[..] else { panic!("one answer: {answers:?}") };
    assert_eq!((*from, &**mid, outcome), (follower, "m2", &value("v")));
    assert!(named.is_some_and(|named| named != leader));
}

#[test]
fn follower_that_lacks_much_or_is_late_passes_its_reads_on() {
    let (mut cluster, leader, follower) = elected();
    let forward = |mid| Outbound::Forward { to: leader, request: get(mid, "k") };
    let index = applied(&cluster, follower);
    let first = round_of(&step(&mut cluster, follower, [read("m1")]));
    let out = step(&mut cluster, follower, [granted(leader, first, index + MAX_LAG + 1)]);
    assert_eq!(out, [forward("m1")]);
    let second = round_of(&step(&mut cluster, follower, [read("m2")]));
    assert_eq!(step(&mut cluster, follower, [granted(leader, second, index + MAX_LAG)]), []);
    cluster.now += ROUND_US;
    assert!(cluster.replicas[&follower].deadline() <= cluster.now);
    assert_eq!(step(&mut cluster, follower, []), [forward("m2")]);
    assert_eq!(cluster.replicas[&follower].owes(), 0);
}

#[test]
fn read_that_finds_a_key_expired_goes_to_the_leader_which_commits_the_time() {
    let (mut cluster, leader, follower) = elected();
    cluster.ask(leader, &[set_for("m1", "k", "v", 500), put("m2", "l", "w")]);
    cluster.run(500 * MILLI_US);
    cluster.answers();
    let before = cluster.replicas[&leader].node().log().last_index();
    cluster.ask(follower, &[get("m3", "k"), get("m4", "l")]);
    let mut answers = cluster.answers();
    answers.sort_by(|one, other| one.1.cmp(&other.1));
    let expected =
        [(leader, "m3".into(), NIL, Some(leader)), (follower, "m4".into(), value("w"), Some(leader))];
    assert_eq!(answers, expected);
    assert_eq!(cluster.replicas[&leader].node().log().last_index(), before + 1);
}

#[test]
fn index_covers_the_entries_behind_which_a_key_has_expired() {
    let (mut cluster, leader, follower) = elected();
    cluster.ask(leader, &[set_for("m1", "lock", "held", 50), put("m2", "work", "old")]);
    cluster.run(10_000);
    let others: Vec<Id> = cluster.replicas.keys().copied().filter(|at| *at != leader).collect();
    cluster.blocked.extend(others);
    cluster.ask(leader, &[put("m3", "work", "new")]);
    let applied = applied(&cluster, leader);
    let message = |number| {
        let request = ReadIndex::Request { round: Round { life: 1, number }, applied };
        Inbound::ReadIndex { from: follower, message: request }
    };
    let index = |out: Vec<Outbound>| {
        let index = out.iter().find_map(|outbound| match outbound {
            Outbound::ReadIndex { message: ReadIndex::Response { index, .. }, .. } => Some(*index),
            _ => None,
        });
        index.unwrap_or_else(|| panic!("no index: {out:?}"))
    };
    cluster.now += 20_000;
    assert_eq!(index(step(&mut cluster, leader, [message(1)])), applied, "the lock has not expired");
    cluster.now += 50_000;
    assert_eq!(index(step(&mut cluster, leader, [message(2)])), applied + 1);
}

#[test]
fn replica_without_proof_that_it_leads_gives_no_index() {
    let (mut cluster, leader) = super::elected();
    let follower = cluster.follower();
    let request = |number| {
        let request = ReadIndex::Request { round: Round { life: 1, number }, applied: 0 };
        Inbound::ReadIndex { from: follower, message: request }
    };
    assert_eq!(step(&mut cluster, follower, [request(1)]), [], "a follower has none to give");
    cluster.blocked = [leader].into();
    cluster.run(LEASE_US);
    let is_index = |outbound: &Outbound| matches!(outbound, Outbound::ReadIndex { .. });
    for number in [2, 2, 3, 4, 5] {
        let out = step(&mut cluster, leader, [request(number)]);
        assert!(!out.iter().any(is_index), "{out:?}");
    }
    assert_eq!(cluster.replicas[&leader].index_requests.len(), MAX_ROUNDS, "the latest ones are kept");
    while cluster.replicas[&leader].node().is_leader() {
        cluster.run(1_000);
    }
    assert!(cluster.replicas[&leader].index_requests.is_empty());
}

#[test]
fn leader_that_answers_is_not_probed_for_the_next_read() {
    let mut cluster = Cluster::forwarding(5);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let (leader, follower) = (cluster.leader(), cluster.follower());
    hear_leader(&mut cluster, follower);
    let index = applied(&cluster, follower);
    let first = round_of(&step(&mut cluster, follower, [read("m1")]));
    step(&mut cluster, follower, [granted(leader, first, index)]);
    cluster.now += 2 * REDIRECT_US;
    round_of(&step(&mut cluster, follower, [read("m2")]));
    cluster.now += 2 * REDIRECT_US;
    let out = step(&mut cluster, follower, [read("m3")]);
    assert!(matches!(out[..], [Outbound::Peer { .. }]), "a leader that does not answer is: {out:?}");
}

#[test]
fn replica_that_stops_redirects_reads_of_a_round() {
    let (mut cluster, _, follower) = elected();
    step(&mut cluster, follower, [read("m1")]);
    let replica = cluster.replicas.get_mut(&follower).expect("it is there");
    assert_eq!(replica.stop(), [response(CLIENT, "m1", REDIRECT)]);
}
