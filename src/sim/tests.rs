//! Whole runs: repeatable, free of violations, and able to find known bugs.

mod events;

use std::sync::Mutex;

use super::batch::{processors, run_many};
use super::bugs::Bug;
use super::cluster::Cluster;
use super::coverage::Coverage;
use super::minimise::minimise;
use super::operations::Operations;
use super::plan::{Bounds, Fault, FaultKind, LogBounds, Plan, Storage, Target, Workload};
use super::scenario::Source;
use super::trace::excerpt;
use super::{Outcome, run, swarm};
use crate::micros::Micros;

/// Runs these seeds on all processors. Returns the least seed that fails, and the coverage.
fn explore(seeds: u64, bug: Option<Bug>) -> (Option<(u64, Outcome)>, Coverage) {
    let coverage = Mutex::new(Coverage::default());
    let take = |outcome: Outcome| *coverage.lock().expect("no panic") += &outcome.coverage;
    let least = run_many(0..seeds, processors(), swarm::plan, bug, take);
    let found = least.map(|seed| (seed, run(&swarm::plan(seed), bug, false)));
    (found, coverage.into_inner().expect("no panic"))
}

#[test]
fn two_hundred_seeds_break_no_rule_and_reach_everything() {
    let (found, coverage) = explore(200, None);
    if let Some((seed, Outcome { violation: Some(violation), .. })) = found {
        panic!("seed {seed}: {violation}");
    }
    assert_eq!(coverage.missing(), Vec::<&str>::new());
}

/// The other bugs take more seeds than a test without optimisation should run. The release build
/// hunts them all.
#[test]
fn bugs_that_show_easily_are_found_within_a_hundred_seeds() {
    use Bug::*;
    let bugs = [
        VotesTwice,
        VotesForShorterLog,
        AcksBeyond,
        AcksBeforeFsync,
        CountsOwnUnsyncedEntry,
        ServesReadsUnproven,
        ReadsBeforeNoop,
        ReadsAfterLeading,
        EarlierRound,
        ExpiresAlone,
        CountsAckTwice,
        StaleLeaderAnswersOk,
        PreVoteRaisesTerm,
        MergesRefusals,
        OutOfOrder,
        AcksForTheWay,
        RecallsAsNew,
        InstallsBeforeFsync,
        SkipsDirectorySync,
        VotesAfterFailedSync,
        TriesSyncAgain,
    ];
    for bug in bugs {
        assert!(explore(100, Some(bug)).0.is_some(), "{bug}");
    }
}

#[test]
fn seed_gives_the_same_transcript_to_the_byte() {
    for seed in 0..4 {
        let plan = swarm::plan(seed);
        let (first, second) = (run(&plan, None, true), run(&plan, None, true));
        assert!(first.trace == second.trace, "seed {seed}");
        assert!(first.trace.lines().count() > 500, "seed {seed}: {}", first.trace);
        assert_eq!(run(&plan, None, false).coverage, first.coverage, "a transcript changes nothing");
    }
}

#[test]
fn different_seeds_give_different_runs() {
    assert_ne!(swarm::plan(1), swarm::plan(2));
    let plan = Plan { seed: 77, ..swarm::plan(1) };
    let (own, other) = (run(&swarm::plan(1), None, true), run(&plan, None, true));
    assert_ne!(own.trace, other.trace);
}

#[test]
fn plan_that_is_written_is_read_again_unchanged() {
    let directory = tempfile::tempdir().expect("a directory");
    for seed in 0..50 {
        let plan = swarm::plan(seed);
        let path = directory.path().join("plan.json");
        std::fs::write(&path, serde_json::to_string(&plan).expect("JSON")).expect("written");
        assert_eq!(Source::read(&path).expect("a plan").plan(99), plan, "it keeps its own seed");
    }
}

