//! The program as a user or a simulator starts it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, socket_with,
};

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn kvstore(directory: &Path, line: &str) -> Command {
    let mut command = Command::new(cargo_bin!("kvstore"));
    command
        .args(line.split_whitespace())
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn wait(child: Child) -> Ended {
    let output = child.wait_with_output().expect("it ends");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn run(line: &str) -> Ended {
    let directory = tempfile::tempdir().expect("a directory");
    wait(kvstore(directory.path(), line).spawn().expect("it starts"))
}

fn listening(path: &Path) -> OwnedFd {
    listening_as(path, SocketType::SEQPACKET)
}

fn listening_as(path: &Path, kind: SocketType) -> OwnedFd {
    let fd = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("fd");
    bind(&fd, &SocketAddrUnix::new(path).expect("a short path")).expect("a free path");
    listen(&fd, 1).expect("listens");
    fd
}

fn terminate(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}

#[test]
fn bad_command_line_is_refused_in_one_line() {
    for (line, about) in [
        ("", "no IDs"),
        ("--log-level info", "no IDs"),
        ("9000", "no IDs"),
        ("0000", "no other replica"),
        ("9000 0000", "no other replica"),
        ("xyz 0000 0001", "\"xyz\" is neither"),
        ("0000 00a1", "\"00a1\" is not an ID"),
        ("0000 FFFF", "reserved"),
        ("FFFF 0001", "reserved"),
        ("0000 0001 0001", "0001 is given twice"),
        ("0000 0001 0000", "own ID"),
        ("--transport udp 00A0 0000 0001", "\"00A0\" is not a UDP port"),
        ("--transport udp 0 0000 0001", "\"0\" is not a UDP port"),
        ("--transport tcp 0000 0001", "'tcp'"),
        ("--log-level loud 0000 0001", "possible values: off, error, warn, info, debug, trace"),
        ("--seed x 0000 0001", "'x'"),
        ("--reads maybe 0000 0001", "possible values: lease, read-index, log"),
        ("--coalesce-window 10001 0000 0001", "must be 0 to 10000 microseconds, not 10001"),
        ("--coalesce-window -1 0000 0001", "'-1'"),
        ("--coalesce-window 5 --no-coalescing 0000 0001", "a coalescing window needs coalescing"),
        ("--topology relay --no-thrift 0000 0001", "a relay needs thrifty replication"),
        ("--nonsense 0000 0001", "'--nonsense'"),
    ] {
        let ended = run(line);
        assert_eq!(ended.code, Some(2), "{line}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{line}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("kvstore: "), "{line}: {}", ended.stderr);
        assert!(ended.stderr.contains(about), "{line}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{line}");
    }
}

#[test]
fn help_shows_both_dialects_and_examples() {
    let ended = run("--help");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for part in [
        "kvstore [OPTIONS] <MY ID> <ID>...",
        "kvstore [OPTIONS] <PORT> <MY ID> <ID>...",
        "kvstore check <HISTORY>",
        "--transport <TRANSPORT>",
        "--log-level <LEVEL>",
        "--seed <NUMBER>",
        "seqpacket",
        "stream",
        "udp",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in\n{}", ended.stdout);
    }
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 100), "{}", ended.stdout);
}

#[test]
fn version_is_that_of_the_package() {
    let ended = run("--version");
    assert_eq!((ended.code, ended.stdout), (Some(0), format!("kvstore {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn missing_simulator_is_reported_in_one_line() {
    let ended = run("--transport seqpacket 0001 0000 0002");
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("./0001: No such file"), "{}", ended.stderr);
}

#[test]
fn simulator_that_listens_no_more_is_reported_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(listening(&directory.path().join("0001")));
    let ended = wait(kvstore(directory.path(), "0001 0000 0002").spawn().expect("it starts"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("./0001: Connection refused"), "{}", ended.stderr);
}

#[test]
fn replica_whose_connection_ends_stops_cleanly() {
    for (kind, option) in [
        (SocketType::SEQPACKET, ""),
        (SocketType::STREAM, ""),
        (SocketType::SEQPACKET, "--transport seqpacket"),
        (SocketType::STREAM, "--transport stream"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = listening_as(&directory.path().join("0001"), kind);
        let line = format!("{option} 0001 0000 0002");
        let child = kvstore(directory.path(), &line).spawn().expect("it starts");
        drop(accept(&listener).expect("it connects"));
        let ended = wait(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{option}");
    }
}

#[test]
fn replica_with_the_wrong_transport_says_so_in_one_line() {
    for (kind, option) in [(SocketType::SEQPACKET, "stream"), (SocketType::STREAM, "seqpacket")] {
        let directory = tempfile::tempdir().expect("a directory");
        let _listener = listening_as(&directory.path().join("0001"), kind);
        let line = format!("--transport {option} 0001 0000 0002");
        let ended = wait(kvstore(directory.path(), &line).spawn().expect("it starts"));
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("./0001: Protocol wrong type for socket"), "{}", ended.stderr);
    }
}

#[test]
fn replica_that_gets_a_signal_stops_cleanly_in_both_dialects() {
    for signal in ["-TERM", "-INT"] {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = listening(&directory.path().join("0001"));
        let child = kvstore(directory.path(), "0001 0000 0002").spawn().expect("it starts");
        let connection = accept(&listener).expect("it connects");
        terminate(&child, signal);
        let ended = wait(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{signal}");
        drop(connection);

        let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = simulator.local_addr().expect("an address").port();
        let line = format!("--transport udp {port} 0001 0000 0002");
        let child = kvstore(directory.path(), &line).spawn().expect("it starts");
        let mut buffer = [0; 1_000];
        let (length, _) = simulator.recv_from(&mut buffer).expect("a hello");
        assert!(String::from_utf8_lossy(&buffer[..length]).contains(r#""type":"hello""#));
        terminate(&child, signal);
        let ended = wait(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{signal}");
    }
}

#[test]
fn log_shows_the_seed_and_has_no_colour() {
    let directory = tempfile::tempdir().expect("a directory");
    let listener = listening(&directory.path().join("0001"));
    let line = "--log-level info --seed 4711 0001 0000 0002";
    let child = kvstore(directory.path(), line).spawn().expect("it starts");
    drop(accept(&listener).expect("it connects"));
    let ended = wait(child);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("seed=4711"), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\x1B'), "{}", ended.stderr);
}

/// One node of Maelstrom, and lines to and from it.
struct Node {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Node {
    fn start(directory: &Path) -> Self {
        let mut child = kvstore(directory, "maelstrom").stdin(Stdio::piped()).spawn().expect("it starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, stdin, stdout }
    }

    fn say(&mut self, src: &str, body: &str) {
        writeln!(self.stdin, r#"{{"id":1,"src":"{src}","dest":"n1","body":{body}}}"#).expect("it reads");
    }

    fn hear(&mut self) -> String {
        self.stdout.next().expect("a line").expect("UTF-8")
    }

    fn ask(&mut self, body: &str) -> String {
        self.say("c3", body);
        self.hear()
    }
}

#[test]
fn node_of_maelstrom_joins_serves_and_ends_with_its_input() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(directory.path());
    node.say("n2", r#"{"type":"stale_term","term":7}"#);
    node.say("c0", r#"{"type":"read","msg_id":1,"key":1}"#);
    writeln!(node.stdin, "no message").expect("it reads");
    node.say("c1", r#"{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}"#);
    assert_eq!(node.hear(), r#"{"body":{"in_reply_to":1,"type":"init_ok"},"dest":"c1","src":"n1"}"#);

    // Until it has elected itself it may refuse.
    let written = |answer: &String| answer.contains("write_ok");
    let mut write = |id| node.ask(&format!(r#"{{"type":"write","msg_id":{id},"key":"k","value":[1, 2]}}"#));
    let answer = (1..).map(|id| (id, write(id))).find(|(_, answer)| written(answer)).expect("it serves");
    let expected = r#"{"src":"n1","dest":"c3","body":{"type":"write_ok","in_reply_to":ID}}"#;
    assert_eq!(answer.1, expected.replace("ID", &answer.0.to_string()));
    for (body, expected) in [
        (
            r#"{"type":"read","msg_id":901,"key":"k"}"#,
            r#"{"type":"read_ok","in_reply_to":901,"value":[1,2]}"#,
        ),
        (
            r#"{"type":"cas","msg_id":902,"key":"k","from":[1,2],"to":3}"#,
            r#"{"type":"cas_ok","in_reply_to":902}"#,
        ),
        (r#"{"type":"cas","msg_id":903,"key":"k","from":4,"to":5}"#, r#""in_reply_to":903,"code":22"#),
        (r#"{"type":"cas","msg_id":904,"key":"x","from":4,"to":5}"#, r#""in_reply_to":904,"code":20"#),
        (
            r#"{"type":"cas","msg_id":905,"key":"x","from":4,"to":5,"create_if_not_exists":true}"#,
            r#"{"type":"cas_ok","in_reply_to":905}"#,
        ),
        (r#"{"type":"read","msg_id":906,"key":"x"}"#, r#"{"type":"read_ok","in_reply_to":906,"value":5}"#),
        (r#"{"type":"read","msg_id":907,"key":"y"}"#, r#""in_reply_to":907,"code":20"#),
        (r#"{"type":"read","msg_id":908}"#, r#""in_reply_to":908,"code":12"#),
        (r#"{"type":"txn","msg_id":909,"txn":[]}"#, r#""in_reply_to":909,"code":10"#),
    ] {
        let answer = node.ask(body);
        assert!(answer.contains(expected), "{body}: {answer}");
    }
    let Node { child, stdin, .. } = node;
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn node_of_maelstrom_that_cannot_join_says_why_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    for (body, reason) in [
        ("", "stdin ended before an init message came"),
        (
            r#"{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n2"]}"#,
            "the init message makes no sense: node \"n1\" is not among the nodes",
        ),
    ] {
        let mut node = Node::start(directory.path());
        if !body.is_empty() {
            node.say("c0", body);
        }
        let Node { child, stdin, .. } = node;
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(stderr, format!("kvstore: can't join Maelstrom: {reason}\n"));
    }
}
