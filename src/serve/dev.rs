//! `kvstore dev`: a whole cluster on this machine, for a first look and for the tests of programs
//! that use one. Each replica is a process of its own, with its state on the disk, so that it can be
//! killed like one in earnest.

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use kvstore::id::Id;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::address::HostPort;
use super::children::{self, Ended, Replica};
use super::settings::Member;
use super::status;
use crate::{EXIT_SOFTWARE, EXIT_UNREACHABLE, EXIT_USAGE, Failure};

/// How many replicas a new cluster has.
const REPLICAS: u16 = 3;
/// The ports of the replicas for each other, and those for HTTP, lie so far above those for Redis.
const PEER_PORTS: u16 = 1_000;
const HTTP_PORTS: u16 = 2_000;
/// How often replicas that ended are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// How often the replicas are asked for their leader.
const ASK: Duration = Duration::from_millis(500);
/// How long a replica may take to stop.
const STOP: Duration = Duration::from_secs(15);

/// The place of a cluster.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DevOptions {
    /// How many replicas, 1 to 9 [default: 3, or as many as the directory has].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=9))]
    pub replicas: Option<u16>,

    /// Where the replicas keep their state and their logs.
    #[arg(long, value_name = "DIRECTORY", default_value = "kvstore-dev")]
    pub dir: PathBuf,

    /// Replica N has the Redis port BASE + N, the port BASE + 1000 + N for other replicas, and the
    /// HTTP port BASE + 2000 + N.
    #[arg(long, value_name = "BASE", default_value = "6400")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=60_000))]
    pub port: u16,

    /// Options of kvstore serve, for each replica, behind --.
    #[arg(last = true, value_name = "OPTION")]
    pub serve_options: Vec<String>,
}

const AFTER_HELP: &str = "\
Ctrl-C stops all replicas. The next start in the same directory goes on with the data.

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 a port is in use, the directory cannot be
written, or all replicas have ended, 2 bad command line.";

/// News for the loop.
enum Event {
    Signal,
    Leader(Id),
}

/// Runs the cluster until a signal stops it, or no replica is left.
pub fn run(options: &DevOptions) -> Result<ExitCode, Failure> {
    let members = members(options)?;
    check_ports(&members)?;
    let (events, news) = unbounded();
    listen_for_signals(events.clone())?;
    let unwritable =
        |error: io::Error| Failure(EXIT_UNREACHABLE, format!("can't use {}: {error}", options.dir.display()));
    fs::create_dir_all(&options.dir).map_err(unwritable)?;
    let mut replicas = Vec::new();
    for member in &members {
        let arguments = arguments(options, &members, member);
        match Replica::start(member.id, &arguments, log(&options.dir, member.id)) {
            Ok(replica) => replicas.push(replica),
            Err(error) => {
                children::stop(&mut replicas, STOP, || false);
                return Err(Failure(EXIT_UNREACHABLE, format!("can't start a replica: {error}")));
            }
        }
    }
    say(&greeting(options, &members, &replicas));
    watch_leader(&members, events);
    let code = attend(&mut replicas, &members, &news);
    children::stop(&mut replicas, STOP, || news.try_iter().any(|event| matches!(event, Event::Signal)));
    Ok(code)
}

