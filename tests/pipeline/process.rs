//! Real replica processes. The test plays the simulator: it listens, carries messages and asks.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use kvstore::id::Id;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept, bind,
    listen, recv, send, shutdown, socket_with,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::testkit::{CLIENT, id};

/// Longer than every step here takes; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a client of the datagram dialect waits before it asks again.
const REPEAT: Duration = Duration::from_secs(1);

/// How long messages are carried before a condition is looked at again.
const CARRY: Duration = Duration::from_millis(20);

/// How many other messages of the replica, or waits, come before an answer at most.
const REPEATS: u32 = 100;

/// More than a replica sends in one message.
const ROOM: usize = 70_000;

/// The simulators' dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Seqpacket,
    Stream,
    Udp,
}

impl Dialect {
    pub const ALL: [Self; 3] = [Self::Seqpacket, Self::Stream, Self::Udp];
}

/// The simulator's end of the connection to one replica.
pub struct Voice {
    dialect: Dialect,
    fd: OwnedFd,
}

impl Voice {
    /// Hands a message to the replica.
    pub fn say(&self, bytes: &[u8]) {
        self.try_say(bytes).expect("the replica reads");
    }

    fn try_say(&self, bytes: &[u8]) -> Result<(), Errno> {
        match self.dialect {
            Dialect::Seqpacket | Dialect::Udp => {
                let sent = send(&self.fd, bytes, SendFlags::NOSIGNAL)?;
                assert_eq!(sent, bytes.len());
                Ok(())
            }
            Dialect::Stream => self.try_write(&[bytes, b"\n"].concat()),
        }
    }

    /// Writes these bytes to a stream, without regard to lines.
    pub fn write(&self, bytes: &[u8]) {
        self.try_write(bytes).expect("the replica reads");
    }

    fn try_write(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let length = send(&self.fd, bytes, SendFlags::NOSIGNAL)?;
            bytes = &bytes[length..];
        }
        Ok(())
    }
}

/// A running replica; it is killed when this is dropped.
pub struct Process {
    pub own: Id,
    child: Child,
    voice: Voice,
    begun: Vec<u8>,           // the beginning of a line that has not ended
    heard: VecDeque<Vec<u8>>, // read from the socket and not returned yet
    has_hung_up: bool,
    _directory: TempDir,
}

