//! The bytes from and to one client, and its questions to the store.

use std::io::{ErrorKind, Read, Write};
use std::mem;

use rustix::event::epoll::{self, EventData};
use tracing::warn;

use super::super::super::redis::ask::Ask;
use super::super::super::store::{Freshness, Question};
use super::super::counters::add;
use super::super::link::Link;
use super::Server;

/// The most bytes that one turn reads from a client.
pub(super) const READ_BYTES: usize = 32 << 10;

/// The most bytes that one turn writes to a client.
pub(super) const WRITE_BYTES: usize = 256 << 10;

impl Server {
    /// Reads what is there, up to the bound of a turn.
    pub(super) fn read(&mut self, link: &mut Link) {
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

    /// Hands the asks of a connection to the store, writes its output, and closes it if it is over.
    pub(super) fn serve(&mut self, mut link: Box<Link>) {
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
}
