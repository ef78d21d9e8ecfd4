//! The fields of `tests/cases/clients.json`, which says what they mean.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::micros::Micros;

#[derive(Deserialize)]
pub(super) struct Table {
    pub(super) clients: Vec<Case>,
    pub(super) scenarios: Vec<ScenarioCase>,
    pub(super) polls: Vec<PollCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    #[serde(rename = "why")]
    _why: String,
    #[serde(default)]
    pub(super) rules: Rules,
    pub(super) steps: Vec<Step>,
    pub(super) history: Vec<Attempt>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) timeout_us: Option<Micros>,
    pub(super) shared_keys: usize,
    pub(super) client_drops: f64,
    pub(super) read_back: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) at_us: Micros,
    pub(super) start: Option<Start>,
    pub(super) answer: Option<Answer>,
    pub(super) up: Option<Vec<usize>>,
    #[serde(default)]
    pub(super) forget_leader: bool,
    #[serde(default)]
    pub(super) refused: bool,
    #[serde(default)]
    pub(super) sends: Vec<(Targets, String)>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Start {
    pub(super) client: usize,
    pub(super) wants_get: bool,
    pub(super) wants_own_key: bool,
    pub(super) choice: f64,
    pub(super) key: u128,
    pub(super) value: u128,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) request: usize,
    pub(super) r#type: AnswerType,
    pub(super) leader: Option<u16>,
    pub(super) value: Option<u128>,
    pub(super) from: Option<usize>,
    pub(super) client: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnswerType {
    Ok,
    Redirect,
    Fail,
    Unknown,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Targets {
    Listed(BTreeSet<usize>),
    Named(AnyTarget),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnyTarget {
    Any,
    Other,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attempt {
    pub(super) outcome: AnswerType,
    #[serde(default = "one")]
    pub(super) attempt: usize,
    pub(super) retry_of: Option<usize>,
    #[serde(default = "one")]
    pub(super) sent: usize,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioCase {
    pub(super) name: String,
    pub(super) file: serde_json::Value,
    pub(super) expected: Expected,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) times_us: Vec<Micros>,
    pub(super) mix: f64,
    pub(super) shared_keys: usize,
    pub(super) client_drops: f64,
    pub(super) client_timeout_us: Option<Micros>,
    pub(super) read_back: bool,
    pub(super) poll_us: Micros,
    pub(super) clients: usize,
    pub(super) first_client: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollCase {
    pub(super) name: String,
    pub(super) poll_us: Micros,
    pub(super) due_us: Vec<Micros>,
    pub(super) messages_us: Vec<Micros>,
    pub(super) sent_us: Vec<Micros>,
}

/// The table, which both simulators pass.
pub(super) fn table() -> Table {
    serde_json::from_str(include_str!("../../../../tests/cases/clients.json"))
        .expect("the table is well-formed")
}
