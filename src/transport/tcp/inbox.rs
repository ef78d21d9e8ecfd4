//! What this replica receives: from the connections of the others, and from its own front ends. One
//! poll set has all of them, so a message from another replica needs no thread between its socket
//! and the thread that receives.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};
use tracing::{info, warn};

use super::envelope::{Envelope, Kind};
use super::frame::{self, BadFrame, Frame, FrameReader};
use super::mesh::{MAX_DATAGRAM, MeshLimits, Shared};
use super::origins::Origins;
use crate::clock::BootTime;
use crate::transport::Received;
use crate::transport::alarm::Alarm;

/// How many datagrams are taken before the sockets are looked at again: own front ends that never
/// cease to ask do not silence the other replicas.
const MAX_TAKEN: usize = 64;

/// The sources of a receiver.
pub(super) struct Inbox {
    alarm: Alarm,
    is_woken: AtomicBool,
    submitted: Mutex<Submitted>,
    arrivals: Mutex<Vec<(usize, TcpStream)>>, // connections that the receiver has not seen yet
    reception: Mutex<Reception>,              // for the thread that receives
}

/// The datagrams of the own front ends.
#[derive(Default)]
struct Submitted {
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// Wakes the thread that receives.
pub(super) struct InboxWaker(pub(super) Arc<Shared>);

impl Wake for InboxWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let inbox = &self.0.inbox;
        inbox.is_woken.store(true, Ordering::SeqCst);
        inbox.alarm.ring();
    }
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            alarm: Alarm::new()?,
            is_woken: AtomicBool::new(false),
            submitted: Mutex::default(),
            arrivals: Mutex::default(),
            reception: Mutex::default(),
        })
    }

    /// Ends a wait of the receiver, which then looks at everything anew.
    pub(super) fn ring(&self) {
        self.alarm.ring();
    }

    /// Takes a datagram of the own front ends; false if there is no room.
    pub(super) fn submit(&self, limits: &MeshLimits, datagram: Vec<u8>) -> bool {
        let mut submitted = self.submitted.lock();
        let is_full = submitted.queue.len() >= limits.submitted
            || submitted.bytes + datagram.len() > limits.submitted_bytes;
        if is_full {
            return false;
        }
        submitted.bytes += datagram.len();
        submitted.queue.push_back(datagram);
        drop(submitted);
        self.alarm.ring();
        true
    }

    fn next_submitted(&self) -> Option<Vec<u8>> {
        let mut submitted = self.submitted.lock();
        let datagram = submitted.queue.pop_front()?;
        submitted.bytes -= datagram.len();
        Some(datagram)
    }

    /// Hands the connection of a peer to the receiver.
    pub(super) fn arrive(&self, peer: usize, stream: TcpStream) {
        self.arrivals.lock().push((peer, stream));
        self.alarm.ring();
    }

    /// Receives a datagram, as a transport does; without `until` if it is there already.
    pub(super) fn receive(&self, mesh: &Shared, buffer: &mut [u8], wait: Wait) -> io::Result<Received> {
        let mut reception = self.reception.lock();
        loop {
            if mesh.is_stopped() {
                return Ok(Received::Closed);
            }
            if wait != Wait::No && self.is_woken.swap(false, Ordering::SeqCst) {
                return Ok(Received::Woken);
            }
            if let Some(received) = reception.next(mesh, buffer) {
                return Ok(received);
            }
            let left = match wait {
                Wait::No => Some(Duration::ZERO),
                Wait::Until(until) => until.map(BootTime::left),
            };
            reception.look(mesh, left)?;
            if left == Some(Duration::ZERO) {
                return Ok(reception.next(mesh, buffer).unwrap_or(Received::TimedOut));
            }
        }
    }

    /// Closes all connections from others.
    pub(super) fn clear(&self, mesh: &Shared) {
        self.arrivals.lock().clear();
        for incoming in self.reception.lock().incoming.drain(..) {
            mesh.peers[incoming.peer].set_incoming(None);
        }
    }
}

/// Whether a call waits for a datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    Until(Option<BootTime>),
}

/// The connections from others, as the receiver sees them.
#[derive(Default)]
struct Reception {
    incoming: Vec<Incoming>,
    turn: usize,  // the source that is asked first: 0 is the own front ends
    taken: usize, // datagrams since the last look at the sockets
}

/// The connection on which a peer sends.
struct Incoming {
    peer: usize,
    stream: Arc<TcpStream>,
    frames: FrameReader,
}

