//! Replicas as their clients see them: which replica answers, when, with which outcome, and how
//! often.

mod follower_reads;
mod forwarding;
mod memory;
mod transfer;

use super::pending::{MAX_PENDING, MAX_PENDING_BYTES};
use super::routing::{LATE_HOLD_US, REDIRECT_US};
use super::writes::EXPIRY_INTERVAL_US;
use super::*;
use crate::command::Command;
use crate::operation::{Deadline, Expiry, Set};
use crate::outbox::Outbox;
use crate::request::{Request, Response};
use crate::state_machine::SESSION_WINDOW;
use crate::testkit::cluster::Cluster;
use crate::testkit::{self, CLIENT, FAIL, NIL, REDIRECT, STORED, id, response, value};
use crate::transport::SEQPACKET_MAX_DATAGRAM;
use crate::wire;

/// A cluster of five that has elected a leader.
fn elected() -> (Cluster, Id) {
    let mut cluster = Cluster::new(5);
    cluster.run(3 * ELECTION_TIMEOUT_US);
    let leader = cluster.leader();
    (cluster, leader)
}

/// Lets a replica hear its leader once more.
fn hear_leader(cluster: &mut Cluster, follower: Id) {
    let before = cluster.replicas[&follower].node().last_leader_contact();
    while cluster.replicas[&follower].node().last_leader_contact() == before {
        cluster.run(1_000);
    }
}

/// One batch of a replica whose disk is as fast as it can be.
fn step_on_disk(replica: &mut Replica, now: Micros, inputs: Vec<Inbound>, out: &mut Vec<Outbound>) {
    for inbound in inputs {
        replica.handle(now, inbound);
    }
    replica.tick(now);
    let mut effects = VecDeque::from(replica.finish(now));
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Send(outbound) => out.push(outbound),
            Effect::Persist(persist) => {
                replica.persisted(now, persist.number);
                effects.extend(replica.finish(now));
            }
            Effect::SaveSnapshot(snapshot) => {
                replica.snapshot_saved(now, snapshot.id);
                effects.extend(replica.finish(now));
            }
            Effect::Compact(_) => {}
        }
    }
}

fn put(mid: &str, key: &str, value: &str) -> Request {
    testkit::put(CLIENT, mid, key, value)
}

fn get(mid: &str, key: &str) -> Request {
    testkit::get(CLIENT, mid, key)
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Done(Reply::Error(refusal))
}

#[test]
fn leader_answers_and_followers_name_it() {
    let (mut cluster, leader) = elected();
    let follower = cluster.follower();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    cluster.ask(leader, &[get("m2", "k"), get("m3", "never put")]);
    cluster.ask(follower, &[put("m4", "k", "w")]);
    assert_eq!(
        cluster.answers(),
        [
            (leader, "m1".into(), STORED, Some(leader)),
            (leader, "m2".into(), value("v"), Some(leader)),
            (leader, "m3".into(), NIL, Some(leader)),
            (follower, "m4".into(), REDIRECT, Some(leader)),
        ]
    );
}

#[test]
fn request_without_a_leader_is_held_and_then_redirected_to_no_leader() {
    let mut cluster = Cluster::new(5);
    cluster.blocked = (0..5).map(id).collect();
    cluster.ask(id(0), &[put("m1", "k", "v")]);
    cluster.run(HOLD_US - 1);
    assert_eq!(cluster.answers(), []);
    cluster.run(1);
    assert_eq!(cluster.answers(), [(id(0), "m1".into(), REDIRECT, None)]);
}

/// How long a replica that has known no leader for `leaderless_us` holds a request.
fn held_for(cluster: &mut Cluster, leaderless_us: Micros) -> Micros {
    cluster.blocked = (0..5).map(id).collect();
    cluster.run(leaderless_us);
    cluster.answers();
    cluster.ask(id(0), &[put("m", "k", "v")]);
    (1..)
        .find(|_| {
            cluster.run(1_000);
            !cluster.answers().is_empty()
        })
        .expect("it is answered")
        * 1_000
}

