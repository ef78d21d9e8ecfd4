//! The other stages, and the policy that decides where they run.
//!
//! * An idle replica runs them inline: nothing is handed from thread to thread, which is what costs
//!   most when there is little to do.
//! * Under load, and when the network takes no more, they are offloaded.
//! * The sender and the receiver return one after the other: first the sender, once it has sent all
//!   that it was handed, then the receiver, together with the next datagram. So while the receiver is
//!   inline, the sender is too, and the consensus thread never waits for the network while messages
//!   could come from elsewhere. An offloaded log writer ends such a wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::counts::Counts;
use super::disk::{Disk, LogWriter};
use super::offload::{Event, Offloadable, Stage};
use super::receiver::{self, Receiver, Taken};
use super::sender::{Sender, WhenFull};
use super::{StageFailed, guard};
use crate::clock::BootTime;
use crate::exchange::{Inbound, Outbound};
use crate::micros::Micros;
use crate::view::{DiskView, QueuesView};

#[cfg(test)]
mod tests;

/// How long the consensus thread waits for a sender that it has recalled: many times longer than
/// the sender takes, unless it is stuck.
const RETURN_LIMIT: Duration = Duration::from_millis(1);

/// How many messages are kept for a recalled sender that does not return.
const MAX_KEPT: usize = 1_024;

/// The other stages, as the consensus thread sees them.
pub(super) struct Stages {
    receiver: Offloadable<Receiver>,
    sender: Offloadable<Sender>,
    disk: Option<Disk>,       // None for a replica that is in memory only
    rejected: Arc<AtomicU64>, // the receiver's
}

impl Stages {
    pub(super) fn new(
        receiver: Offloadable<Receiver>,
        sender: Offloadable<Sender>,
        disk: Option<Disk>,
    ) -> Self {
        let rejected = receiver.inline().map(Receiver::rejected).unwrap_or_default();
        Self { receiver, sender, disk, rejected }
    }

    /// The disk, if the replica has one.
    pub(super) fn disk(&mut self) -> Option<&mut Disk> {
        self.disk.as_mut()
    }

    /// The work of the disk, and what waits for the stages or was dropped by them.
    pub(super) fn view(&self) -> (Option<DiskView>, QueuesView) {
        let (changes, changes_bytes) = self.disk.as_ref().map(Disk::waiting).unwrap_or_default();
        let rejected = self.rejected.load(Ordering::Relaxed);
        let offloaded = !self.are_inline();
        let queues = QueuesView { offloaded, changes, changes_bytes, rejected, ..QueuesView::default() };
        (self.disk.as_ref().map(Disk::view), queues)
    }

    /// Whether this thread does all the work.
    pub(super) fn are_inline(&self) -> bool {
        self.receiver.is_inline()
    }

    /// Waits until then for messages, and takes those that are there, at most about so many.
    pub(super) fn receive(
        &mut self,
        most: usize,
        until: BootTime,
        into: &mut Vec<Inbound>,
    ) -> Result<Taken, StageFailed> {
        let inline = |receiver: &mut Receiver| receiver.receive(most, receiver::MAX_BYTES, Some(until), into);
        if let Some(taken) = self.receiver.run_inline(inline) {
            return taken;
        }
        let mut event = match &self.disk {
            Some(disk) => {
                self.receiver.wait_for_either(disk.log(), until);
                self.receiver.try_next()
            }
            None => self.receiver.next_until(until),
        };
        loop {
            match event {
                Event::Output(mut messages) => into.append(&mut messages),
                Event::Returned => {
                    if !self.sender.is_inline() {
                        self.receiver.offload(None); // the network took no more while the receiver was returning
                    }
                    return Ok(Taken::All);
                }
                Event::Nothing => return Ok(Taken::All),
                Event::Ended | Event::Gone => return Ok(Taken::Closed),
            }
            if into.len() >= most {
                return Ok(Taken::Full);
            }
            event = self.receiver.try_next();
        }
    }

    /// Takes over a batch, and sends it if the sender is inline, or hands it to the sender's
    /// thread. It never waits for the network. Messages that are left in the batch must be offered
    /// again. Returns how many messages to replicas were dropped because the sender is stuck.
    pub(super) fn send(&mut self, batch: &mut Vec<Outbound>) -> Result<u64, StageFailed> {
        self.sender.wait_for_return(RETURN_LIMIT);
        let inline = |sender: &mut Sender| {
            sender.take(batch.drain(..));
            sender.send(WhenFull::KeepRest)
        };
        if let Some(has_sent_all) = self.sender.run_inline(inline) {
            if !has_sent_all? {
                self.offload(); // the sender's own thread may wait for the network
            }
            return Ok(0);
        }
        if batch.is_empty() || (self.sender.is_recalled() && batch.len() <= MAX_KEPT) {
            return Ok(0);
        }
        let Err(refused) = self.sender.hand_over(std::mem::take(batch)) else { return Ok(0) };
        *batch = refused;
        Ok(drop_peer_messages(batch))
    }

    /// When the log writer may return although the replica is idle.
    pub(super) fn disk_due(&self) -> Option<Micros> {
        self.disk.as_ref().and_then(Disk::due)
    }

    /// When the sender is due to send although no message was handed over.
    pub(super) fn due(&self) -> Option<BootTime> {
        self.sender.inline().and_then(Sender::due)
    }

    /// Moves them to their own threads.
    pub(super) fn offload(&mut self) {
        self.sender.offload(None);
        self.receiver.offload(None);
        self.disk.iter_mut().for_each(Disk::offload);
    }

    /// Recalls the log writer and the sender or, once that is inline, the receiver.
    pub(super) fn recall(&mut self, now: Micros) {
        self.disk.iter_mut().for_each(|disk| disk.recall(now));
        if self.sender.is_inline() {
            self.receiver.recall();
        } else if self.sender.has_taken_all() {
            self.sender.recall();
        }
    }

    /// Makes durable what waits for the disk, sends every message that is left, also one that waits
    /// for the window, and ends the stages.
    pub(super) fn end(self, owed: Vec<Outbound>, counts: &mut Counts) -> Result<(), StageFailed> {
        if let Some(disk) = self.disk {
            guard(LogWriter::NAME, || disk.end(counts))?;
        }
        // A stage that does not return has failed on its own thread, which reports it.
        if let Some(mut sender) = self.sender.into_stage() {
            guard(Sender::NAME, || {
                sender.take(owed);
                sender.finish()
            })?;
            sender.report(counts);
        }
        if let Some(receiver) = self.receiver.into_stage() {
            receiver.report(counts);
        }
        Ok(())
    }
}

/// Keeps only the answers to clients, and the messages on their behalf. Raft can bear the loss of its
/// own messages.
fn drop_peer_messages(batch: &mut Vec<Outbound>) -> u64 {
    let before = batch.len();
    batch.retain(|outbound| !matches!(outbound, Outbound::Peer { .. }));
    (before - batch.len()) as u64
}
