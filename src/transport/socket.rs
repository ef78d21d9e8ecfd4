//! The part that the socket transports share: waiting for a socket without missing a stop or a
//! waker.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    shutdown, socket_with,
};

use super::Received;
use super::alarm::Alarm;
use crate::clock::BootTime;

/// The size that is asked for socket buffers; the system grants what it allows. The usual default
/// holds fewer than 200 short datagrams, less than one full batch of the pipeline.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The shortest wait for which the socket's own time-out is used. The kernel counts that in ticks
/// of its clock, of at most 10 ms, and may end it one tick late.
const SHORTEST_BLOCK: Duration = Duration::from_millis(20);

/// The time-out in milliseconds of a socket that has none.
const FOR_EVER: u64 = u64::MAX;

/// A socket that two stages use and any thread can stop. The stop shuts its receiving side down,
/// which ends the waits of both stages.
pub(super) struct Socket {
    fd: OwnedFd,
    unit: Unit,
    alarm: Arc<Alarm>,
    stopped: AtomicBool,
    block_ms: AtomicU64, // the socket's time-out; read and written by the receiving stage only
}

/// The unit that one call to receive takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// One datagram, whose rest is lost if the buffer is too short.
    Datagram,
    /// As many bytes as the buffer has room for.
    Byte,
}

