//! Scripts that no author would write: the runner refuses a line that makes no sense, and never
//! panics.

use proptest::prelude::*;

use super::{check, transcript};

/// The reason why a script of these lines is refused.
fn refusal(lines: &str) -> String {
    transcript(&format!("{lines}\n---\n")).expect_err("it makes no sense").to_string()
}

#[test]
fn command_that_makes_no_sense_is_refused_with_its_line() {
    for (line, reason) in [
        ("cluster 0", "a cluster has 1 to 9 replicas"),
        ("cluster 65535", "a cluster has 1 to 9 replicas"),
        ("cluster 3 entries=0", "a message has room for 1 to 100 entries"),
        ("cluster 3 entries=18446744073709551615", "a message has room for 1 to 100 entries"),
        ("cluster 3 patience=999", "patience lasts as long as an election time-out"),
        ("cluster 3 patience=60001", "time ends after 60000 ms"),
        ("suspect 6", "there is no replica 6"),
        ("transfer 6", "there is no replica 6"),
        ("timeout 0", "there is no replica 0"),
        ("sync 6", "there is no replica 6"),
        ("restart 65535", "there is no replica 65535"),
        ("propose 6 a=1", "there is no replica 6"),
        ("read 6 1", "there is no replica 6"),
        ("log 6 1", "there is no replica 6"),
        ("deliver from=65535", "there is no replica 65535"),
        ("drop to=6", "there is no replica 6"),
        ("repeat to=6", "there is no replica 6"),
        ("repeat to=1", "no such message"),
        ("deliver limit=1", "no such message"),
        ("drop limit=18446744073709551615", "no such message"),
        ("partition \"1 2\" \"3 6\"", "there is no replica 6"),
        ("partition \"1  2\"", "no numbers of replicas: \"1  2\""),
        ("wait 60001", "time ends after 60000 ms"),
        ("run 18446744073709551615", "time ends after 60000 ms"),
        ("elapse 18446744073709552", "time ends after 60000 ms"),
        ("read 1 7 7", "two reads have the same name"),
        ("log 1 0 1", "terms start at 1 and never decrease"),
        ("log 1 2 1", "terms start at 1 and never decrease"),
        ("log 1 2 term=1", "terms start at 1 and never decrease"),
        ("log 1 1 term=1000001", "a log starts with 100 entries and in term 1000000 at most"),
        ("frobnicate", "frobnicate"),
        ("timeout one", "invalid"),
    ] {
        let refused = refusal(&format!("heal\ncluster 5\n{line}"));
        assert!(refused.contains("failed at line 3: ") && refused.contains(reason), "{line}: {refused}");
    }
    assert!(refusal(&format!("log 1{}", " 1".repeat(101))).contains("100 entries"));
}

#[test]
fn timeout_after_the_end_of_time_is_refused() {
    assert!(refusal("wait 60000\nrestart 1\ntimeout 1").contains("time ends"));
}

#[test]
fn second_read_of_one_name_is_refused() {
    assert!(refusal("read 1 7\nread 2 7").contains("line 2: two reads"));
    assert!(transcript("read 1 7\ncluster 3\nread 2 7\n---\n").is_ok());
}

#[test]
fn logs_that_no_cluster_could_have_are_refused() {
    let elected = "no quorum can have elected the leader of term 2";
    for (lines, reason) in [
        ("log 1 1 2\nlog 2 2 2", "line 3: no log has these terms if replica 1 has its own"),
        ("log 1 1\nlog 1 2", "line 3: replica 1 was given a log before"),
        ("status\nlog 1 1", "line 3: logs are given before anything else"),
        ("log 1 1 2\nstatus", elected),
        ("log 1 1 2\nlog 2 1\nstabilize", elected),
    ] {
        let refused = refusal(&format!("cluster 3\n{lines}"));
        assert!(refused.contains(reason), "{lines}: {refused}");
    }
    assert!(transcript("cluster 3\nlog 1 1 2\nlog 2 1 term=2\nstatus\n---\n").is_ok());
}

/// In a term in which a log has entries, no candidate is elected a second time.
#[test]
fn term_of_a_given_log_gets_no_second_leader() {
    let script = "cluster 3\nlog 1 1 2\nlog 2 1 term=2\nlog 3 1 term=1\ntimeout 3\nstabilize\n---\n";
    assert!(!transcript(script).expect("it makes sense").contains("3 leads"));
}

