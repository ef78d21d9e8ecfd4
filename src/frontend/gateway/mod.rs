//! The way from front ends to their own replica, and back.
//!
//! ```text
//!   front end --ask--> Gateway --submit--> inbox of the replica --> leads: proposes, or serves a read
//!       ^                |  ^                                   --> else: serves a read by an index of
//!       |                |  |                                       the leader, forwards a write to it
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
//! The gateway submits a write once, and again only if it certainly was not sent. If it cannot know
//! the outcome, it says so:
//!
//! | event | a write | a read |
//! |---|---|---|
//! | it was forwarded, and the connection to the leader is lost | `Unknown` | is asked again |
//! | the leader stops leading while the request waits | `Unknown` | is asked again |
//! | no answer by the deadline | `Unknown` | `Fail` |
//! | the replica has not proposed it (`Redirect`, `Fail`) | `Fail` | `Fail` |
//! | there is no connection to the leader | is held | is asked again |
//! | no answer by the deadline, and it is held | `Fail` | |
//! | the session of the replica refuses the number | `Unknown` | |
//! | too many questions wait, or the inbox is full | `Fail` | `Fail` |
//! | it is longer than a message between replicas | `TooLong` | `TooLong` |
//!
//! A read is asked again at the next call of [`expire`](Gateway::expire) and not at once: a replica
//! that still believes in a lost leader would send it around in circles. A write that is held goes
//! out then under another number, unless a later write of its client was sent meanwhile: then it
//! fails (`lanes`). A request with a name of its own is never held, since its client may repeat it.

mod lanes;
mod state;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::debug;

use super::store::{Answer, Freshness, Question, Store};
use crate::clock::{BootTime, unix_millis};
use crate::cluster::{decode_answer, encode_local_read, encode_request, request_id};
use crate::codec;
use crate::command::Command;
use crate::id::Id;
use crate::micros::Micros;
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, Request, RequestId, Response};
use crate::transport::tcp::{Envelope, LocalClients, MAX_DATAGRAM};
use state::{Kept, Settled, State, Waiting};

/// The most questions that wait at once. 10,000 clients may have six each.
pub const MAX_WAITING: usize = 65_536;

/// How often the gateway looks for deadlines, and asks again.
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

impl Gateway {
    /// The gateway of the replica `own` among `peers`. A question has its answer within `limit`, or
    /// soon after.
    pub fn new(own: Id, peers: &[Id], limit: Micros) -> Arc<Self> {
        let state = State::new(1_000 * u64::try_from(unix_millis()).unwrap_or_default());
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

    /// Ends the questions whose deadline has come, and asks again what was lost or held.
    pub fn expire(&self, now: Micros) {
        let mut settled = Settled::new();
        let mut state = self.state.lock();
        state.expire(now, &mut settled);
        state.ask_again(|datagram| self.hand_over(datagram));
        state.send_held(|number, command| {
            let id = self.name(number);
            self.hand_over(encode(id, command.clone(), Freshness::Linearizable))
        });
        drop(state);
        settle(settled);
    }

    /// How many questions wait for an answer.
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting()
    }

    fn hand_over(&self, datagram: Vec<u8>) -> bool {
        self.submit.get().is_some_and(|submit| submit(datagram))
    }

    /// The name of a question that has none.
    fn name(&self, number: u64) -> RequestId {
        RequestId { client: self.own, mid: format!("{number:x}").into() }
    }

    /// The number of such a question.
    fn number(&self, id: &RequestId) -> Option<u64> {
        if id.client == self.own { u64::from_str_radix(&id.mid, 16).ok() } else { None }
    }

    /// Takes a question on. `client` asks in order. Returns the answer if the outcome is known at
    /// once.
    fn take_on(&self, client: Option<u64>, question: Question, answer: Answer) -> Settled {
        let Question { command, name, freshness } = question;
        let failed = |answer| vec![(answer, Outcome::Fail)];
        let refused = |answer, refusal| vec![(answer, Outcome::Done(Reply::Error(refusal)))];
        if name.as_ref().is_some_and(|name| self.members.contains(&name.client)) {
            return failed(answer);
        }
        let now = BootTime::now().as_micros();
        let mut state = self.state.lock();
        if state.waiting() >= MAX_WAITING {
            return failed(answer);
        }
        let number = state.next_number();
        let is_read = command.is_read();
        // A client without an order has a lane for each write. Clients count from 1.
        let lane = (!is_read).then(|| client.unwrap_or(u64::MAX - number));
        let is_held = lane.is_some_and(|lane| state.lanes.is_held(lane));
        let deadline = now.saturating_add(self.limit);
        let mut waiting =
            Waiting { answer, number, deadline, is_read, lane, forwarded_to: None, kept: Kept::Nothing };
        let named = name.map(|id| (id, command.digest()));
        let held = is_held.then(|| command.clone());
        let id = named.as_ref().map_or_else(|| self.name(number), |(id, _)| id.clone());
        let datagram = encode(id, command, freshness);
        if datagram.len() > MAX_DATAGRAM {
            return refused(waiting.answer, Refusal::TooLong);
        }
        match (named, held) {
            (Some(_), Some(_)) => return failed(waiting.answer),
            (Some((id, content)), None) => {
                if !state.has_content(&id, content) {
                    return refused(waiting.answer, Refusal::Reused);
                }
                if !self.hand_over(datagram) {
                    return failed(waiting.answer);
                }
                state.add_named(id, content, waiting);
            }
            (None, Some(command)) => {
                waiting.kept = Kept::Held(command);
                state.add(waiting);
            }
            (None, None) => {
                if is_read {
                    waiting.kept = Kept::Read(datagram.clone());
                }
                if !self.hand_over(datagram) {
                    return failed(waiting.answer);
                }
                state.add(waiting);
            }
        }
        Settled::new()
    }

    fn take_answer(&self, id: &RequestId, outcome: Outcome) -> Settled {
        let mut settled = Settled::new();
        let mut state = self.state.lock();
        match self.number(id) {
            Some(number) if outcome == Outcome::Unknown && state.ask_later(number) => {}
            Some(number) => {
                let question = state.remove(number, &mut settled);
                settled.extend(question.map(|question| (question.answer, by_session(outcome))));
            }
            None => {
                let outcome = not_proposed(outcome);
                for question in state.remove_named(id, &mut settled) {
                    settled.push((question.answer, outcome.clone()));
                }
            }
        }
        settled
    }
}

impl Store for Gateway {
    fn ask(&self, question: Question, answer: Answer) {
        settle(self.take_on(None, question, answer));
    }

    fn ask_in_order(&self, client: u64, question: Question, answer: Answer) {
        settle(self.take_on(Some(client), question, answer));
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
        let mut settled = Settled::new();
        self.state.lock().forwarded(self.number(&id), &id, to, &mut settled);
        settle(settled);
    }

    fn refused(&self, datagram: &[u8]) {
        let Some(id) = request_id(datagram) else { return };
        if let Some(number) = self.number(&id) {
            let mut state = self.state.lock();
            if state.ask_later(number) {
                return;
            }
            if let Some(command) = decode_command(datagram) {
                return state.hold(number, command);
            }
        }
        settle(self.take_answer(&id, Outcome::Fail));
    }

    fn lost(&self, to: Id) {
        let mut settled = Settled::new();
        self.state.lock().lost(to, &mut settled);
        settle(settled);
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

/// The command of a request that this gateway has encoded.
fn decode_command(datagram: &[u8]) -> Option<Command> {
    let (Envelope { id, .. }, content) = Envelope::read(datagram)?;
    codec::decode_request(content, id).ok().map(|request| request.command)
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
