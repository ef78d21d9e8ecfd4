//! Ends the wait of one thread in a poll, from any other thread.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::{read, write};

use crate::transport::socket::poll_at_most;

/// An eventfd that costs a system call only while the thread is in its poll.
pub(super) struct Bell {
    event: OwnedFd,
    is_rung: AtomicBool,
    is_polled: AtomicBool, // the thread polls the event, or will before it looks at `is_rung` again
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, is_rung: AtomicBool::new(false), is_polled: AtomicBool::new(false) })
    }

    /// Ends the wait that goes on, or else the next one.
    pub(super) fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::SeqCst) && self.is_polled.load(Ordering::SeqCst) {
            // A full event is readable, too.
            let _full = write(&self.event, &1u64.to_ne_bytes());
        }
    }

    /// Waits until the bell rings, one of these is ready or the span is over. A thread that rang the
    /// bell before the end of this call has shown to the caller all that it did before.
    pub(super) fn wait<'a>(&'a self, fds: &mut Vec<PollFd<'a>>, left: Option<Duration>) -> io::Result<()> {
        fds.push(PollFd::new(&self.event, PollFlags::IN));
        self.is_polled.store(true, Ordering::SeqCst);
        let left = if self.is_rung.load(Ordering::SeqCst) { Some(Duration::ZERO) } else { left };
        let result = poll_at_most(fds, left);
        self.is_polled.store(false, Ordering::SeqCst);
        if fds.pop().is_some_and(|event| !event.revents().is_empty()) {
            let _empty = read(&self.event, &mut [0; 8]);
        }
        self.is_rung.store(false, Ordering::SeqCst);
        result
    }
}
