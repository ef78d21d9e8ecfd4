//! One replica as a process: the stages of the pipeline without their threads. Inputs wait in an
//! inbox, and the consensus stage takes all of them as one batch. Outputs wait in an outbox, and
//! the sender stage takes all of them. The cluster decides when a stage wakes up.

use std::collections::VecDeque;

use fastrand::Rng;
use raft::types::{EntryId, Index, Term};

use super::bugs::{Adapter, AfterFailedSync, Bug};
use super::clock::Clock;
use super::disk::{Disk, Refusal};
use super::plan::{ClockOrigin, Storage};
use super::wall_clock::WallClock;
use crate::exchange::{Inbound, Outbound};
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::UnixMillis;
use crate::outbox::{Datagram, Outbox};
use crate::replica::{Effect, Options, Replica};
use crate::replication::{Body, Entry, Node, Persist};
use crate::tuning::Detection;
use crate::wire::{CHECKSUM_BYTES, Limits};

/// The greatest number of inputs in a batch, as in the pipeline.
const MAX_BATCH: usize = 256;

/// The messages of other replicas that must be answered, by the role of the receiver on arrival.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// The leaders of earlier terms whose appends arrived, with these terms.
    pub stale: Vec<(Id, Term)>,
    /// The replicas that asked for a pre-vote while the receiver did not lead.
    pub pre_votes: Vec<Id>,
    /// The replicas that asked for a vote or a pre-vote while the receiver led.
    pub missed_by: Vec<Id>,
}

impl Arrivals {
    fn clear(&mut self) {
        self.stale.clear();
        self.pre_votes.clear();
        self.missed_by.clear();
    }

    /// Records a message that a replica is about to take in.
    fn note(&mut self, node: &Node, inbound: &Inbound) {
        let Inbound::Peer { from, message } = inbound else { return };
        let leader = match &message.body {
            Body::RequestVote(_) if node.is_leader() => return self.missed_by.push(*from),
            Body::RequestVote(request) if request.pre_vote => return self.pre_votes.push(*from),
            Body::AppendEntries(_) | Body::InstallSnapshot(_) => *from,
            Body::RelayEntries(relay) => relay.leader,
            _ => return,
        };
        if message.term < node.hard_state().current_term && leader != node.id() {
            self.stale.push((leader, message.term));
        }
    }
}

/// One replica, up or down.
#[derive(Debug)]
pub struct Server {
    /// Its disk, or the memory that stands for it where there is none.
    pub disk: Disk,
    /// Counts its starts: events for an earlier life do not reach a later one.
    pub life: u32,
    /// How many faults pause it.
    pub paused: u32,
    /// How many faults pause its sender stage.
    pub clogged: u32,
    /// Whether its consensus stage has been woken.
    pub batch_due: bool,
    /// Whether its sender stage has been woken.
    pub transmit_due: bool,
    /// Whether its next batch hands its leadership over.
    pub hands_over: bool,
    /// The messages of its last batch that it must answer.
    pub arrivals: Arrivals,
    /// The time of its timer.
    pub wake_at: Option<Micros>,
    /// Whether it is down because an operation of its disk failed.
    pub ended_by_disk: bool,
    options: Options,
    max_datagram: usize,
    storage: Storage,
    clock_origin: ClockOrigin,
    clock: Clock,
    wall_clock: WallClock,
    bug: Option<Bug>,
    adapter: Option<Box<dyn Adapter>>, // the bug around it in this life
    began: (Micros, Micros),           // the start of this life: true time, and by its clock
    replica: Option<Replica>,          // None while it is down
    inbox: VecDeque<Inbound>,
    persisted: Option<u64>, // news of the disk
    saved: Vec<EntryId>,    // more news: the snapshots that it has
    known_durable: u64,     // the last change that this life knows to be on disk
    outbox: Outbox,
    waiting: Vec<Outbound>, // messages to replicas, until a coalescing window ends
}

impl Server {
    /// A replica that is down and has never been up, with a bug around it if one is given.
    pub fn new(
        options: Options,
        max_datagram: usize,
        storage: Storage,
        clock_origin: ClockOrigin,
        clock_ppm: i64,
        wall_clock: WallClock,
        bug: Option<Bug>,
    ) -> Self {
        Self {
            outbox: outbox(&options, max_datagram),
            disk: Disk::default(),
            life: 0,
            paused: 0,
            clogged: 0,
            batch_due: false,
            transmit_due: false,
            hands_over: false,
            arrivals: Arrivals::default(),
            wake_at: None,
            ended_by_disk: false,
            options,
            max_datagram,
            storage,
            clock_origin,
            clock: Clock { started_at: 0, origin: 0, ppm: clock_ppm },
            wall_clock,
            bug,
            adapter: None,
            began: (0, 0),
            replica: None,
            inbox: VecDeque::new(),
            persisted: None,
            saved: Vec::new(),
            known_durable: 0,
            waiting: Vec::new(),
        }
    }

