//! A request takes effect at most once, however often it stands in the log. An entry that repeats a
//! request, or whose request is refused, changes no replica's state.

use super::{Invariant, Knowledge, Observation, states_equal};

#[derive(Debug)]
pub(super) struct AtMostOnce;

impl Invariant for AtMostOnce {
    fn name(&self) -> &'static str {
        "at most once"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        states_equal::compare(moment, knowledge, |committed| committed.does_nothing)
    }
}
