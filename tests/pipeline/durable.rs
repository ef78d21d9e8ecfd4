//! Replicas that come back: whatever ends their processes, their directories have all that they
//! have acknowledged.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use assert_cmd::cargo::cargo_bin;
use kvstore::id::Id;
use tempfile::TempDir;

use crate::mount::Mount;
use crate::process::{Dialect, Process, Processes};
use crate::testkit::id;

const SIZE: u16 = 3;

/// Three replicas with directories.
struct Durable {
    dialect: Dialect,
    options: &'static [&'static str],
    root: TempDir,
    places: Vec<PathBuf>, // the directory of each replica
    running: Processes,
}

impl Durable {
    fn new(dialect: Dialect, options: &'static [&'static str]) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let places = (0..SIZE).map(|own| root.path().join(own.to_string())).collect();
        Self { dialect, options, root, places, running: Processes(Vec::new()) }
    }

    /// Starts a replica, also with other options.
    fn start_with(&mut self, own: Id, options: &[&str], stderr: Stdio) {
        let place = &self.places[usize::from(own.number())];
        self.running.0.push(Process::start(self.dialect, own.number(), SIZE, options, |command| {
            command.arg("--data-dir").arg(place).stderr(stderr);
        }));
    }

    fn start(&mut self, owns: impl IntoIterator<Item = u16>) {
        owns.into_iter().for_each(|own| self.start_with(id(own), self.options, Stdio::inherit()));
    }

    /// Ends a replica with SIGKILL.
    fn kill(&mut self, own: Id) {
        self.running.0.retain(|process| process.own != own);
    }

    fn kill_all(&mut self) {
        self.running.0.clear();
    }

    /// Puts these keys, and returns the replica that has acknowledged the last one.
    fn put(&mut self, keys: Range<usize>, length: usize) -> Id {
        let put = |key: usize| {
            let (key, value) = (format!("k{key}"), value_of(key, length));
            self.running.ask_until_ok("put", &format!("put-{key}"), &key, &value, |_| true).0
        };
        keys.map(put).last().expect("some keys")
    }

    fn assert_has(&mut self, keys: Range<usize>, length: usize) {
        for key in keys {
            let name = format!("k{key}");
            let (_, answer) = self.running.ask_until_ok("get", &format!("get-{key}"), &name, "", |_| true);
            assert!(answer["value"] == value_of(key, length), "{key}: {}", answer["value"]);
        }
    }

    fn snapshot_of(&self, own: Id) -> Option<String> {
        let names = fs::read_dir(&self.places[usize::from(own.number())]).expect("readable");
        let names = names.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"));
        names.filter(|name| name.starts_with("snapshot-") && !name.ends_with(".tmp")).max()
    }
}

fn value_of(key: usize, length: usize) -> String {
    format!("{key}-").repeat(length).split_at(length).0.to_owned()
}

/// Starts a program as replica 0000 where no simulator listens. If it can use the directory, it ends
/// with code 1.
fn replica_without_simulator(place: &Path) -> Command {
    let mut command = Command::new(cargo_bin!("kvstore"));
    command.args(["0000", "0001", "0002", "--data-dir"]).arg(place).current_dir(std::env::temp_dir());
    command.stdin(Stdio::null());
    command
}

/// A line of a replica that reads a log for a while.
const PROGRESS: &str = "kvstore: has read ";

fn lines_without_progress(said: &str) -> Vec<&str> {
    said.lines().filter(|line| !line.starts_with(PROGRESS)).collect()
}

/// Replica 0000 refuses this directory in one line.
fn assert_refuses(place: &Path, part: &str) {
    let refusal = replica_without_simulator(place).output().expect("it starts");
    let said = String::from_utf8_lossy(&refusal.stderr);
    assert_eq!((refusal.status.code(), lines_without_progress(&said).len()), (Some(2), 1), "{said}");
    assert!(said.contains(part), "{said}");
}

#[test]
fn writes_survive_the_end_of_all_processes() {
    const LENGTH: usize = 100;
    let mut cluster = Durable::new(Dialect::Seqpacket, &[]);
    let mut written = 0;
    for signal in ["KILL", "TERM", "KILL"] {
        cluster.start(0..SIZE);
        cluster.assert_has(0..written, LENGTH);
        cluster.put(written..written + 5, LENGTH);
        written += 5;
        assert_refuses(&cluster.places[0], "is in use by another process");
        for process in &cluster.running.0 {
            process.signal(signal);
        }
        for mut process in cluster.running.0.drain(..) {
            assert_eq!(process.wait().code(), (signal != "KILL").then_some(0), "{signal}");
        }
    }
    cluster.start(0..SIZE);
    cluster.assert_has(0..written, LENGTH);
}

/// The leader has compacted its log beyond the end of the follower's. The follower gets a snapshot;
/// the test then takes all other memory away, and reads each key from that follower.
fn assert_snapshot_reaches_follower(dialect: Dialect) {
    const LENGTH: usize = 8_000;
    let mut cluster = Durable::new(dialect, &["--snapshot-after", "1", "--log-tail", "0"]);
    cluster.start(0..SIZE);
    let leader = cluster.put(0..1, LENGTH);
    let mut others = (0..SIZE).map(id).filter(|&other| other != leader);
    let (follower, other) = (others.next().expect("two"), others.next().expect("two"));
    cluster.kill(follower);
    let mut written = 1;
    // When the leader takes the second snapshot, it has compacted its log behind the first one.
    let mut snapshots = Vec::new();
    while snapshots.len() < 2 {
        cluster.put(written..written + 10, LENGTH);
        written += 10;
        let newest = cluster.snapshot_of(leader);
        snapshots.extend(newest.filter(|newest| !snapshots.contains(newest)));
    }
    // The follower takes no snapshots itself.
    cluster.start_with(follower, &[], Stdio::inherit());
    cluster.kill(other);
    cluster.put(written..written + 1, LENGTH);
    written += 1;
    assert!(cluster.snapshot_of(follower).is_some(), "{dialect:?}");
    cluster.kill_all();
    // The one without a log cannot win the election, and has nothing to add.
    fs::remove_dir_all(&cluster.places[usize::from(other.number())]).expect("there");
    cluster.start([follower.number(), other.number()]);
    cluster.assert_has(0..written, LENGTH);
}

