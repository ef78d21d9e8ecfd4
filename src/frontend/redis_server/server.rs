//! The thread of a server: one turn after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt;
use tracing::{debug, warn};

use super::super::facts::ClusterFacts;
use super::super::redis::ask::Ask;
use super::super::redis::connection::{Connection, Ends};
use super::super::redis::facts::Facts;
use super::super::store::{Freshness, Question, Store};
use super::counters::{ServerCounters, add};
use super::link::{Link, Links};
use super::mailbox::{Arrival, Mailbox};
use super::options::ServerOptions;
use super::surroundings::{Surroundings, wall_clock_us};
use crate::clock::BootTime;
use crate::request::Outcome;

/// The most bytes that one turn reads from a client.
pub(super) const READ_BYTES: usize = 32 << 10;

/// The most bytes that one turn writes to a client.
pub(super) const WRITE_BYTES: usize = 256 << 10;

/// The most events of one turn, and the most clients that it accepts.
const EVENTS: usize = 128;

/// Epoll's names for the listener and the mailbox; connections count from 1.
const LISTENER: u64 = 0;
const MAILBOX: u64 = u64::MAX;

/// The pause after the system had no file or memory for another client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the server looks for idle clients.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A client whose host is gone is noticed after about so long without a packet, as in Redis.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(300);