#[test]
fn replica_that_has_long_known_no_leader_holds_a_request_for_a_shorter_time() {
    for (leaderless_us, held_us) in
        [(0, HOLD_US), (HOLD_US / 2, HOLD_US / 2), (HOLD_US, LATE_HOLD_US), (9 * HOLD_US, LATE_HOLD_US)]
    {
        assert_eq!(held_for(&mut Cluster::new(5), leaderless_us), held_us, "after {leaderless_us} us");
    }
}

#[test]
fn held_request_is_served_or_redirected_as_soon_as_there_is_a_leader() {
    let mut cluster = Cluster::new(5);
    let first_deadline = cluster.replicas.values().map(Replica::deadline).min().expect("timers");
    cluster.run(first_deadline - 1);
    for n in 0..5 {
        cluster.ask(id(n), &[put(&format!("m{n}"), "k", "v")]);
    }
    assert_eq!(cluster.answers(), []);
    cluster.run(1);
    let leader = cluster.leader();
    let mut answers = cluster.answers();
    answers.sort_by_key(|(from, ..)| *from);
    let outcome = |n| if id(n) == leader { STORED } else { REDIRECT };
    let expected: Vec<_> = (0..5).map(|n| (id(n), format!("m{n}"), outcome(n), Some(leader))).collect();
    assert_eq!(answers, expected);
}

#[test]
fn leader_that_loses_its_quorum_redirects_its_pending_requests() {
    let (mut cluster, leader) = elected();
    cluster.blocked = [leader].into();
    cluster.run(LEASE_US);
    cluster.ask(leader, &[put("m1", "k", "v"), get("m2", "k")]);
    assert_eq!(cluster.answers(), []);
    cluster.run(ELECTION_TIMEOUT_US);
    let expected = ["m1", "m2"].map(|mid| (leader, mid.into(), REDIRECT, None));
    assert_eq!(cluster.answers(), expected);
    assert!(cluster.replicas[&leader].reads.is_empty(), "no read is kept once it is answered");
    cluster.blocked.clear();
    cluster.run(3 * ELECTION_TIMEOUT_US);
    assert_eq!(cluster.answers(), [], "nothing is answered twice");
}

#[test]
fn replica_that_has_just_lost_its_leader_holds_a_request_as_long_as_an_election_takes() {
    let (mut cluster, leader) = elected();
    cluster.run(10 * HOLD_US);
    cluster.blocked = [leader].into();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    while cluster.replicas[&leader].node().is_leader() {
        cluster.run(1_000);
    }
    cluster.answers();
    cluster.ask(leader, &[put("m2", "k", "v")]);
    cluster.run(HOLD_US - 1_000);
    assert_eq!(cluster.answers(), []);
    cluster.run(1_000);
    assert_eq!(cluster.answers(), [(leader, "m2".into(), REDIRECT, None)]);
}

#[test]
fn client_that_comes_back_from_a_live_leader_is_redirected_again_when_the_leader_has_answered() {
    let (mut cluster, leader) = elected();
    let follower = cluster.follower();
    hear_leader(&mut cluster, follower);
    cluster.blocked = [leader].into();
    cluster.ask(follower, &[put("m1", "k", "v")]);
    cluster.now += 1;
    cluster.ask(follower, &[put("m2", "k", "v")]);
    assert_eq!(cluster.answers(), [(follower, "m1".into(), REDIRECT, Some(leader))]);
    cluster.ask(follower, &[get("m3", "k")]);
    assert_eq!(cluster.answers(), [], "while one client waits no other one is redirected");
    cluster.blocked.clear();
    cluster.run(ELECTION_TIMEOUT_US / 4); // the follower probes the leader a second time
    let again = ["m2", "m3"].map(|mid| (follower, mid.into(), REDIRECT, Some(leader)));
    assert_eq!(cluster.answers(), again);
}

