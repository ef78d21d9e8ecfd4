//! Standard input and output: each line is a message. The other side of both may be a pipe, a
//! socket, a file or a terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, read, write};

use super::alarm::Alarm;
use super::socket::{Wait, poll_at_most};
use super::stream::Lines;
use super::{Address, Received, Transport, refuse_long};
use crate::clock::BootTime;

/// The longest message, without its newline. It bounds what one entry takes; nothing outside asks
/// for a bound.
pub const STDIO_MAX_DATAGRAM: usize = 64 * 1024;

/// How many bytes of a line are kept until its newline arrives; a line that is not shorter is lost.
const MAX_LINE_BYTES: usize = 256 * 1024;

/// How many bytes one call writes: a pipe that is ready takes as many without blocking (`PIPE_BUF`).
const WRITE_BYTES: usize = 4096;

/// How long a send waits before it looks whether the transport was stopped.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// Lines on two descriptors. It sets no flags on them, because they may be shared with other
/// processes: it asks whether a call would block before it makes one.
pub struct Stdio {
    input: OwnedFd,
    output: OwnedFd,
    lines: Mutex<Lines>,  // used by the receiving stage only
    written: AtomicUsize, // bytes of the current line that are written; of the sending stage
    alarm: Arc<Alarm>,
    stopped: AtomicBool,
}

impl Stdio {
    /// The standard input and output of this process.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn open() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        Self::new(input, io::stdout().as_fd().try_clone_to_owned()?)
    }

    /// Reads from one descriptor and writes to another.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn new(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        let (written, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let lines = Mutex::new(Lines::new(MAX_LINE_BYTES));
        Ok(Self { input, output, lines, written, alarm: Arc::new(Alarm::new()?), stopped })
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Reads once if the input is ready; `None` if it is not.
    fn read_some(&self, lines: &mut Lines) -> io::Result<Option<Received>> {
        let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
        poll_at_most(&mut fds, Some(Duration::ZERO))?;
        if fds[0].revents().is_empty() {
            return Ok(None);
        }
        match read(&self.input, lines.space()) {
            Ok(0) => Ok(Some(Received::Closed)),
            Ok(length) => {
                lines.extend(length);
                Ok(None)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the output takes a part of a line at once.
    fn takes_more(&self, wait: Wait) -> io::Result<bool> {
        let left = if wait == Wait::Yes { STOP_LOOK } else { Duration::ZERO };
        let mut fds = [PollFd::new(&self.output, PollFlags::OUT)];
        poll_at_most(&mut fds, Some(left))?;
        Ok(!fds[0].revents().is_empty())
    }

    fn transmit(&self, datagram: &[u8], wait: Wait) -> io::Result<()> {
        refuse_long(datagram, STDIO_MAX_DATAGRAM)?;
        let mut written = self.written.load(Ordering::Relaxed);
        while written <= datagram.len() {
            if !self.takes_more(wait)? {
                self.written.store(written, Ordering::Relaxed);
                match wait {
                    _ if self.is_stopped() => return Err(io::ErrorKind::BrokenPipe.into()),
                    Wait::No => return Err(io::ErrorKind::WouldBlock.into()),
                    Wait::Yes => continue,
                }
            }
            // The newline has a call of its own only if the rest of the line fills this one.
            let rest = &datagram[written..];
            let result = if rest.len() < WRITE_BYTES {
                write(&self.output, &[rest, b"\n"].concat())
            } else {
                write(&self.output, &rest[..WRITE_BYTES])
            };
            match result {
                Ok(length) => written += length,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.written.store(0, Ordering::Relaxed);
        Ok(())
    }
}

impl Transport for Stdio {
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        let mut lines = self.lines.lock();
        // The stop comes first: it must be seen although lines never cease to arrive.
        while !self.is_stopped() {
            if self.alarm.take() {
                return Ok(Received::Woken);
            }
            if let Some(received) = lines.next(buffer) {
                return Ok(received);
            }
            if let Some(received) = self.read_some(&mut lines)? {
                return Ok(received);
            }
            if let Some(received) = lines.next(buffer) {
                return Ok(received);
            }
            let left = until.map(BootTime::left);
            if left == Some(Duration::ZERO) {
                return Ok(Received::TimedOut);
            }
            self.alarm.wait_for(&self.input, left)?;
        }
        Ok(Received::Closed)
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.is_stopped() {
            return Ok(Received::Closed);
        }
        let mut lines = self.lines.lock();
        if let Some(received) = lines.next(buffer) {
            return Ok(received);
        }
        if let Some(received) = self.read_some(&mut lines)? {
            return Ok(received);
        }
        Ok(lines.next(buffer).unwrap_or(Received::TimedOut))
    }

    fn send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::Yes)
    }

    fn try_send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::No)
    }

    fn max_datagram(&self) -> usize {
        STDIO_MAX_DATAGRAM
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.alarm))
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        Waker::from(Arc::clone(&self.alarm)).wake();
    }
}
