//! How datagrams travel: one trait, and one file per network.
//!
//! A transport is shared by two stages, one that only receives and one that only sends, on one thread or on two, and
//! anybody may stop it. It knows nothing of what is in a datagram, except that the
//! in-process one reads where it should go.
//!
//! | file | job |
//! |---|---|
//! | `seqpacket` | a Unix socket of packets |
//! | `stream` | a Unix socket of lines |
//! | `udp` | UDP on the loopback interface |
//! | `socket` | what these share: waiting for a socket without missing a stop |
//! | `memory` | a network inside the process, for tests and benches |

mod memory;
mod seqpacket;
mod socket;
mod stream;
mod udp;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use crate::clock::BootTime;
pub use memory::{Hub, MemoryTransport, Packet};
pub use seqpacket::{SEQPACKET_MAX_DATAGRAM, Seqpacket};
pub use stream::{STREAM_MAX_DATAGRAM, Stream};
pub use udp::{UDP_MAX_DATAGRAM, Udp};

/// What a wait for a datagram ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A datagram of this many bytes lies at the beginning of the buffer.
    Datagram(usize),
    /// A datagram was longer than the buffer and is lost.
    TooLong,
    /// Nothing arrived in time.
    TimedOut,
    /// The other side is gone, or [`Transport::stop`] was called. It stays so.
    Closed,
}

/// A network as one replica sees it.
pub trait Transport: Send + Sync {
    /// Waits for the next datagram, but not beyond `until`. What is there already is taken even if that has passed.
    ///
    /// # Errors
    ///
    /// What the operating system reports, if it does not simply mean [`Received::Closed`].
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received>;

    /// Takes the next datagram if it is there already.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Sends one datagram whole, and waits while the network takes no more. After
    /// [`stop`](Self::stop) it still sends what can be sent at once.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` if the other side is gone or if it would have to wait after a stop;
    /// `InvalidInput` if the datagram is longer than [`max_datagram`](Self::max_datagram);
    /// else what the operating system reports.
    fn send(&self, datagram: &[u8]) -> io::Result<()>;

    /// Sends one datagram whole if the network takes it at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it does not: a part may be sent already, so the next datagram that is offered must
    /// be the same one. Else as [`send`](Self::send).
    fn try_send(&self, datagram: &[u8]) -> io::Result<()>;

    /// The most bytes that a datagram may have on its way out.
    fn max_datagram(&self) -> usize;

    /// Makes every `receive`, also one that waits now, return [`Received::Closed`], and
    /// no `send` wait any more.
    fn stop(&self);
}

/// Connects to the simulator's socket at this path, of whichever kind that is.
///
/// # Errors
///
/// What the operating system reports, above all that the path has no listener.
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
