//! Small structures that both searches use.

/// Numbers that operations take for a while. Operations that are open at the same time have
/// different ones.
#[derive(Default)]
pub struct Slots {
    count: usize,
    free: Vec<usize>,
}

impl Slots {
    /// The number of slots that were ever taken at the same time.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }

    pub fn give_back(&mut self, slot: usize) {
        self.free.push(slot);
    }
}

/// Disjoint sets of numbers that can be joined.
pub struct Sets {
    parents: Vec<usize>,
}

impl Sets {
    /// Each of the numbers below `count` is a set of its own.
    pub fn new(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    /// The smallest number of the set that has this one.
    pub fn find(&mut self, mut place: usize) -> usize {
        while self.parents[place] != place {
            self.parents[place] = self.parents[self.parents[place]];
            place = self.parents[place];
        }
        place
    }

    pub fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.find(one), self.find(other));
        self.parents[one.max(other)] = one.min(other);
    }
}