#[test]
fn seeds_of_the_fuzz_target_are_scripts() {
    for seed in std::fs::read_dir("../../fuzz/seeds/script").expect("the seeds are there") {
        let path = seed.expect("a file").path();
        let script = std::fs::read_to_string(&path).expect("it can be read");
        let transcript = transcript(&script).unwrap_or_else(|refusal| panic!("{path:?}: {refusal}"));
        assert!(!transcript.contains("Panic: "), "{path:?}: {transcript}");
    }
}

/// Mostly a sensible number; now and then an absurd one.
fn number(sensible: std::ops::Range<u64>) -> impl Strategy<Value = u64> {
    let absurd = prop::sample::select(&[0, 65_535, 65_536, u64::MAX / 1_000, u64::MAX][..]);
    prop_oneof![200 => sensible, 1 => absurd, 1 => any::<u64>()]
}

fn replica() -> impl Strategy<Value = u64> {
    number(1..4)
}

/// A command that names messages: `deliver` or `drop`, with some of its keys.
fn messages(name: &'static str) -> impl Strategy<Value = String> {
    let key = |name, value: Option<u64>| value.map_or(String::new(), |value| format!(" {name}={value}"));
    let replica = || prop::option::weighted(0.4, replica());
    (replica(), replica(), prop::option::weighted(0.05, number(0..3))).prop_map(move |(from, to, limit)| {
        format!("{name}{}{}{}", key("from", from), key("to", to), key("limit", limit))
    })
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => replica().prop_map(|n| format!("timeout {n}")),
        3 => number(0..1_500).prop_map(|ms| format!("wait {ms}")),
        2 => number(0..1_500).prop_map(|ms| format!("elapse {ms}")),
        2 => number(0..3_000).prop_map(|ms| format!("run {ms}")),
        20 => messages("deliver"),
        4 => messages("drop"),
        1 => replica().prop_map(|n| format!("repeat to={n}")),
        6 => Just("stabilize".to_owned()),
        6 => (replica(), 0..9u8).prop_map(|(n, value)| format!("propose {n} a={value} \"b \\n\"=''")),
        3 => (replica(), number(0..1 << 40)).prop_map(|(n, read)| format!("read {n} {read}")),
        2 => replica().prop_map(|n| format!("transfer {n}")),
        2 => prop::sample::select(&["\"1 2\" \"3\"", "\"1\"", "\"2 3\"", "\"1 2 3\"", "\"9\"", "\"\""][..])
            .prop_map(|groups| format!("partition {groups}")),
        2 => Just("heal".to_owned()),
        1 => Just("slow_disks".to_owned()),
        4 => replica().prop_map(|n| format!("sync {n}")),
        3 => replica().prop_map(|n| format!("restart {n}")),
        1 => Just("status".to_owned()),
    ]
}

/// A cluster, and a third of the time logs for its first three replicas, which fit together more
/// often than not.
fn start() -> impl Strategy<Value = String> {
    let log = (prop::collection::vec(number(1..3), 0..4), prop::option::weighted(0.9, number(2..4)));
    let log = log.prop_map(|(mut terms, term)| {
        terms.sort_unstable();
        let terms: String = terms.iter().map(|term| format!(" {term}")).collect();
        format!("{terms}{}\n", term.map_or(String::new(), |term| format!(" term={term}")))
    });
    let logs = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(log, 3)];
    (number(3..6), logs).prop_map(|(size, logs)| {
        let logs = logs.iter().enumerate().map(|(i, log)| format!("log {}{log}", i + 1));
        format!("cluster {size}\n{}", logs.collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn no_script_panics(start in start(), lines in prop::collection::vec(line(), 1..80)) {
        check(&format!("{start}{}\n", lines.join("\n")));
    }

    #[test]
    fn no_text_makes_the_runner_panic(words in prop::collection::vec(word(), 0..40)) {
        check(&words.concat());
    }
}

/// Scraps of texts that are hardly ever scripts.
fn word() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(
        &[
            "\n", "\n", " ", " ", "---\n", "log", "run", "wait", "-1", "1", "65535", "=", "\"", "'", "\\",
            "!", "# ",
        ][..],
    );
    prop_oneof![8 => scrap.prop_map(str::to_owned), 1 => any::<String>()]
}
