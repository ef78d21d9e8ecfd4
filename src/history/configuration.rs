//! What the search remembers of one order of what has happened so far.

/// The value that the key has by now, and three sets of slots.
///
/// Configurations that are equal have the same future, so one of them is enough.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Configuration {
    pub state: usize,
    bits: Box<[u64]>, // the sets one after the other, each of the same number of words
}

/// A set of slots.
#[derive(Clone, Copy, Debug)]
pub enum Set {
    /// Gets under way that have not found their value yet.
    Owed,
    /// Puts under way that can still be made the latest, for a get to find their value.
    Open,
    /// Puts under way, acknowledged later, that have not taken effect yet.
    Bare,
}

const SETS: usize = 3;

impl Configuration {
    /// Nothing has happened; there are this many slots.
    pub fn new(state: usize, slots: usize) -> Self {
        Self { state, bits: vec![0; SETS * slots.div_ceil(64)].into() }
    }

    fn words(&self) -> usize {
        self.bits.len() / SETS
    }

    pub fn has(&self, set: Set, slot: usize) -> bool {
        self.bits[set as usize * self.words() + slot / 64] >> (slot % 64) & 1 == 1
    }

    pub fn insert(&mut self, set: Set, slot: usize) {
        self.bits[set as usize * self.words() + slot / 64] |= 1 << (slot % 64);
    }

    pub fn remove(&mut self, set: Set, slot: usize) {
        self.bits[set as usize * self.words() + slot / 64] &= !(1 << (slot % 64));
    }

    pub fn clear(&mut self, set: Set) {
        let words = self.words();
        self.bits[set as usize * words..][..words].fill(0);
    }

    /// The slots in a set, ascending.
    pub fn slots(&self, set: Set) -> impl Iterator<Item = usize> {
        let words = &self.bits[set as usize * self.words()..][..self.words()];
        words.iter().enumerate().filter(|&(_, &word)| word != 0).flat_map(|(place, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| place * 64 + bit)
        })
    }
}
