//! Through which connections the requests of a client came: there its answers go. A mesh learns this
//! as a switch learns its ports, and forgets it as a switch does.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::BootTime;
use crate::id::Id;

/// An origin lives for one to two of these spans after the last request. It is longer than any
/// request waits for its answer.
const AGE: Duration = Duration::from_secs(30);

/// The most peers that a set of origins has room for.
pub(super) const MAX_PEERS: usize = 63;

/// A set of origins: a bit for the own front ends, and one for each peer by its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origins(u64);

impl Origins {
    /// The front ends of this replica.
    pub(super) const OWN: Self = Self(1);

    /// The connection from the peer of this index, below [`MAX_PEERS`].
    pub(super) fn peer(index: usize) -> Self {
        Self(2 << index)
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The index of the only origin, if there is one origin and it is a peer.
    pub(super) fn only_peer(self) -> Option<usize> {
        let is_one = self.0.count_ones() == 1 && self != Self::OWN;
        is_one.then(|| self.0.trailing_zeros() as usize - 1)
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The origins of all clients. There are at most as many entries as IDs, twice.
pub(super) struct OriginTable {
    young: HashMap<Id, Origins>, // learnt since `turned_at`
    old: HashMap<Id, Origins>,   // learnt in the span before
    turned_at: BootTime,
}

impl OriginTable {
    pub(super) fn new(now: BootTime) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), turned_at: now }
    }

    /// A request of this client came from there.
    pub(super) fn learn(&mut self, client: Id, origin: Origins, now: BootTime) {
        if now >= self.turned_at + AGE {
            let is_long = now >= self.turned_at + 2 * AGE;
            self.old = std::mem::take(&mut self.young);
            if is_long {
                self.old.clear();
            }
            self.turned_at = now;
        }
        let origins = self.young.entry(client).or_default();
        *origins = origins.with(origin);
    }

    /// The origins of this client.
    pub(super) fn of(&self, client: Id) -> Origins {
        let of = |table: &HashMap<Id, Origins>| table.get(&client).copied().unwrap_or_default();
        of(&self.young).with(of(&self.old))
    }

    /// The connection from there is gone, and with it each request that came through it.
    pub(super) fn forget(&mut self, origin: Origins) {
        for table in [&mut self.young, &mut self.old] {
            table.retain(|_, origins| {
                *origins = origins.without(origin);
                !origins.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    #[test]
    fn origins_of_a_client_are_learnt_and_forgotten_with_their_connection() {
        let now = BootTime::from_micros(0);
        let mut table = OriginTable::new(now);
        assert!(table.of(id(9)).is_empty());
        table.learn(id(9), Origins::OWN, now);
        table.learn(id(9), Origins::peer(0), now);
        table.learn(id(9), Origins::peer(MAX_PEERS - 1), now);
        table.learn(id(8), Origins::peer(0), now);
        table.forget(Origins::peer(0));
        let origins = table.of(id(9));
        assert!(origins.has(Origins::OWN) && origins.has(Origins::peer(MAX_PEERS - 1)));
        assert!(!origins.has(Origins::peer(0)));
        assert!(table.of(id(8)).is_empty());
        assert_eq!(origins.only_peer(), None);
        assert_eq!(origins.without(Origins::OWN).only_peer(), Some(MAX_PEERS - 1));
        assert_eq!(Origins::OWN.only_peer(), None);
        assert_eq!(table.young.len(), 1, "no entry stays without an origin");
    }

    #[test]
    fn origin_that_is_not_used_is_forgotten_after_two_spans() {
        let at = |seconds| BootTime::from_micros(0) + Duration::from_secs(seconds);
        let mut table = OriginTable::new(at(0));
        table.learn(id(9), Origins::peer(1), at(0));
        table.learn(id(8), Origins::OWN, at(29));
        table.learn(id(9), Origins::peer(2), at(30));
        assert!(table.of(id(9)).has(Origins::peer(1)), "an answer may still come");
        table.learn(id(9), Origins::peer(2), at(60));
        assert!(!table.of(id(9)).has(Origins::peer(1)));
        table.learn(id(7), Origins::OWN, at(1_000));
        assert!(table.of(id(9)).is_empty());
    }
}
