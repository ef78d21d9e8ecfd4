//! One connection: bytes in, asks for the store and bytes out.
//!
//! ```text
//!   bytes --receive--> parser --> run --> asks --take_asks--> store
//!                                  |                            |
//!   bytes <--output--- replies <---+---------answer-------------+
//! ```
//!
//! The caller reads a socket while [`wants_input`](Connection::wants_input), gives the bytes to
//! [`receive`](Connection::receive), and after each call takes the asks and the output. Answers
//! come in any order; replies leave in the order of the requests. Nothing here waits, and every
//! buffer has a bound ([`Settings`]): a client that sends more than the store can do is read later,
//! a client that does not take its replies is dropped.

mod run;

use std::collections::BTreeMap;

use super::ask::{Ask, AskLimits, Asks, Ticket};
use super::client::Client;
use super::facts::{Description, Facts};
use super::pending::{Kind, Next, Pending, Prepared, Surroundings};
use super::replies::{Place, Replies};
use super::request::{Parser, RequestLimits};
use super::subscriptions::Subscriptions;
use super::transaction::Transaction;
use super::value::{Protocol, Value};
use crate::bytes::Bytes;
use crate::command::Command;
use crate::request::Outcome;

/// The settings of all connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The password that clients must give (AUTH).
    pub password: Option<Bytes>,
    /// The name under which SENTINEL knows the cluster: `kvstore`.
    pub cluster: String,
    /// The limits of one request. A transaction has as many bytes as a request.
    pub requests: RequestLimits,
    /// The limits of the asks that are under way at once.
    pub asks: AskLimits,
    /// Requests wait while so many bytes wait for the client: 1 MiB.
    pub pause_bytes: usize,
    /// A client is dropped when more bytes wait for it: 64 MiB.
    pub output_bytes: usize,
}

/// The two ends of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The number of the connection, unique on this replica.
    pub id: u64,
    /// The address of the client.
    pub address: String,
    /// The address that it has connected to.
    pub local_address: String,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    client: Client,
    parser: Parser,
    transaction: Transaction,
    prepared: Option<Prepared>, // the next command, which the asks before it keep back
    barrier: Option<Place>,     // no command runs until this reply is known
    asks: Asks,
    pending: BTreeMap<Place, Pending>, // the replies that wait for asks
    replies: Replies,
    is_dropped: bool,
    is_malformed: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password: None,
            cluster: "kvstore".into(),
            requests: RequestLimits::default(),
            asks: AskLimits::default(),
            pause_bytes: 1 << 20,
            output_bytes: 64 << 20,
        }
    }
}

impl Settings {
    /// The same for values of up to so many bytes: an argument may be as long, and no more reads of such
    /// values are under way at once than the client's output has room for.
    pub fn for_values(mut self, most_bytes: usize) -> Self {
        self.requests.argument_bytes = self.requests.argument_bytes.max(most_bytes);
        let room = self.output_bytes.saturating_sub(self.pause_bytes) / most_bytes.max(1);
        self.asks.reads = self.asks.reads.min(room.max(1));
        self
    }
}

impl Connection {
    /// A connection that a client has just opened.
    pub fn new(ends: Ends, settings: Settings, now_us: i64) -> Self {
        let Ends { id, address, local_address } = ends;
        let client = Client {
            id,
            address,
            local_address,
            password: settings.password.clone(),
            cluster: settings.cluster.clone(),
            is_stranger: settings.password.is_some(),
            protocol: Protocol::Resp2,
            reads_locally: false,
            name: Bytes::default(),
            library: Bytes::default(),
            library_version: Bytes::default(),
            since_us: now_us,
            active_us: now_us,
            command: "",
            queued: None,
            subscriptions: Subscriptions::default(),
            kills: Vec::new(),
            closes: false,
        };
        Self {
            client,
            parser: Parser::new(settings.requests),
            settings,
            transaction: Transaction::default(),
            prepared: None,
            barrier: None,
            asks: Asks::default(),
            pending: BTreeMap::new(),
            replies: Replies::default(),
            is_dropped: false,
            is_malformed: false,
        }
    }

    /// Takes bytes from the client. The caller offers some 64 KiB at most at a time.
    pub fn receive(&mut self, bytes: &[u8], facts: &mut dyn Facts) {
        if self.client.closes || self.is_dropped {
            return;
        }
        self.parser.add(bytes);
        self.advance(facts);
    }

    /// Takes the answer to an ask. A ticket that is unknown or has its answer is ignored.
    pub fn answer(&mut self, ticket: Ticket, outcome: Outcome, facts: &mut dyn Facts) {
        let Some(asked) = self.asks.remove(ticket) else { return };
        let Some(pending) = self.pending.get_mut(&asked.place) else { return };
        let around = Surroundings {
            client: &mut self.client,
            transaction: &mut self.transaction,
            facts: &mut *facts,
            limit: self.settings.output_bytes,
        };
        match pending.kind.take(asked.number, asked.reply(outcome), around) {
            Next::Wait => {}
            Next::Ask(command) => self.asks.add(command, None, asked.place, 0, self.reads_locally()),
            Next::Reply(value) => {
                self.replies.fill(asked.place, &value, pending.protocol);
                facts.note_reply(pending.command, pending.since_us);
                self.pending.remove(&asked.place);
                self.barrier = self.barrier.filter(|place| *place != asked.place);
            }
        }
        self.advance(facts);
    }

