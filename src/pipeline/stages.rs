//! Where the receiver and the sender stage are: here, with the consensus thread, or away, on threads of their own.
//!
//! A stage is a value that is moved and never shared, so wherever it is, it has one owner and needs no lock. While
//! both are here, the consensus thread does all the work itself and nothing is handed from thread to thread, which is
//! what costs most when there is little to do. When it becomes too much for one thread, both are lent to theirs.
//!
//! They come back without being interrupted, and nothing is lost or changes its order. The sender comes when it has
//! sent all that was handed to it, and brings what its window keeps back. The receiver comes through the inbox, behind
//! all that it received, together with the next datagram. It is called after the sender came, so while the receiver is
//! here, so is the sender, and the consensus thread never waits for the network while something could come from elsewhere.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel as channel;

use super::counts::Counts;
use super::receiver::{self, Arrival, Receiver, Taken};
use super::sender::{self, Patience, Sender};
use super::{RECEIVER, SENDER, StageFailed, guard};
use crate::clock::BootTime;
use crate::exchange::{Inbound, Outbound};
use crate::request::{Outcome, Response};

/// How many hand-overs may wait for the consensus thread: a few of its batches.
pub(super) const INBOX: usize = 32;

/// How many batches, and how many bytes of them, may wait for the sender.
const OUTBOX: usize = 1_024;
const MAX_OUTBOX_BYTES: usize = 8 * 1024 * 1024;

/// What a message takes in memory besides its texts, about.
const MESSAGE_BYTES: usize = 128;

/// How long the consensus thread waits for a sender that it has called back: many times longer than it takes, unless
/// the sender is stuck.
const COME_BACK: Duration = Duration::from_millis(1);

/// How many messages are kept for a sender that was called back and does not come.
const MAX_KEPT: usize = 1_024;

/// The ends that the consensus thread has of what connects it with the two others.
pub(super) struct Links {
    /// Lends the receiver stage.
    pub(super) receiver_loans: channel::Sender<receiver::Loan>,
    /// What was received, and the receiver stage when it comes back.
    pub(super) inbox: channel::Receiver<Arrival>,
    /// Lends the sender stage.
    pub(super) sender_loans: channel::Sender<sender::Loan>,
    /// The sender stage when it comes back.
    pub(super) sender_back: channel::Receiver<Box<Sender>>,
}

/// The two other stages, as the consensus thread sees them.
pub(super) struct Stages {
    links: Links,
    receiving: Receiving,
    sending: Sending,
}

enum Receiving {
    Here(Box<Receiver>),
    Away { _until: channel::Sender<Infallible> }, // dropped to call the stage back
    CalledBack,
}

enum Sending {
    Here(Box<Sender>),
    Away(Outgoing), // dropped to call the stage back
    CalledBack,
}

/// The way to the sender's thread.
struct Outgoing {
    batches: channel::Sender<sender::Batch>,
    unsent_bytes: Arc<AtomicUsize>, // of what was handed over
}

impl Outgoing {
    /// Hands a batch over. False if too much waits already; then the batch stays where it is.
    fn hand_over(&self, batch: &mut Vec<Outbound>) -> bool {
        if self.unsent_bytes.load(Ordering::Relaxed) >= MAX_OUTBOX_BYTES {
            return false;
        }
        let bytes = weight_of(batch);
        self.unsent_bytes.fetch_add(bytes, Ordering::Relaxed);
        let handed_over = sender::Batch { messages: std::mem::take(batch), bytes };
        match self.batches.try_send(handed_over) {
            Err(channel::TrySendError::Full(refused)) => {
                self.unsent_bytes.fetch_sub(bytes, Ordering::Relaxed);
                *batch = refused.messages;
                false
            }
            // A thread that is gone has failed, and says so itself.
            Ok(()) | Err(channel::TrySendError::Disconnected(_)) => true,
        }
    }
}

/// About how many bytes these messages take in memory.
pub(super) fn weight_of(messages: &[Outbound]) -> usize {
    let texts = |outbound: &Outbound| match outbound {
        Outbound::Client(Response { id, outcome: Outcome::Value(value), .. }) => id.mid.len() + value.len(),
        Outbound::Client(response) => response.id.mid.len(),
        Outbound::Peer { .. } => 0, // its entries are the log's
    };
    messages.iter().map(|outbound| MESSAGE_BYTES + texts(outbound)).sum()
}

impl Stages {
    /// Both are here.
    pub(super) fn new(links: Links, receiver: Receiver, sender: Sender) -> Self {
        let (receiving, sending) = (Receiving::Here(Box::new(receiver)), Sending::Here(Box::new(sender)));
        Self { links, receiving, sending }
    }

    /// Whether this thread does all the work.
    pub(super) fn are_here(&self) -> bool {
        matches!(self.receiving, Receiving::Here(_))
    }

