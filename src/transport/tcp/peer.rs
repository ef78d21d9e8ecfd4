//! One other replica: the way to it, and the link as operators see it.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tracing::info;

use super::envelope::Kind;
use super::frame::{self, RETURNED};
use super::mesh::MeshLimits;
use super::queue::Queue;
use super::traffic::{Direction, MessageKind, Traffic};
use crate::clock::BootTime;
use crate::id::Id;
use crate::micros::Micros;
use crate::transport::alarm::Alarm;

/// The link to another replica, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The other replica.
    pub id: Id,
    /// Its address as it was configured.
    pub address: String,
    /// Whether both connections are there: the one to it, and the one from it.
    pub is_up: bool,
    /// Since when that is so, in microseconds of [`BootTime`].
    pub since: Micros,
    /// Datagrams from it, and their bytes.
    pub messages_in: u64,
    /// The bytes of those.
    pub bytes_in: u64,
    /// Datagrams to it that the connection or its queue took, and their bytes.
    pub messages_out: u64,
    /// The bytes of those.
    pub bytes_out: u64,
    /// Datagrams to it that were dropped: there was no connection, or its queue was full or lost.
    pub dropped: u64,
    /// How often the connection to it was made again.
    pub reconnects: u64,
    /// Why the latest attempt to reach it failed, if the attempt after it did not succeed.
    pub refusal: Option<String>,
    /// How long a ping takes there and back, smoothed.
    pub round_trip_us: Option<Micros>,
    /// How many bytes wait to be written.
    pub queued_bytes: u64,
}

/// Another replica.
pub(super) struct Peer {
    pub(super) id: Id,
    pub(super) index: usize,
    pub(super) address: String,
    /// Ends a wait of its dialer.
    pub(super) alarm: Alarm,
    /// Its dialer need not wait for the next attempt: the replica was just heard.
    pub(super) dial_now: AtomicBool,
    queue: Mutex<Queue>,
    status: Mutex<Status>,
    counters: Counters,
    traffic: Arc<Traffic>,
}

struct Status {
    sends: bool,
    incoming: Option<Arc<TcpStream>>,
    is_up: bool,
    since: BootTime,
    refusal: Option<String>,
}

#[derive(Default)]
struct Counters {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_out: AtomicU64,
    dropped: AtomicU64,
    connects: AtomicU64,
    round_trip_us: AtomicU64, // 0: not known
}

fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}

/// Ends a connection; its dialer notices.
fn hang_up(stream: &TcpStream) {
    let _gone = stream.shutdown(Shutdown::Both);
}

impl Peer {
    pub(super) fn new(index: usize, id: Id, address: String, traffic: &Arc<Traffic>) -> io::Result<Self> {
        Ok(Self {
            id,
            index,
            address,
            alarm: Alarm::new()?,
            dial_now: AtomicBool::new(false),
            queue: Mutex::default(),
            status: Mutex::new(Status {
                sends: false,
                incoming: None,
                is_up: false,
                since: BootTime::now(),
                refusal: None,
            }),
            counters: Counters::default(),
            traffic: Arc::clone(traffic),
        })
    }

    /// Sends a datagram without waiting. False if it is certainly not sent: there is no connection, or
    /// the queue is full. Otherwise `before` is called before any byte of it leaves.
    ///
    /// An answer that finds no room ends the connection, so that the other replica knows that answers
    /// are lost; a request that comes back is an answer. Raft sends its messages again by itself.
    pub(super) fn send(
        &self,
        limits: &MeshLimits,
        kind: Kind,
        frame_type: u8,
        datagram: &[u8],
        before: impl FnOnce(),
    ) -> bool {
        let mut queue = self.queue.lock();
        let has_room = queue.has_room(limits, datagram.len());
        let takes = !queue.is_closing() && (has_room || kind == Kind::Answer);
        let Some(stream) = queue.stream().filter(|_| takes) else {
            add(&self.counters.dropped, 1);
            return false;
        };
        if !has_room {
            add(&self.counters.dropped, 1);
            hang_up(&stream);
            return false;
        }
        before();
        add(&self.counters.messages_out, 1);
        add(&self.counters.bytes_out, datagram.len());
        self.count_by_kind(Direction::Out, kind, frame_type == RETURNED, datagram.len());
        if queue.push(&frame::header(frame_type, datagram), datagram).is_err() {
            hang_up(&stream);
        }
        if queue.waits() {
            self.alarm.ring();
        }
        true
    }

    /// From now on, short datagrams are kept until [`flush`](Self::flush).
    pub(super) fn gather(&self) {
        self.queue.lock().gather();
    }

    /// Writes the datagrams that were kept.
    pub(super) fn flush(&self) {
        let mut queue = self.queue.lock();
        if queue.flush().is_err()
            && let Some(stream) = queue.stream()
        {
            hang_up(&stream);
        }
        if queue.waits() {
            self.alarm.ring();
        }
    }

