//! What the search remembers of one order of what has happened so far: a row of words.
//!
//! | words | |
//! |---|---|
//! | 1 | the *state*: the value that the key has by now |
//! | one bit for each slot, three times | the [`Set`]s |
//! | half a word for each counter | how many puts of unknown outcome of a value were switched to |
//!
//! All but the state are burdens: what is possible with more of them is possible with less. Rows in ascending
//! order have, among those of a state, before each configuration all that are lighter.

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

/// Where in a row everything is.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    set_words: usize,
    words: usize,
}

impl Layout {
    pub fn new(slots: usize, counters: usize) -> Self {
        let set_words = slots.div_ceil(64);
        Self { set_words, words: 1 + SETS * set_words + counters.div_ceil(2) }
    }

    /// How long a row is.
    pub fn words(&self) -> usize {
        self.words
    }

    fn set(&self, set: Set) -> std::ops::Range<usize> {
        let from = 1 + set as usize * self.set_words;
        from..from + self.set_words
    }

    pub fn has(&self, row: &[u64], set: Set, slot: usize) -> bool {
        row[self.set(set).start + slot / 64] >> (slot % 64) & 1 == 1
    }

    pub fn insert(&self, row: &mut [u64], set: Set, slot: usize) {
        row[self.set(set).start + slot / 64] |= 1 << (slot % 64);
    }

    pub fn remove(&self, row: &mut [u64], set: Set, slot: usize) {
        row[self.set(set).start + slot / 64] &= !(1 << (slot % 64));
    }

    pub fn clear(&self, row: &mut [u64], set: Set) {
        row[self.set(set)].fill(0);
    }

    /// The slots in a set, ascending.
    pub fn slots<'a>(&self, row: &'a [u64], set: Set) -> impl Iterator<Item = usize> + 'a {
        let words = &row[self.set(set)];
        words.iter().enumerate().filter(|&(_, &word)| word != 0).flat_map(|(place, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| place * 64 + bit)
        })
    }

    fn counter(&self, counter: usize) -> (usize, u32) {
        (1 + SETS * self.set_words + counter / 2, 32 * (counter as u32 % 2))
    }

    pub fn count(&self, row: &[u64], counter: usize) -> u32 {
        let (word, shift) = self.counter(counter);
        (row[word] >> shift) as u32
    }

    pub fn set_count(&self, row: &mut [u64], counter: usize, count: u32) {
        let (word, shift) = self.counter(counter);
        row[word] = row[word] & !(u64::from(u32::MAX) << shift) | u64::from(count) << shift;
    }

    /// Whether all that is possible for the other, if it has the same state, is possible for this one.
    pub fn is_no_heavier_than(&self, row: &[u64], other: &[u64]) -> bool {
        let sets = 1..1 + SETS * self.set_words;
        let halves = |word: u64| (word as u32, (word >> 32) as u32);
        row[sets.clone()].iter().zip(&other[sets.clone()]).all(|(own, other)| own & !other == 0)
            && row[sets.end..].iter().zip(&other[sets.end..]).all(|(&own, &other)| {
                let (own, other) = (halves(own), halves(other));
                own.0 <= other.0 && own.1 <= other.1
            })
    }

    /// How much of a burden a configuration has to bear.
    pub fn weight(&self, row: &[u64]) -> u64 {
        let sets = 1..1 + SETS * self.set_words;
        let bits: u64 = row[sets.clone()].iter().map(|word| u64::from(word.count_ones())).sum();
        let counts: u64 =
            row[sets.end..].iter().map(|word| (word >> 32) + (word & u64::from(u32::MAX))).sum();
        bits + counts
    }
}

/// Many rows, one after the other.
#[derive(Default)]
pub struct Rows {
    words: usize, // of a row
    all: Vec<u64>,
}

impl Rows {
    pub fn new(layout: &Layout) -> Self {
        Self { words: layout.words(), all: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.all.len() / self.words
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn clear(&mut self) {
        self.all.clear();
    }

    pub fn push(&mut self, row: &[u64]) {
        self.all.extend_from_slice(row);
    }

    pub fn get(&self, place: usize) -> &[u64] {
        &self.all[place * self.words..][..self.words]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u64]> {
        self.all.chunks_exact(self.words)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u64]> {
        self.all.chunks_exact_mut(self.words)
    }

    /// Leaves only the rows at these places, which ascend.
    pub fn retain(&mut self, places: &[u32]) {
        for (to, &from) in places.iter().enumerate() {
            let from = from as usize * self.words;
            self.all.copy_within(from..from + self.words, to * self.words);
        }
        self.all.truncate(places.len() * self.words);
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.all.len() * size_of::<u64>()
    }
}
