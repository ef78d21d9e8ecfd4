//! The first stage: takes datagrams from the transport, and turns them into typed, validated
//! messages. Nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use crossbeam_channel as channel;
use tracing::debug;

use super::counts::Counts;
use crate::clock::BootTime;
use crate::exchange::Inbound;
use crate::transport::{Received, Transport};
use crate::wire::{Decoder, MAX_RECEIVED_BYTES, Malformed};

/// How many datagrams the receiver thread hands over at once: few enough that the consensus thread
/// works on the first while the next are decoded.
const HAND_OVER: usize = 32;

/// How many bytes the receiver thread hands over at once. It bounds what waits in the inbox.
const HAND_OVER_BYTES: usize = 64 * 1024;

/// How many bytes are decoded before whoever waits for them gets his turn: some milliseconds of work at most.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// The receiver stage. Whoever has it receives.
pub(super) struct Receiver {
    transport: Arc<dyn Transport>,
    decoder: Decoder,
    buffer: Vec<u8>,
    received: u64,
    malformed: BTreeMap<Malformed, u64>,
}

/// What was taken from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All that was there; nothing, if nothing came in time.
    All,
    /// As much as one look may take. There may be more.
    Full,
    /// The last that there will be.
    Closed,
}

impl Receiver {
    pub(super) fn new(transport: Arc<dyn Transport>, decoder: Decoder) -> Self {
        let buffer = vec![0; MAX_RECEIVED_BYTES];
        Self { transport, decoder, buffer, received: 0, malformed: BTreeMap::new() }
    }

    /// Waits for a datagram until then, takes what else is there without waiting, at most so many
    /// datagrams and none after so many bytes, and adds what they say to `into`.
    ///
    /// # Errors
    ///
    /// What the transport reports.
    pub(super) fn receive(
        &mut self,
        most: usize,
        most_bytes: usize,
        until: Option<BootTime>,
        into: &mut Vec<Inbound>,
    ) -> io::Result<Taken> {
        let mut bytes = 0;
        for taken in 0..most {
            let received = match taken {
                0 => self.transport.receive(&mut self.buffer, until)?,
                _ => self.transport.try_receive(&mut self.buffer)?,
            };
            let result = match received {
                Received::Datagram(length) => {
                    bytes += length;
                    self.decoder.decode(&mut self.buffer[..length], into)
                }
                Received::TooLong => Err(Malformed::TooLong),
                Received::TimedOut => return Ok(Taken::All),
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
            }
        }
    }

    /// Adds what was counted.
    pub(super) fn tell(self, counts: &mut Counts) {
        counts.received = self.received;
        counts.malformed = self.malformed;
    }
}

/// What the receiver thread hands to the consensus thread.
pub(super) enum Arrival {
    /// Messages, at least one.
    Batch(Vec<Inbound>),
    /// The stage itself: it was called back, or the transport is closed.
    Back(Box<Receiver>),
}

/// The stage on loan.
pub(super) struct Loan {
    /// The stage.
    pub(super) receiver: Box<Receiver>,
    /// Nothing ever comes out of this. When it ends, the stage is called back.
    pub(super) until: channel::Receiver<Infallible>,
}

/// The receiver thread: waits until it is lent the stage, and then receives until it is to give it back, which
/// it does after the next datagram. A full inbox makes it wait, and so, in the end, whoever sends.
///
/// # Errors
///
/// What the transport reports.
pub(super) fn run(loans: &channel::Receiver<Loan>, inbox: &channel::Sender<Arrival>) -> io::Result<()> {
    for Loan { mut receiver, until } in loans {
        let is_called_back = || until.try_recv() == Err(channel::TryRecvError::Disconnected);
        loop {
            let mut batch = Vec::new();
            let taken = receiver.receive(HAND_OVER, HAND_OVER_BYTES, None, &mut batch)?;
            if !batch.is_empty() && inbox.send(Arrival::Batch(batch)).is_err() {
                return Ok(());
            }
            if taken == Taken::Closed || is_called_back() {
                break;
            }
        }
        if inbox.send(Arrival::Back(receiver)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