    /// Sends a ping.
    pub(super) fn ping(&self, now: BootTime) -> io::Result<()> {
        let ping = frame::ping(now.as_micros());
        match ping.split_first_chunk() {
            Some((header, content)) => self.queue.lock().push(header, content),
            None => Ok(()),
        }
    }

    /// A ping of that time came back.
    pub(super) fn took_round_trip(&self, stamp: Micros, now: BootTime) {
        let sample = now.as_micros().saturating_sub(stamp).max(1);
        let known = self.counters.round_trip_us.load(Ordering::Relaxed);
        let smoothed = if known == 0 { sample } else { (7 * known + sample) / 8 };
        self.counters.round_trip_us.store(smoothed.max(1), Ordering::Relaxed);
    }

    /// Writes what waits, as far as the connection takes it, and returns whether something is left.
    /// The sender of a datagram waits for one write at most.
    pub(super) fn write_waiting(&self) -> io::Result<bool> {
        while self.queue.lock().write()? {}
        Ok(self.queue.lock().waits())
    }

    /// From now on, datagrams go through this connection.
    pub(super) fn connect(&self, stream: &Arc<TcpStream>) {
        *self.queue.lock() = Queue::of(stream);
        add(&self.counters.connects, 1);
        self.update(|status| {
            status.sends = true;
            status.refusal = None;
        });
    }

    /// It is about to leave: it gets no more than what waits for it already.
    pub(super) fn send_no_more(&self) {
        self.queue.lock().close();
    }

    /// Tells it that this replica is about to leave, so that it sends no more.
    pub(super) fn ask_for_end(&self) {
        if let Some(stream) = &self.status.lock().incoming {
            // There is room, unless it does not read the pongs. Then its requests are lost.
            let _full = (&**stream).write(&frame::leaving());
        }
    }

    /// Whether it has a connection to send through.
    pub(super) fn has_incoming(&self) -> bool {
        self.status.lock().incoming.is_some()
    }

    /// The connection to it is gone, with all that waits for it.
    pub(super) fn disconnect(&self) {
        let lost = std::mem::take(&mut *self.queue.lock());
        add(&self.counters.dropped, lost.frames());
        self.counters.round_trip_us.store(0, Ordering::Relaxed);
        self.update(|status| status.sends = false);
    }

    /// It sends through this connection from now on, or not at all.
    pub(super) fn set_incoming(&self, stream: Option<Arc<TcpStream>>) {
        self.update(|status| status.incoming = stream);
    }

    /// Ends the connection through which it sends; the receiver notices.
    pub(super) fn hang_up_incoming(&self) {
        if let Some(stream) = &self.status.lock().incoming {
            hang_up(stream);
        }
    }

    pub(super) fn set_refusal(&self, refusal: String) {
        self.update(|status| status.refusal = Some(refusal));
    }

    pub(super) fn count_in(&self, kind: Kind, is_returned: bool, bytes: usize) {
        add(&self.counters.messages_in, 1);
        add(&self.counters.bytes_in, bytes);
        self.count_by_kind(Direction::In, kind, is_returned, bytes);
    }

    /// The dialect counts the messages of Raft, of which a datagram may have several.
    fn count_by_kind(&self, direction: Direction, kind: Kind, is_returned: bool, bytes: usize) {
        let kind = match kind {
            _ if is_returned => MessageKind::ReturnedRequest,
            Kind::Request => MessageKind::Request,
            Kind::Answer => MessageKind::Answer,
            Kind::ReadIndex => MessageKind::ReadIndex,
            Kind::Peer | Kind::LocalRead => return,
        };
        self.traffic.count(self.id, direction, kind, bytes);
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock();
        change(&mut status);
        let is_up = status.sends && status.incoming.is_some();
        if is_up != status.is_up {
            (status.is_up, status.since) = (is_up, BootTime::now());
            info!(peer = %self.id, address = self.address, "the link is {}", if is_up { "up" } else { "down" });
        }
    }

    /// The link as it is now.
    pub(super) fn link(&self) -> Link {
        let queued_bytes = self.queue.lock().bytes() as u64;
        let status = self.status.lock();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Link {
            id: self.id,
            address: self.address.clone(),
            is_up: status.is_up,
            since: status.since.as_micros(),
            messages_in: of(&counters.messages_in),
            bytes_in: of(&counters.bytes_in),
            messages_out: of(&counters.messages_out),
            bytes_out: of(&counters.bytes_out),
            dropped: of(&counters.dropped),
            reconnects: of(&counters.connects).saturating_sub(1),
            refusal: status.refusal.clone(),
            round_trip_us: Some(of(&counters.round_trip_us)).filter(|span| *span > 0),
            queued_bytes,
        }
    }
}
