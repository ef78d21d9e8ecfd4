//! The consequences of an answer.

use super::super::circle::Circle;
use super::super::locks;
use super::super::operations::{self, Step, Task};
use super::{Asked, Clients, Follows, Sending};
use crate::bytes::Bytes;
use crate::command::Command;
use crate::micros::Micros;
use crate::operation::{Operation, Set};
use crate::reply::Reply;
use crate::request::{Outcome, Response};

impl Clients {
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
        (asked.before, asked.attempt) = (Some(declined), attempt + 1);
        asked.retry_of = asked.before.filter(|_| are_copies_settled);
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
}
