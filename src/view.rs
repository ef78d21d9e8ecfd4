//! What a replica shows of itself to those that operate it: INFO, ROLE, `/status`, `/metrics`,
//! `kvstore status`. The consensus thread publishes a [`View`]; any thread reads the latest one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::histogram::Buckets;
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::Snapshot;

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
    /// How much memory its keys and values take, by the account of the state machine.
    pub data_bytes: u64,
    /// How much they may take before the leader refuses to add to them; `None` without a limit.
    pub max_data_bytes: Option<u64>,
    /// How many sessions it has.
    pub sessions: u64,
    /// How many requests it owes an answer.
    pub pending: u64,
    /// How many reads of clients it has served from its own state while it followed, by an index of
    /// the leader.
    pub follower_reads: u64,
    /// How often it has stopped leading.
    pub lost_leads: u64,
    /// How often it has come to know another leader than before.
    pub leader_changes: u64,
    /// How often it has asked for votes.
    pub elections_started: u64,
    /// How often it has been elected.
    pub elections_won: u64,
    /// How often it gave up the messages in flight to each follower, because no answer came in time.
    pub given_up: BTreeMap<Id, u64>,
    /// How many snapshots of its own state it has saved.
    pub snapshots_saved: u64,
    /// How many snapshots of a leader have replaced its state.
    pub snapshots_installed: u64,
    /// The others as it knows them if it leads.
    pub followers: Vec<FollowerView>,
    /// The work of its disk; `None` for a replica that is in memory only.
    pub disk: Option<DiskView>,
    /// The work that waits for the stages of its pipeline.
    pub queues: QueuesView,
    /// How long these stages take.
    pub stages: StagesView,
}

/// How long the stages of a pipeline took for their batches, since the replica started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagesView {
    /// To read the datagrams that were there, from the first one on.
    pub receive: Buckets,
    /// To step the core and the replica for each message.
    pub consensus: Buckets,
    /// To end the batch: entries are applied, reads served, messages and answers made.
    pub apply: Buckets,
    /// To write and send the messages.
    pub send: Buckets,
}

/// The work of a disk since the replica started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskView {
    /// Syncs by the log writer, which acknowledgements wait for.
    pub syncs: u64,
    /// How long the log writer took to make one batch durable: one write and one sync.
    pub writes: Buckets,
    /// How long the syncs alone took.
    pub sync_times: Buckets,
    /// Records of the log.
    pub records: u64,
    /// Bytes of these records.
    pub log_bytes: u64,
    /// Bytes written otherwise: new segments of the log, and snapshots.
    pub other_bytes: u64,
}

/// The work that waits for the stages of a pipeline, and the messages that they had to drop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuesView {
    /// Whether the receiver and the sender have threads of their own, because of the load.
    pub offloaded: bool,
    /// How often the load was too much for one thread.
    pub offloads: u64,
    /// Inputs that were taken in and not stepped yet.
    pub inputs: usize,
    /// Messages that the sender has not taken.
    pub outputs: usize,
    /// Changes that the log writer has not taken.
    pub changes: usize,
    /// Bytes of these changes.
    pub changes_bytes: usize,
    /// Messages to replicas that were dropped because the sender was stuck.
    pub dropped: u64,
    /// Datagrams that were refused because of their content.
    pub rejected: u64,
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

impl View {
    /// Whether the keys and values take more memory than they may.
    pub fn is_full(&self) -> bool {
        self.max_data_bytes.is_some_and(|most| self.data_bytes > most)
    }
}

/// Where the latest view is, and where copies of the state are asked for. Clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    view: Arc<Mutex<Arc<View>>>,
    copies: Arc<Mutex<Vec<Sender<Snapshot>>>>, // those that are asked for
    retires: Arc<AtomicBool>,
}

impl Board {
    /// Shows another view from now on.
    pub fn publish(&self, view: View) {
        *self.view.lock() = Arc::new(view);
    }

    /// The latest view.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.lock())
    }

    /// The replica is to stop: it hands its leadership over, and says that it is not ready. It notices
    /// this with its next batch.
    pub fn retire(&self) {
        self.retires.store(true, Ordering::SeqCst);
    }

    /// Whether the replica is to stop.
    pub fn retires(&self) -> bool {
        self.retires.load(Ordering::SeqCst)
    }

    /// Asks for a copy of the replica's state, which comes with its next view: within about a second,
    /// if the replica works. The copy takes constant time, and shares its memory with the state.
    pub fn ask_for_copy(&self) -> Receiver<Snapshot> {
        let (copy, copies) = bounded(1);
        self.copies.lock().push(copy);
        copies
    }

    /// Hands out the copies that were asked for.
    pub fn hand_out(&self, copy: impl Fn() -> Option<Snapshot>) {
        let asked = std::mem::take(&mut *self.copies.lock());
        for (to, copy) in asked.into_iter().zip(std::iter::from_fn(copy)) {
            // The other side may have given up.
            let _gone = to.try_send(copy);
        }
    }
}
