//! What the search remembers of one order of what has happened so far.

/// The value that the key has by now, and three sets of slots, each a burden: what is possible with more in them is
/// possible with less.
///
/// The order puts, among those of a state, before each configuration all that are lighter.
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
    /// Puts under way that were switched to, and can be no more.
    Used,
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

    /// Whether all that is possible for the other, which has the same state, is possible for this one.
    pub fn is_no_heavier_than(&self, other: &Self) -> bool {
        self.bits.iter().zip(&other.bits).all(|(own, other)| own & !other == 0)
    }
}
