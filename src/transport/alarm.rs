//! Ends the wait of one thread in a poll, from any other thread: an eventfd in the same poll set, which
//! costs a system call only while the thread is in its poll.
//!
//! An idle replica should wait in the very call that receives, and no other thread can end that
//! call. So a socket asks first whether a waker exists, and waits in a poll only then.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Wake;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::{read, write};

use super::socket::poll_at_most;

/// The state that a thread shares with those that wake it.
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

    /// Ends the wait that goes on, or else the next one.
    pub(super) fn ring(&self) {
        if !self.is_set.swap(true, Ordering::SeqCst) && self.is_polled.load(Ordering::SeqCst) {
            // A full event is readable, too.
            let _full = write(&self.event, &1u64.to_ne_bytes());
        }
    }

    /// Whether it was rung since the last time. The thread that rang it has shown to the caller all that it
    /// did before.
    pub(super) fn take(&self) -> bool {
        self.is_set.load(Ordering::Relaxed) && self.is_set.swap(false, Ordering::SeqCst)
    }

    /// Waits until the socket is readable, the alarm is set or the span is over.
    pub(super) fn wait_for(&self, socket: &OwnedFd, left: Option<Duration>) -> io::Result<()> {
        let socket = PollFd::new(socket, PollFlags::IN | PollFlags::RDHUP);
        self.poll(&mut [socket, PollFd::new(&self.event, PollFlags::IN)], left)
    }

    /// Waits until one of these is ready, the alarm is set or the span is over, and takes the alarm.
    pub(super) fn wait<'a>(&'a self, fds: &mut Vec<PollFd<'a>>, left: Option<Duration>) -> io::Result<()> {
        fds.push(PollFd::new(&self.event, PollFlags::IN));
        let result = self.poll(fds, left);
        fds.pop();
        self.take();
        result
    }

    /// Polls these, of which the event is the last one.
    fn poll(&self, fds: &mut [PollFd<'_>], left: Option<Duration>) -> io::Result<()> {
        self.is_polled.store(true, Ordering::SeqCst);
        // A call before this line has set the alarm, and a call after it writes the event.
        let left = if self.is_set.load(Ordering::SeqCst) { Some(Duration::ZERO) } else { left };
        let result = poll_at_most(fds, left);
        self.is_polled.store(false, Ordering::SeqCst);
        if fds.last().is_some_and(|event| !event.revents().is_empty()) {
            let _empty = read(&self.event, &mut [0; 8]);
        }
        result
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
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
        alarm.ring();
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
        alarm.ring();
        assert!(alarm.take(), "the thread sees the flag before the event is there");
        alarm.wait_for(&socket, None).expect("no error of the system");
        let event = PollFd::from_borrowed_fd(alarm.event.as_fd(), PollFlags::IN);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut [event], Some(&at_once)), Ok(0), "the event is taken");
        assert!(!alarm.take());
    }
    #[test]
    fn wait_for_several_takes_the_alarm_and_shows_which_of_them_are_ready() {
        let (socket, other, alarm) = silence();
        write(&other, b"datagram").expect("a socket");
        alarm.ring();
        let mut fds = vec![PollFd::new(&socket, PollFlags::IN)];
        alarm.wait(&mut fds, None).expect("no error of the system");
        assert!(fds.len() == 1 && fds[0].revents().contains(PollFlags::IN), "{fds:?}");
        assert!(!alarm.take());
    }
}
