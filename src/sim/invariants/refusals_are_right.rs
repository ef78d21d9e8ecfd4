//! A session refuses a request only if it must: because the session expired, or cannot know whether
//! the request was done.

use super::{Invariant, Knowledge, Observation};
use crate::reply::{Refusal, Reply};
use crate::request::Outcome;
use crate::state_machine::SESSION_WINDOW;

#[derive(Debug)]
pub(super) struct RefusalsAreRight;

impl Invariant for RefusalsAreRight {
    fn name(&self) -> &'static str {
        "refusals are right"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        let sessions = knowledge.sessions();
        for response in moment.responses() {
            let Outcome::Done(Reply::Error(refusal)) = response.outcome else { continue };
            let id = &response.id;
            let is_right = match refusal {
                Refusal::SessionExpired => sessions.may_be_refused(id),
                Refusal::Forgotten => {
                    sessions.has_expired(id.client) || sessions.requests(id.client) > SESSION_WINDOW
                }
                // Its client has got the reply, or another replica has lost it.
                Refusal::ReplyForgotten => knowledge.effect_of(id).is_some(),
                // No client uses a name twice.
                Refusal::Reused => false,
                _ => true,
            };
            if !is_right {
                return Err(format!(
                    "{} of client {} is refused without a reason: {refusal}",
                    id.mid, id.client
                ));
            }
        }
        Ok(())
    }
}
