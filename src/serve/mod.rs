//! The commands of an operator: one replica of a real cluster (`kvstore serve`), a whole cluster on
//! this machine (`kvstore dev`), and the state of one (`kvstore status`).
//!
//! | file | job |
//! |---|---|
//! | `given` | the settings as flags, variables and keys of a file |
//! | `settings` | the settings, checked and complete |
//! | `address` | names and ports in them |
//! | `wiring` | the parts of a replica, and how they end |
//! | `facts` | the facts that its front ends show |
//! | `dev` | `kvstore dev` |
//! | `children` | the processes of its replicas |
//! | `status` | `kvstore status` |
//! | `http` | a GET, for the two |

mod address;
mod children;
pub mod dev;
mod facts;
mod given;
mod http;
mod settings;
pub mod status;
mod wiring;

use std::path::PathBuf;

use clap::Args;
use kvstore::log;
use kvstore::log::Format;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tracing::level_filters::LevelFilter;

use crate::{EXIT_SOFTWARE, Failure, usage};
use given::Given;
use settings::Settings;

/// The settings of one replica.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ServeOptions {
    /// A TOML file with settings. Flags and the environment go before it.
    #[arg(long, value_name = "FILE", env = "KVSTORE_CONFIG")]
    pub config: Option<PathBuf>,

    /// The settings on the command line and in the environment.
    #[command(flatten)]
    pub given: Given,

    /// The parent process, at whose end this one stops.
    #[arg(long, value_name = "PID", hide = true)]
    pub ends_with: Option<u32>,
}

const AFTER_HELP: &str = "\
The key of a setting in the file is its flag without dashes. docs/cluster.md explains
each setting.

The replica runs until SIGTERM or SIGINT: then it hands its leadership over, and answers
the requests that it has.

Exit codes: 0 clean stop, 1 an address that cannot be listened on, or a disk that failed
or is full, 2 wrong settings, or a directory that is in use, damaged, another replica's
or not writable, 70 internal error.

Example:
  kvstore serve --config /etc/kvstore/kvstore.toml --id 0001";

/// Runs a replica until a signal stops it.
pub fn run(options: &ServeOptions) -> Result<(), Failure> {
    let settings = settings(options).map_err(|error| usage(&error))?;
    settings.tuning.check().map_err(|error| usage(&error.to_string()))?;
    log::start(LevelFilter::from(settings.log_level), Format::from(settings.log_format));
    if let Some(parent) = options.ends_with {
        end_with(parent)?;
    }
    wiring::run(&settings)
}

/// The settings, checked. A mistake in them has the form of the log already, as far as that is known.
fn settings(options: &ServeOptions) -> Result<Settings, String> {
    let set_format = |given: &Given| given.log_format.map(Format::from).into_iter().for_each(log::set_format);
    set_format(&options.given);
    let file = match &options.config {
        Some(path) => Given::read(path)?,
        None => Given::default(),
    };
    let given = options.given.clone().or(file);
    set_format(&given);
    Settings::new(given)
}

/// Has the system stop this process when its parent ends, in whatever way.
fn end_with(parent: u32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| Failure(EXIT_SOFTWARE, format!("can't end with the parent: {error}")))?;
    let is_there =
        getppid().is_some_and(|pid| Some(pid) == i32::try_from(parent).ok().and_then(Pid::from_raw));
    if is_there { Ok(()) } else { Err(usage("the parent has ended")) }
}
