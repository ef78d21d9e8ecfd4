//! A space-time transcript of a run. Time goes down and each replica has a column. A line begins in
//! the column of the replica that it is about.

use std::fmt::Write as _;

use raft::text::describe;

use super::invariants::Before;
use super::network::Loss;
use super::recorder::{MessageNumber, Recorder};
use super::server::Server;
use crate::command::Command;
use crate::exchange::{Inbound, Outbound, ReadIndex};
use crate::micros::Micros;
use crate::operation::Operation;
use crate::replica::Effect;
use crate::reply::Reply;
use crate::request::{Outcome, Request, Response};

/// The width of a replica's column.
const COLUMN: usize = 12;

/// The place of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The network, the clients, or all replicas.
    Network,
    /// This replica.
    Replica(usize),
}

/// A transcript in the making; empty if it is not wanted. The same goes to the file of a trace, if
/// that is wanted.
#[derive(Debug)]
pub struct Trace {
    text: Option<String>,
    pub(super) recorder: Option<Recorder>,
}

impl Trace {
    /// An empty transcript with its heading; with `wanted` false it stays empty and costs nothing.
    pub fn new(wanted: bool, replicas: usize) -> Self {
        let columns = (0..replicas).map(|n| format!("{:<COLUMN$}", format!("{n:04X}")));
        let heading =
            || format!("{:>12}  {:<COLUMN$}{}\n", "seconds", "network", columns.collect::<String>());
        Self { text: wanted.then(heading), recorder: None }
    }

    /// The transcript so far.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Tells an event that is no message.
    pub(super) fn say(&mut self, now: Micros, place: Place, what: impl FnOnce() -> String) {
        if self.text.is_none() && self.recorder.is_none() {
            return;
        }
        let what = what();
        if let Some(recorder) = &mut self.recorder {
            recorder.say(now, place, &what);
        }
        self.tell(now, place, || what);
    }

    /// Tells a message, for which a recorder has records of their own.
    fn tell(&mut self, now: Micros, place: Place, what: impl FnOnce() -> String) {
        let Some(text) = &mut self.text else { return };
        let column = match place {
            Place::Network => 0,
            Place::Replica(at) => at + 1,
        };
        let (seconds, micros, indent) = (now / 1_000_000, now % 1_000_000, column * COLUMN);
        writeln!(text, "{seconds:5}.{micros:06}  {:indent$}{}", "", what())
            .unwrap_or_else(|_| unreachable!("a string takes everything"));
    }

    pub(super) fn request(&mut self, now: Micros, request: &Request, to: usize, lost: bool) {
        self.tell(now, Place::Network, || {
            let what = match &request.command {
                Command::One(Operation::Get { key }) => format!("get {key}"),
                Command::One(Operation::Set(set)) if set.is_plain() => {
                    format!("put {}={}", set.key, set.value)
                }
                other => other.to_string(),
            };
            let lost = if lost { " (lost)" } else { "" };
            format!("{} → {to:04X} #{} {what}{lost}", request.id.client, request.id.mid)
        });
    }

    pub(super) fn response(&mut self, now: Micros, from: usize, response: &Response) {
        self.tell(now, Place::Network, || {
            format!("{} ← {from:04X} {}", response.id.client, answer(response))
        });
    }

    pub(super) fn arrival(&mut self, now: Micros, from: usize, to: usize, input: &Inbound) {
        self.tell(now, Place::Replica(to), || format!("← {from:04X} {}", show(input)));
    }

    pub(super) fn loss(&mut self, now: Micros, from: usize, to: usize, inputs: &[Inbound], loss: Loss) {
        for input in inputs {
            let how = match loss {
                Loss::Cut => "is cut off",
                Loss::Chance => "is lost",
                Loss::Overflow => "waits too long and is lost",
            };
            self.tell(now, Place::Replica(from), || format!("→ {to:04X} {how}: {}", show(input)));
        }
    }

    /// A message arrives with this text instead of its own.
    pub(super) fn damage(
        &mut self,
        now: Micros,
        (from, to): (usize, usize),
        message: MessageNumber,
        changed: &str,
    ) {
        if let Some(recorder) = &mut self.recorder {
            recorder.changes(now, message, changed);
        }
        self.tell(now, Place::Replica(to), || format!("← {from:04X} is damaged: {changed}"));
    }

