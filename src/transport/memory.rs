//! A network inside the process, for tests and benches: whoever holds the [`Hub`] plays the
//! network and the clients, sees every datagram that replicas send, and decides what becomes of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::{Received, Transport, refuse_long};
use crate::clock::BootTime;
use crate::id::Id;

/// A datagram between its sender and its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The replica that sent it.
    pub from: Id,
    /// Its destination; `None` is "every other replica".
    pub to: Option<Id>,
    /// What was sent.
    pub bytes: Vec<u8>,
}

/// What goes to one replica; `None` wakes it up so that it sees the stop.
type Inbox = Sender<Option<Vec<u8>>>;

/// The middle of the network. Its queues have no bound: its owner takes out what goes in.
pub struct Hub {
    max_datagram: usize,
    inboxes: Mutex<BTreeMap<Id, Inbox>>,
    sent: (Sender<Packet>, Receiver<Packet>),
}

impl Hub {
    /// A network without replicas, on which datagrams have at most this many bytes.
    pub fn new(max_datagram: usize) -> Self {
        Self { max_datagram, inboxes: Mutex::default(), sent: unbounded() }
    }

    /// Connects a replica. One that was connected under this name before hears nothing any more.
    pub fn attach(&self, own: Id) -> Arc<MemoryTransport> {
        let (wake, inbox) = unbounded();
        self.inboxes.lock().insert(own, wake.clone());
        Arc::new(MemoryTransport {
            own,
            max_datagram: self.max_datagram,
            inbox,
            wake,
            network: self.sent.0.clone(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Everything that replicas have sent, in order, until it is taken from here.
    pub fn sent(&self) -> &Receiver<Packet> {
        &self.sent.1
    }

    /// Hands a datagram to a replica. False if there is none of this name.
    pub fn deliver(&self, to: Id, bytes: Vec<u8>) -> bool {
        let inbox = self.inboxes.lock().get(&to).cloned();
        inbox.is_some_and(|inbox| inbox.send(Some(bytes)).is_ok())
    }

    /// Delivers a packet between replicas, and gives back one that is for a client.
    pub fn route(&self, packet: Packet) -> Option<Packet> {
        let Some(to) = packet.to else {
            let others: Vec<Id> =
                self.inboxes.lock().keys().copied().filter(|&id| id != packet.from).collect();
            for id in others {
                self.deliver(id, packet.bytes.clone());
            }
            return None;
        };
        if !self.inboxes.lock().contains_key(&to) {
            return Some(packet);
        }
        self.deliver(to, packet.bytes);
        None
    }
}

/// One replica's access to a [`Hub`].
pub struct MemoryTransport {
    own: Id,
    max_datagram: usize,
    inbox: Receiver<Option<Vec<u8>>>,
    wake: Inbox,
    network: Sender<Packet>,
    stopped: AtomicBool,
}

impl MemoryTransport {
    /// Receives with calls of `next` one datagram that is none of our own words.
    fn take<E>(&self, buffer: &mut [u8], next: impl Fn() -> Result<Option<Vec<u8>>, E>) -> Received {
        loop {
            let Ok(received) = next() else { return Received::TimedOut };
            if self.stopped.load(Ordering::SeqCst) {
                // The word that woke this call up may be the only one, and the next call must see it too.
                self.stop();
                return Received::Closed;
            }
            let Some(bytes) = received else { continue };
            let Some(space) = buffer.get_mut(..bytes.len()) else { return Received::TooLong };
            space.copy_from_slice(&bytes);
            return Received::Datagram(bytes.len());
        }
    }
}

impl Transport for MemoryTransport {
    // This side has both ends of its inbox, so the only thing that a wait for it can lack is time.
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        Ok(match until {
            Some(until) => self.take(buffer, || self.inbox.recv_timeout(until.left())),
            None => self.take(buffer, || self.inbox.recv()),
        })
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        Ok(self.take(buffer, || self.inbox.try_recv()))
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        refuse_long(datagram, self.max_datagram)?;
        let packet = Packet { from: self.own, to: destination(datagram), bytes: datagram.to_vec() };
        self.network.send(packet).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        self.send(datagram) // its queue has no bound
    }

    fn max_datagram(&self) -> usize {
        self.max_datagram
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // The receiver of this channel is ours, so it is there.
        let _gone = self.wake.send(None);
    }
}

/// Where a datagram should go. Replicas write `dst` before anything that a client chose, so nothing else
/// can look like it.
fn destination(datagram: &[u8]) -> Option<Id> {
    const DST: &[u8] = br#""dst":""#;
    let at = datagram.windows(DST.len()).position(|window| window == DST)? + DST.len();
    std::str::from_utf8(datagram.get(at..at + 4)?).ok()?.parse().ok()
}