#[test]
fn client_that_comes_back_from_a_dead_leader_is_redirected_to_the_next_one() {
    let (mut cluster, dead) = elected();
    let follower = cluster.follower();
    hear_leader(&mut cluster, follower);
    cluster.blocked = [dead].into();
    cluster.ask(follower, &[put("m1", "k", "v")]);
    cluster.now += 1;
    cluster.ask(follower, &[put("m2", "k", "v")]);
    cluster.answers();
    cluster.run(HOLD_US - 1);
    let answers = cluster.answers();
    let (from, mid, outcome, leader) = &answers[0];
    assert_eq!((answers.len(), *from, &**mid), (1, follower, "m2"));
    assert!(*outcome == STORED || *outcome == REDIRECT && *leader != Some(dead), "{answers:?}");
}

#[test]
fn repeated_request_gets_one_answer_while_it_is_pending() {
    let (mut cluster, leader) = elected();
    let before = cluster.replicas[&leader].node().log().last_index();
    cluster.ask(leader, &[put("m1", "k", "v"), put("m1", "k", "v")]);
    assert_eq!(cluster.answers(), [(leader, "m1".into(), STORED, Some(leader))]);
    assert_eq!(cluster.replicas[&leader].node().log().last_index(), before + 1);
}

#[test]
fn repeated_request_takes_effect_once() {
    let (mut cluster, leader) = elected();
    cluster.ask(leader, &[put("m1", "k", "old")]);
    cluster.ask(leader, &[put("m2", "k", "new")]);
    cluster.ask(leader, &[put("m1", "k", "old"), get("m3", "k")]);
    let stored = |mid: &str| (leader, mid.into(), STORED, Some(leader));
    let read = (leader, "m3".into(), value("new"), Some(leader));
    assert_eq!(cluster.answers(), [stored("m1"), stored("m2"), stored("m1"), read]);
}

#[test]
fn numbered_put_that_comes_again_after_any_number_of_others_is_refused() {
    let (mut cluster, leader) = elected();
    for n in 0..2 * SESSION_WINDOW {
        cluster.ask(leader, &[put(&n.to_string(), "k", &n.to_string())]);
    }
    cluster.answers();
    let entries = cluster.replicas[&leader].node().log().last_index();
    cluster.ask(leader, &[put("0", "k", "0"), get("read", "k")]);
    let last = (2 * SESSION_WINDOW - 1).to_string();
    assert_eq!(
        cluster.answers(),
        [
            (leader, "0".into(), refused(Refusal::Forgotten), Some(leader)),
            (leader, "read".into(), value(&*last), Some(leader)),
        ]
    );
    assert_eq!(cluster.replicas[&leader].node().log().last_index(), entries, "it is not even proposed");
}

#[test]
fn put_that_is_too_late_when_it_is_committed_is_refused() {
    let (mut cluster, leader) = elected();
    let mut puts: Vec<Request> = (1..=2 * SESSION_WINDOW).map(|n| put(&n.to_string(), "k", "new")).collect();
    puts.push(put("0", "k", "old")); // the leader proposes it before it applies any of the others
    let entries = cluster.replicas[&leader].node().log().last_index();
    cluster.ask(leader, &puts);
    cluster.run(0); // one batch applies a part of them
    assert_eq!(cluster.replicas[&leader].node().log().last_index(), entries + puts.len() as u64);
    let outcome = |n| if n == 2 * SESSION_WINDOW { refused(Refusal::Forgotten) } else { STORED };
    let answers = cluster.answers().into_iter().map(|(_, _, outcome, _)| outcome);
    assert_eq!(answers.collect::<Vec<_>>(), (0..puts.len()).map(outcome).collect::<Vec<_>>());
    cluster.ask(leader, &[get("read", "k")]);
    assert_eq!(cluster.answers(), [(leader, "read".into(), value("new"), Some(leader))]);
}

