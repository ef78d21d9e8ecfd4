//! How much a search may spend.

/// How much memory and work the search of one key may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes for the configurations that the search remembers at any moment. The operations
    /// themselves come on top.
    pub memory: u64,
    /// Units of work. The search for puts and gets spends one unit in 2 to 40 nanoseconds. The
    /// search for any model spends one unit for each step of the model, and some for each
    /// configuration.
    pub work: u64,
}

impl Limits {
    /// The memory of [`Limits::default`], in bytes: a search for keys and values then takes less
    /// than a minute. A history in which clients write different values needs none of it, however
    /// long it is.
    pub const DEFAULT_MEMORY: u64 = 500_000_000;

    /// This much memory, and as many units of work as take about a minute for each 500 MB.
    pub const fn of_memory(bytes: u64) -> Self {
        Self { memory: bytes, work: bytes.saturating_mul(2) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of_memory(Self::DEFAULT_MEMORY)
    }
}

/// The limit that ended a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::work`].
    Work,
}

/// The part of the [`Limits`] that a search has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Units of work that the search may still spend.
    pub work: u64,
    /// Bytes that the configurations may take at any moment.
    pub memory: u64,
}

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self { work: limits.work, memory: limits.memory }
    }

    pub fn spend(&mut self, units: usize) -> Result<(), Exhausted> {
        let left = self.work.checked_sub(units as u64);
        self.work = left.unwrap_or(0);
        left.map(drop).ok_or(Exhausted::Work)
    }

    pub fn check_memory(&self, bytes: usize) -> Result<(), Exhausted> {
        if bytes as u64 > self.memory { Err(Exhausted::Memory) } else { Ok(()) }
    }
}
