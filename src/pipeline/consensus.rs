//! The second stage: the only thread that ever touches terms, log and state machine. It takes all
//! that has arrived as one batch, steps the replica for each, and gives away what comes out as one batch. While there
//! is little to do it has the two other stages with it, and receives and sends by itself.

use std::time::Duration;

use tracing::debug;

use super::StageFailed;
use super::counts::Counts;
use super::load::Load;
use super::receiver::Taken;
use super::stages::{Stages, weight_of};
use crate::clock::BootTime;
use crate::exchange::{Inbound, Outbound};
use crate::micros::Micros;
use crate::replica::Replica;

/// How many inputs make a batch at most, so that timers and the sender get their turn.
pub(super) const MAX_BATCH: usize = 256;

/// How many messages, and how many bytes of them, may wait for a sender that is stuck before no more
/// are taken in. What a simulator does not read so pushes back to it.
const MAX_BACKLOG: usize = 4_096;
const MAX_BACKLOG_BYTES: usize = 8 * 1024 * 1024;

/// How soon a full outbox is tried again.
const RETRY_US: Micros = 1_000;

/// The consensus stage. The time of the core is microseconds of [`BootTime`].
pub(super) struct Consensus {
    replica: Replica,
    max_batch: usize,
    due: Micros, // when the replica had something to do if nothing arrived, as it said before the last wait
    stages: Stages,
    load: Load,
    waiting: Vec<Inbound>,  // what was taken in and not stepped yet
    backlog: Vec<Outbound>, // what the sender did not take
    counts: Counts,
}

impl Consensus {
    pub(super) fn new(replica: Replica, max_batch: usize, stages: Stages) -> Self {
        Self {
            replica,
            max_batch,
            due: 0,
            stages,
            load: Load::default(),
            waiting: Vec::new(),
            backlog: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Runs until the transport is closed, then answers what is owed. Returns the replica too: to
    /// free what it holds may take seconds, and the process need not wait for that.
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
            // The clock is read after the last input arrived: what it shows is later than every one of them.
            let now = BootTime::now().as_micros();
            for inbound in self.waiting.drain(..arrived.min(self.max_batch)) {
                self.replica.handle(now, inbound);
            }
            if now >= self.due {
                self.replica.tick(now);
            }
            self.replica.finish_in_memory(now, &mut self.backlog);
            self.counts.overflowed += self.stages.send(&mut self.backlog)?;
            if let Some(taken) = taken {
                self.balance(now, arrived, taken);
            }
        }
    }

    /// Waits for an input or a timer and takes what else is there.
    fn collect(&mut self) -> Result<Taken, StageFailed> {
        if self.backlog.len() >= MAX_BACKLOG || weight_of(&self.backlog) >= MAX_BACKLOG_BYTES {
            std::thread::sleep(Duration::from_micros(RETRY_US));
            return Ok(Taken::All);
        }
        self.due = self.replica.deadline();
        let timer = BootTime::from_micros(self.wake_at());
        let until = self.stages.due().map_or(timer, |due| due.min(timer));
        self.stages.receive(MAX_BATCH, until, &mut self.waiting)
    }

    fn wake_at(&self) -> Micros {
        let retry =
            if self.backlog.is_empty() { Micros::MAX } else { BootTime::now().as_micros() + RETRY_US };
        let look = if self.stages.are_here() { Micros::MAX } else { self.load.until() };
        self.due.min(retry).min(look)
    }

    /// Lends the other stages when there is much to do, and calls them back when there is little.
    fn balance(&mut self, now: Micros, arrived: usize, taken: Taken) {
        if self.stages.are_here() {
            if self.load.is_too_much(now, taken == Taken::Full) {
                self.counts.busy += 1;
                self.stages.lend();
            }
        } else if self.load.is_little(now, arrived) {
            self.stages.call_back();
        }
    }
}
