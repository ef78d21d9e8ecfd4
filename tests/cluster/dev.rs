//! `kvstore dev`: one command for a whole cluster, and `kvstore status`.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::processes::{Process, kvstore, signal, wait_for};
use crate::resp::{Client, Reply};
use crate::service::served;

/// A cluster that `kvstore dev` runs.
struct Dev {
    process: Process,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

/// A base with nine free ports, below those that the system gives to clients.
fn free_base() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 1_000) as u16 * 10;
    let bases = || NEXT.fetch_add(1, Ordering::Relaxed) * 5 + first;
    let is_free = |base: u16| {
        let ports =
            [0, 1_000, 2_000].into_iter().flat_map(|above| (1..=3).map(move |number| base + above + number));
        ports.into_iter().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    };
    wait_for("free ports", || Some(bases()).filter(|&base| is_free(base)))
}

impl Dev {
    fn start(directory: &Path, port: u16, options: &[&str]) -> Self {
        let mut command = kvstore("dev");
        command.arg("--dir").arg(directory).args(["--port", &port.to_string()]).args(options);
        let mut process = Process(command.stdout(Stdio::piped()).spawn().expect("it starts"));
        let stdout = BufReader::new(process.0.stdout.take().expect("a pipe"));
        Self { process, stdout, port }
    }

    /// The output up to the line that holds a text.
    fn says(&mut self, text: &str) -> String {
        let mut said = String::new();
        loop {
            let length = self.stdout.read_line(&mut said).expect("text");
            assert!(length > 0, "it ended before {text:?}: {said}");
            if said.lines().last().is_some_and(|line| line.contains(text)) {
                return said;
            }
        }
    }

    fn client(&self, replica: u16) -> Client {
        let address = format!("127.0.0.1:{}", self.port + replica);
        wait_for("a connection", || Client::connect(&address).ok())
    }

    fn stop(mut self) {
        signal(&self.process.0, "INT");
        assert_eq!(self.process.ended().code(), Some(0));
    }
}

#[test]
fn second_start_goes_on_with_the_data_of_the_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(directory.path(), free_base(), &[]);
    let said = dev.says("Ctrl-C");
    let set = format!("redis-cli -p {} set greeting hello", dev.port + 1);
    assert!(said.contains(&set) && said.contains(" leads\n"), "{said}");
    assert_eq!(served(&mut dev.client(1), &["SET", "greeting", "hello"]), Reply::ok());
    dev.stop();

    // Other ports, the same replicas.
    let mut dev = Dev::start(directory.path(), free_base(), &[]);
    assert!(dev.says(" leads").contains("3 replicas"));
    assert_eq!(served(&mut dev.client(3), &["GET", "greeting"]), Reply::bulk("hello"));
    dev.stop();
}

#[test]
fn replica_that_dies_is_reported_and_the_others_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(directory.path(), free_base(), &[]);
    let said = dev.says("Ctrl-C");
    let line = said.lines().find(|line| line.starts_with("  0002")).expect("a line for each");
    let pid = line.split_whitespace().skip_while(|&word| word != "pid").nth(1).expect("its process");
    let status = Command::new("kill").args(["-KILL", pid]).status().expect("kill is there");
    assert!(status.success());
    let said = dev.says("0002 has ended");
    assert!(said.contains("signal: 9"), "{said}");
    assert_eq!(served(&mut dev.client(1), &["SET", "key", "value"]), Reply::ok());
    dev.stop();
}

#[test]
fn replicas_stop_when_their_parent_is_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(directory.path(), free_base(), &[]);
    dev.says("Ctrl-C");
    let port = dev.port;
    drop(dev);
    for replica in 1..=3 {
        wait_for("the end of a replica", || TcpListener::bind(("127.0.0.1", port + replica)).ok());
    }
}

#[test]
fn option_that_serve_refuses_is_reported_and_ends_the_cluster() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(directory.path(), free_base(), &["--", "--reads", "never"]);
    let said = dev.says("no replica is left");
    assert!(said.contains("invalid value 'never' for '--reads <HOW>'"), "{said}");
    assert_eq!(dev.process.ended().code(), Some(1));
}

#[test]
fn status_has_a_line_for_each_replica_and_says_which_one_does_not_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(directory.path(), free_base(), &[]);
    dev.says("Ctrl-C");
    let address = format!("127.0.0.1:{}", dev.port + 2_001);
    // On a busy machine the leader may change at any time.
    let said = wait_for("a table with a leader", || {
        let output = kvstore("status").arg(&address).output().expect("it starts");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.code() == Some(0) && said.matches(" leader ").count() == 1).then_some(said)
    });
    for id in ["0001", "0002", "0003"] {
        assert!(said.lines().any(|line| line.starts_with(id)), "{said}");
    }
    dev.stop();

    let output = kvstore("status").arg(&address).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(said.contains("does not answer"), "{said}");
}
