//! A configuration: what the search remembers of one order of the operations so far, as a row of
//! words.
//!
//! | words | |
//! |---|---|
//! | 1 | the *state*: the value that the key has by now |
//! | one bit for each slot, three times | the [`Set`]s |
//! | half a word for each counter | the number of pending puts of a value that are linearized |
//!
//! All words but the state only restrict the future. A configuration *dominates* another one of the
//! same state if each of its sets is a subset and each of its counters is no greater: every future
//! of the other one is one of its own. Rows in ascending order have before each configuration all
//! that dominate it.

/// A set of slots.
#[derive(Clone, Copy, Debug)]
pub enum Set {
    /// Open gets that are not linearized: no state so far was their value.
    UnlinearizedGets,
    /// Open puts that have been effective, and cannot be again.
    LinearizedPuts,
    /// Open puts, acknowledged later, that no put so far has overwritten. They must be linearized
    /// before they return.
    UnlinearizedPuts,
}

const SETS: usize = 3;

/// The places of all parts of a row.
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

    /// The length of a row.
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

    /// Returns whether the slot was in the set.
    pub fn remove(&self, row: &mut [u64], set: Set, slot: usize) -> bool {
        let had = self.has(row, set, slot);
        row[self.set(set).start + slot / 64] &= !(1 << (slot % 64));
        had
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

    /// The first word, counted from the state, in which this row exceeds the other. `None` if there
    /// is none: then this configuration dominates the other one if they have the same state.
    pub fn first_excess(&self, row: &[u64], other: &[u64]) -> Option<usize> {
        let counters = 1 + SETS * self.set_words;
        let halves = |word: u64| (word as u32, (word >> 32) as u32);
        let mut sets = row[1..counters].iter().zip(&other[1..counters]);
        let mut counts = row[counters..].iter().zip(&other[counters..]);
        let in_sets = sets.position(|(own, other)| own & !other != 0).map(|place| 1 + place);
        in_sets.or_else(|| {
            let exceeds = |(&own, &other): (&u64, &u64)| {
                let (own, other) = (halves(own), halves(other));
                own.0 > other.0 || own.1 > other.1
            };
            counts.position(exceeds).map(|place| counters + place)
        })
    }

    /// The number of restrictions of a configuration: the lightest ones are the most promising.
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
    touched: usize, // words that hold memory: the most since memory was last returned
}

/// The least memory that is worth returning, in words.
const WORTH_RETURNING: usize = 16_384;

impl Rows {
    pub fn new(layout: &Layout) -> Self {
        Self { words: layout.words(), all: Vec::new(), touched: 0 }
    }

    pub fn len(&self) -> usize {
        self.all.len() / self.words
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn clear(&mut self) {
        self.all.clear();
        self.return_memory();
    }

    pub fn push(&mut self, row: &[u64]) {
        self.all.extend_from_slice(row);
        self.touched = self.touched.max(self.all.len());
    }

    /// Returns the memory that the rows do not need now, if it is much.
    fn return_memory(&mut self) {
        if self.touched > WORTH_RETURNING.max(self.all.len() + self.all.len() / 2) {
            self.all.shrink_to_fit();
            self.touched = self.all.len();
        }
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

    /// Keeps only the rows at these places, which ascend.
    pub fn retain(&mut self, places: &[u32]) {
        for (to, &from) in places.iter().enumerate() {
            let from = from as usize * self.words;
            self.all.copy_within(from..from + self.words, to * self.words);
        }
        self.all.truncate(places.len() * self.words);
        self.return_memory();
    }

    /// The memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.touched * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_leave_take_memory_until_it_is_returned() {
        let layout = Layout::new(64, 0);
        let row = vec![0; layout.words()];
        let mut rows = Rows::new(&layout);
        (0..100_000).for_each(|_| rows.push(&row));
        let bytes = |count: usize| count * layout.words() * size_of::<u64>();
        assert_eq!(rows.bytes(), bytes(100_000));
        let places: Vec<u32> = (0..80_000).collect();
        rows.retain(&places); // too few leave
        assert_eq!((rows.len(), rows.bytes()), (80_000, bytes(100_000)));
        rows.retain(&places[..10]);
        assert_eq!((rows.len(), rows.bytes()), (10, bytes(10)));
        assert!(rows.all.capacity() < 1_000);
    }

    #[test]
    fn first_excess_is_the_first_word_that_the_other_row_does_not_contain() {
        let layout = Layout::new(65, 3); // the state, two words for each set, and two for counters
        let mut narrow = vec![0; layout.words()];
        let mut wide = narrow.clone();
        assert_eq!(layout.first_excess(&wide, &narrow), None);
        layout.set_count(&mut wide, 2, 1);
        assert_eq!(layout.first_excess(&wide, &narrow), Some(8));
        layout.insert(&mut wide, Set::LinearizedPuts, 64);
        assert_eq!(layout.first_excess(&wide, &narrow), Some(4));
        assert_eq!(layout.first_excess(&narrow, &wide), None);
        layout.insert(&mut narrow, Set::UnlinearizedGets, 0);
        assert_eq!(layout.first_excess(&narrow, &wide), Some(1));
    }
}
