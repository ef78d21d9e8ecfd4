//! The order of the writes of each client, while some of them are held because there is no
//! connection to the leader.
//!
//! ```text
//!   lane of a client:   7 sent   8 held   9 sent   10 held   11 held
//! ```
//!
//! The writes of a client take effect in the order of its questions, or fail. A write that the mesh
//! refuses was never sent, so it may be sent later: it is held, and so is each later write of its
//! client. But when the fate of a later write that was sent becomes open (9), an earlier one that is
//! held (8) fails, because it would take effect after the later one.

use std::collections::BTreeMap;

/// The writes that wait, by client and number.
#[derive(Debug, Default)]
pub(super) struct Lanes(BTreeMap<u64, Lane>);

#[derive(Debug, Default)]
struct Lane {
    writes: BTreeMap<u64, bool>, // whether each of them is held; never empty
    held: usize,                 // how many are
}

impl Lanes {
    /// Adds a write behind all others of its client.
    pub fn add(&mut self, client: u64, number: u64, is_held: bool) {
        let lane = self.0.entry(client).or_default();
        lane.writes.insert(number, is_held);
        lane.held += usize::from(is_held);
    }

    /// Whether a new write of this client must be held.
    pub fn is_held(&self, client: u64) -> bool {
        self.0.get(&client).is_some_and(|lane| lane.held > 0)
    }

    /// Holds a write that was not sent.
    pub fn hold(&mut self, client: u64, number: u64) {
        if let Some(lane) = self.0.get_mut(&client)
            && let Some(is_held @ false) = lane.writes.get_mut(&number)
        {
            *is_held = true;
            lane.held += 1;
        }
    }

    /// Removes a write.
    pub fn remove(&mut self, client: u64, number: u64) {
        let Some(lane) = self.0.get_mut(&client) else { return };
        lane.held -= usize::from(lane.writes.remove(&number) == Some(true));
        if lane.writes.is_empty() {
            self.0.remove(&client);
        }
    }

    /// The writes that are held before this one.
    pub fn held_before(&self, client: u64, number: u64) -> Vec<u64> {
        let Some(lane) = self.0.get(&client).filter(|lane| lane.held > 0) else { return Vec::new() };
        lane.writes.range(..number).filter(|(_, is_held)| **is_held).map(|(number, _)| *number).collect()
    }

    /// The writes that may be sent now, by client and in their order: no later one has been sent.
    pub fn ready(&self) -> Vec<(u64, Vec<u64>)> {
        let held = self.0.iter().filter(|(_, lane)| lane.held > 0);
        held.filter_map(|(client, lane)| Some((*client, lane.ready()?))).collect()
    }
}

impl Lane {
    fn ready(&self) -> Option<Vec<u64>> {
        let held = self.writes.iter().skip_while(|(_, is_held)| !**is_held);
        held.map(|(number, is_held)| is_held.then_some(*number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_writes_are_ready_when_no_later_one_has_been_sent() {
        let mut lanes = Lanes::default();
        (1..=3).for_each(|number| lanes.add(7, number, false));
        assert!(!lanes.is_held(7));
        lanes.hold(7, 2);
        lanes.hold(7, 2);
        lanes.hold(8, 2);
        assert!(lanes.is_held(7) && !lanes.is_held(8));
        assert_eq!(lanes.ready(), [], "3 has been sent");
        assert_eq!((lanes.held_before(7, 2), lanes.held_before(7, 3)), (vec![], vec![2]));
        lanes.hold(7, 3);
        lanes.add(7, 4, true);
        assert_eq!(lanes.ready(), [(7, vec![2, 3, 4])]);
        (2..=4).for_each(|number| lanes.remove(7, number));
        assert!(!lanes.is_held(7));
        lanes.remove(7, 1);
        assert!(lanes.0.is_empty());
    }
}
