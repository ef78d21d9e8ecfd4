//! The program as a user or a simulator starts it.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

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
