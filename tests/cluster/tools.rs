//! The tools that come with Redis: `redis-cli` and `redis-benchmark`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

use crate::processes::{Cluster, Process, wait_for};
use crate::resp::Reply;
use crate::service::served;

/// How many requests a benchmark sends of each kind.
const REQUESTS: &str = "1000";
/// A benchmark that outlives a leader sends so many: it must not end before its first line of progress,
/// a quarter of a second after its start.
const LONG: &str = "20000";

/// A command of one of the tools for this replica; `None`, and a line that says so, if it is not installed.
fn tool(name: &str, cluster: &Cluster, replica: usize) -> Option<Command> {
    if Command::new(name).arg("--version").output().is_err() {
        eprintln!("skipped: {name} is not installed");
        return None;
    }
    let address = cluster.redis(replica);
    let (host, port) = address.rsplit_once(':').expect("a port");
    let mut command = Command::new(name);
    command.args(["-h", host, "-p", port]).stdin(Stdio::null());
    Some(command)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether the output of a tool has an error of a replica that could not serve, because the leader
/// changed.
fn is_leaderless(said: &str) -> bool {
    said.contains("CLUSTERDOWN ") || said.contains("UNKNOWN ")
}

/// The output of a command that ends well. On a busy machine the leader may change: then it runs again.
fn output_of(command: &mut Command) -> String {
    wait_for("a run under one leader", || {
        let Output { status, stdout, stderr } = command.output().expect("it starts");
        let said = text(&stdout) + &text(&stderr);
        assert!(status.success() || is_leaderless(&said), "{command:?}: {status}: {said}");
        (!is_leaderless(&said)).then_some(said)
    })
}

/// A benchmark has ended well, and has measured all kinds. It ends at the first error.
fn check_csv(said: &str) {
    for kind in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
        let line = said.lines().find(|line| line.starts_with(&format!("\"{kind}\",")));
        assert!(line.is_some_and(|line| line.split(',').count() == 8), "{kind}: {said}");
    }
}

#[test]
fn redis_benchmark_has_no_error_at_the_leader_or_a_follower() {
    let cluster = Cluster::start();
    let leader = cluster.leader();
    for replica in [leader, (leader + 1) % 3] {
        for depth in ["1", "16"] {
            let Some(mut benchmark) = tool("redis-benchmark", &cluster, replica) else { return };
            benchmark.args(["-t", "ping,set,get,incr,mset", "-n", REQUESTS, "-c", "20", "-P", depth]);
            check_csv(&output_of(benchmark.args(["--csv", "-r", "1000"])));
        }
    }
    // All the keys that the benchmark writes are there, whichever replica took them.
    let size = served(&mut cluster.client(leader), &["DBSIZE"]);
    assert!(matches!(size, Reply::Integer(800..)), "{size:?}");
}

#[test]
fn redis_benchmark_reads_through_a_follower_while_the_leader_dies_and_writes_after_it() {
    // On a busy machine an election may take long, and the tool ends at the first error.
    let mut cluster = Cluster::of_three(&[("request-timeout", "60000")]);
    (0..3).for_each(|replica| cluster.start_one(replica));
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    assert_eq!(served(&mut cluster.client(follower), &["SET", "key:__rand_int__", "value"]), Reply::ok());
    let Some(mut benchmark) = tool("redis-benchmark", &cluster, follower) else { return };
    benchmark.args(["-t", "get", "-n", LONG, "-c", "4"]).stdout(Stdio::piped());
    let mut benchmark = Process(benchmark.spawn().expect("it starts"));
    let mut said = String::new();
    let mut output = benchmark.0.stdout.take().expect("a pipe");
    let mut progress = || {
        let mut bytes = [0; 1_000];
        let length = output.read(&mut bytes).expect("a pipe");
        said += &text(&bytes[..length]);
        (length, said.clone())
    };
    wait_for("the first requests", || progress().1.contains("rps=").then_some(()));
    cluster.kill(leader);
    assert_eq!(benchmark.0.try_wait().expect("our own"), None, "it was over before the kill");
    while progress().0 > 0 {}
    let said = progress().1;
    assert!(benchmark.ended().success() && said.contains(&format!("{LONG} requests completed")), "{said}");

    let mut benchmark = tool("redis-benchmark", &cluster, follower).expect("it is installed");
    benchmark.args(["-t", "ping,set,get,incr,mset", "-n", "1000", "-c", "8", "--csv"]);
    check_csv(&output_of(&mut benchmark));
}

