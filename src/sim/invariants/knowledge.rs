//! What the cluster has committed, as anybody could see it who looks into every replica, and what a store
//! without replicas makes of that.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::types::{Index, Term};

use super::Observation;
use crate::kv::{Fate, Kv};
use crate::replication::{Entry, Payload};
use crate::request::RequestId;

/// An entry that some replica has committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The entry, as the replica had it that committed it first.
    pub entry: Entry,
    /// The term of that replica then.
    pub in_term: Term,
    /// Whether this changes nothing: the same request took effect before, or it is refused.
    pub does_nothing: bool,
}

/// The committed sequence, and its meaning.
#[derive(Debug, Default)]
pub struct Knowledge {
    committed: Vec<Committed>,                          // [i] has index i + 1
    first: BTreeMap<RequestId, Index>,                  // where each request took effect
    values: BTreeMap<Arc<str>, Vec<(Index, Arc<str>)>>, // per key, what it became and when, in order
    sessions: Kv,                                       // tells which requests are refused
}

impl Knowledge {
    /// Takes in what a replica has committed that nobody had before.
    pub(super) fn learn(&mut self, moment: &Observation<'_>) {
        let node = moment.node();
        for index in self.committed.len() as Index + 1..=node.commit_index() {
            let Some(entry) = node.log().get(index) else { break };
            let does_nothing = !self.apply(entry);
            self.committed.push(Committed { entry: entry.clone(), in_term: moment.term(), does_nothing });
        }
    }

    /// The reference: a map, and every request that ever took effect. Sessions may refuse a request that never
    /// did; what they let through takes effect only if it never did before. Returns whether it does now.
    fn apply(&mut self, entry: &Entry) -> bool {
        let Payload::Command(command) = &entry.payload else { return true };
        let fate = self.sessions.apply(command);
        if matches!(fate, Fate::Reused | Fate::Forgotten) || self.first.contains_key(&command.request) {
            return false;
        }
        self.first.insert(command.request.clone(), entry.index);
        let values = self.values.entry(Arc::clone(&command.key)).or_default();
        values.push((entry.index, Arc::clone(&command.value)));
        true
    }

    /// What was committed at an index.
    pub fn at(&self, index: Index) -> Option<&Committed> {
        self.committed.get((index as usize).checked_sub(1)?)
    }

    /// All that was committed, in order.
    pub fn committed(&self) -> &[Committed] {
        &self.committed
    }

    /// Where this request took effect.
    pub fn effect_of(&self, request: &RequestId) -> Option<Index> {
        self.first.get(request).copied()
    }

    /// The value of a key after the entry at `index` was applied; empty if it was never put.
    pub fn value_at(&self, key: &str, index: Index) -> &str {
        let Some(values) = self.values.get(key) else { return "" };
        let through = values.partition_point(|(at, _)| *at <= index);
        through.checked_sub(1).map_or("", |last| &values[last].1)
    }

    /// The first index from `from` to `to` at which the key has this value.
    pub fn first_with_value(&self, key: &str, value: &str, from: Index, to: Index) -> Option<Index> {
        if self.value_at(key, from) == value {
            return Some(from);
        }
        let values = self.values.get(key)?;
        let mut later = values.iter().map(|(at, became)| (*at, became));
        later.find(|(at, became)| (from..=to).contains(at) && &***became == value).map(|(at, _)| at)
    }
}