/// The reply to a client for which there is no room.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

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

    fn accept(&mut self) {
        for _ in 0..EVENTS {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, address)) => self.open(stream, address),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    warn!("cannot accept a Redis client: {error}");
                    self.accepts_at = Some(BootTime::now() + ACCEPT_PAUSE);
                    self.watch_listener(EventFlags::empty());
                    return;
                }
            }
        }
    }

    fn watch_listener(&self, flags: EventFlags) {
        let Some(listener) = &self.listener else { return };
        if let Err(error) = epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER), flags) {
            warn!("Redis clients: epoll: {error}");
        }
    }

    fn open(&mut self, mut stream: TcpStream, address: SocketAddr) {
        if self.links.len() >= self.options.max_connections {
            add(&self.counters.refused, 1);
            warn!("a Redis client from {address} is refused: there are {} already", self.links.len());
            // The buffer of a new socket has room for it; a client that is gone needs no reply.
            let _gone = stream.set_nonblocking(true).and_then(|()| stream.write(TOO_MANY));
            return;
        }
        let id = self.last_id + 1;
        let prepared = prepare(&stream).and_then(|()| {
            let data = EventData::new_u64(id);
            Ok(epoll::add(&self.epoll, &stream, data, EventFlags::IN)?)
        });
        if let Err(error) = prepared {
            return warn!("cannot serve a Redis client from {address}: {error}");
        }
        self.last_id = id;
        let local_address = stream.local_addr().unwrap_or(self.local_address).to_string();
        let ends = Ends { id, address: address.to_string(), local_address };
        let connection = Connection::new(ends, self.options.connection.clone(), wall_clock_us());
        self.links.insert(Box::new(Link {
            id,
            stream,
            connection,
            interest: EventFlags::IN,
            held_bytes: 0,
            has_ended: false,
            is_broken: false,
            is_ignored: false,
            is_touched: false,
        }));
        add(&self.counters.accepted, 1);
        self.count_connections();
    }

    fn count_connections(&self) {
        self.counters.connections.store(self.links.len() as u64, std::sync::atomic::Ordering::Relaxed);
    }

    /// Reads what is there, up to the bound of a turn.
    fn read(&mut self, link: &mut Link) {
        if !link.connection.wants_input() || link.has_ended {
            link.is_ignored = true;
            return;
        }
        let mut input = mem::take(&mut self.input);
        match link.stream.read(&mut input) {
            // All requests that have arrived have run, because the connection wants input.
            Ok(0) => {
                link.has_ended = true;
                link.connection.end_input();
            }
            Ok(length) => {
                add(&self.counters.bytes_in, length as u64);
                link.connection.receive(&input[..length], &mut self.surroundings(link.held_bytes));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => link.is_broken = true,
        }
        self.input = input;
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

    /// Hands the asks of a connection to the store, writes its output, and closes it if it is over.
    fn serve(&mut self, mut link: Box<Link>) {
        link.is_touched = false;
        let mut budget = WRITE_BYTES;
        loop {
            for ask in link.connection.take_asks() {
                self.ask(link.id, ask);
            }
            let output = link.connection.output();
            if link.is_broken || output.is_empty() || budget == 0 {
                break;
            }
            match link.stream.write(&output[..output.len().min(budget)]) {
                Ok(0) => link.is_broken = true,
                Ok(length) => {
                    budget -= length;
                    add(&self.counters.bytes_out, length as u64);
                    link.connection.sent(length, &mut self.surroundings(link.held_bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => link.is_broken = true,
            }
        }
        let kills = link.connection.take_kills();
        self.settle(link);
        for id in kills {
            self.close_by_id(id);
        }
    }

    fn ask(&self, connection: u64, ask: Ask) {
        let Ask { ticket, command, request, is_local } = ask;
        let freshness = match is_local {
            true => Freshness::Local(self.options.max_stale_us),
            false => Freshness::Linearizable,
        };
        let question = Question { command, name: request, freshness };
        self.store.ask_in_order(connection, question, self.mailbox.answer(connection, ticket));
    }

    /// Puts a link back, or closes it.
    fn settle(&mut self, mut link: Box<Link>) {
        if link.is_broken || link.connection.is_over() {
            return self.close(*link);
        }
        let held_bytes = link.connection.held_bytes();
        self.count_held(mem::replace(&mut link.held_bytes, held_bytes), held_bytes);
        let wanted = link.wanted();
        link.is_ignored = false;
        if wanted != link.interest {
            match epoll::modify(&self.epoll, &link.stream, EventData::new_u64(link.id), wanted) {
                Ok(()) => link.interest = wanted,
                Err(error) => {
                    warn!("Redis clients: epoll: {error}");
                    return self.close(*link);
                }
            }
        }
        self.links.put_back(link);
    }

    fn count_held(&mut self, before: usize, after: usize) {
        self.held_bytes = self.held_bytes + after - before;
        self.counters.held_bytes.store(self.held_bytes as u64, std::sync::atomic::Ordering::Relaxed);
    }

    fn close_by_id(&mut self, id: u64) {
        if let Some(link) = self.links.take(id) {
            self.close(*link);
        }
    }

    /// Closes a link that is taken out.
    fn close(&mut self, link: Link) {
        if link.connection.is_dropped() {
            add(&self.counters.slow_clients, 1);
            warn!("Redis client {} is dropped: it does not take its replies", link.id);
        }
        if link.connection.is_malformed() {
            add(&self.counters.protocol_errors, 1);
            debug!("Redis client {} sent bytes that are no request", link.id);
        }
        self.count_held(link.held_bytes, 0);
        self.links.remove(link.id);
        self.count_connections();
        // A client that is gone needs no end of the stream.
        let _gone = link.stream.shutdown(Shutdown::Write);
    }

    /// Drops the connections that hold the most, while all together hold more than the bound.
    fn evict(&mut self) {
        while self.held_bytes > self.options.memory_bytes {
            let Some(largest) = self.links.iter().max_by_key(|link| (link.held_bytes, link.id)) else {
                return;
            };
            let (id, held_bytes) = (largest.id, largest.held_bytes);
            add(&self.counters.evicted, 1);
            warn!("Redis client {id} is dropped: it holds {held_bytes} bytes of {}", self.held_bytes);
            self.close_by_id(id);
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

    fn close_idle(&mut self) {
        let Some(limit) = self.options.idle_timeout else { return };
        let now_us = wall_clock_us();
        let is_idle = |link: &&Link| {
            let idle_s = link.connection.describe(now_us).idle_s;
            !link.connection.owes() && idle_s >= limit.as_secs().cast_signed()
        };
        let idle: Vec<u64> = self.links.iter().filter(is_idle).map(|link| link.id).collect();
        for id in idle {
            add(&self.counters.idle_clients, 1);
            self.close_by_id(id);
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

/// Prepares the socket of a client.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    Ok(sockopt::set_tcp_keepidle(stream, KEEPALIVE)?)
}
