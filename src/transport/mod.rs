//! How datagrams travel: one trait, and one file per network.
//!
//! Two stages share a transport: the receiver only receives and the sender only sends, on one
//! thread or on two. Any thread may stop the transport, and a thread that has a waker may end a
//! wait of the receiver. A transport does not know what a datagram means.
//!
//! | file | job |
//! |---|---|
//! | `seqpacket` | a Unix socket of packets |
//! | `stream` | a Unix socket of lines |
//! | `udp` | UDP on the loopback interface |
//! | `tcp` | TCP connections between the replicas of a real cluster |
//! | `stdio` | lines on standard input and output |
//! | `socket` | shared by the sockets: waiting for a socket without missing a stop or a waker |
//! | `alarm` | ends the wait of a thread in a poll |
//! | `memory` | a network inside the process, for tests and benches |

mod alarm;
mod memory;
mod seqpacket;
mod socket;
mod stdio;
mod stream;
pub mod tcp;
mod udp;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;

use rustix::io::Errno;

use crate::clock::BootTime;
use crate::id::Id;
pub use memory::{Hub, MemoryTransport, Packet};
pub use seqpacket::{SEQPACKET_MAX_DATAGRAM, Seqpacket};
pub use stdio::{STDIO_MAX_DATAGRAM, Stdio};
pub use stream::{STREAM_MAX_DATAGRAM, Stream};
pub use udp::{UDP_MAX_DATAGRAM, Udp};

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Another replica.
    Peer(Id),
    /// A client.
    Client(Id),
}

/// How a wait for a datagram ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A datagram of this many bytes lies at the beginning of the buffer.
    Datagram(usize),
    /// A datagram was longer than the buffer and is lost.
    TooLong,
    /// No datagram arrived in time.
    TimedOut,
    /// A waker was called since the last wait ended.
    Woken,
    /// The other side is gone, or [`Transport::stop`] was called. It stays so.
    Closed,
}

/// A network as one replica sees it.
pub trait Transport: Send + Sync {
    /// Waits for the next datagram, but not beyond `until`. A datagram that is there already is
    /// taken even if that time has passed.
    ///
    /// # Errors
    ///
    /// The error of the operating system, unless it means [`Received::Closed`].
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received>;

    /// Takes the next datagram if it is there already. It leaves the call of a waker to the next
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Sends one datagram whole, and waits while the network takes no more. After
    /// [`stop`](Self::stop) it still sends a datagram that can be sent at once.
    ///
    /// A network with one connection for everything carries it to the simulator, which reads the
    /// destination from the datagram.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` if the other side is gone or if it would have to wait after a stop;
    /// `InvalidInput` if the datagram is longer than [`max_datagram`](Self::max_datagram);
    /// else the error of the operating system.
    fn send(&self, to: Address, datagram: &[u8]) -> io::Result<()>;

    /// Sends one datagram whole if the network takes it at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it does not: a part may be sent already, so the next datagram that is
    /// offered must be the same one. Else as [`send`](Self::send).
    fn try_send(&self, to: Address, datagram: &[u8]) -> io::Result<()>;

    /// Begins a row of datagrams. The transport may keep them until [`flush`](Self::flush), so that many
    /// leave in one call of the system.
    fn gather(&self) {}

    /// Ends a row of datagrams: none is kept any more.
    fn flush(&self) {}

    /// The most bytes that a datagram may have on its way out.
    fn max_datagram(&self) -> usize;

    /// A handle that makes a `receive` return [`Received::Woken`]: the one that waits now, if it
    /// began while the handle existed, or else the next one.
    ///
    /// While a waker exists, a wait on a socket costs one system call more. So a replica takes a
    /// waker when another thread may have news for it, and that thread drops it at its end.
    fn waker(&self) -> Waker;

    /// Makes every `receive`, also one that waits now, return [`Received::Closed`], and
    /// no `send` wait any more.
    fn stop(&self);
}

/// Connects to the simulator's socket at this path, of whichever kind that is.
///
/// # Errors
///
/// The error of the operating system, above all that the path has no listener.
pub fn connect_unix(path: &Path) -> io::Result<Arc<dyn Transport>> {
    match Seqpacket::connect(path) {
        Ok(transport) => Ok(Arc::new(transport)),
        Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
            Ok(Arc::new(Stream::connect(path)?))
        }
        Err(error) => Err(error),
    }
}

fn refuse_long(datagram: &[u8], limit: usize) -> io::Result<()> {
    if datagram.len() <= limit {
        return Ok(());
    }
    let length = datagram.len();
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{length} bytes do not fit into {limit}")))
}
