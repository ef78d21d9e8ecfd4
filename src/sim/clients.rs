//! The clients: they send requests, repeat them, and take in the answers. Their rules are those of
//! `run.py` (`simulator/clients.py`), so a scenario means the same in virtual time. The cases of
//! `tests/cases/clients.json` hold both to these rules.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use linearizability::{command as judge, key_value as history};

use super::circle::Circle;
use super::intents::{self, Intent};
use super::locks;
use super::operations::{self, Draw, Known, Step, Task, stamp};
use super::plan::Workload;
use crate::bytes::Bytes;
use crate::command::Command;
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::{Operation, Set};
use crate::reply::Reply;
use crate::request::{Outcome, Request, RequestId, Response};

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
    pub(super) retry_of: Option<usize>, // the attempt before this one, if no copy of it can still arrive
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

    /// The draw of this client's next operation.
    fn draw(&self, client: usize, seed: u64) -> Draw<'_> {
        Draw {
            shares: self.workload.operations,
            gets: self.workload.gets,
            keys: self.workload.shared_keys,
            known: [&self.clients[client].known, &self.known],
            rng: Rng::with_seed(seed),
        }
    }

    /// From now on this client uses another ID, and knows no leader.
    fn renew(&mut self, client: usize) {
        let number = self.first_id + self.clients.len() + self.asked.len() % FRESH_IDS;
        let client = &mut self.clients[client];
        (client.id, client.leader) = (client_id(number), None);
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

    fn key_to_get(&self, intent: &Intent) -> Option<Bytes> {
        if !intent.wants_get {
            return None;
        }
        match self.workload.shared_keys {
            0 => pick(&self.clients[intent.client].readable, intent.choice).cloned(),
            _ => Some(self.shared_key(intent.choice)),
        }
    }

    fn shared_key(&self, choice: f64) -> Bytes {
        format!("k{}", (choice * self.workload.shared_keys as f64) as usize).into()
    }

    fn put(&mut self, intent: &Intent) -> Operation {
        if self.workload.shared_keys > 0 {
            return Operation::set(self.shared_key(intent.choice), "");
        }
        let client = &mut self.clients[intent.client];
        let start = (intent.choice * client.keys.len() as f64) as usize;
        let own = (0..client.keys.len()).map(|offset| &client.keys[(start + offset) % client.keys.len()]);
        let free = own.filter(|_| intent.wants_own_key).find(|key| !client.busy.contains(*key)).cloned();
        let key = free.unwrap_or_else(|| {
            let key: Bytes = format!("{:032x}", intent.new_key).into();
            client.keys.push(key.clone());
            client.unread.insert(key.clone());
            key
        });
        client.busy.insert(key.clone());
        Operation::set(key, format!("{:032x}", intent.value))
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

    /// Whether a replica has acknowledged the probe.
    pub fn is_probe_acknowledged(&self) -> bool {
        let stored = self.asked.iter().filter(|asked| asked.is_stored());
        stored.rev().any(|asked| asked.request.command.operations()[0].keys() == [&Bytes::from(PROBE)])
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

    /// An answer came from this replica. Returns its consequences.
    ///
    /// # Errors
    ///
    /// The reason why no replica may give this answer.
    pub fn receive(
        &mut self,
        now: Micros,
        from: usize,
        response: &Response,
        up: &[bool],
    ) -> Result<Follows, String> {
        let number = self.number(&response.id).ok_or_else(|| format!("no client asked {:?}", response.id))?;
        let asked = &mut self.asked[number];
        asked.answers += 1;
        let is_done = matches!(response.outcome, Outcome::Done(_)) && !response.outcome.is_declined();
        self.stored += usize::from(is_done && !asked.request.command.is_read());
        if asked.answers > asked.copies {
            return Err(format!(
                "{} was sent {} times and answered more often",
                asked.request.id.mid, asked.copies
            ));
        }
        self.clients[asked.client].leader = response.leader.map(|id| usize::from(id.number()));
        if asked.outcome.is_some() {
            self.duplicates += usize::from(asked.copies == 1);
            return Ok(Follows::default());
        }
        asked.outcome = Some(response.outcome.clone());
        (asked.returned, asked.answered_by) = (Some(now), Some(from));
        let (client, attempt) = (asked.client, asked.attempt);
        if response.outcome.is_declined() {
            self.redirects += usize::from(response.outcome == Outcome::Redirect);
            if Circle::holds(attempt, self.replicas) {
                let pause = self.clients[client].circle.enter(now, number).map(|at| (client, at));
                return Ok(Follows { sendings: Vec::new(), pause });
            }
            return Ok(Some(self.ask_again(now, number, up)).into());
        }
        self.completed += 1;
        let follows = self.complete(now, number, &response.outcome, up);
        let mut follows = Follows::from(follows.or_else(|| self.go_on(now, client, up)));
        for declined in self.clients[client].circle.leave() {
            follows.sendings.push(self.ask_again(now, declined, up));
        }
        Ok(follows)
    }

    /// A request is done. Its client may have to send another one at once.
    fn complete(&mut self, now: Micros, number: usize, outcome: &Outcome, up: &[bool]) -> Option<Sending> {
        let Asked { client, answered_by, .. } = self.asked[number];
        let command = self.asked[number].request.command.clone();
        if !self.workload.operations.is_none() {
            if let Outcome::Done(reply) = outcome {
                self.clients[client].known.learn(&command, reply);
                self.known.learn(&command, reply);
                if let Some(task) = self.next(number, &command, reply) {
                    return Some(self.ask(now, now, client, task, None, up));
                }
            }
            let key = command.operations().first()?.keys().first().copied().cloned()?;
            return if command.is_read() { None } else { self.read_back(now, client, key, answered_by, up) };
        }
        match command {
            Command::One(Operation::Set(Set { key, value, .. })) => {
                self.clients[client].acknowledged.insert(key.clone(), value);
                self.acknowledged(now, client, key, answered_by, up)
            }
            Command::One(Operation::Get { key }) => {
                self.note_read(client, &key, outcome);
                None
            }
            _ => None,
        }
    }

    /// The request that follows on this reply to a request with several steps.
    fn next(&self, number: usize, command: &Command, reply: &Reply) -> Option<Task> {
        let Asked { client, step, .. } = &self.asked[number];
        match step {
            Step::Look { key, seed } => {
                let (revision, seen) = operations::seen(reply)?;
                Some(self.draw(*client, *seed).transaction(key.clone(), revision, seen))
            }
            Step::Lock(step) => locks::next(step.clone(), command, reply),
            Step::Alone | Step::Transact { .. } => None,
        }
    }

    /// A client in a circle has paused: it repeats the declined request that has waited longest.
    pub fn repeat(&mut self, now: Micros, client: usize, up: &[bool]) -> Follows {
        let Some((number, next)) = self.clients[client].circle.next(now) else { return Follows::default() };
        let sendings = vec![self.ask_again(now, number, up)];
        Follows { sendings, pause: next.map(|at| (client, at)) }
    }

    /// Repeats a declined request under another name.
    fn ask_again(&mut self, now: Micros, declined: usize, up: &[bool]) -> Sending {
        let Asked { wanted, client, attempt, ref template, ref step, ref request, .. } = self.asked[declined];
        let (task, id) = (Task { command: template.clone(), step: step.clone() }, request.id.clone());
        let again = self.ask(now, wanted, client, task, None, up);
        let are_copies_settled = self.asked[declined].answers == self.asked[declined].copies;
        let asked = &mut self.asked[again.number];
        (asked.retry_of, asked.attempt) = (are_copies_settled.then_some(declined), attempt + 1);
        asked.request.id.client = id.client; // the client may have changed its ID since
        again
    }

    /// A get may return a value whose put was not acknowledged yet. Other simulators require the
    /// acknowledged value.
    fn note_read(&mut self, client: usize, key: &Bytes, outcome: &Outcome) {
        let expected = self.clients[client].acknowledged.get(key).cloned();
        self.early_reads += usize::from(self.workload.shared_keys == 0 && outcome.value() != expected);
    }

    fn acknowledged(
        &mut self,
        now: Micros,
        client: usize,
        key: Bytes,
        by: Option<usize>,
        up: &[bool],
    ) -> Option<Sending> {
        let knows = &mut self.clients[client];
        knows.busy.remove(&key);
        if knows.unread.remove(&key) {
            knows.readable.push(key.clone());
        }
        self.read_back(now, client, key, by, up)
    }

    /// A client may read a key from another replica than the one that has just acknowledged a write
    /// to it.
    fn read_back(
        &mut self,
        now: Micros,
        client: usize,
        key: Bytes,
        by: Option<usize>,
        up: &[bool],
    ) -> Option<Sending> {
        let another = if self.workload.read_back { self.any_up(by, up) } else { None };
        another.map(|another| self.ask(now, now, client, Operation::Get { key }.into(), Some(another), up))
    }

    /// The number of the request with this name.
    fn number(&self, id: &RequestId) -> Option<usize> {
        let number = usize::from_str_radix(&id.mid, 16).ok()?;
        (self.asked.get(number)?.request.id == *id).then_some(number)
    }

    /// The request with this name in the history.
    pub fn named(&self, name: &str) -> Option<&Asked> {
        self.asked.get(usize::from_str_radix(name, 16).ok()?)
    }

    /// The request with this ID.
    pub fn asked(&self, id: &RequestId) -> Option<&Asked> {
        self.asked.get(self.number(id)?)
    }

    /// All requests that were made.
    pub fn all(&self) -> &[Asked] {
        &self.asked
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

    /// Number of acknowledgements of writes, also of those that a client has repeated since.
    pub fn stored(&self) -> usize {
        self.stored
    }

    /// Number of requests that were served.
    pub fn completed(&self) -> usize {
        self.completed
    }

    /// Number of second answers to requests that were sent once.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// Number of requests that a replica redirected.
    pub fn redirects(&self) -> usize {
        self.redirects
    }

    /// Number of gets of a client's own keys that returned another value than that of the last
    /// acknowledged put.
    pub fn early_reads(&self) -> usize {
        self.early_reads
    }

    /// Whether clients only put and get.
    pub fn only_put_and_get(&self) -> bool {
        self.workload.operations.is_none()
    }

    /// The history that the clients saw, for the linearizability checker of puts and gets.
    pub fn history(&self) -> Vec<history::Operation> {
        self.asked.iter().filter_map(super::history::of_values).collect()
    }

    /// The history that the clients saw, for the checker that knows other operations, too.
    pub fn history_of_commands(&self) -> Vec<judge::Operation> {
        // Clients that delete all keys leave no history of a key.
        let judged = if self.workload.operations.all < 1.0 { &self.asked[..] } else { &[] };
        judged.iter().filter_map(super::history::of_commands).collect()
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

fn pick<T>(from: &[T], choice: f64) -> Option<&T> {
    from.get((choice * from.len() as f64) as usize)
}

#[cfg(test)]
mod cases;
