//! A network inside the process, for tests and benches: whoever holds the [`Hub`] plays the
//! network and the clients, sees every datagram that replicas send, and decides what becomes of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;
use serde::Deserialize;

use super::{Received, Transport, refuse_long};
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

#[derive(Deserialize)]
struct Destination<'a> {
    #[serde(borrow)]
    dst: Cow<'a, str>,
}

impl Transport for MemoryTransport {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        while let Ok(received) = self.inbox.recv() {
            if self.stopped.load(Ordering::SeqCst) {
                break;
            }
            let Some(bytes) = received else { continue };
            let Some(space) = buffer.get_mut(..bytes.len()) else { return Ok(Received::TooLong) };
            space.copy_from_slice(&bytes);
            return Ok(Received::Datagram(bytes.len()));
        }
        // The word that woke this call up may be the only one, and the next call must see it too.
        self.stop();
        Ok(Received::Closed)
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        refuse_long(datagram, self.max_datagram)?;
        let Destination { dst } = serde_json::from_slice(datagram)?;
        let packet = Packet { from: self.own, to: dst.parse().ok(), bytes: datagram.to_vec() };
        self.network.send(packet).map_err(|_| io::ErrorKind::BrokenPipe.into())
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
