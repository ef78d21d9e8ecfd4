//! The third stage: takes the messages that the consensus stage hands over, lets the outbox merge
//! and pack them per destination, and sends them. It adds no delay, unless the tuning has a
//! coalescing window: then a message to a replica waits that long for others that may travel with
//! it.
//!
//! An answer to a client never waits for the window, nor does a message on behalf of a client, so
//! they overtake messages to replicas. That is safe: an answer rests only on entries that a quorum
//! has stored already, and a message to a replica may always be late. Answers leave in the order in which they were handed over, and so do
//! the messages to one replica.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::counts::Counts;
use super::offload::{Capacity, Port, Stage, Waited};
use super::times::Times;
use crate::clock::BootTime;
use crate::exchange::Outbound;
use crate::outbox::Outbox;
use crate::request::{Outcome, Response};
use crate::transport::{Address, Transport};

/// How many batches, and how many bytes of them, may wait for an offloaded sender.
const MAX_WAITING_BATCHES: usize = 1_024;
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// About how many bytes a message takes in memory besides its texts.
const MESSAGE_BYTES: usize = 128;

/// The sender stage. Its owner sends.
pub(super) struct Sender {
    transport: Arc<dyn Transport>,
    outbox: Outbox,
    window: Duration,
    due: Option<BootTime>, // the end of the window, if messages to replicas wait for it
    buffer: Vec<u8>,
    unsent: Option<Address>, // the destination of the datagram in the buffer, if the network did not take it
    is_gone: bool,           // the other side of the network is gone, so nothing reaches it
    sent: u64,
    times: Times,
}

/// The behaviour of a sender when the network takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// It keeps the rest for later.
    KeepRest,
    /// It waits.
    Wait,
}

impl Sender {
    pub(super) fn new(transport: Arc<dyn Transport>, outbox: Outbox, window: Duration) -> Self {
        let (due, buffer, unsent, is_gone, sent) = (None, Vec::new(), None, false, 0);
        Self { transport, outbox, window, due, buffer, unsent, is_gone, sent, times: Times::default() }
    }

    /// The same, which counts its times.
    pub(super) fn timed(self, times: &Times) -> Self {
        Self { times: times.clone(), ..self }
    }

    /// Takes over messages to send.
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

    /// When [`send`](Self::send) is due if no message is handed over before.
    pub(super) fn due(&self) -> Option<BootTime> {
        self.due
    }

    /// Sends every message that need not wait for the window; false if the network did not take all
    /// of them.
    ///
    /// # Errors
    ///
    /// The error of the transport, unless it says that the other side is gone.
    pub(super) fn send(&mut self, when_full: WhenFull) -> io::Result<bool> {
        let waits_for_more = self.due.is_some_and(|due| BootTime::now() < due);
        if !waits_for_more {
            self.due = None;
        }
        self.send_all(when_full, waits_for_more)
    }

    /// Sends every message, also one that waits for the window, and waits while the network takes
    /// no more.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.send_all(WhenFull::Wait, false).map(drop)
    }

    fn send_all(&mut self, when_full: WhenFull, only_answers: bool) -> io::Result<bool> {
        let (began, sent) = (self.times.begin(), self.sent);
        let result = self.send_rows(when_full, only_answers);
        self.times.count(|times| &times.send, began.filter(|_| self.sent > sent));
        result
    }

    fn send_rows(&mut self, when_full: WhenFull, only_answers: bool) -> io::Result<bool> {
        let Some(first) = self.unsent.take().or_else(|| self.encode_next(only_answers)) else {
            return Ok(true);
        };
        self.transport.gather();
        let result = self.send_row(first, when_full, only_answers);
        self.transport.flush();
        result
    }

    /// Sends the datagram in the buffer, and all behind it.
    fn send_row(&mut self, first: Address, when_full: WhenFull, only_answers: bool) -> io::Result<bool> {
        let mut next = Some(first);
        while let Some(to) = next {
            let result = match when_full {
                _ if self.is_gone => Ok(()),
                WhenFull::KeepRest => self.transport.try_send(to, &self.buffer),
                WhenFull::Wait => self.transport.send(to, &self.buffer),
            };
            match result {
                Ok(()) => self.sent += u64::from(!self.is_gone),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = Some(to);
                    return Ok(false);
                }
                // Without a network, no stage is of use.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.is_gone = true;
                    self.transport.stop();
                }
                Err(error) => return Err(error),
            }
            next = self.encode_next(only_answers);
        }
        Ok(true)
    }

    fn encode_next(&mut self, only_answers: bool) -> Option<Address> {
        if only_answers {
            self.outbox.next_answer(&mut self.buffer)
        } else {
            self.outbox.next(&mut self.buffer)
        }
    }

    /// Adds its counts.
    pub(super) fn report(self, counts: &mut Counts) {
        counts.sent = self.sent;
        counts.outbox = self.outbox.counts();
    }
}

impl Stage for Sender {
    const NAME: &'static str = "sender";

    const CAPACITY: Capacity =
        Capacity { inputs: MAX_WAITING_BATCHES, input_bytes: MAX_WAITING_BYTES, outputs: 0 };

    /// Messages to send, in order.
    type Input = Vec<Outbound>;

    type Output = Infallible;

    fn weight(messages: &Vec<Outbound>) -> usize {
        weight_of(messages)
    }

    /// Sends all that it is handed, and waits while the network takes no more. A message
    /// that waits for the window stays with the stage when it returns.
    fn serve(&mut self, port: &mut Port<Self>) -> io::Result<()> {
        loop {
            self.send(WhenFull::Wait)?;
            if port.take_inputs(self.due(), |messages| self.take(messages)) == Waited::Recalled {
                return Ok(());
            }
        }
    }
}

/// About how many bytes these messages take in memory.
pub(super) fn weight_of(messages: &[Outbound]) -> usize {
    let texts = |outbound: &Outbound| match outbound {
        Outbound::Client(Response { id, outcome: Outcome::Done(reply), .. }) => {
            id.mid.len() + reply.text_len()
        }
        Outbound::Client(response) => response.id.mid.len(),
        Outbound::Forward { request, .. } => request.id.mid.len() + request.command.text_len(),
        Outbound::Peer { .. } => 0, // its entries are the log's
        Outbound::ReadIndex { .. } => 0,
    };
    messages.iter().map(|outbound| MESSAGE_BYTES + texts(outbound)).sum()
}