/// The lines of `redis-cli` that repeats one command.
fn lines(process: &mut Child) -> impl Iterator<Item = String> {
    BufReader::new(process.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"))
}

#[test]
fn redis_cli_at_a_follower_goes_on_after_a_killed_leader_and_counts_no_increment_twice() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader();
    let Some(mut client) = tool("redis-cli", &cluster, (leader + 1) % 3) else { return };
    client.args(["-r", "1000", "INCR", "counter"]).stdout(Stdio::piped());
    let mut client = Process(client.spawn().expect("it starts"));
    let (mut acknowledged, mut refused) = (vec![0], Vec::new());
    for (number, line) in lines(&mut client.0).enumerate() {
        match line.parse::<i64>() {
            Ok(count) => acknowledged.push(count),
            Err(_) if line.is_empty() => {} // the end of an error
            Err(_) if is_leaderless(&line) => refused.push(line),
            Err(_) => panic!("{line}"),
        }
        if number == 200 {
            cluster.kill(leader);
        }
    }
    assert!(client.ended().success());
    assert!(acknowledged.is_sorted_by(|one, next| one < next), "{acknowledged:?}");
    assert_eq!(acknowledged.len() - 1 + refused.len(), 1_000, "{refused:?}");
    let unknown = refused.iter().filter(|line| line.contains("UNKNOWN")).count();
    let most = acknowledged.len() - 1 + unknown;
    let last = *acknowledged.last().expect("one at least");
    assert!(last as usize <= most, "{last} increments, {most} were asked for: {refused:?}");
}

#[test]
fn redis_cli_has_its_way_with_values_scans_and_mass_insertion() {
    let cluster = Cluster::start();
    cluster.leader();
    let run = |replica: usize, words: &[&str]| {
        Some(output_of(tool("redis-cli", &cluster, replica)?.args(words)).trim_end().to_owned())
    };
    let Some(set) = run(0, &["SET", "greeting", "hello"]) else { return };
    assert_eq!(set, "OK");
    for replica in 0..3 {
        assert_eq!(run(replica, &["GET", "greeting"]).as_deref(), Some("hello"));
        assert_eq!(run(replica, &["-3", "MGET", "greeting", "none"]).as_deref(), Some("hello"));
    }
    // Errors are answers, too: redis-cli ends well.
    let wrong = run(1, &["GET"]).expect("it is installed");
    assert!(wrong.starts_with("ERR wrong number of arguments for 'get' command"), "{wrong}");

    let mut pipe = tool("redis-cli", &cluster, 2).expect("it is installed");
    let pipe = pipe.arg("--pipe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut pipe = Process(pipe.expect("it starts"));
    let commands: String = (0..1_000).map(|number| format!("SET key:{number} {number}\r\n")).collect();
    let mut input = pipe.0.stdin.take().expect("a pipe");
    input.write_all(commands.as_bytes()).expect("it reads");
    drop(input);
    let said: Vec<String> = lines(&mut pipe.0).collect();
    // A change of the leader costs some of them.
    let is_whole = said.iter().any(|line| line == "errors: 0, replies: 1000");
    let errors = said.iter().filter(|line| line.contains("ERR ")).count();
    assert!((is_whole || said.iter().any(|line| is_leaderless(line))) && errors == 0, "{said:?}");

    let keys = run(1, &["--scan", "--pattern", "key:99*"]).expect("it is installed");
    assert_eq!(keys.lines().count(), if is_whole { 11 } else { keys.lines().count() }, "{keys}");
    let largest = run(0, &["--bigkeys"]).expect("it is installed");
    assert!(largest.contains("strings with"), "{largest}");
}
