//! The disk reports each change as soon as it is handed out.

use super::Adapter;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};

/// The disk deceives leaders or all other replicas. A commitment rests on a leader's disk, a vote or
/// an acknowledgement on the disk of another replica.
#[derive(Debug)]
pub(super) struct EarlyDisk {
    pub of_leader: bool,
}

impl Adapter for EarlyDisk {
    fn output(&mut self, replica: &mut Replica, now: Micros, effects: &mut Vec<Effect>) {
        let mut new = 0;
        while replica.node().is_leader() == self.of_leader
            && let Some(number) = last_persist(&effects[new..])
        {
            new = effects.len();
            replica.persisted(now, number);
            effects.extend(replica.finish(now));
        }
    }
}

/// The number of the last change that these effects hand out for the disk.
fn last_persist(effects: &[Effect]) -> Option<u64> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Persist(persist) => Some(persist.number),
        _ => None,
    })
}
