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

    /// Whether it was there.
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

    /// The first word, counted from the state, of which this row has a burden that the other has not. `None` if
    /// all that is possible for the other, if it has the same state, is possible for this one.
    pub fn first_heavier_word(&self, row: &[u64], other: &[u64]) -> Option<usize> {
        let counters = 1 + SETS * self.set_words;
        let halves = |word: u64| (word as u32, (word >> 32) as u32);
        let mut sets = row[1..counters].iter().zip(&other[1..counters]);
        let mut counts = row[counters..].iter().zip(&other[counters..]);
        let in_sets = sets.position(|(own, other)| own & !other != 0).map(|place| 1 + place);
        in_sets.or_else(|| {
            let is_heavier = |(&own, &other): (&u64, &u64)| {
                let (own, other) = (halves(own), halves(other));
                own.0 > other.0 || own.1 > other.1
            };
            counts.position(is_heavier).map(|place| counters + place)
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
    touched: usize, // words that hold memory: the most that there were since memory was given back
}

/// Less memory is not worth giving back, in words.
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

    /// Gives back what is not needed now, if it is much.
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

    /// Leaves only the rows at these places, which ascend.
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
    fn heavier_word_is_the_first_with_a_burden_of_its_own() {
        let layout = Layout::new(65, 3); // the state, two words for each set, and two for counters
        let mut light = vec![0; layout.words()];
        let mut heavy = light.clone();
        assert_eq!(layout.first_heavier_word(&heavy, &light), None);
        layout.set_count(&mut heavy, 2, 1);
        assert_eq!(layout.first_heavier_word(&heavy, &light), Some(8));
        layout.insert(&mut heavy, Set::Used, 64);
        assert_eq!(layout.first_heavier_word(&heavy, &light), Some(4));
        assert_eq!(layout.first_heavier_word(&light, &heavy), None);
        layout.insert(&mut light, Set::Owed, 0);
        assert_eq!(layout.first_heavier_word(&light, &heavy), Some(1));
    }
}
