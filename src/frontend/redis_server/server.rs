//! The thread of a server: one turn after the other. `clients` has the ways in which clients come and
//! go, `exchange` the bytes from and to one of them.

mod clients;
mod exchange;

use std::io;
use std::mem;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use tracing::warn;

use super::super::facts::ClusterFacts;
use super::super::redis::facts::Facts;
use super::super::store::Store;
use super::counters::{ServerCounters, add};
use super::link::{Link, Links};
use super::mailbox::{Arrival, Mailbox};
use super::options::ServerOptions;
use super::surroundings::Surroundings;
use crate::clock::BootTime;
use crate::request::Outcome;
use exchange::READ_BYTES;

/// The most events of one turn, and the most clients that it accepts.
const EVENTS: usize = 128;

/// Epoll's names for the listener and the mailbox; connections count from 1.
const LISTENER: u64 = 0;
const MAILBOX: u64 = u64::MAX;

/// How often the server looks for idle clients.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A client whose host is gone is noticed after about so long without a packet, as in Redis.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(300);

/// The state of the thread.
pub(super) struct Server {
    epoll: OwnedFd,
    listener: Option<TcpListener>, // none after a stop
    local_address: SocketAddr,
    options: ServerOptions,
    store: Arc<dyn Store>,
    cluster: Arc<dyn ClusterFacts>,
    mailbox: Arc<Mailbox>,
    counters: Arc<ServerCounters>,
    links: Links,
    last_id: u64,
    held_bytes: usize, // the sum of all links
    touched: Vec<u64>, // the links that this turn serves
    input: Vec<u8>,    // READ_BYTES, for all links
    started: BootTime,
    accepts_at: Option<BootTime>, // when a pause ends
    sweeps_at: Option<BootTime>,
    stops_at: Option<BootTime>,
}

impl Server {
    pub fn new(
        listener: TcpListener,
        options: ServerOptions,
        store: Arc<dyn Store>,
        cluster: Arc<dyn ClusterFacts>,
        mailbox: Arc<Mailbox>,
        counters: Arc<ServerCounters>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&epoll, &*mailbox, EventData::new_u64(MAILBOX), EventFlags::IN)?;
        let started = BootTime::now();
        Ok(Self {
            epoll,
            local_address: listener.local_addr()?,
            listener: Some(listener),
            sweeps_at: options.idle_timeout.map(|_| started + SWEEP_INTERVAL),
            options,
            store,
            cluster,
            mailbox,
            counters,
            links: Links::default(),
            last_id: 0,
            held_bytes: 0,
            touched: Vec::new(),
            input: vec![0; READ_BYTES],
            started,
            accepts_at: None,
            stops_at: None,
        })
    }

    /// Serves until the mailbox says stop and nothing is owed, or the time for that is over.
    pub fn run(&mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.is_over() {
            self.wait(&mut events);
            for event in events.drain(..) {
                self.handle(event);
            }
            self.take_answers();
            self.serve_touched();
            self.evict();
            self.keep_time();
        }
        for id in self.links.ids() {
            self.close_by_id(id);
        }
    }

    fn is_over(&self) -> bool {
        self.stops_at.is_some_and(|at| self.links.len() == 0 || BootTime::now() >= at)
    }

    /// Waits for events, answers, or the next time at which something is due.
    fn wait(&mut self, events: &mut Vec<Event>) {
        let waits = self.mailbox.begin_wait() && self.mailbox.stops_at().is_some() == self.stops_at.is_some();
        let due = [self.accepts_at, self.sweeps_at, self.stops_at].into_iter().flatten().min();
        let left = if waits { due.map(BootTime::left) } else { Some(Duration::ZERO) };
        // Rounded up to the unit of epoll, so that the time has come when the wait ends.
        let left = left.map(|left| if left.is_zero() { left } else { left + Duration::from_millis(1) });
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match epoll::wait(&self.epoll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => warn!("Redis clients: epoll: {error}"),
        }
        self.mailbox.end_wait();
    }

    fn handle(&mut self, event: Event) {
        let Event { flags, data } = event;
        match data.u64() {
            LISTENER => self.accept(),
            MAILBOX => self.mailbox.clear_event(),
            id => {
                let Some(mut link) = self.links.take(id) else { return };
                if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                    link.is_broken = true;
                } else if flags.contains(EventFlags::IN) {
                    self.read(&mut link);
                }
                self.touch(&mut link);
                self.links.put_back(link);
            }
        }
    }

    fn take_answers(&mut self) {
        for Arrival { connection, ticket, outcome } in self.mailbox.take() {
            match outcome {
                Outcome::Done(_) => {}
                Outcome::Unknown => add(&self.counters.unknown, 1),
                Outcome::Fail | Outcome::Redirect => add(&self.counters.failed, 1),
            }
            let Some(mut link) = self.links.take(connection) else { continue };
            link.connection.answer(ticket, outcome, &mut self.surroundings(link.held_bytes));
            self.touch(&mut link);
            self.links.put_back(link);
        }
    }

    fn touch(&mut self, link: &mut Link) {
        if !mem::replace(&mut link.is_touched, true) {
            self.touched.push(link.id);
        }
    }

    fn serve_touched(&mut self) {
        for id in mem::take(&mut self.touched) {
            if let Some(link) = self.links.take(id) {
                self.serve(link);
            }
        }
    }

    /// Does what is due.
    fn keep_time(&mut self) {
        if self.stops_at.is_none()
            && let Some(at) = self.mailbox.stops_at()
        {
            self.begin_to_stop(at);
        }
        if self.accepts_at.is_some_and(|at| BootTime::now() >= at) {
            self.accepts_at = None;
            self.watch_listener(EventFlags::IN);
        }
        if self.sweeps_at.is_some_and(|at| BootTime::now() >= at) {
            self.sweeps_at = Some(BootTime::now() + SWEEP_INTERVAL);
            self.close_idle();
        }
    }

    /// From now on there are no more clients and no more requests.
    fn begin_to_stop(&mut self, at: BootTime) {
        self.stops_at = Some(at);
        self.listener = None;
        for id in self.links.ids() {
            if let Some(mut link) = self.links.take(id) {
                link.has_ended = true;
                link.connection.end_input();
                self.serve(link);
            }
        }
    }

    /// The facts for a connection that holds so many bytes.
    fn surroundings(&self, held_bytes: usize) -> impl Facts {
        let Self { options, links, .. } = self;
        let share = options.memory_bytes / 2 / links.len().max(1);
        Surroundings {
            options,
            cluster: &*self.cluster,
            counters: &self.counters,
            links,
            port: self.local_address.port(),
            started: self.started,
            has_memory: self.held_bytes <= options.memory_bytes / 4 * 3 || held_bytes <= share,
        }
    }
}
