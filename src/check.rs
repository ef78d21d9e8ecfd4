//! `kvstore check`: is a recorded history linearizable?

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use linearizability::read::{History, ReadError, read};
use linearizability::{Limits, Verdict, command, key_value, legible, printable};

use crate::{EXIT_USAGE, Failure};

/// The history is not linearizable.
const EXIT_NOT_LINEARIZABLE: u8 = 1;
/// The budget ended before the search did.
const EXIT_UNDECIDED: u8 = 3;

const MEGABYTE: u64 = 1_000_000;

/// Replicas on one machine have one clock, and round its time to milliseconds. A wall clock that is
/// adjusted may run off by some milliseconds during a time to live.
const CLOCK_DIFFERENCE_MS: u64 = 10;

/// A history to judge, and the budget for that.
#[derive(Debug, Args)]
#[command(override_usage = "kvstore check [OPTIONS] <HISTORY>", after_help = AFTER_HELP)]
pub struct CheckOptions {
    /// The file; - for standard input.
    #[arg(value_name = "HISTORY")]
    pub history: PathBuf,

    /// Memory that the search of one key may take.
    #[arg(long, value_name = "MEGABYTES", default_value_t = Limits::DEFAULT_MEMORY / MEGABYTE)]
    pub budget: u64,

    /// How far the clocks of two replicas may be apart, for times to live.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = CLOCK_DIFFERENCE_MS)]
    pub clock_difference: u64,
}

const AFTER_HELP: &str = "\
The history is what run.py --history writes, one JSON object per line and request:
  id, client, key     texts; the id differs in every line
  type                get, put or another command
  value               the value that is put, or that an answered get returned; else null
  invoked, returned   seconds of any clock; returned is null if no answer came
  outcome             ok, fail, redirect or unknown
  retry_of            the id of the attempt that this one repeats; else null

Other types are cas, delete, increment, append, expire, persist and transaction:
docs/cli.md has their arguments and results.

A put whose outcome is not ok may take effect at any time after it was invoked,
or never. One that was declined (fail, redirect) does so no later than the ok of
a later attempt that repeats it. A get whose outcome is not ok says nothing.

It is linearizable if every operation can take effect at one moment between its
invocation and its return, such that each get returns what the latest put wrote,
or \"\" if there is none, and each command has its result. If it is not, the
operations that contradict each other are shown.

Exit codes: 0 linearizable, 1 not linearizable, 2 no history (unreadable, empty) or
the verdict cannot be written, 3 undecided: the budget ended before the search did.

Examples:
  kvstore check history.jsonl
  gzip -dc history.jsonl.gz | kvstore check --budget 2000 -";

/// Reads and judges a history, and prints the verdict.
pub fn run(options: &CheckOptions) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let place = printable(&options.history.display().to_string());
    let no_history = |reason: &str| Failure(EXIT_USAGE, format!("can't read the history {place}: {reason}"));
    let history = read_history(&options.history).map_err(|error| no_history(&error.to_string()))?;
    if history.is_empty() {
        return Err(no_history("it has no puts and no answered gets"));
    }
    let limits = Limits::of_memory(options.budget.saturating_mul(MEGABYTE));
    let judged = match &history {
        History::KeyValue(operations) => judge_puts_and_gets(operations, limits),
        History::Commands(operations) => {
            judge_commands(operations, Duration::from_millis(options.clock_difference), limits)
        }
    };
    let text = match &judged {
        Judged::Linearizable(what) => {
            format!("linearizable: {what}, judged in {:.3} s", start.elapsed().as_secs_f64())
        }
        Judged::NotLinearizable(what) => format!("not linearizable: {what}"),
        Judged::Undecided { key, operations } => format!(
            "undecided: a budget of {} MB is too small for the {operations} operations on key \"{}\"; --budget allows more",
            options.budget,
            legible(key)
        ),
    };
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}");
    match written.and_then(|()| stdout.flush()) {
        // The reader has closed stdout: it has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure(EXIT_USAGE, format!("can't write the verdict: {error}")));
        }
        Ok(()) | Err(_) => {}
    }
    Ok(match judged {
        Judged::Linearizable(_) => ExitCode::SUCCESS,
        Judged::NotLinearizable(_) => ExitCode::from(EXIT_NOT_LINEARIZABLE),
        Judged::Undecided { .. } => ExitCode::from(EXIT_UNDECIDED),
    })
}

fn read_history(path: &Path) -> Result<History, ReadError> {
    if path == Path::new("-") { read(io::stdin().lock()) } else { read(BufReader::new(File::open(path)?)) }
}

/// A verdict, and the text that says of which operations.
enum Judged {
    Linearizable(String),
    NotLinearizable(String),
    Undecided { key: Arc<str>, operations: usize },
}

fn judge_puts_and_gets(operations: &[key_value::Operation], limits: Limits) -> Judged {
    match key_value::check(operations, limits) {
        Verdict::Linearizable => {
            let keys: HashSet<&str> = operations.iter().map(|operation| &*operation.key).collect();
            let gets = operations.iter().filter(|operation| operation.is_get()).count();
            Judged::Linearizable(format!(
                "{} and {} on {}",
                counted(gets, "answered get"),
                counted(operations.len() - gets, "put"),
                counted(keys.len(), "key")
            ))
        }
        Verdict::NotLinearizable(found) => {
            let count = operations.iter().filter(|operation| operation.key == found.key).count();
            Judged::NotLinearizable(format!(
                "{} of {count} operations on key \"{}\" contradict each other\n\n{found}",
                found.operations.len(),
                legible(&found.key)
            ))
        }
        Verdict::Undecided { key, operations, .. } => Judged::Undecided { key, operations },
    }
}

fn judge_commands(operations: &[command::Operation], clock_difference: Duration, limits: Limits) -> Judged {
    let keys = |operation: &command::Operation| -> Vec<Arc<str>> {
        operation.commands.iter().map(|(key, _)| Arc::clone(key)).collect()
    };
    match command::check(operations, clock_difference, limits) {
        Verdict::Linearizable => {
            let all: HashSet<Arc<str>> = operations.iter().flat_map(keys).collect();
            let (operations, keys) = (counted(operations.len(), "operation"), counted(all.len(), "key"));
            Judged::Linearizable(format!("{operations} on {keys}"))
        }
        Verdict::NotLinearizable(found) => {
            let is_of_them =
                |operation: &&command::Operation| keys(operation).iter().any(|key| found.keys.contains(key));
            let count = operations.iter().filter(is_of_them).count();
            let more = match found.keys.len() {
                1 => String::new(),
                several => format!(" and {}", counted(several - 1, "other key")),
            };
            Judged::NotLinearizable(format!(
                "{} of {count} operations on key \"{}\"{more} contradict each other\n\n{found}",
                found.operations.len(),
                legible(&found.keys[0]),
            ))
        }
        Verdict::Undecided { key, operations, .. } => Judged::Undecided { key, operations },
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
