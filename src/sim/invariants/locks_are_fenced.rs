//! Work under a lock takes effect in the order of the fencing tokens, and no two clients work with
//! the same token.

use std::collections::BTreeMap;

use raft::types::Index;

use super::{Invariant, Knowledge, Observation};
use crate::bytes::Bytes;
use crate::operation::Revision;
use crate::replication::Payload;
use crate::reply::Reply;
use crate::sim::locks;
use crate::sim::operations::Step;

#[derive(Debug, Default)]
pub(super) struct LocksAreFenced {
    seen: Index,                              // the last entry that the rule has looked at
    last: BTreeMap<usize, (Revision, Bytes)>, // of each lock: the token of the last work, and the lock's value
}

impl Invariant for LocksAreFenced {
    fn name(&self) -> &'static str {
        "locks are fenced"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        while let Some(committed) = knowledge.at(self.seen + 1) {
            self.seen += 1;
            let Payload::Command(proposal) = &committed.entry.payload else { continue };
            let Some(request) = &proposal.request else { continue };
            let step = moment.clients.asked(request).map(|asked| &asked.step);
            let Some(Step::Lock(locks::Step::Work { lock, owner, token, .. })) = step else { continue };
            let took_effect = knowledge.effect_of(request) == Some(self.seen)
                && matches!(knowledge.reply_to(request), Some(Reply::Array(_)));
            if !took_effect {
                continue;
            }
            if let Some((last, by)) = self.last.get(lock)
                && (last > token || (last == token && by != owner))
            {
                let (mid, at) = (&request.mid, self.seen);
                return Err(format!(
                    "{mid} of {owner} works with token {token} at {at}, after {by} worked with {last}"
                ));
            }
            self.last.insert(*lock, (*token, owner.clone()));
        }
        Ok(())
    }
}
