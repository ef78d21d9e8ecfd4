//! `kvstore check`: is a recorded history linearizable?

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use kvstore::history::read::{self, ReadError};
use kvstore::history::{self, DEFAULT_BUDGET, Operation, Verdict, legible};

use crate::{EXIT_USAGE, Failure};

/// The history is not linearizable, or nobody knows.
const EXIT_NOT_LINEARIZABLE: u8 = 1;

/// What to judge.
#[derive(Debug, Args)]
#[command(override_usage = "kvstore check [OPTIONS] <HISTORY>", after_help = AFTER_HELP)]
pub struct CheckOptions {
    /// The file; - for standard input.
    #[arg(value_name = "HISTORY")]
    pub history: PathBuf,

    /// Search steps before it gives up; most histories need none.
    #[arg(long, value_name = "STEPS", default_value_t = DEFAULT_BUDGET)]
    pub budget: u64,
}

const AFTER_HELP: &str = "\
The history is what run.py --history writes, one JSON object per line and request:
  id, client, key     texts; the id differs in every line
  type                get or put
  value               what is put, or what an answered get returned; else null
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

Exit codes: 0 linearizable, 1 not linearizable or budget exhausted, 2 no history.

Examples:
  kvstore check history.jsonl
  gzip -dc history.jsonl.gz | kvstore check --budget 100000000 -";

/// Reads and judges a history, and prints the verdict.
pub fn run(options: &CheckOptions) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let place = options.history.display();
    let operations = read_history(&options.history)
        .map_err(|error| Failure(EXIT_USAGE, format!("can't read the history {place}: {error}")))?;
    let verdict = history::check(&operations, options.budget);
    // A reader that went away has seen enough.
    let _broken_pipe = writeln!(io::stdout(), "{}", describe(&verdict, &operations, options.budget, start));
    Ok(match verdict {
        Verdict::Linearizable => ExitCode::SUCCESS,
        Verdict::NotLinearizable(_) | Verdict::OutOfBudget { .. } => ExitCode::from(EXIT_NOT_LINEARIZABLE),
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
        Verdict::Linearizable if operations.is_empty() => "linearizable: the history is empty".to_owned(),
        Verdict::Linearizable => {
            let keys: HashSet<&str> = operations.iter().map(|operation| &*operation.key).collect();
            let (count, keys, seconds) = (operations.len(), keys.len(), start.elapsed().as_secs_f64());
            format!("linearizable: {count} operations on {keys} keys, judged in {seconds:.3} s")
        }
        Verdict::NotLinearizable(found) => {
            let (shown, count) = (found.operations.len(), of_key(&found.key));
            let key = legible(&found.key);
            format!(
                "not linearizable: {shown} of {count} operations on key \"{key}\" contradict each other\n\n{found}"
            )
        }
        Verdict::OutOfBudget { key, operations } => format!(
            "unknown: {budget} steps were too few for the {operations} operations on key \"{}\"; --budget allows more",
            legible(key)
        ),
    }
}
