//! Partitions whose replicas the seed draws. `run.py` draws them when the event begins, from the
//! replicas that live.

use fastrand::Rng;

use super::file::EventType;
use crate::sim::plan::{FaultKind, Shape, Target};

/// Sets the generator of the partitions apart from others of the same seed.
const SALT: u64 = 0x9a27_1710;

/// Draws the replicas of partitions, in the order of the events.
pub(super) struct Partitions {
    rng: Rng,
    replicas: usize,
}

impl Partitions {
    pub(super) fn new(seed: u64, replicas: usize) -> Self {
        Self { rng: Rng::with_seed(seed ^ SALT), replicas }
    }

    /// The faults of an event; none if it is no such partition.
    pub(super) fn draw(&mut self, event: EventType) -> Option<Vec<FaultKind>> {
        let mut order: Vec<usize> = (0..self.replicas).collect();
        match event {
            EventType::IsolateLeader => Some(vec![FaultKind::Isolate(Target::Leader)]),
            EventType::IsolateRandom => {
                Some(vec![FaultKind::Isolate(Target::Replica(self.rng.usize(..self.replicas)))])
            }
            EventType::PartOneWay => {
                self.rng.shuffle(&mut order);
                let (majority, minority) = order.split_at(self.replicas / 2 + 1);
                let cuts = minority.iter().flat_map(|&from| majority.iter().map(move |&to| (from, to)));
                Some(cuts.map(|(from, to)| FaultKind::Cut(from, to)).collect())
            }
            EventType::PartBridge => {
                self.rng.shuffle(&mut order);
                Some(vec![FaultKind::Partial(Shape::Bridge, order)])
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_partition_cuts_each_link_from_the_minority_to_the_majority() {
        let faults = Partitions::new(1, 5).draw(EventType::PartOneWay).expect("a partition");
        let cuts: Vec<_> = faults
            .iter()
            .map(|fault| match fault {
                FaultKind::Cut(from, to) => (*from, *to),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(cuts.len(), 2 * 3);
        assert!(cuts.iter().all(|(from, _)| cuts.iter().all(|(_, to)| from != to)), "{cuts:?}");
    }

    #[test]
    fn seed_decides_which_replicas_are_drawn() {
        let draw = |seed| {
            let mut partitions = Partitions::new(seed, 5);
            [EventType::PartBridge, EventType::IsolateRandom, EventType::PartOneWay]
                .map(|event| partitions.draw(event))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(Partitions::new(1, 5).draw(EventType::PartHard), None);
    }
}
