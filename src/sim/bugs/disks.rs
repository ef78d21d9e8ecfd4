//! A replica goes on after its disk has failed, or does not wait for its disk.

use super::{Adapter, AfterFailedSync};
use crate::micros::Micros;
use crate::replica::{Effect, Replica};

/// Reports a snapshot of the leader as saved as soon as it is handed out.
#[derive(Debug)]
pub(super) struct InstallsEarly;

impl Adapter for InstallsEarly {
    fn output(&mut self, replica: &mut Replica, now: Micros, effects: &mut Vec<Effect>) {
        let commit_index = replica.node().commit_index();
        let received = effects.iter().find_map(|effect| match effect {
            Effect::SaveSnapshot(snapshot) if snapshot.id.index > commit_index => Some(snapshot.id),
            _ => None,
        });
        if let Some(id) = received {
            replica.snapshot_saved(now, id);
            effects.extend(replica.finish(now));
        }
    }
}

#[derive(Debug)]
pub(super) struct SkipsDirectorySync;

impl Adapter for SkipsDirectorySync {
    fn skips_directory_sync(&self) -> bool {
        true
    }
}

#[derive(Debug)]
pub(super) struct VotesAfterFailedSync;

impl Adapter for VotesAfterFailedSync {
    fn after_failed_sync(&self) -> AfterFailedSync {
        AfterFailedSync::SendAndEnd
    }
}

#[derive(Debug)]
pub(super) struct TriesSyncAgain;

impl Adapter for TriesSyncAgain {
    fn after_failed_sync(&self) -> AfterFailedSync {
        AfterFailedSync::TryAgain
    }
}
