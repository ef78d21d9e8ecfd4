//! The clients: they send requests, repeat them, and take in the answers. Their rules are those of
//! `run.py` (`simulator/clients.py`), so a scenario means the same in virtual time. The cases of
//! `tests/cases/clients.json` hold both to these rules.
//!
//! This file has the clients, and how they send. `choices` has the way to their next request, `answers`
//! the consequences of an answer, `reports` the findings for those that judge and measure a run.

mod answers;
mod choices;
mod reports;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::circle::Circle;
use super::intents::{self, Intent};
use super::operations::{Known, Step, Task, stamp};
use super::plan::Workload;
use crate::bytes::Bytes;
use crate::command::Command;
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::Operation;
use crate::request::{Outcome, Request, RequestId};

/// The least time-out of clients once they must get through. It exceeds the longest delay of the
/// slowest network and disk; else clients would give up every attempt just before it succeeds.
const PATIENT_TIMEOUT_US: Micros = 2_000_000;

/// The number of IDs that clients use before one comes again, where each operation has its own.
const FRESH_IDS: usize = 60_000;

/// The key of the probe.
const PROBE: &str = "probe";

/// All clients.
#[derive(Debug)]
pub struct Clients {
    workload: Workload,
    replicas: usize,
    rng: Rng,
    intents: Vec<Intent>,
    begun: usize, // how many of these have a time or were made, from the first
    first_id: usize,
    clients: Vec<Client>,
    known: Known,      // the last answers to any of them
    asked: Vec<Asked>, // the place of each is its number
    completed: usize,
    stored: usize, // acknowledgements of writes, also of late ones
    duplicates: usize,
    redirects: usize,
    early_reads: usize,
}

#[derive(Debug)]
struct Client {
    id: Id,
    leader: Option<usize>,
    keys: Vec<Bytes>,                     // its own keys that it has put
    readable: Vec<Bytes>,                 // those with an acknowledged put
    unread: BTreeSet<Bytes>,              // the others
    busy: BTreeSet<Bytes>,                // those with a put in progress
    acknowledged: BTreeMap<Bytes, Bytes>, // per own key, the value of the last acknowledged put
    known: Known,                         // of keys with other operations than puts and gets
    circle: Circle,
}

/// A request as it was sent. A retry after a redirect is another request, with another name.
#[derive(Debug)]
pub struct Asked {
    /// The request itself.
    pub request: Request,
    /// Its purpose.
    pub step: Step,
    /// The time of its first sending.
    pub invoked: Micros,
    /// The time of the first attempt at the same operation, before any redirect.
    pub wanted: Micros,
    /// The time of the answer.
    pub returned: Option<Micros>,
    /// The outcome that the answer told.
    pub outcome: Option<Outcome>,
    /// The replica that answered.
    pub answered_by: Option<usize>,
    template: Command, // the command of each attempt, with empty values to be filled in
    pub(super) before: Option<usize>, // the attempt before this one
    pub(super) retry_of: Option<usize>, // the same, if no copy of it can still arrive
    attempt: usize,    // the number of this attempt at the operation, from 1
    client: usize,
    to: usize,    // the last receiver
    copies: u32,  // the number of its sendings
    answers: u32, // the number of its answers
}

/// A request that a client sends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// The number of the request.
    pub number: usize,
    /// The receiver; none if no replica is up.
    pub to: Option<usize>,
    /// Whether the request is lost on its way.
    pub lost: bool,
    /// The time of the next sending if no answer has come.
    pub again_at: Option<Micros>,
}

/// The consequences of an answer.
#[derive(Debug, Default)]
pub struct Follows {
    /// Requests that clients send now.
    pub sendings: Vec<Sending>,
    /// The client that pauses, and the end of its pause.
    pub pause: Option<(usize, Micros)>,
}

impl From<Option<Sending>> for Follows {
    fn from(sending: Option<Sending>) -> Self {
        Self { sendings: sending.into_iter().collect(), pause: None }
    }
}

impl Clients {
    /// Clients of a cluster of `replicas`, and their whole plan.
    pub fn new(workload: Workload, replicas: usize, mut rng: Rng) -> Self {
        let first_id = replicas + 16;
        let client = |n| Client {
            id: client_id(first_id + n),
            leader: None,
            keys: Vec::new(),
            readable: Vec::new(),
            unread: BTreeSet::new(),
            busy: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            known: Known::default(),
            circle: Circle::default(),
        };
        let intents = intents::draw(&workload, &mut rng);
        let begun = if workload.closed_loop { intents.len().min(workload.clients) } else { intents.len() };
        Self {
            intents,
            begun,
            first_id,
            clients: (0..workload.clients).map(client).collect(),
            workload,
            replicas,
            rng,
            known: Known::default(),
            asked: Vec::new(),
            completed: 0,
            stored: 0,
            duplicates: 0,
            redirects: 0,
            early_reads: 0,
        }
    }

    /// The time of each planned request that waits for no answer.
    pub fn times(&self) -> Vec<Micros> {
        self.intents[..self.begun].iter().map(|intent| intent.at).collect()
    }

