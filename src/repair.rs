//! `kvstore repair`: cuts damage off the log of a replica, if the operator insists.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kvstore::storage::{self, Directory, OpenError};

use crate::{EXIT_USAGE, Failure, say};

/// The log is damaged.
const EXIT_DAMAGED: u8 = 1;

/// A directory, and whether to change it.
#[derive(Debug, Args)]
#[command(override_usage = "kvstore repair [--yes] --data-dir <DIR>", after_help = AFTER_HELP)]
pub struct RepairOptions {
    /// The directory of the replica, which must not run.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Does it. Without this option nothing is changed.
    #[arg(long)]
    pub yes: bool,
}

/// The remedies if there is no state before the damage.
const REMEDY: &str = "Restore a copy, if the replica has not run since it was made";

const AFTER_HELP: &str = "\
A replica refuses to start from a damaged log, because acknowledged writes can be
lost with the damage. This command shows the damage, the state before it, and the
consequences of a cut. With --yes it cuts, and keeps a copy of what it cut off.

Exit codes: 0 no damage, or repaired; 1 damaged; 2 this is no directory of a
replica, or it is in use or unreadable.";

/// Shows the damage, and cuts it off if the operator said so.
pub fn run(options: &RepairOptions) -> Result<ExitCode, Failure> {
    let place = options.data_dir.display();
    let files = Directory::open(&options.data_dir).map_err(|error| Failure(EXIT_USAGE, error.to_string()))?;
    let repair = storage::examine(&files).map_err(|error| refusal(&error))?;
    let Some(repair) = repair else {
        say(&format!("{place} has no damage: a replica can start from it"))?;
        return Ok(ExitCode::SUCCESS);
    };
    say(&repair.to_string())?;
    if !options.yes {
        say("Nothing was changed. --yes does it.")?;
        return Ok(ExitCode::from(EXIT_DAMAGED));
    }
    repair.carry_out().map_err(|error| refusal(&error))?;
    say("Repaired.")?;
    Ok(ExitCode::SUCCESS)
}

fn refusal(error: &OpenError) -> Failure {
    match error {
        OpenError::Damaged { file, offset, reason } => {
            let text =
                format!("{file} is damaged at byte {offset}: {reason}. No cut can repair this. {REMEDY}");
            Failure(EXIT_DAMAGED, text)
        }
        _ => Failure(EXIT_USAGE, error.to_string()),
    }
}
