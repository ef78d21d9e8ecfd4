//! The sequence of entries that the cluster has committed, as an observer of every replica sees it.
//! A store without replicas applies the same sequence as a reference.

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
    /// The entry, in the log of the first replica that committed it.
    pub entry: Entry,
    /// The term of that replica at that time.
    pub in_term: Term,
    /// Whether the entry changes nothing, because its request took effect before or is refused.
    pub does_nothing: bool,
}

/// The committed sequence, and its meaning.
#[derive(Debug, Default)]
pub struct Knowledge {
    committed: Vec<Committed>,                          // [i] has index i + 1
    first: BTreeMap<RequestId, Index>,                  // where each request took effect
    values: BTreeMap<Arc<str>, Vec<(Index, Arc<str>)>>, // per key, its values and their indexes, in order
    sessions: Kv,                                       // tells which requests are refused
}

impl Knowledge {
    /// Takes in the entries that a replica is the first to commit.
    pub(super) fn learn(&mut self, moment: &Observation<'_>) {
        let node = moment.node();
        for index in self.committed.len() as Index + 1..=node.commit_index() {
            let Some(entry) = node.log().get(index) else { break };
            let does_nothing = !self.apply(entry);
            self.committed.push(Committed { entry: entry.clone(), in_term: moment.term(), does_nothing });
        }
    }

    /// The reference: a map, and every request that ever took effect. Sessions may refuse a request
    /// that never did. A request that they accept takes effect only if it never did before. Returns
    /// whether it does now.
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

    /// The committed entry at an index.
    pub fn at(&self, index: Index) -> Option<&Committed> {
        self.committed.get((index as usize).checked_sub(1)?)
    }

    /// All committed entries, in order.
    pub fn committed(&self) -> &[Committed] {
        &self.committed
    }

    /// The index at which this request took effect.
    pub fn effect_of(&self, request: &RequestId) -> Option<Index> {
        self.first.get(request).copied()
    }

    /// The value of a key after the entry at `index` was applied; empty if no client had put it.
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
