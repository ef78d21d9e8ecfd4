//! What a replica shows of itself to those that operate it: INFO, ROLE, `/status`, `/metrics`,
//! `kvstore status`. The consensus thread publishes a [`View`]; any thread reads the latest one.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::id::Id;
use crate::micros::Micros;

/// A replica at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// When this was so, in microseconds of [`BootTime`](crate::clock::BootTime).
    pub at: Micros,
    /// The current term.
    pub term: u64,
    /// Whether it leads.
    pub leads: bool,
    /// The leader that it knows.
    pub leader: Option<Id>,
    /// When it last heard from that leader; `None` if never, or if it leads.
    pub leader_contact: Option<Micros>,
    /// The first index that its log still has.
    pub first_index: u64,
    /// The last index of its log.
    pub last_index: u64,
    /// The last index that it knows to be committed.
    pub commit_index: u64,
    /// The last index that its state machine has.
    pub applied: u64,
    /// The last index of its latest snapshot.
    pub snapshot_index: u64,
    /// How many keys it has.
    pub keys: u64,
    /// How many sessions it has.
    pub sessions: u64,
    /// How many requests it owes an answer.
    pub pending: u64,
    /// How often it has stopped leading.
    pub lost_leads: u64,
    /// The others as it knows them if it leads.
    pub followers: Vec<FollowerView>,
}

/// A follower as its leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerView {
    /// Its ID.
    pub id: Id,
    /// The last index that it is known to have.
    pub match_index: u64,
    /// When it last answered.
    pub contact: Option<Micros>,
}

/// Where the latest view is. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Arc<View>>>);

impl Board {
    /// Shows another view from now on.
    pub fn publish(&self, view: View) {
        *self.0.lock() = Arc::new(view);
    }

    /// The latest view.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.0.lock())
    }
}