#[test]
fn request_under_the_mid_of_another_one_is_refused() {
    let (mut cluster, leader) = elected();
    cluster.ask(leader, &[put("m1", "k", "v")]);
    cluster.ask(leader, &[put("m1", "k", "w"), put("m1", "l", "v"), get("m2", "k")]);
    let reused = |mid: &str| (leader, mid.into(), refused(Refusal::Reused), Some(leader));
    let stored = |mid: &str| (leader, mid.into(), STORED, Some(leader));
    let read = (leader, "m2".into(), value("v"), Some(leader));
    assert_eq!(cluster.answers(), [stored("m1"), reused("m1"), reused("m1"), read]);
    // While the first one waits, too.
    let failed = |mid: &str| (leader, mid.into(), FAIL, Some(leader));
    cluster.blocked = [leader].into();
    cluster.ask(leader, &[put("m3", "k", "x"), get("m3", "k"), put("m3", "k", "y"), put("m3", "k", "x")]);
    assert_eq!(cluster.answers(), [failed("m3"), failed("m3")]);
    cluster.blocked.clear();
    cluster.run(HEARTBEAT_INTERVAL_US);
    assert_eq!(cluster.answers(), [stored("m3")]);
}

#[test]
fn request_with_a_long_mid_is_answered() {
    let (mut cluster, leader) = elected();
    let long = "m".repeat(wire::MAX_MID_BYTES);
    cluster.ask(leader, &[put("m1", "k", &"v".repeat(2_000)), put("m2", "short", "v")]);
    cluster.ask(leader, &[put(&long, "k", "w")]);
    cluster.ask(leader, &[get(&long, "k"), get(&long[1..], "short")]);
    let answers = cluster.answers().into_iter().map(|(_, _, outcome, _)| outcome);
    let expected = [STORED, STORED, FAIL, refused(Refusal::ReplyTooLong), value("v")];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
}

#[test]
fn answers_leave_in_the_order_in_which_their_operations_took_effect() {
    let (mut cluster, leader) = elected();
    cluster.ask(leader, &[put("m1", "k", "old")]);
    // While the quorum is away the put is in flight: a read sees what is committed, and comes
    // first.
    cluster.blocked = [leader].into();
    cluster.ask(leader, &[put("m2", "k", "new"), get("m3", "k")]);
    cluster.blocked.clear();
    cluster.run(HEARTBEAT_INTERVAL_US);
    cluster.ask(leader, &[get("m4", "k")]);
    let stored = |mid: &str| (leader, mid.into(), STORED, Some(leader));
    let read = |mid: &str, text| (leader, mid.into(), value(text), Some(leader));
    assert_eq!(cluster.answers(), [stored("m1"), read("m3", "old"), stored("m2"), read("m4", "new")]);
}

#[test]
fn value_that_cannot_fit_into_a_message_is_refused() {
    let (mut cluster, leader) = elected();
    cluster.ask(leader, &[put("m1", "k", &"v".repeat(SEQPACKET_MAX_DATAGRAM))]);
    cluster.ask(leader, &[put("m2", "k", &"\n".repeat(SEQPACKET_MAX_DATAGRAM * 2 / 3))]);
    cluster.ask(leader, &[get("m3", "k")]);
    let failed = |mid: &str| (leader, mid.into(), FAIL, Some(leader));
    let read = (leader, "m3".into(), NIL, Some(leader));
    assert_eq!(cluster.answers(), [failed("m1"), failed("m2"), read]);
}

