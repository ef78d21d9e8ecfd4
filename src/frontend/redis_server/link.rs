//! A socket with its connection.

use std::collections::HashMap;
use std::net::TcpStream;

use rustix::event::epoll::EventFlags;

use super::super::redis::connection::Connection;

/// A client's socket, with its connection.
pub(super) struct Link {
    pub id: u64,
    pub stream: TcpStream,
    pub connection: Connection,
    pub interest: EventFlags, // what epoll watches
    pub held_bytes: usize,    // as the server has counted them
    pub has_ended: bool,      // the client sends no more
    pub is_broken: bool,      // the socket has failed
    pub is_ignored: bool,     // the socket was readable, and the connection did not want to read
    pub is_touched: bool,     // it is among those that this turn serves
}

/// All links by the IDs of their connections. A link that the server works on is taken out, so that
/// the others can be shown to its client.
#[derive(Default)]
pub(super) struct Links(HashMap<u64, Option<Box<Link>>>);

impl Links {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn ids(&self) -> Vec<u64> {
        self.0.keys().copied().collect()
    }

    /// All links, but for one that is taken out.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.0.values().flatten().map(Box::as_ref)
    }

    pub fn insert(&mut self, link: Box<Link>) {
        self.0.insert(link.id, Some(link));
    }

    /// Takes a link out for a while. Its place stays.
    pub fn take(&mut self, id: u64) -> Option<Box<Link>> {
        self.0.get_mut(&id)?.take()
    }

    /// Puts a link back that was taken out.
    pub fn put_back(&mut self, link: Box<Link>) {
        if let Some(place) = self.0.get_mut(&link.id) {
            *place = Some(link);
        }
    }

    /// Removes the place of a link.
    pub fn remove(&mut self, id: u64) {
        self.0.remove(&id);
    }
}

impl Link {
    /// The events that the connection waits for. A socket that is readable too early stays watched
    /// until it is: that saves most of the changes.
    pub fn wanted(&self) -> EventFlags {
        let reads = self.connection.wants_input() && !self.has_ended;
        let keeps = self.interest.contains(EventFlags::IN) && !self.is_ignored && !self.has_ended;
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, reads || keeps);
        wanted.set(EventFlags::OUT, !self.connection.output().is_empty());
        wanted
    }
}
