//! Answers leave in the order in which their operations took effect. A walk along the log that
//! never turns back finds every answer of a batch true.

use super::{Invariant, Knowledge, Observation};
use crate::request::{Operation, Outcome};

#[derive(Debug)]
pub(super) struct AnswersInOrder;

impl Invariant for AnswersInOrder {
    fn name(&self) -> &'static str {
        "answers in order"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let (start, end) = (moment.before.commit_index, moment.node().commit_index());
        let mut position = start;
        for response in moment.responses() {
            let (mid, was) = (&response.id.mid, position);
            let next =
                match &response.outcome {
                    // A put that took effect before the batch may be answered at any time.
                    Outcome::Stored => knowledge.effect_of(&response.id).filter(|&index| index > start),
                    Outcome::Value(value) => {
                        let asked = moment.clients.asked(&response.id).map(|asked| &asked.request.operation);
                        let Some(Operation::Get { key }) = asked else { continue };
                        let found = knowledge.first_with_value(key, value, position, end);
                        Some(found.ok_or_else(|| {
                            format!("{mid} got {value:?}, true nowhere from {was} to {end}")
                        })?)
                    }
                    Outcome::Redirect | Outcome::Fail => continue,
                };
            position = next.unwrap_or(position);
            if position < was {
                return Err(format!(
                    "{mid} took effect at {position}, and an operation at {was} was answered before"
                ));
            }
        }
        Ok(())
    }
}