/// Why the connection from a peer ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("it closed the connection")]
    Closed,
    #[error("it has another connection")]
    Replaced,
    #[error(transparent)]
    BadFrame(#[from] BadFrame),
    #[error("it sent a datagram that makes no sense")]
    Envelope,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Reception {
    /// The next datagram that was read, from one source after the other.
    fn next(&mut self, mesh: &Shared, buffer: &mut [u8]) -> Option<Received> {
        if self.taken >= MAX_TAKEN {
            return None;
        }
        let mut tried = 0;
        while tried <= self.incoming.len() {
            let source = (self.turn + tried) % (self.incoming.len() + 1);
            let taken = match source.checked_sub(1) {
                None => Ok(mesh.inbox.next_submitted().map(|datagram| hand(&datagram, buffer))),
                Some(index) => self.incoming[index].next(mesh, buffer),
            };
            match taken {
                Ok(Some(received)) => {
                    self.turn = source + 1;
                    self.taken += 1;
                    return Some(received);
                }
                Ok(None) => tried += 1,
                // The next source has this number now.
                Err(ended) => self.end(mesh, source - 1, &ended),
            }
        }
        None
    }

    /// Waits until a source has something, and reads from the connections that have.
    fn look(&mut self, mesh: &Shared, left: Option<Duration>) -> io::Result<()> {
        self.admit(mesh);
        let is_due = self.taken >= MAX_TAKEN; // there may be more that was read already
        self.taken = 0;
        let mut fds = Vec::with_capacity(self.incoming.len() + 1);
        let mut polled = Vec::with_capacity(self.incoming.len());
        for (index, incoming) in self.incoming.iter().enumerate() {
            if !incoming.frames.has_frame() {
                fds.push(PollFd::new(&*incoming.stream, PollFlags::IN));
                polled.push(index);
            }
        }
        mesh.inbox.alarm.wait(&mut fds, if is_due { Some(Duration::ZERO) } else { left })?;
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let ready: Vec<usize> =
            polled.iter().zip(&fds).filter(|(_, fd)| is_ready(fd)).map(|(index, _)| *index).collect();
        for index in ready.into_iter().rev() {
            let Incoming { stream, frames, .. } = &mut self.incoming[index];
            match frames.fill(&mut &**stream) {
                Ok(true) => {}
                Ok(false) => self.end(mesh, index, &Ended::Closed),
                Err(error) => self.end(mesh, index, &error.into()),
            }
        }
        Ok(())
    }

    /// Takes over new connections. A peer has one: the latest.
    fn admit(&mut self, mesh: &Shared) {
        let arrivals = std::mem::take(&mut *mesh.inbox.arrivals.lock());
        for (peer, stream) in arrivals {
            if let Some(index) = self.incoming.iter().position(|incoming| incoming.peer == peer) {
                self.end(mesh, index, &Ended::Replaced);
            }
            let stream = Arc::new(stream);
            mesh.peers[peer].set_incoming(Some(Arc::clone(&stream)));
            if mesh.is_leaving() {
                mesh.peers[peer].ask_for_end();
            }
            self.incoming.push(Incoming { peer, stream, frames: FrameReader::new(MAX_DATAGRAM) });
        }
    }

    fn end(&mut self, mesh: &Shared, index: usize, reason: &Ended) {
        let incoming = self.incoming.remove(index);
        let peer = &mesh.peers[incoming.peer];
        peer.set_incoming(None);
        // A replica that has ended its connection because this one leaves still waits for answers.
        if !mesh.is_leaving() {
            mesh.origins.lock().forget(Origins::peer(incoming.peer));
        }
        mesh.clients.lost(peer.id);
        match reason {
            Ended::BadFrame(_) | Ended::Envelope => warn!(peer = %peer.id, "closed its connection: {reason}"),
            _ => info!(peer = %peer.id, "the connection from it ended: {reason}"),
        }
    }
}

impl Incoming {
    /// The next datagram for this replica that was read. Answers and pings are dealt with on the way.
    fn next(&mut self, mesh: &Shared, buffer: &mut [u8]) -> Result<Option<Received>, Ended> {
        let peer = &mesh.peers[self.peer];
        while let Some(frame) = self.frames.next()? {
            let (relays, bytes) = match frame {
                Frame::Datagram { relays, bytes } => (relays, bytes),
                Frame::Ping(stamp) => {
                    // Without room, pings before this one are on their way back.
                    let _full = (&*self.stream).write(&frame::pong(stamp));
                    continue;
                }
                Frame::Returned(bytes) => match Envelope::read(bytes) {
                    Some((Envelope { kind: kind @ Kind::Request, id }, _)) => {
                        peer.count_in(kind, true, bytes.len());
                        let origins = mesh.origins.lock().of(id).without(Origins::peer(self.peer));
                        mesh.return_request(origins, bytes);
                        continue;
                    }
                    _ => return Err(Ended::Envelope),
                },
                Frame::Pong(_) | Frame::Leaving => return Err(Ended::Envelope),
            };
            let (envelope, _) = Envelope::read(bytes).ok_or(Ended::Envelope)?;
            peer.count_in(envelope.kind, false, bytes.len());
            match envelope {
                Envelope { kind: Kind::Peer | Kind::ReadIndex, id } if id == peer.id => {
                    return Ok(Some(hand(bytes, buffer)));
                }
                Envelope { kind: Kind::Request, id } => {
                    mesh.origins.lock().learn(id, Origins::peer(self.peer), BootTime::now());
                    return Ok(Some(hand(bytes, buffer)));
                }
                Envelope { kind: Kind::Answer, id } => {
                    mesh.answer(id, bytes, Some((Origins::peer(self.peer), relays)));
                }
                Envelope { kind: Kind::Peer | Kind::ReadIndex | Kind::LocalRead, .. } => {
                    return Err(Ended::Envelope);
                }
            }
        }
        Ok(None)
    }
}

/// Copies a datagram to the receiver.
fn hand(datagram: &[u8], buffer: &mut [u8]) -> Received {
    let Some(space) = buffer.get_mut(..datagram.len()) else { return Received::TooLong };
    space.copy_from_slice(datagram);
    Received::Datagram(datagram.len())
}