    /// Its ID.
    pub fn id(&self) -> Id {
        self.options.own
    }

    /// Its running replica, if it is up.
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// Whether it is up and not paused.
    pub fn runs(&self) -> bool {
        self.replica.is_some() && self.paused == 0
    }

    /// Starts from the state on its disk.
    ///
    /// # Errors
    ///
    /// The reason why it stays down.
    pub fn start(&mut self, now: Micros, rng: &mut Rng) -> Result<(), Refusal> {
        let mut saved = self.disk.recover()?;
        self.life += 1;
        self.ended_by_disk = false;
        self.known_durable = 0;
        self.options.seed = rng.u64(..);
        let origin = match self.clock_origin {
            ClockOrigin::Any => rng.u64(..1 << 40),
            ClockOrigin::Zero => 0,
            ClockOrigin::Running => self.clock.shows(now),
        };
        self.clock = Clock { started_at: now, origin, ..self.clock };
        self.began = (now, origin);
        self.adapter = self.bug.map(Bug::adapter);
        if let Some(adapter) = &mut self.adapter {
            adapter.start(&mut saved.persistent);
        }
        let Options { tuning, ref peers, .. } = self.options;
        let limits = Limits::new(self.max_datagram, tuning.topology, peers.len());
        let mut options = self.options.clone();
        if let Some(adapter) = &mut self.adapter {
            adapter.options(&mut options);
        }
        self.replica = Some(Replica::new(&options, limits, saved, self.clock.shows(now)));
        Ok(())
    }

    /// Stops at once. Its pending inputs and outputs are lost.
    pub fn stop(&mut self) {
        self.replica = None;
        self.inbox.clear();
        self.persisted = None;
        self.saved.clear();
        self.waiting.clear();
        self.outbox = outbox(&self.options, self.max_datagram);
        (self.batch_due, self.transmit_due, self.wake_at) = (false, false, None);
        self.hands_over = false;
    }

    /// From now on its clock runs at this rate.
    pub fn set_clock_rate(&mut self, now: Micros, ppm: i64) {
        self.clock = Clock { started_at: now, origin: self.clock.shows(now), ppm };
    }

    /// The time on its clock.
    pub fn shows(&self, now: Micros) -> Micros {
        self.clock.shows(now)
    }

    /// The date on its wall clock.
    pub fn date(&self, now: Micros) -> UnixMillis {
        self.wall_clock.shows(now)
    }

    /// The start of its last life, in true time and by its clock.
    pub fn began(&self) -> (Micros, Micros) {
        self.began
    }

    /// The time by which its clock advances in a span of true time.
    pub fn own_span(&self, true_us: Micros) -> Micros {
        self.clock.span(true_us)
    }

    /// The true time at which its clock showed this in this life, at its present rate; `None` if
    /// that is not known.
    pub fn when_shown(&self, shown: Micros) -> Option<Micros> {
        (shown >= self.clock.origin).then(|| self.clock.when(shown))
    }

    /// The end of its lease, in true time: until then it serves reads without a round of messages.
    pub fn leased_until(&self) -> Option<Micros> {
        let shown = self.replica.as_ref()?.node().leased_until()?;
        Some(self.clock.when(shown))
    }

    /// An input arrived.
    pub fn receive(&mut self, inbound: Inbound) {
        self.inbox.push_back(inbound);
    }

    /// All changes up to this number are on disk.
    pub fn synced(&mut self, number: u64) {
        self.persisted = Some(number);
    }

    /// The snapshot with this last entry is on disk.
    pub fn saved(&mut self, id: EntryId) {
        self.saved.push(id);
    }

    /// Its behaviour when a sync fails.
    pub fn after_failed_sync(&self) -> AfterFailedSync {
        self.adapter.as_ref().map_or(AfterFailedSync::End, |adapter| adapter.after_failed_sync())
    }

    /// Whether it takes a snapshot for saved before the directory is synced.
    pub fn skips_directory_sync(&self) -> bool {
        self.adapter.as_ref().is_some_and(|adapter| adapter.skips_directory_sync())
    }

    /// How it detects that its leader is dead.
    pub fn detection(&self) -> Detection {
        self.options.tuning.detection
    }

    /// Whether it has a disk, for which its messages may wait.
    pub fn has_disk(&self) -> bool {
        self.storage != Storage::Memory
    }

    /// Whether it knows that its disk has this change of this life. Without a disk, it always does.
    pub fn knows_durable(&self, number: u64) -> bool {
        !self.has_disk() || number <= self.known_durable
    }

