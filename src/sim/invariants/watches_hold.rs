//! A batch takes effect only if no watched key has changed since its client looked. The rule counts
//! as a change what each entry does to the value, the deadline or the existence of a key. It does
//! not depend on the revisions that the state machine keeps of deleted keys.

use std::collections::BTreeMap;

use raft::types::Index;

use super::{Invariant, Knowledge, Observation};
use crate::bytes::Bytes;
use crate::command::{Batch, Command};
use crate::operation::Operation;
use crate::replication::Payload;
use crate::reply::Reply;

/// The most keys that the rule follows: more than the workloads with batches have.
const MOST_KEYS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct WatchesHold {
    seen: Index,                     // the last entry that the rule has looked at
    changed: BTreeMap<Bytes, Index>, // the last entry that changed each key
}

impl Invariant for WatchesHold {
    fn name(&self) -> &'static str {
        "watches hold"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        if moment.clients.only_put_and_get() {
            return Ok(());
        }
        while let Some(committed) = knowledge.at(self.seen + 1) {
            self.seen += 1;
            let Payload::Command(proposal) = &committed.entry.payload else { continue };
            if let (Command::Batch(batch), Some(request)) = (&proposal.command, &proposal.request) {
                let took_effect = knowledge.effect_of(request) == Some(self.seen)
                    && matches!(knowledge.reply_to(request), Some(Reply::Array(_)));
                if took_effect {
                    self.check_batch(batch).map_err(|detail| format!("{}: {detail}", request.mid))?;
                }
            }
            let keys = proposal.command.operations().iter().flat_map(Operation::keys);
            for key in keys.cloned().collect::<Vec<_>>() {
                if self.changed.len() < MOST_KEYS {
                    self.changed.entry(key).or_default();
                }
            }
            self.note_changes(knowledge);
        }
        Ok(())
    }
}

impl WatchesHold {
    fn check_batch(&self, batch: &Batch) -> Result<(), String> {
        for watch in &batch.watches {
            let changed = self.changed.get(&watch.key).copied().unwrap_or(0);
            if changed > watch.unchanged_since {
                let (key, since) = (&watch.key, watch.unchanged_since);
                return Err(format!("it took effect although {key} changed at {changed}, after {since}"));
            }
        }
        Ok(())
    }

    /// Finds the keys that the last entry has changed.
    fn note_changes(&mut self, knowledge: &Knowledge) {
        for (key, changed) in &mut self.changed {
            let state = |index| {
                let read = |operation| knowledge.read_at(&operation, index);
                let value = read(Operation::get(key.clone()));
                let deadline = read(Operation::Deadline { key: key.clone() });
                let is_there = value != Some(Reply::Nil);
                (value, deadline, is_there.then(|| read(Operation::Revision { key: key.clone() })))
            };
            if state(self.seen) != state(self.seen - 1) {
                *changed = self.seen;
            }
        }
    }
}