#[test]
fn backlog_is_split_into_messages_within_the_limit_and_gets_through() {
    let (mut cluster, leader) = elected();
    let puts: Vec<Request> =
        (0..40).map(|n| put(&format!("m{n}"), &format!("k{n}"), &"v".repeat(1_000))).collect();
    let replica = cluster.replicas.get_mut(&leader).expect("the leader");
    for request in puts {
        replica.handle(cluster.now, Inbound::Client(request));
    }
    let mut outbox = Outbox::new(leader, SEQPACKET_MAX_DATAGRAM, true);
    let mut out = Vec::new();
    replica.finish_in_memory(cluster.now, &mut out);
    let (mut buffer, mut datagrams) = (Vec::new(), 0);
    out.iter().cloned().for_each(|outbound| outbox.push(outbound));
    while outbox.next(&mut buffer).is_some() {
        assert!(buffer.len() <= SEQPACKET_MAX_DATAGRAM, "{} bytes", buffer.len());
        datagrams += 1;
    }
    assert!(datagrams >= 6, "three or more for each of two followers, but {datagrams}");

    for outbound in out {
        if let Outbound::Peer { to, message, .. } = outbound {
            cluster.batch(to, vec![Inbound::Peer { from: leader, message }]);
        }
    }
    let stored = cluster.answers().iter().filter(|(.., outcome, _)| *outcome == STORED).count();
    assert_eq!(stored, 40);
}

#[test]
fn more_requests_than_can_wait_are_refused_at_once() {
    let mut cluster = Cluster::new(5);
    let requests: Vec<Request> = (0..=MAX_PENDING).map(|n| get(&n.to_string(), "k")).collect();
    cluster.ask(id(0), &requests);
    assert_eq!(cluster.answers(), [(id(0), MAX_PENDING.to_string(), FAIL, None)]);
}

#[test]
fn more_bytes_of_requests_than_can_wait_are_refused_until_some_are_answered() {
    let mut cluster = Cluster::new(5);
    cluster.blocked = (0..5).map(id).collect();
    let long = "v".repeat(MAX_PENDING_BYTES / 64 - 10);
    let requests: Vec<Request> = (0..70).map(|n| put(&format!("{n:09}"), "k", &long)).collect();
    cluster.ask(id(0), &requests);
    let refused = (64..70).map(|n| (id(0), format!("{n:09}"), FAIL, None));
    assert_eq!(cluster.answers(), refused.collect::<Vec<_>>());
    cluster.ask(id(0), &[get("m", "k")]);
    assert_eq!(cluster.answers(), [(id(0), "m".into(), FAIL, None)]);

    let replica = cluster.replicas.get_mut(&id(0)).expect("it exists");
    assert_eq!(answers_per_batch(replica, HOLD_US), [64]);
    cluster.now = HOLD_US;
    cluster.ask(id(0), &requests);
    assert_eq!(cluster.answers().len(), 6, "answered requests make room");
}

/// Ends empty batches of a replica at this instant until it has nothing more to do, and returns how
/// many requests each of them answered.
fn answers_per_batch(replica: &mut Replica, now: Micros) -> Vec<usize> {
    let mut counts = Vec::new();
    while counts.is_empty() || replica.deadline() <= now {
        assert!(counts.len() < 100, "it comes to an end");
        let mut out = Vec::new();
        replica.step_in_memory(now, [], &mut out);
        counts.push(out.iter().filter(|outbound| matches!(outbound, Outbound::Client(_))).count());
    }
    counts
}

#[test]
fn leader_that_steps_down_sends_many_clients_on_in_several_batches() {
    let (mut cluster, leader) = elected();
    cluster.blocked = (0..5).map(id).collect();
    let count = 2 * SENT_ON_AT_ONCE + 1;
    cluster.ask(leader, &(0..count).map(|n| put(&n.to_string(), "k", "v")).collect::<Vec<_>>());
    let replica = cluster.replicas.get_mut(&leader).expect("the leader");
    let answers = (0..1_000).flat_map(|_| {
        cluster.now = cluster.now.max(replica.deadline());
        answers_per_batch(replica, cluster.now)
    });
    let answers: Vec<usize> = answers.filter(|&count| count > 0).take(3).collect();
    assert_eq!(answers, [SENT_ON_AT_ONCE, SENT_ON_AT_ONCE, 1]);
    assert_eq!(replica.owes(), 0);
}

