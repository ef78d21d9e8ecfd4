//! One file in memory: the contents that processes see, and those that survive a power cut.

use std::collections::BTreeSet;

/// A sector and a page: a power cut keeps or loses units of one of these sizes.
const UNITS: [usize; 2] = [512, 4_096];
/// Writes are noted in these units.
const UNIT: usize = UNITS[0];

/// The contents of a file.
#[derive(Clone, Default)]
pub struct Inode {
    /// As processes see them.
    pub cache: Vec<u8>,
    /// As a power cut leaves them.
    durable: Vec<u8>,
    /// The units of the cache that were written and not synced.
    dirty: BTreeSet<usize>,
    /// Whether the length was changed and not synced.
    is_resized: bool,
}

impl Inode {
    /// Writes to the cache.
    pub fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.cache.len() {
            self.cache.resize(end, 0);
            self.is_resized = true;
        }
        self.cache[offset..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(offset / UNIT..=(end - 1) / UNIT);
        }
    }

    /// Makes the dirty units durable, and no others: data that a failed sync has dropped stays lost.
    pub fn sync(&mut self) {
        self.durable.resize(self.cache.len(), 0);
        for unit in std::mem::take(&mut self.dirty) {
            self.keep(unit);
        }
        self.is_resized = false;
    }

    /// Changes the contents, durably.
    pub fn edit(&mut self, edit: impl FnOnce(&mut Vec<u8>)) {
        edit(&mut self.cache);
        self.durable = self.cache.clone();
    }

    /// A sync that fails: any part is durable, and the system takes all of it for written.
    pub fn fail_sync(&mut self, random: &mut fastrand::Rng) {
        self.keep_some(random);
        self.dirty.clear();
        self.is_resized = false;
    }

    /// Makes one unit durable.
    fn keep(&mut self, unit: usize) {
        let end = self.cache.len().min((unit + 1) * UNIT);
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[unit * UNIT..end].copy_from_slice(&self.cache[unit * UNIT..end]);
    }

    /// Makes any part of the dirty units durable; which ones depends on the page or sector.
    pub fn keep_some(&mut self, random: &mut fastrand::Rng) {
        let units_each = UNITS[random.usize(..UNITS.len())] / UNIT;
        let (salt, keeps) = (random.u64(..), random.u8(1..=3));
        let keeps = |place: usize| fastrand::Rng::with_seed(salt ^ place as u64).u8(0..4) < keeps;
        if self.is_resized && random.bool() {
            self.durable.resize(self.cache.len(), 0);
        }
        for unit in self.dirty.clone() {
            if keeps(unit / units_each) {
                self.keep(unit);
            }
        }
    }

    /// The machine starts again from the durable contents.
    pub fn reload(&mut self) {
        self.cache = self.durable.clone();
        self.dirty.clear();
        self.is_resized = false;
    }
}
