//! Answers leave in the order in which their operations took effect. A walk along the log that
//! never turns back finds every answer of a batch true. A read sees all that was committed anywhere
//! when its client asked. So the log is an order that explains all answers: the history is
//! linearizable, whatever the operations are.

use raft::types::Index;

use super::{Invariant, Knowledge, Observation};
use crate::command::Command;
use crate::exchange::{Outbound, ReadIndex};
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::UnixMillis;
use crate::replica::Effect;
use crate::reply::{Refusal, Reply};
use crate::request::Outcome;

#[derive(Debug, Default)]
pub(super) struct AnswersInOrder {
    committed: Vec<(Micros, Index)>, // the times at which entries became committed, and the last one
    granted: Vec<(Micros, Id, UnixMillis)>, // when a leader gave a follower an index, and which date with it
}

impl AnswersInOrder {
    /// The last entry that was committed anywhere before this time.
    fn committed_before(&self, time: Micros) -> Index {
        let count = self.committed.partition_point(|(at, _)| *at < time);
        self.committed[..count].last().map_or(0, |(_, index)| *index)
    }

    fn note_granted(&mut self, moment: &Observation<'_>) {
        for effect in moment.effects {
            if let Effect::Send(Outbound::ReadIndex { to, message: ReadIndex::Response { time, .. } }) =
                effect
            {
                self.granted.push((moment.now, *to, *time));
            }
        }
    }

    /// The dates on which this replica may answer a read that was asked then: its own, and those that
    /// leaders have given it since.
    fn dates(&self, moment: &Observation<'_>, invoked: Micros) -> Vec<UnixMillis> {
        let since = self.granted.iter().rev().take_while(|(at, ..)| *at >= invoked);
        let given = since.filter(|(_, to, _)| *to == moment.node().id()).map(|(.., date)| *date);
        given.chain([moment.date()]).collect()
    }
}

impl Invariant for AnswersInOrder {
    fn name(&self) -> &'static str {
        "answers in order"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let committed = knowledge.committed().len() as Index;
        if self.committed.last().is_none_or(|(_, index)| *index < committed) {
            self.committed.push((moment.now, committed));
        }
        self.note_granted(moment);
        let (start, end) = (moment.before.commit_index, moment.node().commit_index());
        let mut position = start;
        for response in moment.responses() {
            let (mid, was) = (&response.id.mid, position);
            let Outcome::Done(reply) = &response.outcome else { continue };
            if *reply == Reply::Error(Refusal::ReplyTooLong) {
                continue;
            }
            let asked = moment.clients.asked(&response.id);
            let next = match asked.map(|asked| (&asked.request.command, asked.invoked)) {
                Some((Command::One(read), invoked)) if read.is_read() => {
                    position = position.max(self.committed_before(invoked));
                    let dates = self.dates(moment, invoked);
                    let found = knowledge.first_with_reply(read, reply, (position, end), &dates);
                    let from = position;
                    let nowhere = || format!("{mid} got {reply}, true nowhere from {from} to {end}");
                    Some(found.ok_or_else(nowhere)?)
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
