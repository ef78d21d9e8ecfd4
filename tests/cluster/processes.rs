//! Processes of `kvstore serve`, each cluster on a loopback address of its own: no other process
//! takes the port of a replica that is down.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;

use crate::resp::{Client, Reply};

/// Only a test that fails waits so long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until a condition holds, and returns its finding.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// The program, without the settings that the environment of the tests may have.
pub fn kvstore(subcommand: &str) -> Command {
    let mut command = Command::new(cargo_bin!("kvstore"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KVSTORE_") {
            command.env_remove(name);
        }
    }
    command.arg(subcommand).stdin(Stdio::null());
    command
}

/// Sends a signal to a process, as `kill` does.
pub fn signal(process: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}

/// A process that is killed at the end of its test.
pub struct Process(pub Child);

impl Process {
    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        wait_for("the end of a process", || self.0.try_wait().expect("it is our own"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An address that no other cluster of the tests has.
fn own_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let [high, low] = [process / 250 % 250 + 1, process % 250 + 1];
    format!("127.{high}.{low}.{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The ports of a replica.
struct Ports {
    peers: u16,
    redis: u16,
    http: u16,
}

/// A cluster, or the part of it that runs.
pub struct Cluster {
    directory: tempfile::TempDir,
    host: String,
    ports: Vec<Ports>,
    settings: Vec<(String, String)>,
    replicas: Vec<Option<Process>>,
}

impl Cluster {
    /// The places of a cluster of three, of which no replica runs, with these settings besides.
    pub fn of_three(settings: &[(&str, &str)]) -> Self {
        let host = own_address();
        let listeners: Vec<_> =
            (0..9).map(|_| TcpListener::bind((host.as_str(), 0)).expect("a port")).collect();
        let ports: Vec<_> =
            listeners.iter().map(|listener| listener.local_addr().expect("it listens").port()).collect();
        let of_replica = |ports: &[u16]| Ports { peers: ports[0], redis: ports[1], http: ports[2] };
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            host,
            ports: ports.chunks(3).map(of_replica).collect(),
            settings: settings.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
            replicas: (0..3).map(|_| None).collect(),
        }
    }

    /// A cluster of three that runs.
    pub fn start() -> Self {
        let mut cluster = Self::of_three(&[]);
        (0..3).for_each(|replica| cluster.start_one(replica));
        cluster
    }

    /// A port that is free now, at the host of this cluster alone.
    pub fn free_address(&self) -> (String, u16) {
        let listener = TcpListener::bind((self.host.as_str(), 0)).expect("a port");
        (self.host.clone(), listener.local_addr().expect("it listens").port())
    }

    /// The place for files.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The settings of a replica, but for those that differ from test to test.
    pub fn settings(&self, replica: usize) -> Vec<(String, String)> {
        let list = |port: fn(&Ports) -> u16| {
            let members = self.ports.iter().enumerate();
            members
                .map(|(at, ports)| format!("{:04X}={}:{}", at + 1, self.host, port(ports)))
                .collect::<Vec<_>>()
        };
        let mut settings = vec![
            ("id".into(), format!("{:04X}", replica + 1)),
            ("peers".into(), list(|ports| ports.peers).join(",")),
            ("redis-addresses".into(), list(|ports| ports.redis).join(",")),
            ("http-addresses".into(), list(|ports| ports.http).join(",")),
            ("redis-listen".into(), self.redis(replica)),
            ("http-listen".into(), self.http(replica)),
            ("data-dir".into(), self.path().join(replica.to_string()).display().to_string()),
        ];
        settings.extend(self.settings.iter().cloned());
        settings
    }

    /// The command that starts a replica; its output goes to a file.
    pub fn command(&self, replica: usize) -> Command {
        let mut command = kvstore("serve");
        for (name, value) in self.settings(replica) {
            command.arg(format!("--{name}")).arg(value);
        }
        command.stderr(self.log_file(replica));
        command
    }

    /// The file for the output of a replica, which goes on if it is started again.
    pub fn log_file(&self, replica: usize) -> Stdio {
        let path = self.log_path(replica);
        File::options().create(true).append(true).open(path).expect("writable").into()
    }

    fn log_path(&self, replica: usize) -> PathBuf {
        self.path().join(format!("{replica}.log"))
    }

    /// The output of a replica so far.
    pub fn log(&self, replica: usize) -> String {
        fs::read_to_string(self.log_path(replica)).unwrap_or_default()
    }

    /// Starts a replica.
    pub fn start_one(&mut self, replica: usize) {
        let command = self.command(replica);
        self.start_with(replica, command);
    }

    /// Starts a replica by a command of its own.
    pub fn start_with(&mut self, replica: usize, mut command: Command) {
        self.replicas[replica] = Some(Process(command.spawn().expect("it starts")));
    }

    /// The process of a replica that runs.
    pub fn process(&mut self, replica: usize) -> &mut Process {
        self.replicas[replica].as_mut().expect("it runs")
    }

    /// Kills a replica as a power cut does.
    pub fn kill(&mut self, replica: usize) {
        drop(self.replicas[replica].take());
    }

    /// Where a replica listens for other replicas.
    pub fn peers(&self, replica: usize) -> String {
        format!("{}:{}", self.host, self.ports[replica].peers)
    }

    /// Where a replica listens for Redis clients.
    pub fn redis(&self, replica: usize) -> String {
        format!("{}:{}", self.host, self.ports[replica].redis)
    }

    /// Where a replica listens for HTTP.
    pub fn http(&self, replica: usize) -> String {
        format!("{}:{}", self.host, self.ports[replica].http)
    }

    /// Connects to a replica as soon as it listens.
    pub fn client(&self, replica: usize) -> Client {
        wait_for("a connection", || Client::connect(&self.redis(replica)).ok())
    }

    /// The replica that leads.
    pub fn leader(&self) -> usize {
        let leads = |replica: &usize| {
            let role = Client::connect(&self.redis(*replica)).and_then(|mut client| client.ask(&["ROLE"]));
            matches!(role, Ok(Reply::Array(parts)) if parts.first() == Some(&Reply::bulk("master")))
        };
        wait_for("a leader", || (0..3).filter(|&replica| self.replicas[replica].is_some()).find(leads))
    }
}
