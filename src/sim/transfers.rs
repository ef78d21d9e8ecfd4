//! The snapshots on their way to followers, as their leaders send them.

use std::collections::BTreeMap;

use raft::types::{EntryId, Term};

use super::invariants::Observation;
use crate::replication::Body;

/// The latest transfer to each follower, by leader and follower.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    latest: BTreeMap<(usize, usize), Transfer>,
}

#[derive(Debug)]
struct Transfer {
    term: Term,
    snapshot: EntryId,
    next: u64, // the chunk after the last one that was sent
}

impl Transfers {
    /// Notes the chunks that a batch sends. Returns how many of them were sent before. The first
    /// chunk does not count: it is sent again if the transfer begins anew.
    pub(super) fn note(&mut self, moment: &Observation<'_>) -> u64 {
        let mut resumed = 0;
        for (to, message) in moment.messages() {
            let Body::InstallSnapshot(install) = &message.body else { continue };
            let (term, snapshot, chunk) = (message.term, install.snapshot, install.chunk);
            let is_same = |transfer: &&mut Transfer| (transfer.term, transfer.snapshot) == (term, snapshot);
            match self.latest.get_mut(&(moment.at, to)).filter(is_same) {
                Some(transfer) => {
                    resumed += u64::from(chunk > 0 && chunk < transfer.next);
                    transfer.next = transfer.next.max(chunk + 1);
                }
                None => {
                    self.latest.insert((moment.at, to), Transfer { term, snapshot, next: chunk + 1 });
                }
            }
        }
        resumed
    }
}
