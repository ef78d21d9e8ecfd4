//! The way from front ends to their own replica, and back.
//!
//! ```text
//!   front end --ask--> Gateway --submit--> inbox of the replica --> leads: proposes
//!       ^                |  ^                                   --> else: forwards to the leader
//!       +----answer------+  +---deliver--- answer of this replica or of the leader
//! ```
//!
//! # Names
//!
//! All questions of the front ends go by the ID of the replica as their client. Their MIDs are
//! numbers that rise, from the wall clock at the start in microseconds, so that no later run of this
//! replica repeats one. A session refuses a number that is smaller than the 1,024 latest ones. So
//! the gateway names and submits under one lock, and questions reach the replica in the order of
//! their numbers. A client that names its requests itself (KV.DO, `Idempotency-Key`) may not take
//! the ID of a replica.
//!
//! # Outcomes
//!
//! The gateway submits a write once. If it cannot know the outcome, it says so:
//!
//! | event | a write | a read |
//! |---|---|---|
//! | the leader was asked, and the connection to it is lost | `Unknown` | is asked again |
//! | the leader stops leading while the request waits | `Unknown` | is asked again |
//! | no answer by the deadline | `Unknown` | `Fail` |
//! | the replica has not proposed it (`Redirect`, `Fail`) | `Fail` | `Fail` |
//! | there is no connection to the leader | `Fail` | is asked again |
//! | the session of the replica refuses the number | `Unknown` | |
//! | too many questions wait, or the inbox is full | `Fail` | `Fail` |
//!
//! A read is asked again at the next call of [`expire`](Gateway::expire) and not at once: a replica
//! that still believes in a lost leader would send it around in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::debug;

use super::store::{Answer, Freshness, Question, Store};
use crate::clock::{BootTime, unix_millis};
use crate::cluster::{decode_answer, encode_local_read, encode_request, request_id};
use crate::command::Command;
use crate::id::Id;
use crate::micros::Micros;
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request, RequestId, Response};
use crate::transport::tcp::LocalClients;

/// The most questions that wait at once. 10,000 clients may have six each.
pub const MAX_WAITING: usize = 65_536;

/// How often the gateway looks for deadlines, and asks reads again.
const TICK: Duration = Duration::from_millis(50);

/// Hands a datagram to the own replica. Returns false if the replica's inbox is full. It must
/// neither wait nor call the gateway.
pub type Submit = Box<dyn Fn(Vec<u8>) -> bool + Send + Sync>;

/// The gateway of a replica.
pub struct Gateway {
    own: Id,
    members: BTreeSet<Id>, // the own ID included
    limit: Micros,
    submit: OnceLock<Submit>,
    state: Mutex<State>,
}

/// The questions that wait.
struct State {
    last: u64, // the number of the latest question; rises
    numbered: BTreeMap<u64, Waiting>,
    named: BTreeMap<RequestId, Named>,
    waiting: usize,  // of both maps
    again: Vec<u64>, // reads to ask again, by their numbers
}

/// A question that waits for its answer.
struct Waiting {
    answer: Answer,
    deadline: Micros,
    is_read: bool,
    forwarded_to: Option<Id>,
    datagram: Vec<u8>, // of a read, to ask it again; empty for others
}

/// Questions with the same name. All get the same answer.
struct Named {
    content: u64, // the digest of their command
    questions: Vec<Waiting>,
}

/// Answers to give as soon as the lock is free.
type Settled = Vec<(Answer, Outcome)>;

impl Gateway {
    /// The gateway of the replica `own` among `peers`. A question has its answer within `limit`, or
    /// soon after.
    pub fn new(own: Id, peers: &[Id], limit: Micros) -> Arc<Self> {
        let state = State {
            last: 1_000 * u64::try_from(unix_millis()).unwrap_or_default(),
            numbered: BTreeMap::new(),
            named: BTreeMap::new(),
            waiting: 0,
            again: Vec::new(),
        };
        let members = peers.iter().copied().chain([own]).collect();
        Arc::new(Self { own, members, limit, submit: OnceLock::new(), state: Mutex::new(state) })
    }