impl Process {
    /// Starts replica `own` of a cluster of `size` and waits until it has joined. `prepare` may
    /// change the command, and the options in front of the IDs are `options`.
    pub fn start(
        dialect: Dialect,
        own: u16,
        size: u16,
        options: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(cargo_bin!("kvstore"));
        command.current_dir(directory.path()).args(options).stdin(Stdio::null());
        let ids = [own].into_iter().chain((0..size).filter(|&other| other != own));
        let ids = ids.map(|number| id(number).to_string());
        let (child, fd) = match dialect {
            Dialect::Seqpacket | Dialect::Stream => {
                let path = directory.path().join(id(own).to_string());
                let kind = match dialect {
                    Dialect::Stream => SocketType::STREAM,
                    _ => SocketType::SEQPACKET,
                };
                let listener =
                    socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a socket");
                bind(&listener, &SocketAddrUnix::new(&path).expect("a short path")).expect("a free path");
                listen(&listener, 1).expect("it listens");
                prepare(command.args(ids));
                let child = command.spawn().expect("it starts");
                let fd = accept(&listener).expect("it connects");
                set_patience(&fd);
                (child, fd)
            }
            Dialect::Udp => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
                let port = socket.local_addr().expect("an address").port().to_string();
                prepare(command.args(["--transport", "udp", &port]).args(ids));
                let child = command.spawn().expect("it starts");
                set_patience(&socket);
                let (_, address) = socket.recv_from(&mut [0; 100]).expect("a hello");
                socket.connect(address).expect("a loopback address");
                (child, socket.into())
            }
        };
        let voice = Voice { dialect, fd };
        let (begun, heard) = (Vec::new(), VecDeque::new());
        Self { own: id(own), child, voice, begun, heard, has_hung_up: false, _directory: directory }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, named as `kill` names it.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it can be waited for")
    }

    /// Asserts that the replica answers a request, with any outcome. A full buffer loses datagrams,
    /// the request's and the answer's. So the client of that dialect repeats its request when the
    /// replica says something else, or is silent for a while.
    pub fn assert_answers(&mut self, mid: &str) {
        let is_lossy = self.voice.dialect == Dialect::Udp;
        if is_lossy {
            set_socket_timeout(&self.voice.fd, Timeout::Recv, Some(REPEAT)).expect("a socket has time-outs");
        }
        self.ask("get", mid, "k", "");
        for _ in 0..REPEATS {
            let answer = std::iter::from_fn(|| self.hear_soon())
                .map(|message| parse(&message)["MID"].clone())
                .find(|answered| answered.is_null() || answered == mid);
            if answer.is_some_and(|answered| !answered.is_null()) {
                return set_patience(&self.voice.fd);
            }
            if is_lossy {
                self.ask("get", mid, "k", "");
            }
        }
        panic!("{} does not answer {mid}", self.own);
    }

    /// The next message to a client.
    pub fn hear_answer(&mut self) -> Value {
        loop {
            let message = parse(&self.hear());
            if !message["MID"].is_null() {
                return message;
            }
        }
    }

    /// Closes the connection, or one direction of it.
    pub fn hang_up(&mut self, how: Option<Shutdown>) {
        match how {
            Some(how) => shutdown(&self.voice.fd, how).expect("it is connected"),
            None => self.voice.fd = std::fs::File::open("/dev/null").expect("every Linux has it").into(),
        }
    }

    /// Hands a message to the replica.
    pub fn say(&self, bytes: &[u8]) {
        self.voice.say(bytes);
    }

    /// Another voice for the same connection, so that one thread can speak while another one
    /// listens.
    pub fn voice(&self) -> Voice {
        let fd = self.voice.fd.try_clone().expect("one more");
        Voice { dialect: self.voice.dialect, fd }
    }

    /// The most memory that the process has had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says so");
        let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    }

    pub fn ask(&self, kind: &str, mid: &str, key: &str, value: &str) {
        self.say(&request(self.own, kind, mid, key, value));
    }

    /// The next message that the replica sends.
    pub fn hear(&mut self) -> Vec<u8> {
        self.hear_soon().expect("it says something")
    }

    /// The next message, if there is one before the time-out of the socket.
    fn hear_soon(&mut self) -> Option<Vec<u8>> {
        while self.heard.is_empty() && self.read() {}
        assert!(!self.has_hung_up, "{} has hung up", self.own);
        self.heard.pop_front()
    }

    /// Reads from the socket once, and waits if there is nothing to read. Returns whether a message
    /// came in time.
    fn read(&mut self) -> bool {
        let mut buffer = vec![0; ROOM];
        let length = match recv(self.fd(), &mut buffer[..], RecvFlags::empty()) {
            Err(Errno::AGAIN) => return false,
            Ok((_, 0)) | Err(Errno::CONNREFUSED | Errno::CONNRESET) => {
                self.has_hung_up = true;
                return false;
            }
            received => received.expect("the connection lives").1,
        };
        buffer.truncate(length);
        if self.voice.dialect == Dialect::Stream {
            self.begun.append(&mut buffer);
            let mut lines: Vec<Vec<u8>> =
                self.begun.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            self.begun = lines.pop().unwrap_or_default();
            self.heard.extend(lines);
        } else {
            self.heard.push_back(buffer);
        }
        true
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.voice.fd.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

pub fn request(to: Id, kind: &str, mid: &str, key: &str, value: &str) -> Vec<u8> {
    let request = serde_json::json!({
        "src": CLIENT.to_string(), "dst": to.to_string(), "leader": "FFFF",
        "type": kind, "MID": mid, "key": key, "value": value,
    });
    request.to_string().into_bytes()
}

fn parse(message: &[u8]) -> Value {
    serde_json::from_slice(message).expect("replicas speak JSON")
}

fn set_patience(fd: &impl AsFd) {
    for direction in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(fd, direction, Some(PATIENCE)).expect("a socket has time-outs");
    }
}

/// Replicas 0000, 0001, ... and the network between them.
pub struct Processes(pub Vec<Process>);

impl Processes {
    pub fn start(
        dialect: Dialect,
        size: u16,
        options: &[&str],
        mut prepare: impl FnMut(u16, &mut Command),
    ) -> Self {
        let start = |own| Process::start(dialect, own, size, options, |command| prepare(own, command));
        Self((0..size).map(start).collect())
    }

