//! The first stage: takes datagrams from the transport and turns them into typed, validated
//! messages.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::debug;

use super::counts::Counts;
use super::offload::{Capacity, Port, Stage};
use super::times::Times;
use crate::clock::BootTime;
use crate::dialect::Decode;
use crate::exchange::Inbound;
use crate::transport::{Received, Transport};
use crate::wire::{MAX_RECEIVED_BYTES, Malformed};

/// How many datagrams an offloaded receiver hands over at once: few enough that the consensus
/// thread works on the first while the next are decoded.
const HAND_OVER: usize = 32;

/// How many bytes an offloaded receiver hands over at once. It bounds what waits in the inbox.
const HAND_OVER_BYTES: usize = 64 * 1024;

/// How many hand-overs may wait for the consensus thread: a few of its batches.
const INBOX: usize = 32;

/// How many bytes are decoded before the consensus thread steps what they say: some milliseconds of
/// work at most.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// The receiver stage. Its owner receives.
pub(super) struct Receiver {
    transport: Arc<dyn Transport>,
    decoder: Box<dyn Decode>,
    buffer: Vec<u8>,
    received: u64,
    malformed: BTreeMap<Malformed, u64>,
    rejected: Arc<AtomicU64>, // the sum of these, for the consensus thread
    times: Times,
}

/// How a look at the network ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The receiver took all that was there, which is nothing if nothing came in time.
    All,
    /// The receiver took as much as one look may take. There may be more.
    Full,
    /// The transport is closed: nothing will ever come again.
    Closed,
}

impl Receiver {
    pub(super) fn new(transport: Arc<dyn Transport>, decoder: Box<dyn Decode>) -> Self {
        let buffer = vec![0; transport.max_datagram().max(MAX_RECEIVED_BYTES)];
        let (malformed, rejected) = (BTreeMap::new(), Arc::default());
        Self { transport, decoder, buffer, received: 0, malformed, rejected, times: Times::default() }
    }

    /// The same, which counts its times.
    pub(super) fn timed(self, times: &Times) -> Self {
        Self { times: times.clone(), ..self }
    }

    /// Waits for a datagram until then, and takes what else is there without waiting: at most
    /// `most` datagrams, and none after `most_bytes` bytes. Adds their messages to `into`.
    ///
    /// # Errors
    ///
    /// The error of the transport.
    pub(super) fn receive(
        &mut self,
        most: usize,
        most_bytes: usize,
        until: Option<BootTime>,
        into: &mut Vec<Inbound>,
    ) -> io::Result<Taken> {
        let mut began = None;
        let taken = self.take(most, most_bytes, until, into, &mut began);
        self.times.count(|times| &times.receive, began);
        taken
    }

    /// The same. `began` is the time of the first datagram.
    fn take(
        &mut self,
        most: usize,
        most_bytes: usize,
        until: Option<BootTime>,
        into: &mut Vec<Inbound>,
        began: &mut Option<BootTime>,
    ) -> io::Result<Taken> {
        let mut bytes = 0;
        for taken in 0..most {
            let received = match taken {
                0 => self.transport.receive(&mut self.buffer, until)?,
                _ => self.transport.try_receive(&mut self.buffer)?,
            };
            let result = match received {
                Received::Datagram(length) => {
                    if taken == 0 {
                        *began = self.times.begin();
                    }
                    bytes += length;
                    self.decoder.decode(&mut self.buffer[..length], into)
                }
                Received::TooLong => Err(Malformed::TooLong),
                Received::TimedOut | Received::Woken => return Ok(Taken::All),
                Received::Closed => return Ok(Taken::Closed),
            };
            self.count(result);
            if bytes >= most_bytes {
                break;
            }
        }
        Ok(Taken::Full)
    }

    fn count(&mut self, result: Result<(), Malformed>) {
        match result {
            Ok(()) => self.received += 1,
            Err(reason) => {
                debug!(%reason, "dropped a datagram");
                *self.malformed.entry(reason).or_default() += 1;
                self.rejected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many datagrams it has dropped because of their content, wherever it runs.
    pub(super) fn rejected(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.rejected)
    }

    /// Adds its counts.
    pub(super) fn report(self, counts: &mut Counts) {
        counts.received = self.received;
        counts.malformed = self.malformed;
    }
}

impl Stage for Receiver {
    const NAME: &'static str = "receiver";

    const CAPACITY: Capacity = Capacity { inputs: 0, input_bytes: 0, outputs: INBOX };

    type Input = Infallible;

    /// Messages, at least one.
    type Output = Vec<Inbound>;

    fn weight(input: &Infallible) -> usize {
        match *input {}
    }

    /// Receives until it is recalled, which it notices after the next datagram, or until the
    /// transport is closed. A full inbox makes it wait, and so pushes back to the network.
    fn serve(&mut self, port: &mut Port<Self>) -> io::Result<()> {
        loop {
            let mut messages = Vec::new();
            let taken = self.receive(HAND_OVER, HAND_OVER_BYTES, None, &mut messages)?;
            if !messages.is_empty() && !port.send(messages) {
                return Ok(());
            }
            if taken == Taken::Closed || port.is_recalled() {
                return Ok(());
            }
        }
    }
}