#[test]
fn contradiction_shows_its_last_answer_and_the_replica_that_gave_it() {
    let bug = Some(Bug::ServesReadsUnproven);
    let failure = |seed| {
        // The other rules would find the bug before the judge does.
        let mut cluster = Cluster::new(swarm::plan(seed), bug, true);
        cluster.invariants.keep_history_alone();
        let violation = cluster.run().err()?;
        (violation.rule == "linearizability").then_some((cluster, violation))
    };
    let mut failures = (300..2_000).filter_map(failure);
    loop {
        let (cluster, violation) = failures.next().expect("a failure of another replica than the first");
        assert!(violation.at_us < cluster.now());
        let last = excerpt(cluster.trace().text(), violation.at_us, 10);
        let answer = format!(" ← {:04X} #", violation.replica.expect("a replica answered"));
        let time = format!("{:.6}", violation.at_us as f64 / 1e6);
        let shown = last.iter().any(|line| line.contains(&time) && line.contains(&answer));
        assert!(shown && last.len() == 11, "{violation}: {last:#?}");
        if violation.replica != Some(0) {
            return;
        }
    }
}

#[test]
fn minimised_failure_needs_each_of_its_faults() {
    let bug = Some(Bug::StaleLeaderAnswersOk);
    let (found, _) = explore(100, bug);
    let plan = swarm::plan(found.expect("found").0);
    let minimal = minimise(&plan, bug).expect("it fails");
    assert!(minimal.plan.faults.len() <= plan.faults.len());
    assert!(run(&minimal.plan, bug, false).violation.is_some());
    assert_eq!(run(&minimal.plan, None, false).violation, None);
    for number in 0..minimal.plan.faults.len() {
        let mut less = minimal.plan.clone();
        less.faults.remove(number);
        assert_eq!(run(&less, bug, false).violation, None, "fault {number} is not needed");
    }
    assert!(minimise(&plan, None).is_none());
}

/// The contents of the file `text`.
fn source(text: &str) -> Result<Source, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file.json");
    std::fs::write(&path, text).expect("written");
    Source::read(&path).map_err(|error| error.to_string())
}

/// The file `text` as a plan.
fn read(text: &str) -> Result<Plan, String> {
    source(text).map(|source| source.plan(1))
}

#[test]
fn scenario_of_run_py_becomes_a_plan() {
    let text = r#"{"lifetime": 30, "replicas": 5, "requests": 300, "mix": 0.2, "drops": 0.1, "end_wait": 5,
        "events": [{"type": "part_hard", "time": 5}, {"type": "kill_leader", "time": 6},
                   {"type": "part_easy", "time": 7}, {"type": "part_end", "time": 8.5}],
        "tests": {"benchmarks": {}}}"#;
    let plan = read(text).expect("a scenario");
    assert_eq!((plan.replicas, plan.lifetime_us, plan.storage), (5, 30_000_000, Storage::Memory));
    assert_eq!((plan.workload.start_us, plan.workload.end_us), (2_000_000, 25_000_000));
    let halve = |with_leader| FaultKind::Halve { with_leader };
    let expected = [
        Fault { at_us: 7_000_000, for_us: Some(2_000_000), kind: halve(false) },
        Fault { at_us: 8_000_000, for_us: None, kind: FaultKind::Crash(Target::Leader) },
        Fault { at_us: 9_000_000, for_us: Some(1_500_000), kind: halve(true) },
    ];
    assert_eq!(plan.faults, expected);
}

