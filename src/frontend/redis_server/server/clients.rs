//! How clients come and go.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::sockopt;
use tracing::{debug, warn};

use super::super::super::redis::connection::{Connection, Ends};
use super::super::counters::add;
use super::super::link::Link;
use super::super::surroundings::wall_clock_us;
use super::{EVENTS, KEEPALIVE, LISTENER, Server};
use crate::clock::BootTime;

/// The pause after the system had no file or memory for another client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The reply to a client for which there is no room.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

impl Server {
    pub(super) fn accept(&mut self) {
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

    pub(super) fn watch_listener(&self, flags: EventFlags) {
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

    pub(super) fn close_by_id(&mut self, id: u64) {
        if let Some(link) = self.links.take(id) {
            self.close(*link);
        }
    }

    /// Closes a link that is taken out.
    pub(super) fn close(&mut self, link: Link) {
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

    pub(super) fn count_held(&mut self, before: usize, after: usize) {
        self.held_bytes = self.held_bytes + after - before;
        self.counters.held_bytes.store(self.held_bytes as u64, std::sync::atomic::Ordering::Relaxed);
    }

    /// Drops the connections that hold the most, while all together hold more than the bound.
    pub(super) fn evict(&mut self) {
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

    pub(super) fn close_idle(&mut self) {
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
}

/// Prepares the socket of a client.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    Ok(sockopt::set_tcp_keepidle(stream, KEEPALIVE)?)
}
