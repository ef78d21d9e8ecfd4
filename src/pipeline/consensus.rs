//! The second stage: the only thread that ever touches terms, log and state machine. It takes all
//! inputs that have arrived as one batch, steps the replica for each, and hands over the replica's
//! messages as one batch. While there is little to do, the two other stages run inline on its
//! thread.

use std::time::Duration;

use tracing::debug;

use super::StageFailed;
use super::counts::Counts;
use super::disk::{Change, Disk, News};
use super::load::Load;
use super::publisher::Publisher;
use super::receiver::Taken;
use super::sender::weight_of;
use super::stages::Stages;
use super::times::Times;
use crate::clock::{BootTime, unix_millis};
use crate::exchange::{Inbound, Outbound};
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::view::QueuesView;

/// How many inputs make a batch at most, so that timers and the sender get their turn.
pub(super) const MAX_BATCH: usize = 256;

/// How many messages, and how many bytes of them, may wait for a sender that is stuck before no
/// more inputs are taken in: a simulator that does not read is pushed back.
const MAX_BACKLOG: usize = 4_096;
const MAX_BACKLOG_BYTES: usize = 8 * 1024 * 1024;

/// How soon a full outbox is tried again.
const RETRY_US: Micros = 1_000;

/// The consensus stage. The time of the core is microseconds of [`BootTime`].
pub(super) struct Consensus {
    replica: Replica,
    max_batch: usize,
    stages: Stages,
    load: Load,
    waiting: Vec<Inbound>,  // inputs that were taken in and not stepped yet
    backlog: Vec<Outbound>, // messages that the sender did not take
    counts: Counts,
    publisher: Option<Publisher>,
    times: Times,
}

impl Consensus {
    pub(super) fn new(
        replica: Replica,
        max_batch: usize,
        stages: Stages,
        publisher: Option<Publisher>,
        times: Times,
    ) -> Self {
        Self {
            replica,
            max_batch,
            stages,
            load: Load::default(),
            waiting: Vec::new(),
            backlog: Vec::new(),
            counts: Counts::default(),
            publisher,
            times,
        }
    }

    /// Runs until the transport is closed, then answers every request that still waits. Returns the
    /// replica too: to free its memory may take seconds, and the process need not wait for that.
    pub(super) fn run(mut self) -> (Result<Counts, StageFailed>, Replica) {
        let served = self.serve();
        let Self { mut replica, stages, mut backlog, mut counts, .. } = self;
        let ended = served.and_then(|()| {
            backlog.extend(replica.stop().into_iter().map(Outbound::Client));
            debug!(answers = backlog.len(), "stops");
            stages.end(backlog, &mut counts)
        });
        (ended.map(|()| counts), replica)
    }

    fn serve(&mut self) -> Result<(), StageFailed> {
        loop {
            let taken = if self.waiting.is_empty() { Some(self.collect()?) } else { None };
            let arrived = self.waiting.len();
            if taken == Some(Taken::Closed) && arrived == 0 {
                return Ok(());
            }
            // The clock is read after the last input arrived, so its time is later than all of
            // them.
            let now = BootTime::now().as_micros();
            self.replica.set_wall_clock(now, unix_millis());
            if self.publisher.as_ref().is_some_and(Publisher::retires) {
                self.replica.retire();
            }
            let inputs = self.waiting.drain(..arrived.min(self.max_batch));
            if let Some(disk) = self.stages.disk() {
                while let Some(news) = disk.news() {
                    match news {
                        News::Persisted(number) => self.replica.persisted(now, number),
                        News::Saved(id) => self.replica.snapshot_saved(now, id),
                    }
                }
                inputs.for_each(|inbound| self.replica.handle(now, inbound));
                self.replica.tick(now);
                let began = Some(BootTime::from_micros(now));
                let stepped = self.times.count(|times| &times.consensus, began);
                self.finish(now, stepped)?;
            } else {
                self.replica.step_in_memory(now, inputs, &mut self.backlog);
                self.counts.overflowed += self.stages.send(&mut self.backlog)?;
            }
            self.publish(now);
            if let Some(taken) = taken {
                self.balance(now, arrived, taken);
            }
        }
    }