/// Tells the news until the first signal, or until all replicas have ended.
fn attend(replicas: &mut [Replica], members: &[Member], news: &Receiver<Event>) -> ExitCode {
    let mut is_first = true;
    loop {
        match news.recv_timeout(LOOK) {
            Ok(Event::Leader(leader)) => {
                say(&format!("{leader} leads"));
                if std::mem::take(&mut is_first) {
                    say(&advice(members));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Signal) | Err(RecvTimeoutError::Disconnected) => return ExitCode::SUCCESS,
        }
        for ended in replicas.iter_mut().filter_map(Replica::ended).collect::<Vec<_>>() {
            say(&obituary(&ended));
        }
        if !replicas.iter().any(Replica::runs) {
            say("no replica is left");
            return ExitCode::from(EXIT_UNREACHABLE);
        }
    }
}

/// The replicas: those of the directory, or new ones.
fn members(options: &DevOptions) -> Result<Vec<Member>, Failure> {
    let present = children::present(&options.dir).len();
    let number = match (options.replicas, u16::try_from(present).unwrap_or(u16::MAX)) {
        (given, 0) => given.unwrap_or(REPLICAS),
        (Some(given), there) if given != there => {
            let place = options.dir.display();
            let text =
                format!("{place} has a cluster of {there} replicas, not of {given} (--dir chooses another)");
            return Err(Failure(EXIT_USAGE, text));
        }
        (_, there) => there.min(9),
    };
    let local = |port| HostPort { host: "127.0.0.1".to_owned(), port };
    let member = |number: u16| {
        let port = options.port + number;
        let [redis, peer, http] = [port, port + PEER_PORTS, port + HTTP_PORTS].map(local);
        Some(Member { id: Id::new(number)?, peer, redis, http })
    };
    Ok((1..=number).filter_map(member).collect())
}

/// Refuses ports that are in use, before a replica does so in its log.
fn check_ports(members: &[Member]) -> Result<(), Failure> {
    for address in members.iter().flat_map(|member| [&member.redis, &member.peer, &member.http]) {
        if let Err(error) = TcpListener::bind(address.to_string()) {
            let text = format!("can't listen on {address}: {error} (--port chooses other ports)");
            return Err(Failure(EXIT_UNREACHABLE, text));
        }
    }
    Ok(())
}

/// The command line of one replica.
fn arguments(options: &DevOptions, members: &[Member], own: &Member) -> Vec<String> {
    let list = |address: fn(&Member) -> &HostPort| {
        let words: Vec<_> =
            members.iter().map(|member| format!("{}={}", member.id, address(member))).collect();
        words.join(",")
    };
    let settings = [
        ("--id", own.id.to_string()),
        ("--cluster", "dev".to_owned()),
        ("--peers", list(|member| &member.peer)),
        ("--redis-addresses", list(|member| &member.redis)),
        ("--http-addresses", list(|member| &member.http)),
        ("--redis-listen", own.redis.to_string()),
        ("--http-listen", own.http.to_string()),
        ("--data-dir", options.dir.join(own.id.to_string()).display().to_string()),
    ];
    let words = settings.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
    words.chain(options.serve_options.iter().cloned()).collect()
}

fn log(directory: &Path, id: Id) -> PathBuf {
    directory.join(format!("{id}.log"))
}

fn greeting(options: &DevOptions, members: &[Member], replicas: &[Replica]) -> String {
    let place = options.dir.display();
    let number =
        if members.len() == 1 { "1 replica".to_owned() } else { format!("{} replicas", members.len()) };
    let mut lines = vec![format!("kvstore {}: {number} in {place}", env!("CARGO_PKG_VERSION"))];
    lines.extend(members.iter().zip(replicas).map(|(Member { id, redis, http, .. }, replica)| {
        let (pid, log) = (replica.pid().unwrap_or_default(), log(&options.dir, *id));
        format!("  {id}  redis {redis}  http {http}  pid {pid}  log {}", log.display())
    }));
    lines.join("\n")
}

/// Lines to paste, once there is a leader.
fn advice(members: &[Member]) -> String {
    let (Some(first), Some(last)) = (members.first(), members.last()) else { return String::new() };
    let program = std::env::args().next().unwrap_or_else(|| "kvstore".to_owned());
    format!(
        "Try:\n  redis-cli -p {} set greeting hello\n  redis-cli -p {} get greeting\n  \
         curl -X PUT --data-binary hello http://{}/kv/greeting\n  curl http://{}/kv/greeting\n  \
         {program} status {}\nCtrl-C stops the cluster. The next start goes on with its data.",
        first.redis.port, last.redis.port, first.http, last.http, first.http
    )
}

fn obituary(Ended { id, status, last_lines }: &Ended) -> String {
    let lines = last_lines.iter().map(|line| format!("\n  {line}"));
    format!("{id} has ended ({status}). The last lines of its log:{}", lines.collect::<String>())
}

/// Writes to stdout. The cluster goes on if its reader is gone.
fn say(text: &str) {
    let mut stdout = io::stdout();
    let _gone = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn listen_for_signals(events: Sender<Event>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Failure(EXIT_SOFTWARE, format!("can't listen for signals: {error}")))?;
    let listen = move || signals.forever().all(|_| events.send(Event::Signal).is_ok());
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(listen);
    thread.map(drop).map_err(|error| Failure(EXIT_SOFTWARE, format!("can't start a thread: {error}")))
}

/// Reports each change of the leader, from a thread of its own: a replica may be slow to answer.
fn watch_leader(members: &[Member], events: Sender<Event>) {
    let addresses: Vec<String> = members.iter().map(|member| member.http.to_string()).collect();
    let watch = move || {
        let mut known = None;
        loop {
            let leader = addresses.iter().find_map(|address| status::leader(address));
            if leader.is_some() && leader != known {
                known = leader;
                let Some(leader) = leader else { continue };
                if events.send(Event::Leader(leader)).is_err() {
                    return;
                }
            }
            thread::sleep(ASK);
        }
    };
    // Without a thread no leader is shown, and the cluster works.
    let _refused = thread::Builder::new().name("leader".to_owned()).spawn(watch);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    fn options(dir: &Path, replicas: Option<u16>) -> DevOptions {
        DevOptions { replicas, dir: dir.to_owned(), port: 6_400, serve_options: Vec::new() }
    }

    #[test]
    fn ports_follow_from_the_base_and_the_number_of_the_replica() {
        let directory = tempfile::tempdir().expect("a directory");
        let Ok(members) = members(&options(directory.path(), None)) else { panic!("refused") };
        assert_eq!(members.len(), 3);
        let last = members.last().expect("three");
        let shown = [&last.redis, &last.peer, &last.http].map(HostPort::to_string);
        assert_eq!(
            (last.id, shown),
            (id(3), ["127.0.0.1:6403", "127.0.0.1:7403", "127.0.0.1:8403"].map(Into::into))
        );
    }

    #[test]
    fn second_start_has_as_many_replicas_as_the_first() {
        let directory = tempfile::tempdir().expect("a directory");
        for number in 1..=5 {
            fs::create_dir(directory.path().join(id(number).to_string())).expect("writable");
        }
        let number = |replicas| members(&options(directory.path(), replicas)).map(|members| members.len());
        assert!(matches!(number(None), Ok(5)));
        assert!(matches!(number(Some(5)), Ok(5)));
        let Err(Failure(EXIT_USAGE, text)) = number(Some(3)) else { panic!("another cluster") };
        assert!(text.contains("has a cluster of 5 replicas, not of 3"), "{text}");
    }

    #[test]
    fn port_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("it listens").port();
        let address = HostPort { host: "127.0.0.1".into(), port };
        let member = Member { id: id(1), peer: address.clone(), redis: address.clone(), http: address };
        let Err(Failure(EXIT_UNREACHABLE, text)) = check_ports(&[member]) else { panic!("it is free") };
        assert!(text.starts_with(&format!("can't listen on 127.0.0.1:{port}: ")), "{text}");
    }
}
