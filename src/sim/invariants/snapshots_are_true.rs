//! A snapshot is the whole state after the entry that it names, with all sessions and the time. The
//! reference is a state machine without replicas that has applied the same entries.
//!
//! The rule looks at each snapshot that a replica saves. It looks at the state of a replica in the
//! first batch of a life, and in a batch that installs a snapshot or compacts the log. For the
//! entries that are gone, no other rule compares this state with them.

use std::collections::BTreeSet;

use raft::types::{EntryId, Index};

use super::{Invariant, Knowledge, Observation};
use crate::micros::Micros;
use crate::replica::{Effect, Snapshot};
use crate::sim::server::Server;
use crate::state_machine::StateMachine;

#[derive(Debug, Default)]
pub(super) struct SnapshotsAreTrue {
    restarted: BTreeSet<usize>, // the replicas that have stopped since their last batch
}

impl Invariant for SnapshotsAreTrue {
    fn name(&self) -> &'static str {
        "snapshots are true"
    }

    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String> {
        for effect in moment.effects {
            let Effect::SaveSnapshot(snapshot) = effect else { continue };
            let Snapshot { id, state } = &**snapshot;
            check_id(*id, knowledge).map_err(|detail| format!("the snapshot {id}: {detail}"))?;
            check_state(id.index, state, knowledge)
                .map_err(|detail| format!("the snapshot {id} {detail}"))?;
        }
        let Some(replica) = moment.server().replica() else { return Ok(()) };
        let is_new = self.restarted.remove(&moment.at)
            || replica.installed() != moment.before.installed
            || moment.node().log().base() != moment.before.base;
        if is_new {
            let applied = replica.applied();
            check_state(applied, replica.state_machine(), knowledge)
                .map_err(|detail| format!("its state after {applied} {detail}"))?;
        }
        Ok(())
    }

    fn crashed(&mut self, _: Micros, at: usize, _: &[Server]) {
        self.restarted.insert(at);
    }
}

fn check_id(id: EntryId, knowledge: &Knowledge) -> Result<(), String> {
    let known = knowledge.at(id.index).map(|committed| committed.entry.id());
    if known == Some(id) { Ok(()) } else { Err(format!("the entry there is {known:?}")) }
}

fn check_state(index: Index, state: &StateMachine, knowledge: &Knowledge) -> Result<(), String> {
    let expected = knowledge.machine_at(index);
    if state == expected {
        return Ok(());
    }
    let figures = |state: &StateMachine| (state.len(), state.sessions(), state.time());
    let (found, expected) = (figures(state), figures(expected));
    Err(format!("differs; keys, sessions and time are {found:?} and should be {expected:?}"))
}
