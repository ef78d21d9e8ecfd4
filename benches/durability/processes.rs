//! Processes: replicas, and those of the floor.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with, sockopt,
};

use crate::clients::Clients;
use crate::network::{Network, Place, REPLICAS};

/// The `kvstore` of this build.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_kvstore");

/// The size of the buffers of a socket; the system grants as much as it allows.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Three processes, their directory, their place on the network, and their clients.
pub struct Cluster {
    directory: PathBuf,
    command: Box<dyn Fn(u16) -> Command>,
    processes: Vec<Option<Process>>, // by ID; None while one is down
    place: Place,
    pub clients: Clients,
}

/// The counts that a replica writes at its end.
pub struct Counts {
    pub syncs: u64,
    pub log_bytes: u64,
    pub other_bytes: u64,
}

impl Cluster {
    /// Starts the processes in a new directory. Each one is run in that directory, where its
    /// socket has its ID as its name.
    pub fn start(
        network: &mut Network,
        directory: PathBuf,
        command: impl Fn(u16) -> Command + 'static,
    ) -> Self {
        fs::create_dir_all(&directory).expect("a directory");
        let place = network.add_cluster();
        let mut cluster = Self {
            directory,
            command: Box::new(command),
            processes: (0..REPLICAS).map(|_| None).collect(),
            place,
            clients: Clients::new(place),
        };
        (0..REPLICAS).for_each(|own| cluster.start_one(network, own));
        cluster
    }

    /// Starts replicas of this build; with a disk, each has a directory `data-ID`.
    pub fn of_replicas(network: &mut Network, directory: PathBuf, has_disk: bool) -> Self {
        Self::start(network, directory, move |own| replica(Path::new(PROGRAM), own, has_disk, &[]))
    }

    /// Starts replicas of another build, with a disk.
    pub fn of_build(network: &mut Network, directory: PathBuf, program: PathBuf) -> Self {
        Self::start(network, directory, move |own| replica(&program, own, true, &[]))
    }

    /// Starts one process, and waits until it has connected.
    pub fn start_one(&mut self, network: &mut Network, own: u16) {
        let (process, fd) = Process::start((self.command)(own), &self.directory, own);
        self.processes[usize::from(own)] = Some(process);
        network.connect(self.place, own, Some(fd));
    }

    /// Kills one process.
    pub fn kill(&mut self, network: &mut Network, own: u16) {
        self.processes[usize::from(own)] = None;
        network.connect(self.place, own, None);
    }

    pub fn place(&self) -> Place {
        self.place
    }

    pub fn process(&self, own: u16) -> &Process {
        self.processes[usize::from(own)].as_ref().expect("it runs")
    }

    /// The directory of a replica's files.
    pub fn data_directory(&self, own: u16) -> PathBuf {
        self.directory.join(data_directory(own))
    }

    /// Ends all processes by closing their connections, and returns their counts.
    pub fn stop(self, network: &mut Network) -> Vec<Counts> {
        (0..REPLICAS).for_each(|own| network.connect(self.place, own, None));
        self.processes.into_iter().flatten().map(Process::wait).collect()
    }
}

fn data_directory(own: u16) -> String {
    format!("data-{own:04X}")
}

/// A build of `kvstore` that is to stand beside this one, if the environment names one.
pub fn other_build() -> Option<PathBuf> {
    std::env::var_os("KVSTORE_BENCH_BESIDE").map(PathBuf::from)
}

/// A replica.
pub fn replica(program: &Path, own: u16, has_disk: bool, options: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["--transport", "seqpacket", "--log-level", "info"]).args(options);
    if has_disk {
        command.args(["--data-dir", &data_directory(own)]);
    }
    let ids = [own].into_iter().chain((0..REPLICAS).filter(move |&other| other != own));
    command.args(ids.map(|id| format!("{id:04X}")));
    command
}

/// A running process; it is killed when this is dropped.
pub struct Process {
    child: Child,
    log: PathBuf, // the file of its stderr
}

impl Process {
    /// Starts a process, and returns it with the connection to it once it has connected.
    pub fn start(mut command: Command, directory: &Path, own: u16) -> (Self, OwnedFd) {
        let (socket, log) = (directory.join(format!("{own:04X}")), directory.join(format!("{own:04X}.log")));
        let _missing = fs::remove_file(&socket);
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("fd");
        bind(&listener, &SocketAddrUnix::new(&socket).expect("a short path")).expect("a free path");
        listen(&listener, 1).expect("it listens");
        let stderr = File::create(&log).expect("a file");
        command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().expect("it starts");
        let fd = accept_with(&listener, SocketFlags::CLOEXEC).expect("it connects");
        let _refused = sockopt::set_socket_send_buffer_size(&fd, SOCKET_BUFFER_BYTES);
        (Self { child, log }, fd)
    }

    /// A figure of `/proc/PID/status`.
    fn figure(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// Its memory now, and the most since [`forget_peak`](Self::forget_peak), in megabytes.
    pub fn memory_mb(&self) -> (f64, f64) {
        let mb = |name| self.figure(name) as f64 * 1024.0 / 1e6;
        (mb("VmRSS"), mb("VmHWM"))
    }

    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("Linux has it");
    }

    /// Waits until it has ended, and returns its counts.
    fn wait(mut self) -> Counts {
        let status = self.child.wait().expect("it ends");
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        assert!(status.success(), "{status}: {log}");
        let figure = |name: &str| {
            let at = log.rfind(&format!(" {name}: ")).map(|at| at + name.len() + 3);
            let digits =
                at.map(|at| log[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
            digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        Counts { syncs: figure("syncs"), log_bytes: figure("log_bytes"), other_bytes: figure("other_bytes") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
