//! Answers leave in the order in which their operations took effect. A walk along the log that
//! never turns back finds every answer of a batch true.

use super::{Invariant, Knowledge, Observation};
use crate::command::Command;
use crate::operation::Operation;
use crate::request::Outcome;

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
            let Outcome::Done(reply) = &response.outcome else { continue };
            let next = match moment.clients.asked(&response.id).map(|asked| &asked.request.command) {
                // The time that a key has left depends on the leader's clock.
                Some(Command::One(Operation::TimeToLive { .. })) => None,
                Some(Command::One(read)) if read.is_read() => {
                    let found = knowledge.first_with_reply(read, reply, position, end);
                    Some(
                        found
                            .ok_or_else(|| format!("{mid} got {reply}, true nowhere from {was} to {end}"))?,
                    )
                }
                // A write that took effect before the batch may be answered at any time.
                _ => knowledge.effect_of(&response.id).filter(|&index| index > start),
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
