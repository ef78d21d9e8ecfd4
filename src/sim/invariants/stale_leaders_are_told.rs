//! A leader of an earlier term is told so by each replica that gets an append of that term, whichever way the append
//! came (paper, 5.1). Else a deposed leader that relays to a follower of its successor goes on until it counts silence.

use std::collections::BTreeMap;

use super::{Invariant, Knowledge, Moment};
use crate::id::Id;
use crate::raft::types::{Micros, Term};
use crate::sim::server::Server;

/// What a replica says may wait for two syncs of a disk that hangs, and for as many batches.
const LONGEST_WAIT: (Micros, u32) = (4_000_000, 64);

#[derive(Debug, Default)]
pub(super) struct StaleLeadersAreTold {
    owed: BTreeMap<(usize, Id), Owed>, // who has to tell which leader
}

/// A leader that has not been told yet.
#[derive(Clone, Copy, Debug)]
struct Owed {
    term: Term, // of the append
    since: Micros,
    batches: u32,
}

impl Invariant for StaleLeadersAreTold {
    fn name(&self) -> &'static str {
        "stale leaders are told"
    }

    fn check(&mut self, moment: &Moment<'_>, _: &Knowledge) -> Result<(), String> {
        let at = moment.at;
        for &(leader, term) in &moment.servers[at].stale {
            let owed = self.owed.entry((at, leader)).or_insert(Owed { term, since: moment.now, batches: 0 });
            owed.term = owed.term.max(term);
        }
        if self.owed.is_empty() {
            return Ok(());
        }
        let told: Vec<(Id, Term)> =
            moment.messages().filter_map(|(to, message)| Some((Id::new(to as u16)?, message.term))).collect();
        self.owed.retain(|(by, leader), owed| {
            *by != at || !told.iter().any(|(to, term)| to == leader && *term > owed.term)
        });
        for ((_, leader), owed) in self.owed.iter_mut().filter(|((by, _), _)| *by == at) {
            owed.batches += 1;
            if owed.since + LONGEST_WAIT.0 < moment.now && owed.batches > LONGEST_WAIT.1 {
                return Err(format!(
                    "it has not told {leader}, whose append of term {} it got at {} us",
                    owed.term, owed.since
                ));
            }
        }
        Ok(())
    }

    fn crashed(&mut self, _: Micros, at: usize, _: &[Server]) {
        self.owed.retain(|(by, _), _| *by != at);
    }
}
