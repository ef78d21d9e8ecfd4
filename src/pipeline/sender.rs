//! The third stage: takes what the consensus stage hands over, lets the outbox merge and pack it per
//! destination, and sends it. It adds no delay, unless the tuning has a window: then messages to replicas wait
//! so long for others that may travel with them.
//!
//! Answers to clients never wait for the window, so they overtake messages to replicas. That is safe: an answer promises
//! only what a quorum has stored already, and a message to a replica may always be late. Among themselves, answers leave in
//! the order in which they were handed over, and so do the messages to one replica.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel as channel;

use super::counts::Counts;
use crate::clock::BootTime;
use crate::exchange::Outbound;
use crate::outbox::Outbox;
use crate::transport::Transport;

/// The sender stage. Whoever has it sends.
pub(super) struct Sender {
    transport: Arc<dyn Transport>,
    outbox: Outbox,
    window: Duration,
    due: Option<BootTime>, // when the messages to replicas must go that are in the outbox; None if none waits
    buffer: Vec<u8>,
    is_unsent: bool, // the network did not take what is in the buffer
    is_gone: bool,   // the other side of the network is gone: there is nobody to send to
    sent: u64,
}

/// What a sender does when the network takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It keeps the rest for later.
    None,
    /// It waits.
    Endless,
}

impl Sender {
    pub(super) fn new(transport: Arc<dyn Transport>, outbox: Outbox, window: Duration) -> Self {
        let (due, buffer, is_unsent, is_gone, sent) = (None, Vec::new(), false, false, 0);
        Self { transport, outbox, window, due, buffer, is_unsent, is_gone, sent }
    }

    /// Takes over something to send.
    pub(super) fn take(&mut self, batch: impl IntoIterator<Item = Outbound>) {
        let mut has_peer = false;
        for outbound in batch {
            has_peer |= matches!(outbound, Outbound::Peer { .. });
            self.outbox.push(outbound);
        }
        if has_peer && self.due.is_none() && !self.window.is_zero() {
            self.due = Some(BootTime::now() + self.window);
        }
    }

    /// When [`send`](Self::send) is due if nothing else is to be sent before.
    pub(super) fn due(&self) -> Option<BootTime> {
        self.due
    }

    /// Sends what is to be sent by now; false if the network did not take all of it.
    ///
    /// # Errors
    ///
    /// What the transport reports, if it does not mean that the other side is gone.
    pub(super) fn send(&mut self, patience: Patience) -> io::Result<bool> {
        let waits_for_more = self.due.is_some_and(|due| BootTime::now() < due);
        if !waits_for_more {
            self.due = None;
        }
        self.send_all(patience, waits_for_more)
    }

    /// Sends everything that there is, and waits for the network if it must.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.send_all(Patience::Endless, false).map(drop)
    }

    fn send_all(&mut self, patience: Patience, only_answers: bool) -> io::Result<bool> {
        while self.is_unsent || self.encode_next(only_answers) {
            let result = match patience {
                _ if self.is_gone => Ok(()),
                Patience::None => self.transport.try_send(&self.buffer),
                Patience::Endless => self.transport.send(&self.buffer),
            };
            match result {
                Ok(()) => self.sent += u64::from(!self.is_gone),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_unsent = true;
                    return Ok(false);
                }
                // Without a network, no stage is of use.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.is_gone = true;
                    self.transport.stop();
                }
                Err(error) => return Err(error),
            }
            self.is_unsent = false;
        }
        Ok(true)
    }

    fn encode_next(&mut self, only_answers: bool) -> bool {
        if only_answers {
            self.outbox.next_answer(&mut self.buffer)
        } else {
            self.outbox.next(&mut self.buffer)
        }
    }

    /// Adds what was counted.
    pub(super) fn tell(self, counts: &mut Counts) {
        counts.sent = self.sent;
        counts.outbox = self.outbox.counts();
    }
}

/// The stage on loan.
pub(super) struct Loan {
    /// The stage.
    pub(super) sender: Box<Sender>,
    /// What it is to send. When this ends, the stage is called back.
    pub(super) batches: channel::Receiver<Batch>,
    /// Bytes of the batches that were handed over and are not sent yet.
    pub(super) unsent_bytes: Arc<AtomicUsize>,
}

/// What is handed over at once.
pub(super) struct Batch {
    /// What is to be sent, in order.
    pub(super) messages: Vec<Outbound>,
    /// About how many bytes it takes in memory.
    pub(super) bytes: usize,
}

/// The sender thread: waits until it is lent the stage, sends all batches until there will be no
/// more of them, and gives the stage back.
///
/// # Errors
///
/// What the transport reports.
pub(super) fn run(loans: &channel::Receiver<Loan>, back: &channel::Sender<Box<Sender>>) -> io::Result<()> {
    for Loan { mut sender, batches, unsent_bytes } in loans {
        let mut taken_bytes = 0;
        loop {
            sender.send(Patience::Endless)?;
            unsent_bytes.fetch_sub(std::mem::take(&mut taken_bytes), Ordering::Relaxed);
            let batch = match sender.due() {
                Some(due) => batches.recv_timeout(due.left()),
                None => batches.recv().map_err(Into::into),
            };
            match batch {
                Ok(batch) => {
                    for batch in std::iter::once(batch).chain(batches.try_iter()) {
                        taken_bytes += batch.bytes;
                        sender.take(batch.messages);
                    }
                }
                Err(channel::RecvTimeoutError::Timeout) => {}
                Err(channel::RecvTimeoutError::Disconnected) => break,
            }
        }
        if back.send(sender).is_err() {
            break;
        }
    }
    Ok(())
}
