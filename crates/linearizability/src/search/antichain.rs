//! Configurations, none of which another one dominates.
//!
//! A configuration *dominates* another one of the same state if the same changes with an answer are
//! linearized in both, all passive tasks that are linearized in the other one, and no pending task
//! that is not linearized in the other one. A pending task need not take effect, and a passive one
//! can be skipped once it would change nothing. So every future of the other configuration is one
//! of its own.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::timeline::Layout;

/// The memory of an entry beside its configuration, in bytes: the table, which is half empty.
const ENTRY_BYTES: usize = 48;

/// A point of the search between two events.
#[derive(Clone, Debug)]
pub struct Configuration<S> {
    pub state: S,
    /// One bit for each slot: whether the open task in it is linearized.
    pub linearized: Box<[u64]>,
    /// The number of the step that led here, if the search records its steps.
    pub step: usize,
}

impl<S> Configuration<S> {
    pub fn has(&self, slot: usize) -> bool {
        self.linearized[slot / 64] >> (slot % 64) & 1 == 1
    }

    pub fn insert(&mut self, slot: usize) {
        self.linearized[slot / 64] |= 1 << (slot % 64);
    }

    pub fn remove(&mut self, slot: usize) {
        self.linearized[slot / 64] &= !(1 << (slot % 64));
    }

    /// The number of pending tasks that are linearized: the fewer, the more promising.
    pub fn weight(&self, layout: Layout) -> u32 {
        self.linearized[layout.certain + layout.passive..].iter().map(|word| word.count_ones()).sum()
    }

    /// The memory that it takes but for its state's own, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.linearized) + ENTRY_BYTES
    }
}

/// A set of configurations of one moment.
pub struct Antichain<S> {
    layout: Layout,
    members: Vec<Member<S>>,
    /// The last member of each hash.
    last: HashMap<u64, usize>,
    /// Words that were compared, for the budget.
    pub compared: usize,
    /// The memory that the members take.
    pub bytes: usize,
}

struct Member<S> {
    configuration: Configuration<S>,
    is_dominated: bool,
    /// The member before this one that has the same hash.
    before: Option<usize>,
}

impl<S: Eq + Hash> Antichain<S> {
    pub fn new(layout: Layout) -> Self {
        Self { layout, members: Vec::new(), last: HashMap::new(), compared: 0, bytes: 0 }
    }

    /// Adds a configuration, whose state owns so much memory. Returns its place, or `None` if
    /// another one dominates it.
    pub fn insert(&mut self, new: Configuration<S>, owned_bytes: usize) -> Option<usize> {
        let (certain, passive, pending) = self.split(&new);
        let mut hasher = DefaultHasher::new();
        (&new.state, certain).hash(&mut hasher);
        let hash = hasher.finish();
        let before = self.last.get(&hash).copied();
        let mut next = before;
        while let Some(place) = next {
            let member = &self.members[place];
            next = member.before;
            self.compared += new.linearized.len();
            let other = self.split(&member.configuration);
            if member.is_dominated || certain != other.0 || new.state != member.configuration.state {
                continue;
            }
            if is_subset(passive, other.1) && is_subset(other.2, pending) {
                return None;
            }
            self.members[place].is_dominated = is_subset(other.1, passive) && is_subset(pending, other.2);
        }
        let place = self.members.len();
        self.bytes += new.bytes() + owned_bytes;
        self.last.insert(hash, place);
        self.members.push(Member { configuration: new, is_dominated: false, before });
        Some(place)
    }

    /// The bits of the three kinds of tasks.
    fn split<'a>(&self, own: &'a Configuration<S>) -> (&'a [u64], &'a [u64], &'a [u64]) {
        let (certain, others) = own.linearized.split_at(self.layout.certain);
        let (passive, pending) = others.split_at(self.layout.passive);
        (certain, passive, pending)
    }

    /// The number of configurations, with those that were added before one that dominates them.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn get(&self, place: usize) -> &Configuration<S> {
        &self.members[place].configuration
    }

    pub fn into_configurations(self) -> Vec<Configuration<S>> {
        let left = self.members.into_iter().filter(|member| !member.is_dominated);
        left.map(|member| member.configuration).collect()
    }
}

fn is_subset(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).all(|(one, other)| one & !other == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_with_fewer_pending_and_more_passive_tasks_dominates() {
        let layout = Layout { certain: 1, passive: 1, pending: 1 };
        let left = |all: &[(char, [u64; 3])]| {
            let mut antichain = Antichain::new(layout);
            for &(state, bits) in all {
                antichain.insert(Configuration { state, linearized: Box::new(bits), step: 0 }, 0);
            }
            let left = antichain.into_configurations().into_iter();
            left.map(|found| (found.state, [0, 1, 2].map(|word| found.linearized[word]))).collect::<Vec<_>>()
        };
        let one = ('a', [1, 3, 3]);
        for dominating in [('a', [1, 3, 1]), ('a', [1, 7, 3]), ('a', [1, 7, 2]), one] {
            assert_eq!(left(&[dominating, one]), [dominating]);
            assert_eq!(left(&[one, dominating]), [dominating]);
        }
        for other in
            [('b', [1, 3, 1]), ('a', [0, 3, 1]), ('a', [3, 3, 1]), ('a', [1, 1, 1]), ('a', [1, 7, 4])]
        {
            assert_eq!(left(&[one, other]), [one, other]);
        }
    }
}
