//! Wakes a thread that waits for a socket: an eventfd in the same poll set.
//!
//! An idle replica should wait in the very call that receives, and no other thread can end that
//! call. So the socket asks first whether a waker exists, and waits in a poll only then.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Wake;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::{read, write};

use super::socket::poll_at_most;

/// The state that a socket shares with its wakers.
pub(super) struct Alarm {
    event: OwnedFd,
    is_set: AtomicBool,
    is_polled: AtomicBool, // a thread polls the event, or will before it looks at `is_set` again
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, is_set: AtomicBool::new(false), is_polled: AtomicBool::new(false) })
    }

    /// Whether a waker exists. A call of one that exists no more is seen by the next
    /// [`take`](Self::take).
    pub(super) fn has_wakers(self: &Arc<Self>) -> bool {
        let has_wakers = Arc::strong_count(self) > 1;
        fence(Ordering::Acquire); // the count falls by a release, after the last call
        has_wakers
    }

    /// Whether a waker was called since the last time.
    pub(super) fn take(&self) -> bool {
        self.is_set.load(Ordering::Relaxed) && self.is_set.swap(false, Ordering::SeqCst)
    }

    /// Waits until the socket is readable, the alarm is set or the span is over.
    pub(super) fn wait_for(&self, socket: &OwnedFd, left: Option<Duration>) -> io::Result<()> {
        self.is_polled.store(true, Ordering::SeqCst);
        let mut fds =
            [PollFd::new(socket, PollFlags::IN | PollFlags::RDHUP), PollFd::new(&self.event, PollFlags::IN)];
        // A call before this line has set the alarm, and a call after it writes the event.
        let result = if self.is_set.load(Ordering::SeqCst) { Ok(()) } else { poll_at_most(&mut fds, left) };
        self.is_polled.store(false, Ordering::SeqCst);
        if !fds[1].revents().is_empty() {
            let _empty = read(&self.event, &mut [0; 8]);
        }
        result
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_set.store(true, Ordering::SeqCst);
        if self.is_polled.load(Ordering::SeqCst) {
            // A full event is readable, too.
            let _full = write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::thread;

    use crossbeam_channel::bounded;
    use rustix::event::{Timespec, poll};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    /// A socket on which nothing arrives, and an alarm.
    fn silence() -> (OwnedFd, OwnedFd, Arc<Alarm>) {
        let (socket, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a pair");
        (socket, other, Arc::new(Alarm::new().expect("an event")))
    }

    #[test]
    fn wait_ends_at_once_if_the_alarm_was_set_before_it_began() {
        let (socket, _other, alarm) = silence();
        alarm.wake_by_ref();
        let (ended, ends) = bounded(1);
        thread::spawn(move || {
            alarm.wait_for(&socket, None).expect("no error of the system");
            ended.send(alarm.take()).expect("the test waits for it");
        });
        assert_eq!(ends.recv_timeout(Duration::from_secs(60)), Ok(true), "only a failure waits so long");
    }

    #[test]
    fn event_of_a_late_call_ends_one_wait_and_no_more() {
        let (socket, _other, alarm) = silence();
        alarm.is_polled.store(true, Ordering::SeqCst);
        alarm.wake_by_ref();
        assert!(alarm.take(), "the thread sees the flag before the event is there");
        alarm.wait_for(&socket, None).expect("no error of the system");
        let event = PollFd::from_borrowed_fd(alarm.event.as_fd(), PollFlags::IN);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut [event], Some(&at_once)), Ok(0), "the event is taken");
        assert!(!alarm.take());
    }
}