#[test]
fn restarts_and_pauses_of_run_py_become_faults_that_end() {
    let text = r#"{"lifetime": 30, "replicas": 3, "requests": 300, "persist": true,
        "events": [{"type": "restart_all", "time": 1, "duration": 0.5}, {"type": "part_easy", "time": 2},
                   {"type": "restart_leader", "time": 3}, {"type": "restart_non_leader", "time": 4, "duration": 0},
                   {"type": "pause_leader", "time": 5}, {"type": "pause_non_leader", "time": 6, "duration": 2}]}"#;
    let plan = read(text).expect("a scenario");
    assert!(matches!(plan.storage, Storage::Disk { .. }));
    let fault = |at_us, for_us, kind| Fault { at_us, for_us, kind };
    let crash = |target| FaultKind::Crash(target);
    let expected = [
        fault(3_000_000, Some(500_000), crash(Target::Replica(0))),
        fault(3_000_000, Some(500_000), crash(Target::Replica(1))),
        fault(3_000_000, Some(500_000), crash(Target::Replica(2))),
        fault(4_000_000, None, FaultKind::Halve { with_leader: true }),
        fault(5_000_000, Some(1_000_000), crash(Target::Leader)),
        fault(6_000_000, Some(0), crash(Target::Follower)),
        fault(7_000_000, Some(1_000_000), FaultKind::Pause(Target::Leader)),
        fault(8_000_000, Some(2_000_000), FaultKind::Pause(Target::Follower)),
    ];
    assert_eq!(plan.faults, expected);
}

