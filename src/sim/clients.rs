//! The clients: they send requests, repeat them, and take in the answers. Their rules are those of
//! `run.py` (`simulator/clients.py`), so a scenario means the same in virtual time. The cases of
//! `tests/cases/clients.json` hold both to these rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use linearizability::key_value as history;

use super::circle::Circle;
use super::intents::{self, Intent};
use super::plan::Workload;
use crate::id::Id;
use crate::micros::Micros;
use crate::request::{Operation, Outcome, Request, RequestId, Response};

/// The least time-out of clients once they must get through: longer than the slowest network and
/// disk need, or clients would give up every attempt just before it succeeds.
const PATIENT_TIMEOUT_US: Micros = 2_000_000;

/// How many IDs are used before one comes again, where each operation has its own.
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
    begun: usize, // how many of these have a time or were made
    first_id: usize,
    clients: Vec<Client>,
    asked: Vec<Asked>, // its place is its name
    completed: usize,
    stored: usize, // acknowledgements of puts, also of those whose client did not wait for them
    duplicates: usize,
    redirects: usize,
    early_reads: usize,
}

#[derive(Debug)]
struct Client {
    id: Id,
    leader: Option<usize>,
    keys: Vec<Arc<str>>,                        // own keys that it has put
    readable: Vec<Arc<str>>,                    // those of which a put was acknowledged
    unread: BTreeSet<Arc<str>>,                 // the others
    busy: BTreeSet<Arc<str>>,                   // those with a put on its way
    acknowledged: BTreeMap<Arc<str>, Arc<str>>, // per own key, the value of the last put that was acknowledged
    circle: Circle,
}

/// A request as it was sent. A retry after a redirect is another request, with another name.
#[derive(Debug)]
pub struct Asked {
    /// What was asked.
    pub request: Request,
    /// When it was first sent.
    pub invoked: Micros,
    /// When the same was asked for the first time, before any redirect.
    pub wanted: Micros,
    /// When the answer came.
    pub returned: Option<Micros>,
    /// What the answer was.
    pub outcome: Option<Outcome>,
    /// Which replica gave it.
    pub answered_by: Option<usize>,
    retry_of: Option<usize>, // the attempt before this one, if no copy of it can still arrive
    attempt: usize,          // which attempt of the same this is, from 1
    client: usize,
    to: usize,    // whom it was last sent to
    copies: u32,  // how often it was sent
    answers: u32, // how often it was answered
}

/// A request that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Which one.
    pub number: usize,
    /// To whom; nobody if no replica is up.
    pub to: Option<usize>,
    /// Whether it is lost on its way.
    pub lost: bool,
    /// When it will be sent again if no answer has come.
    pub again_at: Option<Micros>,
}