/// Whether a send may wait for room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Yes,
    No,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd, unit: Unit) -> io::Result<Self> {
        // The transport works with smaller ones too.
        let _refused = sockopt::set_socket_recv_buffer_size(&fd, SOCKET_BUFFER_BYTES);
        let _refused = sockopt::set_socket_send_buffer_size(&fd, SOCKET_BUFFER_BYTES);
        let (alarm, stopped) = (Arc::new(Alarm::new()?), AtomicBool::new(false));
        Ok(Self { fd, unit, alarm, stopped, block_ms: AtomicU64::new(FOR_EVER) })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.alarm))
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // A socket without a connection refuses, and its waits end nevertheless.
        let _refused = shutdown(&self.fd, Shutdown::Read);
    }

    /// Receives one datagram. An empty one may also mean that a connection has ended.
    ///
    /// An idle replica should have the datagram as soon as it wakes up, so it waits in the very
    /// call that receives. The wait takes a call of its own only if a waker may end it or if its
    /// end must be exact.
    pub(super) fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        let mut has_blocked = false;
        // The stop comes first: it must be seen although datagrams never cease to arrive.
        while !self.is_stopped() {
            let has_wakers = self.alarm.has_wakers(); // first: a waker that is dropped now was called before
            if self.alarm.take() {
                return Ok(Received::Woken);
            }
            let left = until.map(BootTime::left);
            let blocks = !has_wakers && self.block_for(left, has_blocked)?;
            let flags = if blocks { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
            if let Some(received) = self.look(buffer, flags)? {
                return Ok(received);
            }
            if left == Some(Duration::ZERO) {
                return Ok(Received::TimedOut);
            }
            if !blocks {
                self.alarm.wait_for(&self.fd, left)?;
            }
            has_blocked = blocks;
        }
        Ok(Received::Closed)
    }

    /// Receives one datagram if there is one, as [`receive`](Self::receive) does it.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.is_stopped() {
            return Ok(Received::Closed);
        }
        Ok(self.look(buffer, RecvFlags::DONTWAIT)?.unwrap_or(Received::TimedOut))
    }

    /// One call to receive; `None` if there is no datagram, or if a signal or the stop ended the
    /// call.
    fn look(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<Option<Received>> {
        // MSG_TRUNC makes the call return the datagram's own length, even if that is more than the
        // buffer's.
        let flags = if self.unit == Unit::Datagram { flags | RecvFlags::TRUNC } else { flags };
        match recv(&self.fd, &mut *buffer, flags) {
            Ok((_, 0)) if self.is_stopped() => Ok(None),
            Ok((_, length)) if length > buffer.len() => Ok(Some(Received::TooLong)),
            Ok((_, length)) => Ok(Some(Received::Datagram(length))),
            // CONNREFUSED: a datagram that was sent earlier found no receiver. It is lost, as
            // others may be.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNREFUSED) => Ok(None),
            Err(Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN) => Ok(Some(Received::Closed)),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a call may block because the socket's own time-out ends it well before this span
    /// does. To set the time-out takes a call of its own, so one that is shorter than needed stays
    /// until it has ended a wait in vain.
    fn block_for(&self, left: Option<Duration>, in_vain: bool) -> io::Result<bool> {
        let block_ms = match left {
            None => FOR_EVER,
            Some(left) if left < 2 * SHORTEST_BLOCK => return Ok(false),
            Some(left) => 1 << (left.as_millis() / 2).min(1 << 40).ilog2(),
        };
        let set_ms = self.block_ms.load(Ordering::Relaxed);
        if set_ms > block_ms || (in_vain && set_ms < block_ms) {
            let timeout = (block_ms != FOR_EVER).then(|| Duration::from_millis(block_ms));
            sockopt::set_socket_timeout(&self.fd, Timeout::Recv, timeout)?;
            self.block_ms.store(block_ms, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// Sends with a call like [`rustix::net::send`], and returns how many bytes were sent.
    pub(super) fn send(
        &self,
        wait: Wait,
        call: impl Fn(SendFlags) -> Result<usize, Errno>,
    ) -> io::Result<usize> {
        loop {
            // MSG_NOSIGNAL: a simulator that is gone must not kill the process by SIGPIPE.
            match call(SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(length) => return Ok(length),
                Err(Errno::AGAIN) if self.is_stopped() => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(Errno::AGAIN) if wait == Wait::No => return Err(io::ErrorKind::WouldBlock.into()),
                Err(Errno::AGAIN) => {
                    poll_at_most(&mut [PollFd::new(&self.fd, PollFlags::OUT | PollFlags::RDHUP)], None)?;
                }
                // CONNREFUSED is about an earlier datagram; this one was not sent.
                Err(Errno::INTR | Errno::CONNREFUSED) => {}
                Err(Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN) => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the other side of a connection will never send again.
    pub(super) fn is_hung_up(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::RDHUP)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&at_once)) {
            Ok(_) => Ok(fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Waits for one of these, but not for longer. A signal may end the wait, too.
pub(super) fn poll_at_most(fds: &mut [PollFd<'_>], left: Option<Duration>) -> io::Result<()> {
    // A span that does not fit is for ever.
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Connects to a Unix socket of this kind. `EPROTOTYPE` means that it is of another kind.
pub(super) fn connect_unix(path: &Path, kind: SocketType) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let fd = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    loop {
        match connect(&fd, &address) {
            Ok(()) => return Ok(fd),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::socketpair;

    use super::*;

    #[test]
    fn time_out_ends_well_before_the_wait_and_grows_only_after_it_was_too_short() {
        let (fd, _other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("a pair");
        let socket = Socket::new(fd, Unit::Datagram).expect("a socket");
        let secs = |secs| Some(Duration::from_secs(secs));
        let set_by = |left, in_vain| {
            let blocks = socket.block_for(left, in_vain).expect("no error of the system");
            (blocks, sockopt::socket_timeout(socket.fd(), Timeout::Recv).expect("no error of the system"))
        };
        assert_eq!(set_by(None, false), (true, None));
        assert_eq!(set_by(secs(10), false), (true, Some(Duration::from_millis(4096))));
        assert_eq!(set_by(secs(20), false), (true, Some(Duration::from_millis(4096))), "it will do");
        assert_eq!(set_by(secs(1), false), (true, Some(Duration::from_millis(256))), "it must end earlier");
        assert!(!set_by(Some(SHORTEST_BLOCK), false).0, "the end must be exact");
        assert_eq!(
            set_by(secs(20), true),
            (true, Some(Duration::from_millis(8192))),
            "it ended a wait in vain"
        );
        assert_eq!(set_by(None, true), (true, None));
    }
}