#[test]
fn delays_of_run_py_are_added_to_those_of_the_machine() {
    let scenario = |keys: &str| format!(r#"{{"lifetime": 30, "replicas": 5, "requests": 5, {keys}}}"#);
    let network = |keys: &str| read(&scenario(keys)).expect("a scenario").network;
    assert_eq!(network(r#""delay": {"constant": 0.5}"#).delay_us, (500_030, 500_090));
    let spoiled = network(r#""delay": {"uniform": [0.001, 0.002]}, "reorder": true, "duplicate": 0.25"#);
    assert_eq!((spoiled.delay_us, spoiled.reorder, spoiled.duplicate), ((1_030, 2_090), true, 0.25));
    for keys in [r#""delay": {"uniform": [2, 1]}"#, r#""delay": {"constant": 11}"#] {
        assert!(read(&scenario(keys)).is_err_and(|error| error.to_string().contains("of 0 to 10 seconds")));
    }
}

#[test]
fn partitions_of_run_py_last_until_the_next_one() {
    let text = r#"{"lifetime": 30, "replicas": 5, "requests": 300,
        "events": [{"type": "isolate_leader", "time": 1}, {"type": "part_one_way", "time": 2},
                   {"type": "kill_leader", "time": 3}, {"type": "part_bridge", "time": 4},
                   {"type": "isolate_random", "time": 5}, {"type": "heal", "time": 6}]}"#;
    let plan = read(text).expect("a scenario");
    let at = |us| plan.faults.iter().filter(move |fault| fault.at_us == us).collect::<Vec<_>>();
    let isolated =
        Fault { at_us: 3_000_000, for_us: Some(1_000_000), kind: FaultKind::Isolate(Target::Leader) };
    assert_eq!(at(3_000_000), [&isolated]);
    let one_way = Fault { at_us: 4_000_000, for_us: Some(2_000_000), kind: FaultKind::OneWay };
    assert_eq!(at(4_000_000), [&one_way]);
    assert!(matches!(&at(6_000_000)[..], [Fault { kind: FaultKind::Bridge, .. }]));
    assert!(matches!(&at(7_000_000)[..], [Fault { kind: FaultKind::Isolate(Target::Any), .. }]));
    assert_eq!(at(8_000_000), Vec::<&Fault>::new());
}

#[test]
fn drawn_restarts_end_before_the_next_one_begins() {
    let text = r#"{"lifetime": 24, "replicas": 3, "requests": 5, "persist": true, "restarts": 100}"#;
    let source = source(text).expect("a scenario");
    let faults = source.plan(1).faults;
    let mut begins: Vec<_> = faults.iter().map(|fault| fault.at_us).collect();
    begins.dedup();
    assert_eq!(begins.len(), 100);
    for (number, at_us) in (0..).zip(begins) {
        let (begin_us, end_us) = (2_000_000 + number * 200_000, 2_200_000 + number * 200_000);
        let ends =
            faults.iter().filter(|fault| fault.at_us == at_us).map(|fault| at_us + fault.for_us.unwrap_or(0));
        assert!(at_us >= begin_us && ends.max() < Some(end_us), "{number}");
    }
    for target in [Target::Leader, Target::Follower, Target::Replica(2)] {
        assert!(faults.iter().any(|fault| fault.kind == FaultKind::Crash(target)), "{target:?}");
    }
    assert_eq!(source.plan(1).faults, faults);
    assert_ne!(source.plan(2).faults, faults);
}

/// Number of messages of a quiet cluster for 400 puts in 20 s, if the clients' loop sleeps at most
/// this long.
fn messages_under_poll(poll: f64) -> u64 {
    let text = format!(
        r#"{{"lifetime": 24, "replicas": 5, "requests": 400, "mix": 0, "poll": {poll}, "tests": {{}}}}"#
    );
    run(&read(&text).expect("a scenario"), None, false).figures.messages
}

#[test]
fn requests_under_poll_come_in_bursts_and_cost_fewer_messages() {
    let (awake, asleep) = (messages_under_poll(0.0), messages_under_poll(0.1));
    // Two puts in one batch cost six messages, two lone puts eight.
    assert!(10 * asleep < 9 * awake, "{asleep} and {awake}");
}

/// A tenth of all requests and answers is lost. A client repeats a request after 2,400 others, at
/// another replica: the new leader, once the first one is dead.
const LATE_RETRIES: &str = r#"{"lifetime": 9, "replicas": 3, "requests": 3000, "mix": 0, "client_drops": 0.1, "client_timeout": 4,
    "shared_keys": 2, "events": [{"type": "kill_leader", "time": 3.5}], "tests": {}}"#;

#[test]
fn put_that_is_repeated_after_more_others_than_a_session_remembers_takes_effect_at_most_once() {
    let mut plan = read(LATE_RETRIES).expect("a scenario");
    plan.workload.clients = 1;
    let outcome = run(&plan, None, true);
    assert_eq!(outcome.violation, None);
    assert!(outcome.trace.contains(" fail"), "some puts are refused");
}

/// The first two thousand requests of a longer plan, at the same rate.
fn first_requests(mut plan: Plan) -> Plan {
    const MOST: usize = 2_000;
    let workload = &mut plan.workload;
    if workload.requests > MOST {
        let span_us = workload.end_us - workload.start_us;
        let left_out_us = span_us - span_us * MOST as Micros / workload.requests as Micros;
        workload.requests = MOST;
        workload.end_us -= left_out_us;
        plan.lifetime_us -= left_out_us;
    }
    plan
}

#[test]
fn every_request_of_every_scenario_in_the_repository_is_answered() {
    let mut count = 0;
    for directory in ["configs", "configs/beyond"] {
        for file in std::fs::read_dir(directory).expect("a directory") {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let plan = first_requests(Source::read(&path).expect("a scenario").plan(1));
                let outcome = run(&plan, None, false);
                assert_eq!((outcome.violation, outcome.figures.failures), (None, 0), "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 17, "{count}");
}

#[test]
fn file_that_is_no_plan_is_refused_with_its_reason() {
    let refusal = |text: &str| read(text).expect_err("refused");
    let scenario = |changed: &str| format!(r#"{{"lifetime": 30, "replicas": 5, "requests": 5, {changed}}}"#);
    assert!(refusal(r#"{"lifetime": 30,"#).contains("must be JSON (EOF"));
    assert!(refusal("[1]").contains("neither a scenario"));
    assert!(refusal(r#"{"lifetime": 30, "replicas": 5}"#).contains("missing field `requests`"));
    assert!(refusal(&scenario(r#""drops": 1.5"#)).contains("must be 0 to 1"));
    assert!(
        refusal(&scenario(r#""events": [{"type": "kill_leader", "time": 31}]"#)).contains("times must be")
    );
    assert!(refusal(&scenario(r#""poll": 1.5"#)).contains("poll must be"));
    let restart = r#""events": [{"type": "restart_all", "time": 1}]"#;
    assert!(refusal(&scenario(restart)).contains("a restart needs persist"));
    assert!(refusal(&scenario(r#""restarts": 1"#)).contains("a restart needs persist"));
    let many = r#""persist": true, "restarts": 10001"#;
    assert!(refusal(&scenario(many)).contains("restarts must be at most"));
    let negative = r#""events": [{"type": "pause_leader", "time": 1, "duration": -1}]"#;
    assert!(refusal(&scenario(negative)).contains("times must be"));
    assert!(
        refusal(&scenario(r#""events": [{"type": "quake", "time": 1}]"#))
            .contains("events[0].type: \"quake\": must be one of")
    );
    assert!(refusal(r#"{"lifetime": 1, "replicas": 5, "requests": 5}"#).contains("lifetime"));
    assert!(refusal(r#"{"lifetime": 30, "replicas": 99, "requests": 5}"#).contains("replicas must be"));
    let with = |change: fn(&mut Plan)| {
        let mut plan = swarm::plan(1);
        change(&mut plan);
        refusal(&serde_json::to_string(&plan).expect("JSON"))
    };
    assert!(with(|plan| plan.workload.requests = usize::MAX).contains("requests must be at most"));
    assert!(with(|plan| plan.workload.timeout_us = Some(0)).contains("timeout_us must be"));
    let thrice_the_same = |plan: &mut Plan| {
        let members = plan.liveness.iter_mut().flat_map(|liveness| &mut liveness.majority);
        members.for_each(|at| *at = 0);
    };
    assert!(with(thrice_the_same).contains("the majority must be"));
    let mut plan = swarm::plan(1);
    plan.faults = vec![Fault { at_us: 1, for_us: None, kind: FaultKind::Crash(Target::Replica(9)) }];
    let text = serde_json::to_string(&plan).expect("JSON");
    assert!(refusal(&text).contains("a replica that is not there"));
}

/// A plan of the time before there were other operations than puts and gets.
#[test]
fn plan_without_operations_and_wall_clocks_means_puts_and_gets_at_the_right_time() {
    let (bounds, log) = (Bounds::default(), LogBounds::default());
    let plan = Plan { wall_clocks: Vec::new(), bounds, log, ..swarm::plan(1) };
    let mut json = serde_json::to_value(&plan).expect("JSON");
    for key in ["wall_clocks", "bounds", "log", "links"] {
        json.as_object_mut().expect("an object").remove(key).expect("it is there");
    }
    json["workload"].as_object_mut().expect("an object").remove("operations").expect("it is there");
    let old = read(&json.to_string()).expect("a plan");
    let workload = Workload { operations: Operations::default(), ..plan.workload };
    assert_eq!(old, Plan { workload, ..plan });
    assert!(old.workload.operations.is_none());
}

#[test]
fn operations_of_a_scenario_are_done() {
    let text = |operations: &str| {
        format!(
            r#"{{"lifetime": 9, "replicas": 3, "requests": 300, "mix": 0.3, "operations": {operations}}}"#
        )
    };
    let plan = read(&text(r#"{"cas": 0.2, "increment": 0.3, "append": 0.2, "delete": 0.1}"#));
    let plan = plan.expect("a scenario");
    let outcome = run(&plan, None, true);
    assert_eq!((outcome.violation, outcome.figures.failures), (None, 0));
    for part in
        [r#""condition":{"equal":"#, r#"{"increment":"#, r#"{"append":"#, r#"{"delete":"#, " put register-"]
    {
        assert!(outcome.trace.contains(part), "{part}");
    }
    for wrong in [r#"{"cas": 0.7, "delete": 0.7}"#, r#"{"cas": -0.1}"#, r#"{"flush": 0.1}"#] {
        assert!(read(&text(wrong)).is_err(), "{wrong}");
    }
}
