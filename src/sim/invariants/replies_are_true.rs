//! The answer to a write is the reply that the write had when it took effect, however often its
//! client asks.

use super::{Invariant, Knowledge, Observation};
use crate::command::Command;
use crate::reply::{Refusal, Reply};
use crate::request::Outcome;

#[derive(Debug)]
pub(super) struct RepliesAreTrue;

impl Invariant for RepliesAreTrue {
    fn name(&self) -> &'static str {
        "replies are true"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        for response in moment.responses() {
            let Outcome::Done(reply) = &response.outcome else { continue };
            if let Some(asked) = moment.clients.asked(&response.id) {
                check_shape(&asked.request.command, reply)?;
            }
            let is_withheld =
                |refusal: &Refusal| refusal.is_by_session() || *refusal == Refusal::ReplyTooLong;
            if matches!(reply, Reply::Error(refusal) if is_withheld(refusal)) {
                continue;
            }
            let Some(first) = knowledge.reply_to(&response.id) else { continue };
            if reply != first {
                let mid = &response.id.mid;
                return Err(format!("{mid} is answered {reply}, and its reply was {first}"));
            }
        }
        Ok(())
    }
}

/// The reply to a batch has a result for each of its operations. A batch of which no operation took
/// effect has the reply nil.
fn check_shape(command: &Command, reply: &Reply) -> Result<(), String> {
    let Command::Batch(batch) = command else { return Ok(()) };
    match reply {
        Reply::Array(replies) if replies.len() == batch.operations.len() => Ok(()),
        Reply::Nil if !batch.watches.is_empty() => Ok(()),
        Reply::Error(_) => Ok(()),
        _ => Err(format!("{reply} is no reply to {command}")),
    }
}