    /// The asks that have become ready, in the order in which the store must get them.
    pub fn take_asks(&mut self) -> Vec<Ask> {
        self.asks.take()
    }

    /// The connections that this client wants to be closed (CLIENT KILL).
    pub fn take_kills(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.client.kills)
    }

    /// The bytes for the client.
    pub fn output(&self) -> &[u8] {
        self.replies.output()
    }

    /// The client has taken so many bytes of the output.
    pub fn sent(&mut self, bytes: usize, facts: &mut dyn Facts) {
        self.replies.sent(bytes);
        self.advance(facts);
    }

    /// Whether the caller should read the socket: not while requests wait that have arrived.
    pub fn wants_input(&self) -> bool {
        !self.client.closes && !self.is_dropped && self.can_run()
    }

    /// Whether the caller should close the socket: all replies that were owed are out, or the
    /// client does not take them.
    pub fn is_over(&self) -> bool {
        self.is_dropped || self.client.closes && !self.owes()
    }

    /// Whether the client waits for replies.
    pub fn owes(&self) -> bool {
        self.replies.waiting() > 0 || !self.output().is_empty()
    }

    /// Whether the client was dropped because it did not take its replies.
    pub fn is_dropped(&self) -> bool {
        self.is_dropped
    }

    /// The client sends no more, or the caller reads no more: the connection is over as soon as the
    /// client has the replies that it is owed.
    pub fn end_input(&mut self) {
        self.client.closes = true;
    }

    /// Whether the client has sent bytes that are no request.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// About how many bytes of memory the connection holds for its client: requests, commands that
    /// wait for the store or for EXEC, and replies.
    pub fn held_bytes(&self) -> usize {
        let prepared = self.prepared.iter().flat_map(|prepared| &prepared.commands);
        let keys = self.barrier.and_then(|place| self.pending.get(&place));
        self.parser.held_bytes()
            + self.replies.held_bytes()
            + self.asks.bytes()
            + self.transaction.bytes()
            + prepared.map(Command::text_len).sum::<usize>()
            + keys.map_or(0, |pending| pending.kind.held_bytes())
    }

    /// The connection, as CLIENT LIST of another one shows it.
    pub fn describe(&self, now_us: i64) -> Description {
        Description {
            waiting_bytes: self.parser.waiting_bytes(),
            output_bytes: self.replies.bytes(),
            ..self.client.describe(now_us)
        }
    }

    /// Reads of the own state are those of a client that watches no key: EXEC could not know that
    /// it has seen an older value than the watched one.
    fn reads_locally(&self) -> bool {
        self.client.reads_locally && !self.transaction.is_watching()
    }

    /// Whether another request may run.
    fn can_run(&self) -> bool {
        self.prepared.is_none()
            && self.barrier.is_none()
            && self.replies.waiting() < self.settings.asks.writes
            && self.replies.bytes() < self.settings.pause_bytes
    }

    /// Runs the requests that have arrived, as far as the bounds and their order allow.
    fn advance(&mut self, facts: &mut dyn Facts) {
        loop {
            if self.replies.bytes() > self.settings.output_bytes {
                self.drop_client();
            }
            if self.is_dropped {
                return;
            }
            if let Some(prepared) = self.prepared.take() {
                if !self.asks.allow(&prepared.commands, &self.settings.asks) {
                    self.prepared = Some(prepared);
                    return;
                }
                self.ask(prepared);
            }
            if self.client.closes || !self.can_run() {
                return;
            }
            match self.parser.next(self.client.is_stranger) {
                Ok(None) => return,
                Ok(Some(words)) => self.run(words, facts),
                Err(error) => {
                    self.push(Value::Error(format!("ERR Protocol error: {error}").into()));
                    self.client.closes = true;
                    self.is_malformed = true;
                }
            }
        }
    }

    fn drop_client(&mut self) {
        self.is_dropped = true;
        self.prepared = None;
        self.asks.clear();
        self.pending.clear();
        self.replies.clear();
    }

    fn ask(&mut self, prepared: Prepared) {
        let Prepared { commands, request, pending, is_barrier } = prepared;
        let place = self.replies.reserve();
        let is_local = self.reads_locally() && !matches!(pending.kind, Kind::Watch { .. });
        for (number, command) in commands.into_iter().enumerate() {
            self.asks.add(command, request.clone(), place, number, is_local);
        }
        self.pending.insert(place, pending);
        self.barrier = is_barrier.then_some(place);
    }
}
