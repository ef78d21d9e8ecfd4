//! A file becomes a plan: a scenario of `run.py`, which the same seed plays here in virtual time,
//! or a plan in a file.

mod delay;
mod events;
mod file;
mod names;

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::plan::{self, Plan};
use crate::micros::Micros;

pub use file::Scenario;

/// The clients of `run.py`.
pub(super) const CLIENTS: usize = 8;

/// The time of a message between two processes of one machine, through the simulator.
pub(super) const DELAY_US: (Micros, Micros) = (30, 90);

/// The time that a stage of the pipeline takes to wake up and work.
pub(super) const STAGE_US: (Micros, Micros) = (5, 30);

/// The reason why a file is no plan, in one line.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It can't be read.
    #[error("{0}: can't be read: {1}")]
    Unreadable(String, std::io::Error),
    /// It is not JSON.
    #[error("{0}: must be JSON ({1})")]
    NotJson(String, serde_json::Error),
    /// It is neither a scenario nor a plan.
    #[error("{0}: neither a scenario ({1}) nor a plan ({2})")]
    Unknown(String, serde_json::Error, serde_json::Error),
    /// A name is unknown.
    #[error("{0}: {1}")]
    Name(String, String),
    /// A value is out of its range.
    #[error("{0}: {1}")]
    OutOfRange(String, &'static str),
}

/// The seed of a plan, if its file names one.
#[derive(Debug, Deserialize)]
struct OwnSeed {
    seed: Option<u64>,
}

/// The content of a file.
#[derive(Clone, Debug)]
pub enum Source {
    /// A scenario: a plan for each seed.
    Scenario(Box<Scenario>),
    /// A plan as it is.
    Plan {
        /// The plan.
        plan: Box<Plan>,
        /// Whether the file names its seed.
        has_seed: bool,
    },
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The reason why the file is of no use, with its name.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let name = || path.display().to_string();
        let text = std::fs::read(path).map_err(|error| ScenarioError::Unreadable(name(), error))?;
        let no_plan = match serde_json::from_slice::<Plan>(&text) {
            Ok(plan) => {
                plan::check(&plan).map_err(|rule| ScenarioError::OutOfRange(name(), rule))?;
                let has_seed = serde_json::from_slice(&text).is_ok_and(|own: OwnSeed| own.seed.is_some());
                return Ok(Self::Plan { plan: Box::new(plan), has_seed });
            }
            Err(error) => error,
        };
        let file: Value =
            serde_json::from_slice(&text).map_err(|error| ScenarioError::NotJson(name(), error))?;
        if let Some(file) = file.as_object().filter(|file| file.contains_key("lifetime")) {
            names::check(file).map_err(|refusal| ScenarioError::Name(name(), refusal))?;
        }
        match serde_json::from_slice::<Scenario>(&text) {
            Ok(scenario) => {
                scenario.check().map_err(|rule| ScenarioError::OutOfRange(name(), rule))?;
                Ok(Self::Scenario(Box::new(scenario)))
            }
            Err(no_scenario) => Err(ScenarioError::Unknown(name(), no_scenario, no_plan)),
        }
    }

    /// The plan for a seed; a plan whose file names its own seed keeps that seed.
    pub fn plan(&self, seed: u64) -> Plan {
        match self {
            Self::Scenario(scenario) => scenario.plan(seed),
            Self::Plan { plan, has_seed: true } => (**plan).clone(),
            Self::Plan { plan, has_seed: false } => Plan { seed, ..(**plan).clone() },
        }
    }
}