    /// Connects it to the own replica. Before this, all questions fail. Later calls change nothing.
    pub fn connect(&self, submit: impl Fn(Vec<u8>) -> bool + Send + Sync + 'static) {
        let _connected = self.submit.set(Box::new(submit));
    }

    /// Starts a thread that calls [`expire`](Self::expire) until the gateway is gone.
    ///
    /// # Errors
    ///
    /// The error of the operating system if it starts no thread.
    pub fn keep_time(self: &Arc<Self>) -> io::Result<()> {
        let gateway: Weak<Self> = Arc::downgrade(self);
        let tick = move || {
            while let Some(gateway) = gateway.upgrade() {
                gateway.expire(BootTime::now().as_micros());
                drop(gateway);
                thread::sleep(TICK);
            }
        };
        thread::Builder::new().name("gateway".to_owned()).spawn(tick).map(drop)
    }

    /// Ends the questions whose deadline has come, and asks lost reads again.
    pub fn expire(&self, now: Micros) {
        let mut settled = Settled::new();
        let mut state = self.state.lock();
        // Later questions have later deadlines.
        while let Some(entry) = state.numbered.first_entry().filter(|entry| entry.get().deadline <= now) {
            settled.push(entry.remove().expired());
        }
        state.named.retain(|_, named| {
            let expired = named.questions.extract_if(.., |question| question.deadline <= now);
            settled.extend(expired.map(Waiting::expired));
            !named.questions.is_empty()
        });
        state.waiting -= settled.len();
        for number in std::mem::take(&mut state.again) {
            let Some(question) = state.numbered.get_mut(&number) else { continue };
            question.forwarded_to = None;
            if !self.hand_over(question.datagram.clone()) {
                state.again.push(number);
            }
        }
        drop(state);
        settle(settled);
    }

    /// How many questions wait for an answer.
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting
    }

    fn hand_over(&self, datagram: Vec<u8>) -> bool {
        self.submit.get().is_some_and(|submit| submit(datagram))
    }

    /// Takes a question on. Returns its answer if the outcome is known at once.
    fn take_on(&self, question: Question, answer: Answer, now: Micros) -> Option<(Answer, Outcome)> {
        let Question { command, name, freshness } = question;
        if name.as_ref().is_some_and(|name| self.members.contains(&name.client)) {
            return Some((answer, Outcome::Fail));
        }
        let mut state = self.state.lock();
        if state.waiting >= MAX_WAITING {
            return Some((answer, Outcome::Fail));
        }
        let is_read = command.is_read();
        let deadline = now.saturating_add(self.limit);
        let mut waiting = Waiting { answer, deadline, is_read, forwarded_to: None, datagram: Vec::new() };
        if let Some(id) = name {
            let content = command.digest();
            if state.named.get(&id).is_some_and(|named| named.content != content) {
                return Some((waiting.answer, Outcome::Done(Reply::Error(Refusal::Reused))));
            }
            if !self.hand_over(encode(id.clone(), command, freshness)) {
                return Some((waiting.answer, Outcome::Fail));
            }
            let named = state.named.entry(id).or_insert(Named { content, questions: Vec::new() });
            named.questions.push(waiting);
        } else {
            state.last += 1;
            let number = state.last;
            let id = RequestId { client: self.own, mid: format!("{number:x}").into() };
            let datagram = encode(id, command, freshness);
            if is_read {
                waiting.datagram.clone_from(&datagram);
            }
            if !self.hand_over(datagram) {
                return Some((waiting.answer, Outcome::Fail));
            }
            state.numbered.insert(number, waiting);
        }
        state.waiting += 1;
        None
    }

    /// The number of a question without a name of its own.
    fn number(&self, id: &RequestId) -> Option<u64> {
        if id.client == self.own { u64::from_str_radix(&id.mid, 16).ok() } else { None }
    }

    fn take_answer(&self, id: &RequestId, outcome: Outcome) -> Settled {
        let mut state = self.state.lock();
        if let Some(number) = self.number(id) {
            let Some(question) = state.numbered.get(&number) else { return Settled::new() };
            if question.is_read && outcome == Outcome::Unknown {
                state.again.push(number);
                return Settled::new();
            }
            let question = state.numbered.remove(&number);
            state.waiting -= 1;
            return question.map(|question| (question.answer, by_session(outcome))).into_iter().collect();
        }
        let questions = state.named.remove(id).map(|named| named.questions).unwrap_or_default();
        state.waiting -= questions.len();
        let outcome = not_proposed(outcome);
        questions.into_iter().map(|question| (question.answer, outcome.clone())).collect()
    }
}