/// What follows from an answer.
#[derive(Debug, Default)]
pub struct Follows {
    /// Requests that are to be sent now.
    pub sendings: Vec<Sending>,
    /// The client that pauses, and when it goes on.
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
            asked: Vec::new(),
            completed: 0,
            stored: 0,
            duplicates: 0,
            redirects: 0,
            early_reads: 0,
        }
    }

    /// When each planned request is to be made that waits for no answer.
    pub fn times(&self) -> Vec<Micros> {
        self.intents[..self.begun].iter().map(|intent| intent.at).collect()
    }

    /// Makes a planned request.
    pub fn start(&mut self, now: Micros, number: usize, up: &[bool]) -> Sending {
        let intent = self.intents[number];
        let operation = match self.key_to_get(&intent) {
            Some(key) => Operation::Get { key },
            None => self.put(&intent),
        };
        if self.workload.fresh_ids {
            self.renew(intent.client);
        }
        if self.workload.wander > 0.0 && self.rng.f64() < self.workload.wander {
            self.clients[intent.client].leader = None;
        }
        self.ask(now, now, intent.client, operation, None, up)
    }

    /// From now on this client asks under another ID, and knows no leader.
    fn renew(&mut self, client: usize) {
        let number = self.first_id + self.clients.len() + self.asked.len() % FRESH_IDS;
        let client = &mut self.clients[client];
        (client.id, client.leader) = (client_id(number), None);
    }

    /// A client that was answered makes the next request, if it waited for that and there is another one.
    fn go_on(&mut self, now: Micros, client: usize, up: &[bool]) -> Option<Sending> {
        let number = self.begun;
        let intent = self.intents.get_mut(number).filter(|_| now < self.workload.end_us)?;
        intent.client = client;
        self.begun += 1;
        Some(self.start(now, number, up))
    }

    fn key_to_get(&self, intent: &Intent) -> Option<Arc<str>> {
        if !intent.wants_get {
            return None;
        }
        match self.workload.shared_keys {
            0 => pick(&self.clients[intent.client].readable, intent.choice).cloned(),
            _ => Some(self.shared_key(intent.choice)),
        }
    }

    fn shared_key(&self, choice: f64) -> Arc<str> {
        format!("k{}", (choice * self.workload.shared_keys as f64) as usize).into()
    }

    fn put(&mut self, intent: &Intent) -> Operation {
        if self.workload.shared_keys > 0 {
            return Operation::Put { key: self.shared_key(intent.choice), value: "".into() };
        }
        let client = &mut self.clients[intent.client];
        let start = (intent.choice * client.keys.len() as f64) as usize;
        let own = (0..client.keys.len()).map(|offset| &client.keys[(start + offset) % client.keys.len()]);
        let free = own.filter(|_| intent.wants_own_key).find(|key| !client.busy.contains(*key)).cloned();
        let key = free.unwrap_or_else(|| {
            let key: Arc<str> = format!("{:032x}", intent.new_key).into();
            client.keys.push(Arc::clone(&key));
            client.unread.insert(Arc::clone(&key));
            key
        });
        client.busy.insert(Arc::clone(&key));
        Operation::Put { key, value: format!("{:032x}", intent.value).into() }
    }

    /// Puts a key that nobody else uses, to see whether the cluster works.
    pub fn probe(&mut self, now: Micros, up: &[bool]) -> Sending {
        let operation = Operation::Put { key: PROBE.into(), value: "works".into() };
        self.ask(now, now, 0, operation, None, up)
    }

    /// Gets what the probe has put, from anybody.
    pub fn wander(&mut self, now: Micros, up: &[bool]) -> Sending {
        self.clients[0].leader = None;
        self.ask(now, now, 0, Operation::Get { key: PROBE.into() }, None, up)
    }

    /// Whether the probe has been acknowledged.
    pub fn is_probe_acknowledged(&self) -> bool {
        let stored = self.asked.iter().filter(|asked| asked.outcome == Some(Outcome::Stored));
        stored
            .rev()
            .any(|asked| matches!(&asked.request.operation, Operation::Put { key, .. } if **key == *PROBE))
    }

    fn ask(
        &mut self,
        now: Micros,
        wanted: Micros,
        client: usize,
        mut operation: Operation,
        to: Option<usize>,
        up: &[bool],
    ) -> Sending {
        let number = self.asked.len();
        if let Operation::Put { value, .. } = &mut operation
            && self.workload.shared_keys > 0
        {
            // Another one for each attempt, so that a get tells which of them it has seen.
            *value = format!("{:_<1$}", format!("v{number:x}"), self.workload.value_bytes).into();
        }
        let id = RequestId { client: self.clients[client].id, mid: format!("{number:x}").into() };
        let request = Request { id, operation };
        let to = to.or(self.clients[client].leader).filter(|&to| up[to]);
        let asked = Asked {
            request,
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

    /// Sends to one replica, or to any that is up but one.
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

    /// A request has waited long enough: it goes to another replica under the same name, if it was not answered.
    pub fn time_out(&mut self, now: Micros, number: usize, up: &[bool]) -> Option<Sending> {
        let asked = &self.asked[number];
        if asked.outcome.is_some() {
            return None;
        }
        self.clients[asked.client].leader = None;
        let but = Some(asked.to);
        Some(self.send(now, number, None, but, up))
    }

    /// An answer came from this replica. Returns what follows from it.
    ///
    /// # Errors
    ///
    /// Why nobody may answer this.
    pub fn receive(
        &mut self,
        now: Micros,
        from: usize,
        response: &Response,
        up: &[bool],
    ) -> Result<Follows, String> {
        let number = self.number(&response.id).ok_or_else(|| format!("nobody asked {:?}", response.id))?;
        let asked = &mut self.asked[number];
        asked.answers += 1;
        self.stored += usize::from(response.outcome == Outcome::Stored);
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
        let (client, attempt, operation) = (asked.client, asked.attempt, asked.request.operation.clone());
        if matches!(response.outcome, Outcome::Redirect | Outcome::Fail) {
            self.redirects += usize::from(response.outcome == Outcome::Redirect);
            if Circle::holds(attempt, self.replicas) {
                let pause = self.clients[client].circle.enter(now, number).map(|at| (client, at));
                return Ok(Follows { sendings: Vec::new(), pause });
            }
            return Ok(Some(self.ask_again(now, number, up)).into());
        }
        self.completed += 1;
        let follows = match operation {
            Operation::Put { key, value } => {
                self.clients[client].acknowledged.insert(Arc::clone(&key), value);
                self.acknowledged(now, client, key, from, up)
            }
            Operation::Get { key } => {
                self.note_read(client, &key, &response.outcome);
                None
            }
        };
        let mut follows = Follows::from(follows.or_else(|| self.go_on(now, client, up)));
        for declined in self.clients[client].circle.leave() {
            follows.sendings.push(self.ask_again(now, declined, up));
        }
        Ok(follows)
    }

    /// A client in a circle has paused: it repeats the declined request that waits longest.
    pub fn repeat(&mut self, now: Micros, client: usize, up: &[bool]) -> Follows {
        let Some((number, next)) = self.clients[client].circle.next(now) else { return Follows::default() };
        let sendings = vec![self.ask_again(now, number, up)];
        Follows { sendings, pause: next.map(|at| (client, at)) }
    }

    /// What was declined is asked again, under another name.
    fn ask_again(&mut self, now: Micros, declined: usize, up: &[bool]) -> Sending {
        let Asked { wanted, client, attempt, .. } = self.asked[declined];
        let Request { id, operation } = self.asked[declined].request.clone();
        let again = self.ask(now, wanted, client, operation, None, up);
        let are_copies_settled = self.asked[declined].answers == self.asked[declined].copies;
        let asked = &mut self.asked[again.number];
        (asked.retry_of, asked.attempt) = (are_copies_settled.then_some(declined), attempt + 1);
        asked.request.id.client = id.client; // whatever it has asked since
        again
    }

    /// A value whose put was not acknowledged yet is right, but other simulators want the acknowledged one.
    fn note_read(&mut self, client: usize, key: &str, outcome: &Outcome) {
        let expected = self.clients[client].acknowledged.get(key);
        let read = if let Outcome::Value(value) = outcome { Some(value) } else { None };
        self.early_reads += usize::from(self.workload.shared_keys == 0 && read != expected);
    }

    fn acknowledged(
        &mut self,
        now: Micros,
        client: usize,
        key: Arc<str>,
        by: usize,
        up: &[bool],
    ) -> Option<Sending> {
        let knows = &mut self.clients[client];
        knows.busy.remove(&key);
        if knows.unread.remove(&key) {
            knows.readable.push(Arc::clone(&key));
        }
        let another = if self.workload.read_back { self.any_up(Some(by), up) } else { None };
        another.map(|another| self.ask(now, now, client, Operation::Get { key }, Some(another), up))
    }

    /// What a request's name stands for.
    fn number(&self, id: &RequestId) -> Option<usize> {
        let number = usize::from_str_radix(&id.mid, 16).ok()?;
        (self.asked.get(number)?.request.id == *id).then_some(number)
    }

    /// The request that has this name in the history.
    pub fn named(&self, name: &str) -> Option<&Asked> {
        self.asked.get(usize::from_str_radix(name, 16).ok()?)
    }

    /// A request that was made.
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

    /// Nothing is lost any more between clients and replicas, and every client asks until it is answered.
    pub fn heal(&mut self) {
        self.workload.loss = 0.0;
        let timeout_us = self.workload.timeout_us.unwrap_or_default();
        self.workload.timeout_us = Some(timeout_us.max(PATIENT_TIMEOUT_US));
    }

    /// Every client waits eight times as long from now on before it asks again.
    pub fn back_off(&mut self) {
        self.workload.timeout_us = self.workload.timeout_us.map(|timeout_us| 8 * timeout_us);
    }

    /// How many acknowledgements of puts came, also to clients that have asked again since.
    pub fn stored(&self) -> usize {
        self.stored
    }

    /// How many requests got what they asked for.
    pub fn completed(&self) -> usize {
        self.completed
    }

    /// How many second answers came to what was asked once.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// How many requests were sent on to another replica.
    pub fn redirects(&self) -> usize {
        self.redirects
    }

    /// How many gets of a client's own keys were answered with another value than that of the put which was
    /// acknowledged last.
    pub fn early_reads(&self) -> usize {
        self.early_reads
    }

    /// What the clients saw, for the linearizability checker.
    pub fn history(&self) -> Vec<history::Operation> {
        self.asked.iter().filter_map(Asked::operation).collect()
    }
}

impl Asked {
    /// A put that was not acknowledged may have taken effect all the same; a get that got no value says nothing.
    fn operation(&self) -> Option<history::Operation> {
        let ns = |at: Micros| at * 1_000;
        let (key, kind, returned) = match (&self.request.operation, &self.outcome) {
            (Operation::Put { key, value }, outcome) => {
                let stored = *outcome == Some(Outcome::Stored);
                (key, history::Kind::Put { value: Arc::clone(value) }, self.returned.filter(|_| stored))
            }
            (Operation::Get { key }, Some(Outcome::Value(value))) => {
                (key, history::Kind::Get { value: Arc::clone(value) }, self.returned)
            }
            (Operation::Get { .. }, _) => return None,
        };
        let refusal = match self.outcome {
            Some(Outcome::Fail) => Some(history::Refusal::Fail),
            Some(Outcome::Redirect) => Some(history::Refusal::Redirect),
            _ => None,
        };
        Some(history::Operation {
            name: Arc::clone(&self.request.id.mid),
            client: self.request.id.client.to_string().into(),
            key: Arc::clone(key),
            kind,
            invoked: ns(self.invoked),
            returned: returned.map(ns),
            declined: refusal.map(|with| history::Declined { with, at: self.returned.map(ns) }),
            retry_of: self.retry_of.map(|number| format!("{number:x}").into()),
        })
    }
}

fn client_id(number: usize) -> Id {
    u16::try_from(number)
        .ok()
        .and_then(Id::new)
        .unwrap_or_else(|| unreachable!("there are not so many clients"))
}

fn pick<T>(from: &[T], choice: f64) -> Option<&T> {
    from.get((choice * from.len() as f64) as usize)
}

#[cfg(test)]
mod cases;
