//! The answer to a write is the reply that the write had when it took effect, however often its
//! client asks.

use super::{Invariant, Knowledge, Observation};
use crate::reply::Reply;
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
            let is_refused = matches!(reply, Reply::Error(refusal) if refusal.is_by_session());
            let Some(first) = knowledge.reply_to(&response.id).filter(|_| !is_refused) else { continue };
            if reply != first {
                let mid = &response.id.mid;
                return Err(format!("{mid} is answered {reply}, and its reply was {first}"));
            }
        }
        Ok(())
    }
}
