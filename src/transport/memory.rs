//! A network inside the process, for tests and benches. The owner of the [`Hub`] plays the network
//! and the clients, sees every datagram that replicas send, and decides which arrive.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::{Address, Received, Transport, refuse_long};
use crate::clock::BootTime;
use crate::id::Id;

/// A datagram between its sender and its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The replica that sent it.
    pub from: Id,
    /// Its destination.
    pub to: Address,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// An item in the inbox of one replica.
enum Word {
    Datagram(Vec<u8>),
    /// A flag has changed: a thread that waits for the inbox must look at it.
    Flag,
}

/// The middle of the network. Its queues have no bound: its owner empties them.
pub struct Hub {
    max_datagram: usize,
    inboxes: Mutex<BTreeMap<Id, Sender<Word>>>,
    sent: (Sender<Packet>, Receiver<Packet>),
}

impl Hub {
    /// A network without replicas, on which datagrams have at most this many bytes.
    pub fn new(max_datagram: usize) -> Self {
        Self { max_datagram, inboxes: Mutex::default(), sent: unbounded() }
    }

    /// Connects a replica. A transport that was connected under this name before receives no more.
    pub fn attach(&self, own: Id) -> Arc<MemoryTransport> {
        let (to_self, inbox) = unbounded();
        self.inboxes.lock().insert(own, to_self.clone());
        let flags = Flags { to_self, is_stopped: AtomicBool::new(false), is_woken: AtomicBool::new(false) };
        Arc::new(MemoryTransport {
            own,
            max_datagram: self.max_datagram,
            inbox,
            flags: Arc::new(flags),
            network: self.sent.0.clone(),
        })
    }

    /// Everything that replicas have sent, in order, until it is taken from here.
    pub fn sent(&self) -> &Receiver<Packet> {
        &self.sent.1
    }

    /// Hands a datagram to a replica. False if there is none of this name.
    pub fn deliver(&self, to: Id, bytes: Vec<u8>) -> bool {
        let inbox = self.inboxes.lock().get(&to).cloned();
        inbox.is_some_and(|inbox| inbox.send(Word::Datagram(bytes)).is_ok())
    }

    /// Delivers a packet between replicas, and gives back one that is for a client.
    pub fn route(&self, packet: Packet) -> Option<Packet> {
        match packet.to {
            Address::Client(_) => Some(packet),
            Address::Peer(to) => {
                self.deliver(to, packet.bytes);
                None
            }
        }
    }
}

/// One replica's access to a [`Hub`].
pub struct MemoryTransport {
    own: Id,
    max_datagram: usize,
    inbox: Receiver<Word>,
    flags: Arc<Flags>,
    network: Sender<Packet>,
}

/// The signals of other threads to the one that receives.
struct Flags {
    to_self: Sender<Word>, // its other end is `inbox`
    is_stopped: AtomicBool,
    is_woken: AtomicBool,
}

impl Flags {
    fn raise(&self, flag: &AtomicBool) {
        if !flag.swap(true, Ordering::SeqCst) {
            // Without the transport, no thread waits.
            let _gone = self.to_self.send(Word::Flag);
        }
    }
}

impl Wake for Flags {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise(&self.is_woken);
    }
}

impl MemoryTransport {
    /// Receives a datagram with calls of `next`. Sees the call of a waker if it `may_wake`.
    fn take<E>(&self, buffer: &mut [u8], may_wake: bool, next: impl Fn() -> Result<Word, E>) -> Received {
        loop {
            if self.flags.is_stopped.load(Ordering::SeqCst) {
                return Received::Closed;
            }
            if may_wake && self.flags.is_woken.swap(false, Ordering::SeqCst) {
                return Received::Woken;
            }
            match next() {
                Ok(Word::Datagram(bytes)) => {
                    let Some(space) = buffer.get_mut(..bytes.len()) else { return Received::TooLong };
                    space.copy_from_slice(&bytes);
                    return Received::Datagram(bytes.len());
                }
                Ok(Word::Flag) => {}
                Err(_) => return Received::TimedOut,
            }
        }
    }
}

impl Transport for MemoryTransport {
    // This side has both ends of its inbox, so a wait for it fails only by its time-out.
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        Ok(match until {
            Some(until) => self.take(buffer, true, || self.inbox.recv_timeout(until.left())),
            None => self.take(buffer, true, || self.inbox.recv()),
        })
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        Ok(self.take(buffer, false, || self.inbox.try_recv()))
    }

    fn send(&self, to: Address, datagram: &[u8]) -> io::Result<()> {
        refuse_long(datagram, self.max_datagram)?;
        let packet = Packet { from: self.own, to, bytes: datagram.to_vec() };
        self.network.send(packet).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn try_send(&self, to: Address, datagram: &[u8]) -> io::Result<()> {
        self.send(to, datagram) // its queue has no bound
    }

    fn max_datagram(&self) -> usize {
        self.max_datagram
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.flags))
    }

    fn stop(&self) {
        self.flags.raise(&self.flags.is_stopped);
    }
}