    pub fn get(&self, id: Id) -> &Process {
        self.0.iter().find(|process| process.own == id).expect("it runs")
    }

    /// Carries messages between the replicas that `passes` allows, until an answer comes for the
    /// client. Returns the answer and the replica that gave it.
    pub fn next_answer(&mut self, passes: impl Fn(Id, Id) -> bool) -> (Id, Value) {
        self.answer_until(Instant::now() + PATIENCE, passes).expect("some replica answers")
    }

    /// The same, if an answer comes until then.
    fn answer_until(&mut self, until: Instant, passes: impl Fn(Id, Id) -> bool) -> Option<(Id, Value)> {
        loop {
            let (from, bytes) = self.message_until(until)?;
            let message: Value = serde_json::from_slice(&bytes).expect("replicas speak JSON");
            let to = message["dst"].as_str().expect("each message has a destination");
            if to == CLIENT.to_string() {
                return Some((from, message));
            }
            let others: Vec<Id> =
                self.0.iter().map(|other| other.own).filter(|&other| other != from).collect();
            for other in others {
                if (to == "FFFF" || to == other.to_string()) && passes(from, other) {
                    self.say(other, &bytes);
                }
            }
        }
    }

    /// Asks one replica after the other, as clients do, until one that `passes` answers with `ok`.
    pub fn ask_until_ok(
        &mut self,
        kind: &str,
        mid: &str,
        key: &str,
        value: &str,
        passes: impl Fn(Id) -> bool,
    ) -> (Id, Value) {
        self.ask_until("ok", kind, mid, key, value, passes)
    }

    /// The same until an answer has this outcome. An answer that does not come for a while may be a
    /// lost datagram, so the client asks the next replica.
    pub fn ask_until(
        &mut self,
        outcome: &str,
        kind: &str,
        mid: &str,
        key: &str,
        value: &str,
        passes: impl Fn(Id) -> bool,
    ) -> (Id, Value) {
        let deadline = Instant::now() + PATIENCE;
        for attempt in 0.. {
            assert!(Instant::now() < deadline, "no replica answers {mid} with {outcome}");
            let others: Vec<Id> =
                self.connected().map(|process| process.own).filter(|&id| passes(id)).collect();
            let to = others[attempt % others.len()];
            let mid = format!("{mid}-{attempt}");
            self.say(to, &request(to, kind, &mid, key, value));
            match self.answer_to(&mid, to, |from, to| passes(from) && passes(to)) {
                Some((from, answer)) if answer["type"] == outcome => return (from, answer),
                _ => {}
            }
        }
        unreachable!("there are more attempts than time");
    }

    /// The answer to a request to this replica, if it does not take too long.
    fn answer_to(&mut self, mid: &str, to: Id, passes: impl Fn(Id, Id) -> bool) -> Option<(Id, Value)> {
        let until = Instant::now() + PATIENCE / 4;
        while Instant::now() < until && self.connected().any(|process| process.own == to) {
            let answer = self.answer_until(Instant::now() + CARRY, &passes);
            if answer.as_ref().is_some_and(|(_, answer)| answer["MID"] == mid) {
                return answer;
            }
        }
        None
    }

    /// Hands a message to a replica that may have ended.
    fn say(&mut self, to: Id, bytes: &[u8]) {
        for process in self.0.iter_mut().filter(|process| process.own == to && !process.has_hung_up) {
            process.has_hung_up = process.voice.try_say(bytes).is_err();
        }
    }

    fn connected(&self) -> impl Iterator<Item = &Process> {
        self.0.iter().filter(|process| !process.has_hung_up)
    }

    /// The next message of any replica, if there is one until then.
    fn message_until(&mut self, until: Instant) -> Option<(Id, Vec<u8>)> {
        loop {
            let heard = self.0.iter_mut().find_map(|process| Some((process.own, process.heard.pop_front()?)));
            if heard.is_some() {
                return heard;
            }
            if Instant::now() >= until {
                return None;
            }
            let mut fds: Vec<_> = self
                .connected()
                .map(|process| PollFd::from_borrowed_fd(process.fd(), PollFlags::IN))
                .collect();
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).expect("a short span");
            poll(&mut fds, Some(&timeout)).expect("they can be polled");
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            let connected = self.0.iter_mut().filter(|process| !process.has_hung_up);
            for (process, _) in connected.zip(ready).filter(|&(_, ready)| ready) {
                process.read();
            }
        }
    }
}