impl Store for Gateway {
    fn ask(&self, question: Question, answer: Answer) {
        settle(self.take_on(question, answer, BootTime::now().as_micros()));
    }
}

impl LocalClients for Gateway {
    fn deliver(&self, datagram: &[u8]) {
        match decode_answer(datagram) {
            Ok(Response { id, outcome, .. }) => settle(self.take_answer(&id, outcome)),
            Err(error) => debug!("an answer is refused: {error}"),
        }
    }

    fn forwarded(&self, to: Id, datagram: &[u8]) {
        let Some(id) = request_id(datagram) else { return };
        let mut state = self.state.lock();
        if let Some(number) = self.number(&id) {
            if let Some(question) = state.numbered.get_mut(&number) {
                question.forwarded_to = Some(to);
            }
        } else if let Some(named) = state.named.get_mut(&id) {
            named.questions.iter_mut().for_each(|question| question.forwarded_to = Some(to));
        }
    }

    fn refused(&self, datagram: &[u8]) {
        let Some(id) = request_id(datagram) else { return };
        if let Some(number) = self.number(&id) {
            let mut state = self.state.lock();
            if state.numbered.get(&number).is_some_and(|question| question.is_read) {
                state.again.push(number);
                return;
            }
        }
        settle(self.take_answer(&id, Outcome::Fail));
    }

    fn lost(&self, to: Id) {
        let mut settled = Settled::new();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let is_lost = |question: &Waiting| question.forwarded_to == Some(to);
        for (number, question) in &mut state.numbered {
            if question.is_read && is_lost(question) {
                question.forwarded_to = None;
                state.again.push(*number);
            }
        }
        let lost = state.numbered.iter().filter(|(_, question)| is_lost(question));
        let lost: Vec<u64> = lost.map(|(number, _)| *number).collect();
        let lost = lost.into_iter().filter_map(|number| state.numbered.remove(&number));
        settled.extend(lost.map(|question| (question.answer, Outcome::Unknown)));
        state.named.retain(|_, named| {
            let lost = named.questions.extract_if(.., |question| is_lost(question));
            settled.extend(lost.map(|question| (question.answer, Outcome::Unknown)));
            !named.questions.is_empty()
        });
        state.waiting -= settled.len();
        drop(guard);
        settle(settled);
    }
}

impl Waiting {
    fn expired(self) -> (Answer, Outcome) {
        (self.answer, if self.is_read { Outcome::Fail } else { Outcome::Unknown })
    }
}

/// Gives answers; the lock must be free, because an answer may ask the next question.
fn settle(settled: impl IntoIterator<Item = (Answer, Outcome)>) {
    for (answer, outcome) in settled {
        answer(outcome);
    }
}

fn encode(id: RequestId, command: Command, freshness: Freshness) -> Vec<u8> {
    let mut datagram = Vec::new();
    match (command, freshness) {
        (Command::One(operation), Freshness::Local(max_age_us)) if operation.is_read() => {
            encode_local_read(&mut datagram, &id, &operation, max_age_us);
        }
        (command, _) => encode_request(&mut datagram, &Request { id, command }),
    }
    datagram
}

/// The replica that forwards requests redirects those that it has not proposed.
fn not_proposed(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Redirect { Outcome::Fail } else { outcome }
}

/// A number that the session refuses may be one that it has forgotten.
fn by_session(outcome: Outcome) -> Outcome {
    match not_proposed(outcome) {
        Outcome::Done(Reply::Error(refusal)) if refusal.is_by_session() => Outcome::Unknown,
        outcome => outcome,
    }
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