    /// The consensus stage: one batch. Returns the effects that are to be performed.
    pub fn batch(&mut self, now: Micros) -> Vec<Effect> {
        let unix = self.wall_clock.shows(now);
        let now = self.clock.shows(now);
        let Some(replica) = &mut self.replica else { return Vec::new() };
        replica.set_wall_clock(now, unix);
        if let Some(number) = self.persisted.take() {
            self.known_durable = number;
            replica.persisted(now, number);
        }
        for id in self.saved.drain(..) {
            replica.snapshot_saved(now, id);
        }
        let size = self.inbox.len().min(self.options.tuning.batch_of(MAX_BATCH));
        self.arrivals.clear();
        for inbound in self.inbox.drain(..size) {
            self.arrivals.note(replica.node(), &inbound);
            match &mut self.adapter {
                None => replica.handle(now, inbound),
                Some(adapter) => {
                    let inputs = adapter.input(replica, now, inbound);
                    inputs.into_iter().for_each(|inbound| replica.handle(now, inbound));
                }
            }
        }
        if std::mem::take(&mut self.hands_over) {
            replica.transfer_leadership(now);
        }
        replica.tick(now);
        let mut effects =
            if self.storage != Storage::Memory { replica.finish(now) } else { self.finish_in_memory(now) };
        if let (Some(adapter), Some(replica)) = (&mut self.adapter, &mut self.replica) {
            adapter.output(replica, now, &mut effects);
        }
        effects
    }

    /// Ends a batch where there is no disk.
    fn finish_in_memory(&mut self, now: Micros) -> Vec<Effect> {
        let mut sent = Vec::new();
        if let Some(replica) = &mut self.replica {
            replica.finish_in_memory(now, &mut sent);
        }
        let change = self.memory_change();
        let base = self.replica.as_ref().map(|replica| replica.node().log().base());
        // Without a disk, memory is as durable at once as it will ever be.
        self.disk.mirror(change.clone(), base.unwrap_or_default());
        change.map(Effect::Persist).into_iter().chain(sent.into_iter().map(Effect::Send)).collect()
    }

    /// The change in memory since the last batch, as a disk would receive it.
    fn memory_change(&self) -> Option<Persist> {
        let (node, before) = (self.replica.as_ref()?.node(), self.disk.log());
        let (hard_state, log) = (node.hard_state(), node.log());
        let base = Some(log.base()).filter(|base| !before.contains(*base));
        // Logs that have an entry in common have all entries before it in common (paper, 5.3).
        let is_kept = |entry: &Entry| entry.index <= log.base().index || log.contains(entry.id());
        let kept = before.entries.partition_point(is_kept) as Index;
        let first_index = base.map_or(before.base.index + kept, |base| base.index) + 1;
        let is_same = base.is_none()
            && first_index > before.last().index
            && first_index > log.last_index()
            && hard_state == before.hard_state;
        let entries = log.entries().iter().filter(|entry| entry.index >= first_index).cloned().collect();
        let number = self.disk.sync_number() + 1;
        (!is_same).then_some(Persist { number, hard_state, base, first_index, entries })
    }

    /// Its memory forgets the entries that its log has compacted, once the rules have seen them.
    pub fn forget_compacted(&mut self) {
        if let Some(replica) = &self.replica {
            self.disk.forget_up_to(replica.node().log().base());
        }
    }

    /// Whether another batch waits already.
    pub fn has_input(&self) -> bool {
        !self.inbox.is_empty() || self.persisted.is_some() || !self.saved.is_empty()
    }

    /// The time of its next action if no input arrives, in true time.
    pub fn deadline(&self) -> Option<Micros> {
        Some(self.clock.when(self.replica.as_ref()?.deadline()))
    }

    /// Takes over an output. With a coalescing window, messages for other replicas wait. The first
    /// of them opens the window, whose length is returned.
    pub fn push(&mut self, outbound: Outbound) -> Option<Micros> {
        let window_us = self.options.tuning.coalesce_window_us;
        if window_us == 0 || !matches!(outbound, Outbound::Peer { .. }) {
            self.outbox.push(outbound);
            return None;
        }
        self.waiting.push(outbound);
        (self.waiting.len() == 1).then_some(window_us)
    }

    /// The coalescing window ends: the waiting messages go into the outbox.
    pub fn release(&mut self) {
        self.waiting.drain(..).for_each(|outbound| self.outbox.push(outbound));
    }

    /// The sender stage: the next datagram.
    pub fn take_datagram(&mut self) -> Option<Datagram> {
        let mut datagram = self.outbox.take();
        if let (Some(adapter), Some(Datagram::Peer { messages, .. })) = (&mut self.adapter, &mut datagram) {
            adapter.datagram(messages);
        }
        datagram
    }
}

/// An empty outbox for datagrams that are not longer without their checksums.
fn outbox(options: &Options, max_datagram: usize) -> Outbox {
    Outbox::new(options.own, max_datagram + CHECKSUM_BYTES, options.tuning.coalesce)
}