    /// Makes a planned request.
    pub fn start(&mut self, now: Micros, number: usize, up: &[bool]) -> Sending {
        let intent = self.intents[number];
        let task = match self.key_to_get(&intent) {
            _ if !self.workload.operations.is_none() => self.draw(intent.client, intent.seed).task(),
            Some(key) => Operation::Get { key }.into(),
            None => self.put(&intent).into(),
        };
        if self.workload.fresh_ids {
            self.renew(intent.client);
        }
        if self.workload.wander > 0.0 && self.rng.f64() < self.workload.wander {
            self.clients[intent.client].leader = None;
        }
        self.ask(now, now, intent.client, task, None, up)
    }

    /// A client got its answer. It makes its next request if it waited for that and has another
    /// one.
    fn go_on(&mut self, now: Micros, client: usize, up: &[bool]) -> Option<Sending> {
        let number = self.begun;
        let intent = self.intents.get_mut(number).filter(|_| now < self.workload.end_us)?;
        intent.client = client;
        self.begun += 1;
        Some(self.start(now, number, up))
    }

    /// Puts a key that no other client uses, to see whether the cluster works.
    pub fn probe(&mut self, now: Micros, up: &[bool]) -> Sending {
        let task = Operation::set(PROBE, "works").into();
        self.ask(now, now, 0, task, None, up)
    }

    /// Gets the key of the probe from any replica.
    pub fn wander(&mut self, now: Micros, up: &[bool]) -> Sending {
        self.clients[0].leader = None;
        self.ask(now, now, 0, Operation::get(PROBE).into(), None, up)
    }

    fn ask(
        &mut self,
        now: Micros,
        wanted: Micros,
        client: usize,
        task: Task,
        to: Option<usize>,
        up: &[bool],
    ) -> Sending {
        let number = self.asked.len();
        let Task { command: template, step } = task;
        // Each attempt writes another value, so that the value of a get identifies the attempt.
        let is_padded = self.workload.operations.is_none();
        let width = if is_padded { self.workload.value_bytes } else { 0 };
        let mut command = template.clone();
        stamp(&mut command, &format!("{:_<width$}", format!("v{number:x}")).into());
        let id = RequestId { client: self.clients[client].id, mid: format!("{number:x}").into() };
        let request = Request { id, command };
        let to = to.or(self.clients[client].leader).filter(|&to| up[to]);
        let asked = Asked {
            request,
            step,
            template,
            invoked: now,
            wanted,
            returned: None,
            outcome: None,
            answered_by: None,
            before: None,
            retry_of: None,
            attempt: 1,
            client,
            to: 0,
            copies: 0,
            answers: 0,
        };
        self.asked.push(asked);
        self.send(now, number, to, None, up)
    }

    /// Sends to one replica, or to any replica that is up except one.
    fn send(
        &mut self,
        now: Micros,
        number: usize,
        to: Option<usize>,
        but: Option<usize>,
        up: &[bool],
    ) -> Sending {
        let to = to.or_else(|| self.any_up(but, up));
        let asked = &mut self.asked[number];
        asked.copies += u32::from(to.is_some());
        asked.to = to.unwrap_or(asked.to);
        let again_at = self.workload.timeout_us.map(|timeout_us| now + timeout_us);
        Sending { number, to, lost: self.loses(), again_at }
    }

    fn any_up(&mut self, but: Option<usize>, up: &[bool]) -> Option<usize> {
        let mut choice: Vec<usize> = (0..up.len()).filter(|&n| up[n]).collect();
        if choice.len() > 1 {
            choice.retain(|&n| Some(n) != but);
        }
        self.rng.choice(choice)
    }

    /// Whether a message from or to a client gets lost.
    pub fn loses(&mut self) -> bool {
        self.workload.loss > 0.0 && self.rng.f64() < self.workload.loss
    }

    /// A request has waited long enough. If it has no answer, the client sends it to another
    /// replica under the same name.
    pub fn time_out(&mut self, now: Micros, number: usize, up: &[bool]) -> Option<Sending> {
        let asked = &self.asked[number];
        if asked.outcome.is_some() {
            return None;
        }
        self.clients[asked.client].leader = None;
        let but = Some(asked.to);
        Some(self.send(now, number, None, but, up))
    }

    /// Every client forgets the leader.
    pub fn forget_leader(&mut self) {
        self.clients.iter_mut().for_each(|client| client.leader = None);
    }

    /// From now on no message between clients and replicas is lost, and every client repeats its
    /// requests until it gets an answer.
    pub fn heal(&mut self) {
        self.workload.loss = 0.0;
        let timeout_us = self.workload.timeout_us.unwrap_or_default();
        self.workload.timeout_us = Some(timeout_us.max(PATIENT_TIMEOUT_US));
    }

    /// From now on every client waits eight times as long before it repeats a request.
    pub fn back_off(&mut self) {
        self.workload.timeout_us = self.workload.timeout_us.map(|timeout_us| 8 * timeout_us);
    }
}

impl Asked {
    /// Whether a replica acknowledged it as a write.
    pub fn is_stored(&self) -> bool {
        self.outcome == Some(Outcome::OK)
    }
}

fn client_id(number: usize) -> Id {
    u16::try_from(number).ok().and_then(Id::new).unwrap_or_else(|| unreachable!("there are fewer clients"))
}

#[cfg(test)]
mod cases;