    /// Waits until then for something to arrive, and takes what is there, at most about so many messages.
    pub(super) fn receive(
        &mut self,
        most: usize,
        until: BootTime,
        into: &mut Vec<Inbound>,
    ) -> Result<Taken, StageFailed> {
        if let Receiving::Here(receiver) = &mut self.receiving {
            return guard(RECEIVER, || receiver.receive(most, receiver::MAX_BYTES, Some(until), into));
        }
        let mut arrival = self.links.inbox.recv_timeout(until.left());
        loop {
            match arrival {
                Ok(Arrival::Batch(mut batch)) => into.append(&mut batch),
                Ok(Arrival::Back(receiver)) => {
                    self.take_back(receiver);
                    return Ok(Taken::All);
                }
                Err(channel::RecvTimeoutError::Timeout) => return Ok(Taken::All),
                Err(channel::RecvTimeoutError::Disconnected) => return Ok(Taken::Closed),
            }
            if into.len() >= most {
                return Ok(Taken::Full);
            }
            arrival = self.links.inbox.try_recv().map_err(|error| match error {
                channel::TryRecvError::Empty => channel::RecvTimeoutError::Timeout,
                channel::TryRecvError::Disconnected => channel::RecvTimeoutError::Disconnected,
            });
        }
    }

    fn take_back(&mut self, receiver: Box<Receiver>) {
        self.receiving = Receiving::Here(receiver);
        if !matches!(self.sending, Sending::Here(_)) {
            self.lend_receiver(); // it must not be here alone
        }
    }

    /// Takes over a batch and sends it if the sender is here, or hands it to the sender's thread. It never waits for
    /// the network. What is left in the batch must be offered again; messages to replicas
    /// that are lost because the sender is stuck are counted and returned.
    pub(super) fn send(&mut self, batch: &mut Vec<Outbound>) -> Result<u64, StageFailed> {
        if matches!(self.sending, Sending::CalledBack)
            && let Ok(sender) = self.links.sender_back.recv_timeout(COME_BACK)
        {
            self.sending = Sending::Here(sender);
        }
        match &mut self.sending {
            Sending::Here(sender) => {
                let all = guard(SENDER, || {
                    sender.take(batch.drain(..));
                    sender.send(Patience::None)
                })?;
                if !all {
                    self.lend(); // the sender's own thread may wait for the network
                }
            }
            Sending::CalledBack if batch.len() <= MAX_KEPT => {}
            Sending::CalledBack => return Ok(shed(batch)),
            Sending::Away(outgoing) if !batch.is_empty() => {
                if !outgoing.hand_over(batch) {
                    return Ok(shed(batch));
                }
            }
            Sending::Away(_) => {}
        }
        Ok(0)
    }

    /// When there is something to send although nothing was handed over.
    pub(super) fn due(&self) -> Option<BootTime> {
        match &self.sending {
            Sending::Here(sender) => sender.due(),
            _ => None,
        }
    }

    /// Lets both go to work on their own threads.
    pub(super) fn lend(&mut self) {
        if let Sending::Here(_) = &self.sending {
            let (batches_in, batches) = channel::bounded(OUTBOX);
            let unsent_bytes = Arc::new(AtomicUsize::new(0));
            let outgoing = Outgoing { batches: batches_in, unsent_bytes: Arc::clone(&unsent_bytes) };
            if let Sending::Here(sender) = std::mem::replace(&mut self.sending, Sending::Away(outgoing)) {
                // A thread that is gone has failed, and says so itself.
                let _gone = self.links.sender_loans.send(sender::Loan { sender, batches, unsent_bytes });
            }
        }
        self.lend_receiver();
    }

    fn lend_receiver(&mut self) {
        if let Receiving::Here(_) = &self.receiving {
            let (until_in, until) = channel::bounded(0);
            if let Receiving::Here(receiver) =
                std::mem::replace(&mut self.receiving, Receiving::Away { _until: until_in })
            {
                let _gone = self.links.receiver_loans.send(receiver::Loan { receiver, until });
            }
        }
    }

    /// Calls back the sender, or, once that is here, the receiver.
    pub(super) fn call_back(&mut self) {
        match &self.sending {
            Sending::Here(_) if matches!(self.receiving, Receiving::Away { .. }) => {
                self.receiving = Receiving::CalledBack;
            }
            Sending::Away(outgoing) if outgoing.batches.is_empty() => self.sending = Sending::CalledBack,
            _ => {}
        }
    }

    /// Sends what is left, whatever waits for more, and ends both.
    pub(super) fn end(self, owed: Vec<Outbound>, counts: &mut Counts) -> Result<(), StageFailed> {
        let sender = match self.sending {
            Sending::Here(sender) => Ok(sender),
            Sending::Away(outgoing) => {
                drop(outgoing);
                self.links.sender_back.recv()
            }
            Sending::CalledBack => self.links.sender_back.recv(),
        };
        // Whoever does not come back has failed on his own thread, and it is said there.
        if let Ok(mut sender) = sender {
            guard(SENDER, || {
                sender.take(owed);
                sender.finish()
            })?;
            sender.tell(counts);
        }
        if let Receiving::Here(receiver) = self.receiving {
            receiver.tell(counts);
        }
        Ok(())
    }
}

/// Messages to replicas are as good as lost while the sender is stuck, which Raft can bear; answers are not.
fn shed(batch: &mut Vec<Outbound>) -> u64 {
    let before = batch.len();
    batch.retain(|outbound| matches!(outbound, Outbound::Client(_)));
    (before - batch.len()) as u64
}
