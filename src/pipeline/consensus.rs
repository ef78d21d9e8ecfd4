//! The second stage: the only thread that ever touches terms, log and state machine. It
//! takes all that waits in its inbox as one batch, steps the replica for each, and hands what comes out
//! to the sender stage as one batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use tracing::debug;

use super::statistics::Statistics;
use crate::raft::types::Micros;
use crate::replica::Replica;
use crate::wire::{Inbound, Outbound};

/// How many inputs make a batch at most, so that timers and the sender get their turn.
pub(super) const MAX_BATCH: usize = 256;

/// How many answers may wait for a sender that is stuck before no more requests are taken in.
const MAX_BACKLOG: usize = 65_536;

/// How soon a full outbox is tried again.
const RETRY_US: Micros = 1_000;

/// Time for the core: microseconds since the pipeline was started.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Micros {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    fn instant(self, at: Micros) -> Instant {
        self.0 + Duration::from_micros(at)
    }
}

/// The consensus stage.
pub(super) struct Consensus {
    replica: Replica,
    max_batch: usize,
    clock: Clock,
    inbox: Receiver<Inbound>,
    outbox: Sender<Vec<Outbound>>,
    statistics: Arc<Statistics>,
    backlog: Vec<Outbound>, // answers that did not fit into the outbox
}

impl Consensus {
    /// `replica` was created at time 0 of the clock that starts here.
    pub(super) fn new(
        replica: Replica,
        max_batch: usize,
        inbox: Receiver<Inbound>,
        outbox: Sender<Vec<Outbound>>,
        statistics: Arc<Statistics>,
    ) -> Self {
        let clock = Clock(Instant::now());
        Self { replica, max_batch, clock, inbox, outbox, statistics, backlog: Vec::new() }
    }

    /// Runs until the receiver stage is gone, then answers what is owed.
    pub(super) fn run(mut self) {
        let mut batch = Vec::with_capacity(self.max_batch);
        while self.collect(&mut batch) {
            // The clock is read after the last input arrived: what it shows is later than every one of them.
            let now = self.clock.now();
            for inbound in batch.drain(..) {
                self.replica.handle(now, inbound);
            }
            let out = self.replica.finish_in_memory(now);
            self.hand_over(out);
        }
        self.backlog.extend(self.replica.stop().into_iter().map(Outbound::Client));
        debug!(answers = self.backlog.len(), "stops");
        // The one send that may wait: the sender gives up by itself when its transport is closed.
        let _sender_is_gone = self.outbox.send(self.backlog).is_err();
    }

    /// Waits for an input or a timer and takes what else is there; false when there will be no more.
    fn collect(&self, batch: &mut Vec<Inbound>) -> bool {
        if self.backlog.len() >= MAX_BACKLOG {
            std::thread::sleep(Duration::from_micros(RETRY_US));
            return true;
        }
        match self.inbox.recv_deadline(self.clock.instant(self.wake_at())) {
            Ok(first) => batch.push(first),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        batch.extend(self.inbox.try_iter().take(self.max_batch - 1));
        true
    }

    fn wake_at(&self) -> Micros {
        let retry = if self.backlog.is_empty() { Micros::MAX } else { self.clock.now() + RETRY_US };
        self.replica.deadline().min(retry)
    }

    /// Gives a batch to the sender without ever waiting for it. While the sender is stuck,
    /// messages to replicas are as good as lost, which Raft can bear; answers wait here.
    fn hand_over(&mut self, mut out: Vec<Outbound>) {
        self.backlog.append(&mut out);
        if self.backlog.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(mut backlog)) = self.outbox.try_send(std::mem::take(&mut self.backlog))
        {
            let before = backlog.len();
            backlog.retain(|outbound| matches!(outbound, Outbound::Client(_)));
            self.statistics.lock().overflowed += (before - backlog.len()) as u64;
            self.backlog = backlog;
        }
    }
}