#[test]
fn many_requests_that_are_held_are_sent_on_in_several_batches() {
    let (follower, mut lone) = (id(1), Cluster::new(5));
    lone.blocked = (0..5).map(id).collect();
    let count = 2 * SENT_ON_AT_ONCE + 1;
    lone.ask(follower, &(0..count).map(|n| get(&n.to_string(), "k")).collect::<Vec<_>>());
    let replica = lone.replicas.get_mut(&follower).expect("a follower");
    assert_eq!(answers_per_batch(replica, HOLD_US - 1).iter().sum::<usize>(), 0);
    assert_eq!(answers_per_batch(replica, HOLD_US), [SENT_ON_AT_ONCE, SENT_ON_AT_ONCE, 1]);
}

#[test]
fn replica_that_stops_redirects_its_pending_requests() {
    let mut cluster = Cluster::new(5);
    cluster.ask(id(0), &[put("m1", "k", "v"), get("m2", "k")]);
    let replica = cluster.replicas.get_mut(&id(0)).expect("it exists");
    let answers = replica.stop();
    assert_eq!(answers, ["m1", "m2"].map(|mid| response(CLIENT, mid, REDIRECT)));
    assert_eq!(replica.stop(), []);
}

#[test]
fn replica_without_a_disk_acts_as_one_with_a_fast_disk() {
    let run = |mut cluster: Cluster| {
        cluster.run(3 * ELECTION_TIMEOUT_US);
        let (first, follower) = (cluster.leader(), cluster.follower());
        cluster.ask(first, &[put("m1", "k", "1"), put("m2", "k", "2"), get("m3", "k")]);
        cluster.blocked = [first, follower].into();
        cluster.ask(first, &[put("m4", "k", "lost")]);
        let others: Vec<Id> = cluster.replicas.keys().copied().filter(|at| *at != first).collect();
        for turn in 0..2 {
            cluster.run(1_000);
            for at in &others {
                // The client that comes back to a replica misses the leader.
                cluster.ask(*at, &[get(&format!("{at} {turn}"), "k")]);
            }
        }
        cluster.run(8 * ELECTION_TIMEOUT_US);
        cluster.blocked.clear();
        cluster.run(PATIENCE_US);
        let second = cluster.leader();
        assert_ne!(first, second);
        cluster.ask(second, &[put("m5", "k", "3"), get("m6", "k")]);
        cluster.run(PATIENCE_US);
        let state = |replica: &Replica| {
            let node = replica.node();
            (node.hard_state(), node.commit_index(), node.log().durable_index(), format!("{:?}", node.log()))
        };
        (cluster.answers(), cluster.replicas.values().map(state).collect::<Vec<_>>())
    };
    assert_eq!(run(Cluster::new(5)), run(Cluster::stepping(5, Box::new(step_on_disk))));
}

/// Sets a key that expires after this time.
fn set_for(mid: &str, key: &str, value: &str, ms: i64) -> Request {
    let expiry = Expiry::Set(Deadline::After(ms));
    Request { command: Operation::Set(Set { expiry, ..Set::new(key, value) }).into(), ..put(mid, key, value) }
}

#[test]
fn read_that_would_see_a_key_expire_commits_the_expiry_first() {
    let (mut cluster, leader) = elected();
    cluster.ask(leader, &[set_for("m1", "k", "v", 500)]);
    cluster.ask(leader, &[get("m2", "k")]);
    let last_index = |cluster: &Cluster| cluster.replicas[&leader].node().log().last_index();
    let before = last_index(&cluster);
    cluster.run(500 * MILLI_US);
    cluster.ask(leader, &[get("m3", "k"), get("m4", "other")]);
    let answer = |mid: &str, outcome| (leader, mid.into(), outcome, Some(leader));
    assert_eq!(
        cluster.answers(),
        [answer("m1", STORED), answer("m2", value("v")), answer("m4", NIL), answer("m3", NIL)]
    );
    assert_eq!(last_index(&cluster), before + 1);
    cluster.ask(leader, &[get("m5", "k")]);
    assert_eq!(cluster.answers(), [answer("m5", NIL)]);
    assert_eq!(last_index(&cluster), before + 1, "the time of the state machine has passed the deadline");
}

