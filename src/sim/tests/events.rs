//! Events of a scenario as a cluster in virtual time carries them out.

use super::read;
use crate::micros::Micros;
use crate::sim::cluster::Cluster;
use crate::sim::plan::{Condition, Distribution, End, Fault, FaultKind, LinkDelay, Plan, Target, When};
use crate::sim::{Outcome, run};

/// Five replicas, 600 requests from 2 to 28 seconds, and these keys.
fn scenario(keys: &str) -> Plan {
    read(&format!(r#"{{"lifetime": 30, "replicas": 5, "requests": 600, "mix": 0.3, {keys}}}"#)).expect(keys)
}

fn with_events(events: &str) -> Plan {
    scenario(&format!(r#""events": [{events}]"#))
}

/// The outcome of a plan in which no rule is broken, with its transcript.
fn played(plan: &Plan) -> Outcome {
    let outcome = run(plan, None, true);
    assert_eq!(outcome.violation, None);
    outcome
}

/// The times of the lines of a transcript that have these words.
fn times(outcome: &Outcome, words: &str) -> Vec<Micros> {
    let time = |line: &str| -> Option<Micros> {
        let (seconds, micros) = line.split_whitespace().next()?.split_once('.')?;
        Some(1_000_000 * seconds.parse::<Micros>().ok()? + micros.parse::<Micros>().ok()?)
    };
    outcome.trace.lines().filter(|line| line.contains(words)).filter_map(time).collect()
}

#[test]
fn flap_slow_replica_and_condition_become_faults() {
    let plan = with_events(
        r#"{"type": "flap", "time": 1, "replica": "leader", "period": 0.1, "duration": 2},
           {"type": "slow", "time": 2, "replica": "0003"}, {"type": "part_easy", "time": 3},
           {"type": "heal", "time": 4},
           {"type": "kill_leader", "when": {"on": "write_acknowledged", "after": 0.0005, "from": 3}},
           {"type": "flap", "when": {"on": "message_sent", "message": "request_vote", "count": 7}}"#,
    );
    let fault = |at_us, for_us, kind| Fault { at_us, for_us, kind };
    let when = |on, count, after_us, kind| FaultKind::When(When { on, count, after_us }, Box::new(kind));
    let acknowledged = Condition::WriteAcknowledged;
    let sent = Condition::MessageSent("request_vote".to_owned());
    let expected = [
        fault(3_000_000, Some(2_000_000), FaultKind::Flap(Target::Leader, 100_000)),
        fault(4_000_000, Some(1_000_000), FaultKind::Slow(Target::Replica(3), 50_000)),
        fault(5_000_000, None, FaultKind::EndPartitions),
        fault(5_000_000, None, FaultKind::Halve { with_leader: true }),
        fault(6_000_000, None, FaultKind::Heal),
        fault(5_000_000, None, when(acknowledged, 1, 500, FaultKind::Crash(Target::Leader))),
        fault(2_000_000, Some(1_000_000), when(sent, 7, 0, FaultKind::Flap(Target::Any, 200_000))),
    ];
    assert_eq!(plan.faults, expected);
}

#[test]
fn delays_that_the_network_cannot_draw_are_those_of_the_links() {
    let plan = scenario(
        r#""delay": {"pareto": [0.001, 1.5], "links": [{"from": "clients", "to": ["0000", "0002"], "normal": [0.5, 0.1]}]},
           "corrupt": 0.25, "bandwidth": 20000.4"#,
    );
    assert_eq!(plan.network.delay_us, scenario(r#""drops": 0"#).network.delay_us);
    let to = Some(vec![End::Replica(0), End::Replica(2)]);
    let expected = [
        LinkDelay { from: Some(vec![End::Clients]), to, draw: Distribution::Normal(500_000, 100_000) },
        LinkDelay { from: None, to: None, draw: Distribution::Pareto(1_000, 1.5) },
    ];
    assert_eq!(plan.links.delays, expected);
    assert_eq!((plan.links.bandwidth, plan.links.corrupt), (Some(20_000), 0.25));
}

#[test]
fn value_out_of_range_is_refused_with_its_rule() {
    let event = |event: &str| format!(r#""events": [{event}]"#);
    let when = |when: &str| event(&format!(r#"{{"type": "heal", "when": {{{when}}}}}"#));
    for (keys, rule) in [
        (r#""corrupt": 1.1"#.to_owned(), "must be 0 to 1"),
        (r#""bandwidth": 999"#.to_owned(), "bandwidth must be"),
        (r#""reorder": true"#.to_owned(), "reorder needs delay"),
        (r#""delay": {"constant": 1, "pareto": [1, 1]}"#.to_owned(), "must be one distribution"),
        (r#""delay": {"pareto": [1, 0]}"#.to_owned(), "the shape of pareto"),
        (r#""delay": {"normal": [1, -1]}"#.to_owned(), "0 to 10 seconds"),
        (r#""delay": {"links": [{"from": "0001"}]}"#.to_owned(), "need a distribution"),
        (r#""delay": {"links": [{"from": [], "constant": 1}]}"#.to_owned(), "not empty"),
        (event(r#"{"type": "heal"}"#), "either time or when"),
        (event(r#"{"type": "heal", "time": 1, "when": {"on": "killed"}}"#), "either time or when"),
        (event(r#"{"type": "flap", "time": 1, "period": 0.009}"#), "period must be"),
        (event(r#"{"type": "slow", "time": 1, "by": 11}"#), "by must be"),
        (when(r#""on": "killed", "after": 31"#), "times must be"),
        (when(r#""on": "killed", "count": 0"#), "count must be"),
        (when(r#""on": "message_sent""#), "message_sent needs message"),
    ] {
        let text = format!(r#"{{"lifetime": 30, "replicas": 5, "requests": 5, {keys}}}"#);
        let refusal = read(&text).expect_err(&keys);
        assert!(refusal.contains(rule), "{keys}: {refusal}");
    }
}

/// Replica 2 is cut off in the first half of each period, and hears all others in the second one.
#[test]
fn flap_cuts_a_replica_off_in_the_first_half_of_each_period() {
    let plan =
        with_events(r#"{"type": "flap", "time": 2, "replica": "0002", "period": 0.4, "duration": 6.1}"#);
    let outcome = played(&plan);
    let lost = times(&outcome, "is cut off");
    assert!(!lost.is_empty());
    for at in &lost {
        assert!((4_000_000..10_100_000).contains(at) && (at % 400_000) < 200_000, "{at}");
    }
    assert_eq!(outcome.figures.failures, 0);
}

#[test]
fn heal_ends_partitions_flaps_and_slow_replicas() {
    let plan = with_events(
        r#"{"type": "part_hard", "time": 1},
           {"type": "flap", "time": 1.5, "duration": 20}, {"type": "slow", "time": 1.5, "by": 1, "duration": 20},
           {"type": "heal", "when": {"on": "get_answered", "from": 6}}"#,
    );
    let mut cluster = Cluster::new(plan, None, true);
    cluster.run_until(8_000_000).expect("no rule is broken");
    let links = |cluster: &Cluster| {
        let pairs = (0..5).flat_map(|from| (0..5).map(move |to| (from, to)));
        let cut = pairs.filter(|&(from, to)| cluster.network.is_cut(from, to)).count();
        (cut >= 12, (0..5).any(|at| cluster.network.slowness_us(at) == 1_000_000))
    };
    assert_eq!(links(&cluster), (true, true));
    cluster.run_until(12_000_000).expect("no rule is broken");
    assert_eq!(links(&cluster), (false, false));
    assert!(cluster.find_unmet().is_empty());
    cluster.run().expect("no rule is broken");
}

#[test]
fn partition_that_begins_when_its_condition_is_met_replaces_the_one_before() {
    let plan = with_events(
        r#"{"type": "isolate_random", "time": 1},
           {"type": "isolate_random", "when": {"on": "partitioned", "count": 1, "after": 1}}"#,
    );
    for seed in 0..8 {
        let mut cluster = Cluster::new(Plan { seed, ..plan.clone() }, None, false);
        cluster.run_until(6_000_000).expect("no rule is broken");
        let cut = (0..5).filter(|&at| (0..5).all(|to| at == to || cluster.network.is_cut(at, to))).count();
        assert_eq!(cut, 1, "seed {seed}");
    }
}

/// A write is acknowledged first, then its leader stops half a millisecond later.
#[test]
fn event_happens_its_time_after_the_occurrence_that_it_waits_for() {
    let when = r#"{"on": "write_acknowledged", "after": 0.0005, "from": 3, "count": 2}"#;
    let outcome = played(&with_events(&format!(r#"{{"type": "kill_leader", "when": {when}}}"#)));
    assert_eq!((outcome.coverage.crashes, &outcome.unmet[..]), (1, &[][..]));
    let crash = times(&outcome, "crashes (")[0];
    // Clients receive their answers within 90 us.
    let heard = times(&outcome, " ok").into_iter().filter(|at| (crash - 470..=crash - 410).contains(at));
    assert!(crash > 5_000_000 && heard.count() >= 1, "{crash}");
}

#[test]
fn each_condition_is_met_by_its_occurrence() {
    let persist = |events: &str| scenario(&format!(r#""persist": true, "events": [{events}]"#));
    let met = |on: &str, other: &str| {
        let waits = format!(r#"{{"type": "kill_non_leader", "when": {{{on}}}}}"#);
        let other = if other.is_empty() { String::new() } else { format!(", {other}") };
        let outcome = played(&persist(&format!("{waits}{other}")));
        outcome.unmet.is_empty()
    };
    let restart = r#"{"type": "restart_leader", "time": 5, "duration": 0.5}"#;
    let part = r#"{"type": "part_bridge", "time": 5}, {"type": "heal", "time": 6}"#;
    for (on, cause) in [
        (r#""on": "killed""#, restart),
        (r#""on": "rejoined""#, restart),
        (r#""on": "leader_changed""#, r#"{"type": "kill_leader", "time": 5}"#),
        (r#""on": "partitioned""#, part),
        (r#""on": "healed""#, part),
        (r#""on": "message_sent", "message": "request_vote", "from": 2"#, restart),
    ] {
        assert!(met(on, cause), "{on}");
        assert!(!met(on, ""), "{on} without its cause");
    }
    for on in [r#""on": "write_acknowledged""#, r#""on": "get_answered""#] {
        assert!(met(on, ""), "{on}");
    }
    assert!(!met(r#""on": "get_answered", "count": 1000"#, ""));
}

#[test]
fn event_whose_condition_is_never_met_is_told_at_the_end() {
    let outcome = played(&with_events(r#"{"type": "kill_leader", "when": {"on": "healed"}}"#));
    assert_eq!(outcome.unmet, ["fault 0 never happened: when healed: the leader is down"]);
    assert!(outcome.trace.lines().last().is_some_and(|line| line.ends_with(&outcome.unmet[0])));
    assert_eq!(outcome.coverage.crashes, 0);
}

#[test]
fn event_that_would_end_after_the_run_is_not_carried_out() {
    let pause = |duration: u32| {
        let when = r#"{"on": "get_answered", "from": 20}"#;
        let event = format!(r#"{{"type": "slow", "by": 0.2, "duration": {duration}, "when": {when}}}"#);
        played(&with_events(&event))
    };
    let told = |outcome: &Outcome| times(outcome, "is not carried out, it would end after the run").len();
    assert_eq!((told(&pause(2)), told(&pause(9))), (0, 1));
}

/// Two of five replicas are dead. The three that live are the majority, and one of them is the bridge
/// or is isolated.
#[test]
fn drawn_replicas_live_where_the_living_suffice() {
    for (event, seed) in ["isolate_random", "part_one_way", "part_bridge", "slow"]
        .into_iter()
        .flat_map(|event| (0..12).map(move |seed| (event, seed)))
    {
        let plan = with_events(&format!(
            r#"{{"type": "kill_non_leader", "time": 1}}, {{"type": "kill_non_leader", "time": 2}},
               {{"type": "{event}", "time": 3}}"#
        ));
        let mut cluster = Cluster::new(Plan { seed, ..plan }, None, false);
        cluster.run_until(5_100_000).expect("no rule is broken");
        let lives = |at: usize| cluster.servers[at].replica().is_some();
        let cut_from = |from: usize| (0..5).filter(|&to| cluster.network.is_cut(from, to)).count();
        let chosen = |at: usize| match event {
            "isolate_random" => cut_from(at) == 4,
            "part_one_way" => cut_from(at) == 0,
            "part_bridge" => cut_from(at) == 0,
            _ => cluster.network.slowness_us(at) > 0,
        };
        let chosen: Vec<usize> = (0..5).filter(|&at| chosen(at)).collect();
        assert_eq!(chosen.len(), if event == "part_one_way" { 3 } else { 1 }, "{event}, seed {seed}");
        assert!(chosen.iter().all(|&at| lives(at)), "{event}, seed {seed}: {chosen:?}");
    }
}

/// Without the checksum a damaged message is now and then a valid one of another term.
#[test]
fn damaged_messages_break_no_rule() {
    for seed in 0..4 {
        let plan = Plan { seed, ..scenario(r#""corrupt": 0.2, "client_timeout": 1"#) };
        let outcome = played(&plan);
        let damaged = times(&outcome, "is damaged: ").len() as u64;
        let messages = outcome.figures.messages;
        assert!(damaged * 10 > messages && damaged * 10 < messages * 3, "{damaged} of {messages}");
        assert_eq!(outcome.figures.failures, 0);
    }
}

#[test]
fn narrow_links_and_slow_replicas_make_writes_slower() {
    let p50_us = |keys: &str| played(&scenario(keys)).figures.puts.p50_us;
    let usual_us = p50_us(r#""drops": 0"#);
    let narrow_us = p50_us(r#""bandwidth": 20000"#);
    // An append of 250 bytes or more, and its answer of 150 or more.
    assert!(narrow_us > usual_us + 15_000, "{narrow_us} against {usual_us}");
    let slow = r#"{"type": "slow", "replica": "leader", "time": 1, "by": 0.01, "duration": 24}"#;
    let slow_us = p50_us(&format!(r#""events": [{slow}]"#));
    assert!(slow_us >= usual_us + 39_000, "{slow_us} against {usual_us}");
}
