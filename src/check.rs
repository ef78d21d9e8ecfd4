//! `kvstore check`: is a recorded history linearizable?

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use linearizability::key_value::read::{self, ReadError};
use linearizability::key_value::{self, Operation, Verdict};
use linearizability::{Limits, legible, printable};

use crate::{EXIT_USAGE, Failure};

/// The history is not linearizable.
const EXIT_NOT_LINEARIZABLE: u8 = 1;
/// The budget ended before the search did.
const EXIT_UNDECIDED: u8 = 3;

const MEGABYTE: u64 = 1_000_000;

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
}

const AFTER_HELP: &str = "\
The history is what run.py --history writes, one JSON object per line and request:
  id, client, key     texts; the id differs in every line
  type                get or put
  value               the value that is put, or that an answered get returned; else null
  invoked, returned   seconds of any clock; returned is null if no answer came
  outcome             ok, fail, redirect or unknown
  retry_of            the id of the attempt that this one repeats; else null

A put whose outcome is not ok may take effect at any time after it was invoked,
or never. One that was declined (fail, redirect) does so no later than the ok of
a later attempt that repeats it. A get whose outcome is not ok says nothing.

It is linearizable if every operation can take effect at one moment between its
invocation and its return, such that each get returns what the latest put wrote,
or \"\" if there is none. If it is not, the operations that contradict each other
are shown.

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
    let operations = read_history(&options.history).map_err(|error| no_history(&error.to_string()))?;
    if operations.is_empty() {
        return Err(no_history("it has no puts and no answered gets"));
    }
    let verdict = key_value::check(&operations, Limits::of_memory(options.budget.saturating_mul(MEGABYTE)));
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", describe(&verdict, &operations, options.budget, start));
    match written.and_then(|()| stdout.flush()) {
        // The reader has closed stdout: it has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure(EXIT_USAGE, format!("can't write the verdict: {error}")));
        }
        Ok(()) | Err(_) => {}
    }
    Ok(match verdict {
        Verdict::Linearizable => ExitCode::SUCCESS,
        Verdict::NotLinearizable(_) => ExitCode::from(EXIT_NOT_LINEARIZABLE),
        Verdict::Undecided { .. } => ExitCode::from(EXIT_UNDECIDED),
    })
}

fn read_history(path: &Path) -> Result<Vec<Operation>, ReadError> {
    if path == Path::new("-") {
        read::read(io::stdin().lock())
    } else {
        read::read(BufReader::new(File::open(path)?))
    }
}

fn describe(verdict: &Verdict, operations: &[Operation], budget: u64, start: Instant) -> String {
    let of_key = |key: &str| operations.iter().filter(|operation| &*operation.key == key).count();
    match verdict {
        Verdict::Linearizable => {
            let keys: HashSet<&str> = operations.iter().map(|operation| &*operation.key).collect();
            let gets = operations.iter().filter(|operation| operation.is_get()).count();
            let (puts, keys, seconds) = (operations.len() - gets, keys.len(), start.elapsed().as_secs_f64());
            format!(
                "linearizable: {} and {} on {}, judged in {seconds:.3} s",
                counted(gets, "answered get"),
                counted(puts, "put"),
                counted(keys, "key")
            )
        }
        Verdict::NotLinearizable(found) => {
            let (shown, count) = (found.operations.len(), of_key(&found.key));
            let key = legible(&found.key);
            format!(
                "not linearizable: {shown} of {count} operations on key \"{key}\" contradict each other\n\n{found}"
            )
        }
        Verdict::Undecided { key, operations, .. } => format!(
            "undecided: a budget of {budget} MB is too small for the {operations} operations on key \"{}\"; --budget allows more",
            legible(key)
        ),
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
