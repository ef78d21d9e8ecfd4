//! Answers that other threads bring, and the waker of the server's thread.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

use super::super::redis::ask::Ticket;
use super::super::store::Answer;
use crate::clock::BootTime;
use crate::request::Outcome;

/// No stop was asked for.
const NEVER: u64 = u64::MAX;

/// An answer for a connection.
#[derive(Debug)]
pub(super) struct Arrival {
    pub connection: u64,
    pub ticket: Ticket,
    pub outcome: Outcome,
}

/// The mailbox. The store's promises bound it: each ask has one answer.
#[derive(Debug)]
pub(super) struct Mailbox {
    event: OwnedFd,
    arrivals: Mutex<Vec<Arrival>>,
    is_waiting: AtomicBool, // the server's thread waits, or will before it looks here again
    stop_at_us: AtomicU64,
}

/// The duty to answer one ask. If the store forgets it, the outcome is unknown.
struct Duty {
    mailbox: Arc<Mailbox>,
    connection: u64,
    ticket: Ticket,
    is_done: bool,
}

impl Mailbox {
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (arrivals, is_waiting) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { event, arrivals, is_waiting, stop_at_us: AtomicU64::new(NEVER) })
    }

    /// The answer to an ask, on its way into the mailbox.
    pub fn answer(self: &Arc<Self>, connection: u64, ticket: Ticket) -> Answer {
        let mut duty = Duty { mailbox: Arc::clone(self), connection, ticket, is_done: false };
        Box::new(move |outcome| duty.fulfil(outcome))
    }

    /// Tells the server to stop by this time.
    pub fn stop_at(&self, at: BootTime) {
        self.stop_at_us.store(at.as_micros().min(NEVER - 1), Ordering::SeqCst);
        self.ring();
    }

    /// The time by which the server is to stop.
    pub fn stops_at(&self) -> Option<BootTime> {
        let at = self.stop_at_us.load(Ordering::SeqCst);
        (at != NEVER).then(|| BootTime::from_micros(at))
    }

    /// All answers that have arrived.
    pub fn take(&self) -> Vec<Arrival> {
        mem::take(&mut self.arrivals.lock())
    }

    /// The server's thread is about to wait. Returns whether it may: an answer that arrives later
    /// ends the wait.
    pub fn begin_wait(&self) -> bool {
        self.is_waiting.store(true, Ordering::SeqCst);
        self.arrivals.lock().is_empty()
    }

    /// The wait is over.
    pub fn end_wait(&self) {
        self.is_waiting.store(false, Ordering::SeqCst);
    }

    /// Takes the event that has ended a wait.
    pub fn clear_event(&self) {
        let _empty = read(&self.event, &mut [0; 8]);
    }

    fn post(&self, arrival: Arrival) {
        self.arrivals.lock().push(arrival);
        self.ring();
    }

    fn ring(&self) {
        if self.is_waiting.swap(false, Ordering::SeqCst) {
            // A full event is readable, too.
            let _full = write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Duty {
    fn fulfil(&mut self, outcome: Outcome) {
        if !mem::replace(&mut self.is_done, true) {
            let &mut Self { connection, ticket, .. } = self;
            self.mailbox.post(Arrival { connection, ticket, outcome });
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.fulfil(Outcome::Unknown);
    }
}