    pub(super) fn effects(
        &mut self,
        now: Micros,
        at: usize,
        effects: &[Effect],
        before: &Before,
        after: &Server,
    ) {
        let is_wanted = self.text.is_some() || self.recorder.is_some();
        let Some(node) = after.replica().map(crate::replica::Replica::node).filter(|_| is_wanted) else {
            return;
        };
        let (term, led) = (node.hard_state().current_term, node.is_leader());
        if (term, led) != (before.term, before.led) {
            self.say(now, Place::Replica(at), || describe(node));
        }
        let installed = after.replica().map_or(0, crate::replica::Replica::installed);
        if installed != before.installed {
            self.say(now, Place::Replica(at), || {
                format!("installs the snapshot of the entries up to {installed}")
            });
        }
        let applied_from = if installed == before.installed { before.commit_index } else { installed };
        for index in applied_from + 1..=node.commit_index() {
            let entry = node.log().get(index).map_or_else(|| index.to_string(), ToString::to_string);
            self.say(now, Place::Replica(at), || format!("applies {entry}"));
        }
        for effect in effects {
            if matches!(effect, Effect::Send(_)) {
                self.tell(now, Place::Replica(at), || describe_effect(effect));
            } else {
                self.say(now, Place::Replica(at), || describe_effect(effect));
            }
        }
    }
}

fn describe_effect(effect: &Effect) -> String {
    match effect {
        Effect::Persist(persist) => {
            let (number, first, count) = (persist.number, persist.first_index, persist.entries.len());
            let term = persist.hard_state.current_term;
            let anew = persist.base.map_or(String::new(), |base| format!(", a new log after {base}"));
            format!("writes {number}: term {term}{anew}, {count} entries from {first}")
        }
        Effect::SaveSnapshot(snapshot) => format!("saves the snapshot {}", snapshot.id),
        Effect::Compact(base) => format!("compacts its log up to {base}"),
        Effect::Send(Outbound::Peer { to, message, .. }) => format!("→ {to} {message}"),
        Effect::Send(Outbound::Client(response)) => {
            format!("→ {} {}", response.id.client, answer(response))
        }
        Effect::Send(Outbound::Forward { to, request }) => {
            format!("→ {to} #{} of {}", request.id.mid, request.id.client)
        }
        Effect::Send(Outbound::ReadIndex { to, message }) => format!("→ {to} {}", show_index(message)),
    }
}

/// A message between replicas.
fn show(input: &Inbound) -> String {
    match input {
        Inbound::Peer { message, .. } => message.to_string(),
        Inbound::ReadIndex { message, .. } => show_index(message),
        Inbound::Client(Request { id, .. }) | Inbound::LocalRead { id, .. } => {
            format!("#{} of {}", id.mid, id.client)
        }
        Inbound::Refused(response) => answer(response),
    }
}

fn show_index(message: &ReadIndex) -> String {
    match message {
        ReadIndex::Request { round, applied } => {
            format!("asks for an index in round {}, has applied {applied}", round.number)
        }
        ReadIndex::Response { round, index, .. } => format!("grants index {index} in round {}", round.number),
    }
}

/// The heading of a transcript and its last lines up to this time, at most this many.
pub fn excerpt(transcript: &str, until_us: Micros, most: usize) -> Vec<&str> {
    let mut lines = transcript.lines();
    let heading = lines.next();
    let until: Vec<&str> = lines.take_while(|line| time_of(line) <= until_us).collect();
    heading.into_iter().chain(until[until.len().saturating_sub(most)..].iter().copied()).collect()
}

/// The time at the start of a line, in microseconds.
fn time_of(line: &str) -> Micros {
    let time = line.split_whitespace().next().and_then(|seconds| seconds.split_once('.'));
    let micros = time.and_then(|(seconds, micros)| {
        Some(1_000_000 * seconds.parse::<Micros>().ok()? + micros.parse::<Micros>().ok()?)
    });
    micros.unwrap_or(0)
}

fn answer(response: &Response) -> String {
    let mid = &response.id.mid;
    match (&response.outcome, response.leader) {
        (Outcome::Done(Reply::Ok), _) => format!("#{mid} ok"),
        (Outcome::Done(Reply::Error(refusal)), _) => format!("#{mid} fail: {refusal}"),
        (Outcome::Done(Reply::Bytes(value)), _) => format!("#{mid} ok \"{value}\""),
        (Outcome::Done(reply), _) => format!("#{mid} ok {reply}"),
        (Outcome::Redirect, Some(leader)) => format!("#{mid} redirect to {leader}"),
        (Outcome::Redirect, None) => format!("#{mid} redirect"),
        (Outcome::Unknown, _) => format!("#{mid} unknown"),
        (Outcome::Fail, _) => format!("#{mid} fail"),
    }
}