    /// Ends a batch of a replica with a disk. Messages that need not wait for the disk leave before the
    /// log writer begins, so that the followers' disks work at the same time as this one.
    fn finish(&mut self, mut now: Micros, mut began: Option<BootTime>) -> Result<(), StageFailed> {
        loop {
            let effects = self.replica.finish(now);
            self.times.count(|times| &times.apply, began);
            for effect in effects {
                match (effect, self.stages.disk()) {
                    (Effect::Send(outbound), _) => self.backlog.push(outbound),
                    (Effect::Persist(persist), Some(disk)) => disk.change(Change::Persist(persist)),
                    (Effect::Compact(base), Some(disk)) => disk.change(Change::Compact(base)),
                    (Effect::SaveSnapshot(snapshot), Some(disk)) => disk.save(snapshot),
                    (Effect::Persist(_) | Effect::Compact(_) | Effect::SaveSnapshot(_), None) => {}
                }
            }
            self.counts.overflowed += self.stages.send(&mut self.backlog)?;
            let written = self.stages.disk().map_or(Ok(None), Disk::write)?;
            let Some(number) = written else { return Ok(()) };
            let written_at = BootTime::now();
            now = written_at.as_micros();
            began = Some(written_at);
            self.replica.persisted(now, number);
        }
    }

    /// Waits for an input or a timer, and takes all inputs that are there.
    fn collect(&mut self) -> Result<Taken, StageFailed> {
        let is_behind = self.stages.disk().is_some_and(|disk| disk.is_behind());
        if is_behind || self.backlog.len() >= MAX_BACKLOG || weight_of(&self.backlog) >= MAX_BACKLOG_BYTES {
            std::thread::sleep(Duration::from_micros(RETRY_US));
            return Ok(Taken::All);
        }
        let timer = BootTime::from_micros(self.wake_at());
        let until = self.stages.due().map_or(timer, |due| due.min(timer));
        self.stages.receive(MAX_BATCH, until, &mut self.waiting)
    }

    fn wake_at(&self) -> Micros {
        let retry =
            if self.backlog.is_empty() { Micros::MAX } else { BootTime::now().as_micros() + RETRY_US };
        let look = if self.stages.are_inline() { Micros::MAX } else { self.load.until() };
        let disk = self.stages.disk_due().unwrap_or(Micros::MAX);
        let view = self.publisher.as_ref().map_or(Micros::MAX, Publisher::due);
        self.replica.deadline().min(retry).min(look).min(disk).min(view)
    }

    /// Shows the replica after a batch, if that is due.
    fn publish(&mut self, now: Micros) {
        let Some(publisher) = &mut self.publisher else { return };
        if publisher.is_due(now, &self.replica) {
            let (disk, queues) = self.stages.view();
            let (inputs, outputs) = (self.waiting.len(), self.backlog.len());
            let Counts { busy: offloads, overflowed: dropped, .. } = self.counts;
            let queues = QueuesView { inputs, outputs, offloads, dropped, ..queues };
            publisher.publish(now, &self.replica, (disk, queues, self.times.view()));
        }
    }

    /// Offloads the other stages when there is much to do, and recalls them when there is little.
    fn balance(&mut self, now: Micros, arrived: usize, taken: Taken) {
        if self.stages.disk_due().is_some_and(|due| due <= now) && self.stages.are_inline() {
            self.stages.disk().into_iter().for_each(|disk| disk.recall(now));
        }
        if self.stages.are_inline() {
            if self.load.is_too_much(now, taken == Taken::Full) {
                self.counts.busy += 1;
                self.stages.offload();
            }
        } else if self.load.is_little(now, arrived) {
            self.stages.recall(now);
        }
    }
}