#[test]
fn follower_behind_a_compacted_log_gets_a_snapshot_in_each_dialect() {
    thread::scope(|scope| {
        for dialect in Dialect::ALL {
            scope.spawn(move || assert_snapshot_reaches_follower(dialect));
        }
    });
}

/// Replicas are killed at any moment of their start: while they read and check the directory, take
/// it over, write to it, or a moment later.
#[test]
fn replica_killed_while_it_starts_loses_nothing() {
    const LENGTH: usize = 1_000;
    const KILLS: usize = 12;
    let mut rng = fastrand::Rng::with_seed(1);
    let mut cluster = Durable::new(Dialect::Seqpacket, &[]);
    cluster.start(0..SIZE);
    cluster.put(0..50, LENGTH);
    cluster.kill_all();
    let place = cluster.places[0].clone();
    let begun = Instant::now();
    let whole = replica_without_simulator(&place).output().expect("it starts");
    let start = begun.elapsed();
    assert_eq!(whole.status.code(), Some(1), "{}", String::from_utf8_lossy(&whole.stderr));
    for _ in 0..KILLS {
        let mut child = replica_without_simulator(&place).stderr(Stdio::piped()).spawn().expect("it starts");
        thread::sleep(start.mul_f64(rng.f64()));
        child.kill().expect("its process is not waited for");
        let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&stderr);
        assert!(matches!(status.code(), None | Some(1)), "{status}: {said}");
    }
    cluster.start(0..SIZE - 1);
    cluster.assert_has(0..50, LENGTH);
}

/// The disk of one replica has no room for a third segment of its log. That replica ends, the others
/// go on. With more room it comes back, and must know its part: another one is dead by then.
#[test]
fn replica_with_a_full_disk_ends_and_comes_back_with_room() {
    const LENGTH: usize = 30_000;
    const SEGMENT_BYTES: u64 = 16 << 20;
    let Some(mount) = Mount::new(SEGMENT_BYTES * 5 / 2) else { return };
    let mut cluster = Durable::new(Dialect::Udp, &["--log-level", "off"]);
    cluster.places[0] = mount.path().join("own");
    let stderr = cluster.root.path().join("stderr");
    cluster.start([1, 2]);
    let file = fs::File::create(&stderr).expect("writable");
    cluster.start_with(id(0), cluster.options, file.into());
    let mut written = 0;
    while cluster.running.0.iter_mut().find(|process| process.own == id(0)).is_some_and(Process::is_running) {
        cluster.put(written..written + 5, LENGTH);
        written += 5;
    }
    let ended = cluster.running.0.iter_mut().find(|process| process.own == id(0)).map(Process::wait);
    assert_eq!(ended.and_then(|status| status.code()), Some(1));
    let said = fs::read_to_string(&stderr).expect("UTF-8");
    assert_eq!(lines_without_progress(&said).len(), 1, "{said}");
    for part in ["cannot write ", "No space left on device", "Make room and start again"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    cluster.kill(id(0));
    cluster.put(written..written + 1, LENGTH);
    mount.resize(SEGMENT_BYTES * 5);
    cluster.start([0]);
    cluster.kill(id(1));
    cluster.assert_has(0..written + 1, LENGTH);
}

/// Damages a record in the middle of the log.
fn damage(place: &Path) {
    const FIRST_RECORD: usize = 4_096;
    let segment = place.join("log-0000000001");
    let mut bytes = fs::read(&segment).expect("there");
    let end = bytes.iter().rposition(|&byte| byte != 0).expect("not empty");
    bytes[usize::midpoint(FIRST_RECORD, end)] ^= 1;
    fs::write(&segment, bytes).expect("writable");
}

#[test]
fn replica_with_a_damaged_log_refuses_until_it_is_repaired_and_then_catches_up() {
    const LENGTH: usize = 500;
    let mut cluster = Durable::new(Dialect::Stream, &[]);
    cluster.start(0..SIZE);
    cluster.put(0..20, LENGTH);
    cluster.kill_all();
    let place = cluster.places[0].clone();
    damage(&place);
    assert_refuses(&place, "log-0000000001 is damaged at byte ");
    for (yes, code) in [(false, 1), (true, 0), (true, 0)] {
        let mut command = Command::new(cargo_bin!("kvstore"));
        command.args(["repair", "--data-dir"]).arg(&place).args(yes.then_some("--yes"));
        let Output { status, stdout, stderr } = command.output().expect("it starts");
        let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(status.code(), Some(code), "{said}");
    }
    // A quorum has all writes, but perhaps only with the entries that were cut off. So the others
    // come first, and replica 0000 gets the entries before one of them is gone.
    cluster.start(1..SIZE);
    cluster.put(20..21, LENGTH);
    cluster.start([0]);
    cluster.kill(id(1));
    cluster.put(21..22, LENGTH);
    cluster.kill(id(2));
    cluster.start([1]);
    cluster.assert_has(0..22, LENGTH);
}
