//! Asks of a connection for the store, and the rule that keeps their order.
//!
//! A client that sends `SET a 1` and `GET a` in one go expects 1, though neither has its answer
//! when the other arrives. The store applies writes in the order in which it gets them, but serves
//! a read from the state of some moment while the read waits. So a connection asks for a read only
//! when its earlier writes have their answers, and for a write only when its earlier reads have
//! theirs. Several reads in a row, or several writes, are under way at once.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::replies::Place;
use crate::command::Command;
use crate::reply::Reply;
use crate::request::{Outcome, RequestId};

/// The name of an ask, unique in its connection.
pub type Ticket = u64;

/// A command for the store. The caller asks for the commands of a connection in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its name.
    pub ticket: Ticket,
    /// The command.
    pub command: Command,
    /// The name that the client gave the request (KV.DO). The caller names all others.
    pub request: Option<RequestId>,
    /// Whether it is a read of this replica's own state (READONLY), which may be old.
    pub is_local: bool,
}

/// The limits of the asks that one connection has under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskLimits {
    /// The most reads: 60. As many values of 1 MiB may wait for a client before it is dropped.
    pub reads: usize,
    /// The most writes, and the most replies that wait for an earlier one: 1,024.
    pub writes: usize,
    /// The most bytes of their keys and values: 4 MiB.
    pub bytes: usize,
}

impl Default for AskLimits {
    fn default() -> Self {
        Self { reads: 60, writes: 1_024, bytes: 4 << 20 }
    }
}

/// An ask without an answer.
#[derive(Clone, Copy, Debug)]
pub struct Outstanding {
    /// The place of the reply that it belongs to.
    pub place: Place,
    /// Its number among the asks for this reply.
    pub number: usize,
    is_read: bool,
    is_local: bool,
    bytes: usize,
}

/// All asks without an answer: either reads or writes.
#[derive(Debug, Default)]
pub struct Asks {
    next: Ticket,
    outstanding: BTreeMap<Ticket, Outstanding>,
    reads: usize,  // of `outstanding`
    writes: usize, // of `outstanding`; 0 or `reads` is 0
    bytes: usize,  // of their keys and values
    asks: Vec<Ask>,
}

impl Asks {
    /// Whether the store may be asked for these commands now. If nothing is under way, it may.
    pub fn allow(&self, commands: &[Command], limits: &AskLimits) -> bool {
        let (others, most) = match commands.iter().all(Command::is_read) {
            true => (self.writes, limits.reads),
            false => (self.reads, limits.writes),
        };
        let bytes = self.bytes + commands.iter().map(Command::text_len).sum::<usize>();
        let fits = self.outstanding.len() + commands.len() <= most && bytes <= limits.bytes;
        others == 0 && (fits || self.outstanding.is_empty())
    }

    /// Asks for a command, on behalf of a reply.
    pub fn add(
        &mut self,
        command: Command,
        request: Option<RequestId>,
        place: Place,
        number: usize,
        is_local: bool,
    ) {
        let (is_read, bytes) = (command.is_read(), command.text_len());
        let is_local = is_local && is_read;
        *(if is_read { &mut self.reads } else { &mut self.writes }) += 1;
        self.bytes += bytes;
        let ticket = self.next;
        self.next += 1;
        self.outstanding.insert(ticket, Outstanding { place, number, is_read, is_local, bytes });
        self.asks.push(Ask { ticket, command, request, is_local });
    }

    /// An ask has its answer; `None` if it had one before.
    pub fn remove(&mut self, ticket: Ticket) -> Option<Outstanding> {
        let removed = self.outstanding.remove(&ticket)?;
        *(if removed.is_read { &mut self.reads } else { &mut self.writes }) -= 1;
        self.bytes -= removed.bytes;
        Some(removed)
    }

    /// The bytes of the keys and values of all asks without an answer.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The asks that the caller has not taken yet.
    pub fn take(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }
}

impl Outstanding {
    /// The reply of the store, or why there is none.
    pub fn reply(&self, outcome: Outcome) -> Result<Reply, Failure> {
        match outcome {
            Outcome::Done(reply) => Ok(reply),
            _ if self.is_local => Err(Failure::STALE),
            Outcome::Unknown | Outcome::Redirect if !self.is_read => Err(Failure::UNKNOWN),
            Outcome::Unknown | Outcome::Redirect | Outcome::Fail => Err(Failure::CLUSTER_DOWN),
        }
    }
}
