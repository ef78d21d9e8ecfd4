//! The replicas of `kvstore dev`: processes of this very program.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kvstore::id::Id;
use rustix::process::{Pid, Signal, kill_process};

/// How many bytes from the end of a log are looked at.
const TAIL_BYTES: u64 = 4_096;
/// How many lines of them are shown.
const TAIL_LINES: usize = 5;
/// How often a process that is told to stop is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The process of one replica.
pub struct Replica {
    /// Its ID.
    pub id: Id,
    log: PathBuf,
    process: Option<Child>,
}

/// How a replica ended by itself.
pub struct Ended {
    /// Its ID.
    pub id: Id,
    /// The status of its process.
    pub status: ExitStatus,
    /// The last lines of its log.
    pub last_lines: Vec<String>,
}

impl Replica {
    /// Starts a replica with these arguments of `kvstore serve`. Its output goes to the end of a file.
    pub fn start(id: Id, arguments: &[String], log: PathBuf) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        // The settings are those of the command line, not those that the environment has for another
        // replica.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KVSTORE_") {
                command.env_remove(name);
            }
        }
        let process = command
            .arg("serve")
            .args(arguments)
            .args(["--ends-with", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // The terminal sends Ctrl-C to a whole group. This process passes it on once.
            .process_group(0)
            .spawn()?;
        Ok(Self { id, log, process: Some(process) })
    }

    /// The end of the process, once, if it has ended.
    pub fn ended(&mut self) -> Option<Ended> {
        let status = self.process.as_mut()?.try_wait().ok()??;
        self.process = None;
        Some(Ended { id: self.id, status, last_lines: last_lines(&self.log) })
    }

    /// The number of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Whether its process runs, as far as [`ended`](Self::ended) has seen.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().and_then(|process| Pid::from_raw(process.id().try_into().ok()?));
        if let Some(pid) = pid {
            // A process that has just ended needs no signal.
            let _ended = kill_process(pid, signal);
        }
    }
}

/// Tells all replicas to stop, and waits for them. Those that have not stopped within the limit, or
/// when `hurries` says so, are killed.
pub fn stop(replicas: &mut [Replica], limit: Duration, hurries: impl Fn() -> bool) {
    replicas.iter().for_each(|replica| replica.signal(Signal::TERM));
    let deadline = Instant::now() + limit;
    while replicas.iter_mut().any(|replica| replica.ended().is_none() && replica.runs()) {
        if Instant::now() >= deadline || hurries() {
            replicas.iter().for_each(|replica| replica.signal(Signal::KILL));
        }
        thread::sleep(LOOK);
    }
}

/// The last lines of a file, or none if it cannot be read.
fn last_lines(path: &Path) -> Vec<String> {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

/// The IDs of replicas that have a directory here.
pub fn present(directory: &Path) -> Vec<Id> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let id = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        entry.path().is_dir().then_some(id)
    };
    let mut found: Vec<Id> = entries.filter_map(|entry| id(entry.ok()?)).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_a_log_are_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        assert!(last_lines(&path).is_empty());
        let lines: Vec<String> = (0..10_000).map(|number| format!("line {number}")).collect();
        fs::write(&path, lines.join("\n")).expect("writable");
        assert_eq!(last_lines(&path), lines[9_995..]);
    }

    #[test]
    fn directories_that_are_named_like_replicas_are_theirs() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["0002", "0001", "notes"] {
            fs::create_dir(directory.path().join(name)).expect("writable");
        }
        fs::write(directory.path().join("0003"), "a file").expect("writable");
        assert_eq!(present(directory.path()), [crate::testkit::id(1), crate::testkit::id(2)]);
        assert!(present(&directory.path().join("missing")).is_empty());
    }
}