#[test]
fn key_that_has_expired_stays_away_under_a_leader_whose_clock_is_behind() {
    let (mut cluster, leader) = elected();
    cluster.ask(leader, &[set_for("m1", "k", "v", 500)]);
    cluster.run(500 * MILLI_US);
    cluster.ask(leader, &[get("m2", "k"), put("m3", "other", "v")]);
    cluster.run(2 * HEARTBEAT_INTERVAL_US);
    cluster.replicas.remove(&leader);
    for replica in cluster.replicas.values_mut() {
        replica.set_wall_clock(cluster.now, 0);
    }
    let follower = *cluster.replicas.keys().next().expect("four are left");
    cluster.ask(follower, &[get("m4", "k")]);
    cluster.run(20 * ELECTION_TIMEOUT_US);
    let successor = cluster.leader();
    cluster.answers();
    cluster.ask(successor, &[get("m5", "k")]);
    assert_eq!(cluster.answers(), [(successor, "m5".into(), NIL, Some(successor))]);
}

#[test]
fn leader_removes_expired_keys_by_entries_of_its_own() {
    let (mut cluster, leader) = elected();
    let keys = 2 * MAX_REMOVED as usize + 1;
    let sets: Vec<Request> = (0..keys).map(|n| set_for(&n.to_string(), &n.to_string(), "v", 1_000)).collect();
    cluster.ask(leader, &sets);
    let before = cluster.replicas[&leader].node().log().last_index();
    let counts = |cluster: &Cluster| -> Vec<usize> {
        cluster.replicas.values().map(|replica| replica.state_machine().len()).collect()
    };
    cluster.run(1_000 * MILLI_US + EXPIRY_INTERVAL_US / 2);
    assert!(counts(&cluster).contains(&keys), "keys that expire together share an entry");
    cluster.run(EXPIRY_INTERVAL_US + 2 * HEARTBEAT_INTERVAL_US);
    assert_eq!(counts(&cluster), [0; 5]);
    assert_eq!(cluster.replicas[&leader].node().log().last_index(), before + 3);
}

#[test]
fn read_after_a_deadline_does_not_overtake_an_entry_from_before_it() {
    let (mut cluster, leader) = elected();
    cluster.ask(leader, &[set_for("1", "lock", "held", 50), put("2", "work", "old")]);
    cluster.run(10_000);
    cluster.answers();
    let others: Vec<Id> = cluster.replicas.keys().copied().filter(|id| *id != leader).collect();
    cluster.blocked.extend(others);
    cluster.ask(leader, &[put("3", "work", "new")]);
    cluster.now += 20_000;
    cluster.ask(leader, &[get("4", "work")]);
    let value = |text: &str| Outcome::Done(Reply::Bytes(text.into()));
    let answered: Vec<Outcome> = cluster.answers().into_iter().map(|answer| answer.2).collect();
    assert_eq!(answered, [value("old")], "the lock has not expired");
    cluster.now += 50_000;
    cluster.ask(leader, &[get("5", "work")]);
    assert!(cluster.answers().is_empty(), "the read waits behind the put, which finds the lock");
    cluster.blocked.clear();
    cluster.run(500_000);
    let answered: Vec<(String, Outcome)> =
        cluster.answers().into_iter().map(|(_, mid, outcome, _)| (mid, outcome)).collect();
    assert_eq!(answered, [("3".into(), STORED), ("5".into(), value("new"))]);
}
