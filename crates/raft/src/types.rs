//! The terms of Raft that all other modules use (paper, figure 2).

use std::collections::BTreeSet;
use std::fmt;

use crate::id::Id;

/// A term number; 0 before the first election (paper, 5.1).
pub type Term = u64;

/// A position in the log; the first entry has index 1, 0 is "before the first" (paper, 5.3).
pub type Index = u64;

/// The largest term and index that a replica accepts from the wire: 2^53 - 1, the
/// largest integer that every JSON implementation keeps exact. Sums of two stay far below overflow.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// The most terms by which a message's term may exceed the receiver's. A term begins with an
/// election, and each election needs at least tens of milliseconds. So a replica falls this far
/// behind only after almost five years. One damaged or forged message therefore costs an election
/// at most: the terms above are not used up. Only a sender that forges millions of messages uses
/// them up, and no bound helps against replicas that lie ([`raft`](super)).
pub const MAX_TERMS_AHEAD: Term = 1 << 32;

/// A command as the core sees it: the core keeps it, compares it and shows it to people, and never
/// looks inside. The driver chooses a type that is cheap to copy.
pub trait Command: Clone + Eq + fmt::Debug + fmt::Display {}

impl<C: Clone + Eq + fmt::Debug + fmt::Display> Command for C {}

/// Names an entry: no two entries of a cluster have both numbers in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId {
    /// Its position; 0 is "before the first entry".
    pub index: Index,
    /// The term of the leader that created it; 0 before the first entry.
    pub term: Term,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// One slot of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<C> {
    /// Its position.
    pub index: Index,
    /// The term of the leader that created it.
    pub term: Term,
    /// Its effect on the state machine.
    pub payload: Payload<C>,
}

impl<C> Entry<C> {
    /// Its name.
    pub fn id(&self) -> EntryId {
        EntryId { index: self.index, term: self.term }
    }
}

/// The effect of an entry on the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload<C> {
    /// No effect: a new leader appends one so that it can commit the entries of earlier terms
    /// (paper, 5.4.2 and 8).
    Noop,
    /// A command.
    Command(C),
}

/// The state besides its log that a replica must never forget (paper, figure 2: persistent state).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term seen; never decreases.
    pub current_term: Term,
    /// The candidate that has this replica's vote in `current_term`; set at most once per term.
    pub voted_for: Option<Id>,
}

/// The state on a replica's disk when it starts; empty when it starts for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistentState<C> {
    /// Its term and vote.
    pub hard_state: HardState,
    /// The last entry that its snapshot covers; 0@0 without a snapshot. It is committed, and not
    /// behind the last of `entries`.
    pub snapshot: EntryId,
    /// The entry before the first of `entries`; 0@0 for a log from the beginning. It is not behind
    /// `snapshot`.
    pub base: EntryId,
    /// Its log after `base`.
    pub entries: Vec<Entry<C>>,
}

impl<C> PersistentState<C> {
    /// The entry of its log at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        let offset = index.checked_sub(self.base.index + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Whether its log has this entry, or has it as its base.
    pub fn contains(&self, id: EntryId) -> bool {
        id == self.base || self.get(id.index).is_some_and(|entry| entry.term == id.term)
    }

    /// The disk has this snapshot besides the log. A log that does not have the snapshot's last
    /// entry ends before it or contradicts it, so it begins anew behind the snapshot (paper, figure
    /// 13). A snapshot that covers less than another one is of no use.
    pub fn install(&mut self, snapshot: EntryId) {
        if snapshot.index <= self.snapshot.index {
            return;
        }
        self.snapshot = snapshot;
        if !self.contains(snapshot) {
            self.base = snapshot;
            self.entries.clear();
        }
    }

    /// The log loses the entries up to `base`, if it has that one.
    pub fn compact(&mut self, base: EntryId) {
        if base.index > self.base.index && self.contains(base) {
            self.entries.drain(..(base.index - self.base.index) as usize);
            self.base = base;
        }
    }

    /// The last entry of its log.
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, Entry::id)
    }
}

impl<C> Default for PersistentState<C> {
    fn default() -> Self {
        let (hard_state, snapshot, base) = (HardState::default(), EntryId::default(), EntryId::default());
        Self { hard_state, snapshot, base, entries: Vec::new() }
    }
}

/// The largest quorum of a cluster of usual size.
const USUAL_QUORUM: usize = 8;

/// The voters, and so the quorums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    voters: BTreeSet<Id>,
}

impl Configuration {
    /// The configuration in which these replicas vote.
    pub fn new(voters: impl IntoIterator<Item = Id>) -> Self {
        Self { voters: voters.into_iter().collect() }
    }

    /// All voters, in order.
    pub fn voters(&self) -> impl Iterator<Item = Id> + '_ {
        self.voters.iter().copied()
    }

    /// Whether this replica votes.
    pub fn contains(&self, id: Id) -> bool {
        self.voters.contains(&id)
    }

    /// The number of voters in a quorum: any two quorums share a voter.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether the voters for which `has` holds are a quorum.
    pub fn is_quorum(&self, has: impl Fn(Id) -> bool) -> bool {
        self.voters().filter(|&id| has(id)).count() >= self.quorum()
    }

    /// The largest value that a quorum has reached, of one value per voter: of match indexes, the
    /// last one that a quorum stores. A leader asks several times per batch, so this allocates
    /// nothing in a cluster of usual size.
    pub fn reached_by_quorum(&self, values: impl Iterator<Item = u64>) -> u64 {
        let (mut few, mut many) = ([0; USUAL_QUORUM], Vec::new());
        let largest = if let Some(few) = few.get_mut(..self.quorum()) {
            few
        } else {
            many.resize(self.quorum(), 0);
            &mut many[..]
        };
        for mut value in values {
            for other in &mut *largest {
                if *other < value {
                    std::mem::swap(other, &mut value);
                }
            }
        }
        largest.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_number_is_the_largest_that_a_double_keeps_exact() {
        assert_eq!(MAX_NUMBER as f64 as u64, MAX_NUMBER);
        assert_eq!((MAX_NUMBER + 2) as f64 as u64, MAX_NUMBER + 1);
    }

    #[test]
    fn quorum_has_reached_the_value_that_all_but_a_minority_have_reached() {
        for voters in 1..=40 {
            let ids = (0..voters).filter_map(Id::new);
            let configuration = Configuration::new(ids);
            // The values 1 ..= voters, in an order that is neither rising nor falling.
            let values = (0..u64::from(voters)).map(|at| at * 41 % u64::from(voters) + 1);
            let mut in_order: Vec<u64> = values.clone().collect();
            in_order.sort_unstable();
            let minority = usize::from(voters) - configuration.quorum();
            assert_eq!(configuration.reached_by_quorum(values), in_order[minority], "{voters}");
        }
    }
}
