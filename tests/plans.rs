//! Schedules that showed a fault once, kept as plans in `tests/plans` and run in virtual time. For
//! a file without a seed of its own, `explore --scenario tests/plans/FILE --seeds 40` prints the
//! figures of forty seeds.

use std::path::Path;

use kvstore::sim::coverage::Coverage;
use kvstore::sim::scenario::Source;
use kvstore::sim::{Figures, run};
use kvstore::tuning::Tuning;

fn source(name: &str) -> Source {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(name).with_extension("json");
    Source::read(&path).expect("a plan")
}

/// The number of seeds of each plan.
const SEEDS: u64 = 8;

/// The situations that each seed of a plan reaches. No rule may be broken.
fn coverage(name: &str) -> Vec<Coverage> {
    let source = source(name);
    let coverage = |seed| {
        let outcome = run(&source.plan(seed), None, false);
        assert_eq!(outcome.violation, None, "{name}, seed {seed}");
        outcome.coverage
    };
    (0..SEEDS).map(coverage).collect()
}

/// The figures of each seed of a plan, with its tuning changed. No rule may be broken.
fn figures(name: &str, change: impl Fn(&mut Tuning)) -> Vec<Figures> {
    let source = source(name);
    let figures = |seed| {
        let mut plan = source.plan(seed);
        assert_eq!(plan.seed, seed, "the file has no seed of its own");
        change(&mut plan.tuning);
        let outcome = run(&plan, None, false);
        assert_eq!(outcome.violation, None, "{name}, seed {seed}");
        outcome.figures
    };
    (0..SEEDS).map(figures).collect()
}

/// Whether each put of a plan took at most this time, in each seed.
fn every_put_takes_at_most(name: &str, most_us: u64, change: impl Fn(&mut Tuning)) -> bool {
    figures(name, change).iter().all(|figures| figures.puts.count > 0 && figures.puts.p99_us <= most_us)
}

/// The disk of the leader hangs, and a client puts a key every five seconds.
#[test]
fn plain_raft_commits_at_once_while_the_disk_of_its_leader_hangs() {
    assert!(every_put_takes_at_most("leader-disk-hangs", 10_000, |tuning| tuning.thrifty = false));
}

/// Neither batches nor coalescing: clients send more requests than the cluster can answer.
#[test]
fn liveness_rule_tells_overload_from_a_stall() {
    let outcome = run(&source("overload").plan(0), None, false);
    assert_eq!(outcome.violation, None);
    assert!(outcome.coverage.overloads > 0);
}

/// Neither batches nor coalescing, and a majority of exactly as many replicas as needed: each entry
/// costs its leader ten messages of up to a millisecond. All is answered within five seconds, unless
/// the leader sends again and again the appends whose answers wait at its own door.
#[test]
fn leader_whose_answers_wait_in_long_queues_gets_through() {
    let source = source("answers-wait-in-long-queues");
    for seed in 0..SEEDS {
        let plan = source.plan(seed);
        let outcome = run(&plan, None, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        let took_us = outcome.virtual_us - plan.lifetime_us;
        assert!(took_us < 8_000_000, "seed {seed} took {took_us} us to answer all requests");
    }
}

#[test]
fn put_takes_no_longer_than_in_plain_raft_while_the_disk_of_the_leader_hangs() {
    assert!(every_put_takes_at_most("leader-disk-hangs", 20_000, |_| ()));
}

/// Disks take up to 0.4 s for a sync, and much longer for a while. Followers are away, and come back
/// when the leader has compacted the entries that they need.
#[test]
fn slow_disk_deposes_no_leader() {
    for name in ["leader-disk-hangs", "slow-disks-and-snapshots"] {
        for (seed, coverage) in coverage(name).into_iter().enumerate() {
            let changes = (coverage.elections, coverage.step_downs);
            assert_eq!(changes, (1, 0), "{name}, seed {seed}");
            assert!(coverage.slow_disks > 0);
        }
    }
    let installed =
        coverage("slow-disks-and-snapshots").iter().all(|reached| reached.snapshots_installed > 0);
    assert!(installed, "the followers that were away need a snapshot");
}

/// A replica crashes twice before its disk has a term. It has answered no leader, so it may vote when
/// it starts, and the rule "promises are kept" must know that.
#[test]
fn replica_that_crashed_before_its_first_term_was_on_disk_has_promised_nothing() {
    let outcome = run(&source("crashes-before-its-first-term").plan(0), None, false);
    assert_eq!(outcome.violation, None);
    assert!(outcome.coverage.crashes >= 3);
}

/// Followers take snapshots and receive some, now and then in one batch. One of the two was never
/// reported as saved, and its follower took no snapshot any more.
#[test]
fn follower_that_takes_and_receives_a_snapshot_at_once_saves_both() {
    let outcome = run(&source("takes-and-receives-snapshots-at-once").plan(0), None, false);
    assert_eq!(outcome.violation, None);
    assert!(outcome.coverage.snapshots_installed > 100);
}

/// Replicas without a disk compact their logs, too. Followers that were cut off or stood still get a
/// snapshot, and so does a leader that was cut off with entries of its own.
#[test]
fn replica_without_a_disk_gets_the_snapshot_of_another() {
    for reached in coverage("left-behind-in-memory") {
        assert!(reached.snapshots_installed >= 2 && reached.logs_compacted > 0, "{reached:?}");
    }
}

/// All replicas stop at once, four times. The rules know each write that was acknowledged before.
#[test]
fn cluster_restarts_from_its_snapshots() {
    for reached in coverage("all-restart-from-snapshots") {
        assert!(reached.restarts_from_snapshot >= 9, "{reached:?}");
    }
}

/// The leader is cut off for 0.3 s in each second, and 90 puts come per second. A leader that is
/// deposed costs 0.48 s.
#[test]
fn leader_that_is_cut_off_for_a_moment_stays() {
    assert!(every_put_takes_at_most("leader-is-cut-off-each-second", 350_000, |_| ()));
}

/// Round trips take 80 ms and 30 % of the messages are lost. A leader that steps down costs 0.8 s
/// or more.
#[test]
fn leader_stays_where_round_trips_are_long_and_messages_are_lost() {
    assert!(every_put_takes_at_most("long-way-loses-a-third", 750_000, |_| ()));
}

/// A write under a lock is in flight while the lock expires, and a client reads meanwhile. The read
/// saw the state before the write, which then still found the lock.
#[test]
fn read_after_a_deadline_takes_its_turn_behind_a_write_from_before_it() {
    let outcome = run(&source("entry-takes-effect-after-a-deadline").plan(0), None, false);
    assert_eq!(outcome.violation, None);
}

/// Messages are damaged and late, links are narrow and come and go, and faults wait for occurrences:
/// no seed of the swarm draws these. Then three of five replicas heal.
#[test]
fn cluster_makes_progress_after_damage_flaps_and_faults_that_wait_for_each_other() {
    for reached in coverage("damage-flaps-and-conditions") {
        assert!(reached.crashes >= 1 && reached.restarts >= 1, "{reached:?}");
    }
}
