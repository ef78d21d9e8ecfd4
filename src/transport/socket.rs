//! What the socket transports share: waiting for a socket without missing a stop.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, write};
use rustix::net::{RecvFlags, SendFlags, recv, sockopt};

use super::Received;

/// What to ask for as the size of socket buffers; the system grants what it allows.
/// The usual default holds fewer than 200 short datagrams, less than one full batch of the pipeline.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A socket that two stages use and a third party can stop. Each call on the socket is
/// non-blocking; whoever has to wait polls the socket and the stop together.
pub(super) struct Socket {
    fd: OwnedFd,
    drained: AtomicBool, // the last look found nothing; read and written by the receiving stage only
    stopped: AtomicBool,
    stop: OwnedFd, // an eventfd that becomes readable by the stop and stays so
}

/// Whether a send may wait for room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Yes,
    No,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // It works with smaller ones too.
        let _refused = sockopt::set_socket_recv_buffer_size(&fd, SOCKET_BUFFER_BYTES);
        let _refused = sockopt::set_socket_send_buffer_size(&fd, SOCKET_BUFFER_BYTES);
        Ok(Self { fd, drained: AtomicBool::new(false), stopped: AtomicBool::new(false), stop })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // It fails only when the counter is full, and then it is readable as well.
        let _full = write(&self.stop, &1u64.to_ne_bytes());
    }

    /// Receives one datagram. An empty one may also mean that a connection has ended.
    pub(super) fn receive(&self, buffer: &mut [u8], until: Option<Instant>) -> io::Result<Received> {
        // MSG_TRUNC makes the call return the datagram's own length, even if that is more than the buffer's.
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        // Who looked in vain a moment ago waits first, which saves an idle replica a call for every datagram.
        let mut waits_first = self.drained.swap(false, Ordering::Relaxed) && !is_past(until);
        // The stop comes first: it must be seen although datagrams never cease to arrive.
        while !self.is_stopped() {
            let looked = if waits_first { Err(Errno::AGAIN) } else { recv(&self.fd, &mut *buffer, flags) };
            waits_first = false;
            match looked {
                Ok((_, length)) if length > buffer.len() => return Ok(Received::TooLong),
                Ok((_, length)) => return Ok(Received::Datagram(length)),
                Err(Errno::AGAIN) if !self.wait(PollFlags::IN, until)? => {
                    self.drained.store(true, Ordering::Relaxed);
                    return Ok(Received::TimedOut);
                }
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN) => return Ok(Received::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Received::Closed)
    }

    /// Sends one datagram with a call like [`rustix::net::send`].
    pub(super) fn send(
        &self,
        wait: Wait,
        call: impl Fn(SendFlags) -> Result<usize, Errno>,
    ) -> io::Result<()> {
        loop {
            // MSG_NOSIGNAL: a simulator that is gone must not kill the process by SIGPIPE.
            match call(SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN) if self.is_stopped() => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(Errno::AGAIN) if wait == Wait::No => return Err(io::ErrorKind::WouldBlock.into()),
                Err(Errno::AGAIN) => drop(self.wait(PollFlags::OUT, None)?),
                Err(Errno::INTR) => {}
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

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Waits for the socket or the stop; false if the time is over and neither came.
    fn wait(&self, what: PollFlags, until: Option<Instant>) -> io::Result<bool> {
        if is_past(until) {
            return Ok(false);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // A span that does not fit is for ever.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds =
            [PollFd::new(&self.fd, what), PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => Ok(false),
            Ok(_) | Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_past(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= Instant::now())
}
