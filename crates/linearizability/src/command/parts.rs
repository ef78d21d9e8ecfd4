//! The parts of a history that are judged apart, as tasks of the search.
//!
//! Keys that share a transaction are judged together, and so are the keys of a chain of such
//! transactions. All other keys are judged alone: a history is linearizable if each part of it is
//! (Herlihy and Wing 1990, theorem 1).
//!
//! # Expiry
//!
//! A command that gives its key a time to live takes effect at an unknown moment between its
//! invocation and its return. The replica that dates it and the replica that finds the key expired
//! have clocks that differ by no more than a known bound. So the key ends at one moment of a
//! window:
//!
//! ```text
//!     set, ttl    |-----|                         takes effect somewhere here
//!                 :-- ttl - bound -->:
//!                       :------ ttl + bound ------>:
//!     expiry                         |-------------|    the end of the key, somewhere here
//!     get         present            present,           absent
//!                                    then absent
//! ```
//!
//! This is an operation like any other: the expiry is *invoked* at the start of its window and
//! *returns* at its end. It comes after the command and takes the key away, unless a later command
//! has given the key another end or none. The search then finds the moment, and a key that was seen
//! absent does not come back. A command without a known last moment has a window without an end.
//!
//! A window does not begin before the command is invoked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::operation::{Command, Operation, Outcome, Reply, When};
use super::strings::{Call, Step, Strings};
use crate::Model;
use crate::search::{Effect, Task, Traits};
use crate::structures::Sets;

/// Some keys that are judged together, with all their operations.
pub struct Part<'a> {
    pub keys: Vec<&'a Arc<str>>,
    /// The operations, each with the last moment at which it can take effect.
    pub operations: Vec<(&'a Operation, Option<u64>)>,
}

/// Divides a history; parts come in order of first appearance. Leaves out the operations that say
/// nothing: those that were aborted, and gets without an answer. `deadlines` are the last moments
/// of declined operations.
pub fn divide<'a>(operations: &'a [Operation], deadlines: &[Option<u64>]) -> Vec<Part<'a>> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut keys: Vec<&Arc<str>> = Vec::new();
    let mut told: Vec<(&Operation, Option<u64>, usize)> = Vec::new(); // with the number of a key
    let mut joins: Vec<(usize, usize)> = Vec::new();
    for (operation, &deadline) in operations.iter().zip(deadlines) {
        let says_nothing = match operation.outcome {
            Outcome::Aborted { .. } => true,
            Outcome::Replied { .. } => false,
            Outcome::Declined(_) | Outcome::Unknown => operation.is_get(),
        };
        if says_nothing {
            continue;
        }
        let mut first = None;
        for key in keys_of(operation) {
            let number = *numbers.entry(key).or_insert(keys.len());
            if number == keys.len() {
                keys.push(key);
            }
            joins.push((*first.get_or_insert(number), number));
        }
        // An operation without any key says nothing, either.
        told.extend(first.map(|number| (operation, operation.returned().or(deadline), number)));
    }
    let mut sets = Sets::new(keys.len());
    joins.into_iter().for_each(|(one, other)| sets.join(one, other));
    let mut places = vec![None; keys.len()];
    let mut parts: Vec<Part<'a>> = Vec::new();
    for (number, key) in keys.into_iter().enumerate() {
        let place = *places[sets.find(number)].get_or_insert(parts.len());
        if place == parts.len() {
            parts.push(Part { keys: Vec::new(), operations: Vec::new() });
        }
        parts[place].keys.push(key);
    }
    for (operation, latest, number) in told {
        let place = places[sets.find(number)].unwrap_or_default();
        parts[place].operations.push((operation, latest));
    }
    parts
}

fn keys_of(operation: &Operation) -> impl Iterator<Item = &Arc<str>> {
    let watched = operation.watched.iter().map(|(key, _)| key);
    operation.commands.iter().map(|(key, _)| key).chain(watched)
}

/// A part as calls of [`Strings`](super::strings::Strings): one for each operation, and then one
/// for each expiry.
pub struct Calls<'a> {
    calls: Vec<Call<'a>>,
    /// By call: the keys, by number.
    keys: Vec<Vec<usize>>,
    /// By operation: the number of its class, if it is pending.
    classes: Vec<Option<usize>>,
    pub expiries: Vec<Expiry>,
    values: Values<'a>,
}

/// The end of a key that has a time to live.
pub struct Expiry {
    /// The place of the operation that gave it.
    pub of: usize,
    pub key: usize,
    /// The first moment at which the key may end.
    pub from: u64,
    /// The moment at which it has ended, if that is known.
    pub to: Option<u64>,
}

impl<'a> Calls<'a> {
    pub fn new(part: &Part<'a>, clock_difference: Duration) -> Self {
        let numbers: HashMap<&str, usize> =
            part.keys.iter().enumerate().map(|(number, key)| (&***key, number)).collect();
        // Most parts have one key.
        let number = |key: &Arc<str>| if part.keys.len() == 1 { 0 } else { numbers[&**key] };
        let count = part.operations.len();
        let mut own = Self {
            calls: Vec::with_capacity(count),
            keys: Vec::with_capacity(count),
            classes: vec![None; count],
            expiries: Vec::new(),
            values: Values::new(part),
        };
        let mut known: HashMap<&[(Arc<str>, Command)], usize> = HashMap::new();
        for (place, &(operation, latest)) in part.operations.iter().enumerate() {
            let mut steps = Vec::with_capacity(operation.commands.len());
            for (at, (key, command)) in operation.commands.iter().enumerate() {
                let mut step = Step { key: number(key), command, expiry: 0 };
                let reply = operation.replies().and_then(|replies| replies.get(at));
                if let Some(ttl) = command.ttl().filter(|_| reply != Some(&Reply::Done(false))) {
                    let window = window(operation.invoked, latest, ttl, clock_difference);
                    own.expiries.push(Expiry { of: place, key: step.key, from: window.0, to: window.1 });
                    step.expiry = own.expiries.len();
                }
                steps.push(step);
            }
            if operation.returned().is_none()
                && operation.watched.is_empty()
                && steps.iter().all(|step| step.expiry == 0)
            {
                let next = known.len();
                own.classes[place] = Some(*known.entry(&operation.commands).or_insert(next));
            }
            let watched = operation.watched.iter().map(|(key, value)| (number(key), value.as_deref()));
            own.calls.push(Call::Commands { steps, watched: watched.collect() });
            // With a single key, there is nothing to tell apart.
            let mut keys: Vec<usize> = match part.keys.len() {
                1 => Vec::new(),
                _ => keys_of(operation).map(number).collect(),
            };
            keys.sort_unstable();
            keys.dedup();
            own.keys.push(keys);
        }
        for (place, expiry) in own.expiries.iter().enumerate() {
            own.calls.push(Call::Expire { key: expiry.key, expiry: place + 1 });
            own.keys.push(if part.keys.len() == 1 { Vec::new() } else { vec![expiry.key] });
        }
        own
    }

    /// The numbers of the values that operations need and make.
    pub fn values(&self) -> HashMap<&'a str, usize> {
        self.values.numbers.clone()
    }

    /// The tasks of all calls.
    pub fn tasks<'t>(&'t self, model: &Strings<'a>, part: &Part<'t>) -> Vec<Task<'t, Call<'a>, Vec<Reply>>> {
        let operations = part.operations.iter().enumerate().map(|(place, &(operation, end))| {
            let (call, answer) = (&self.calls[place], operation.replies());
            let effect = if model.is_read(call, answer) { Effect::Nothing } else { Effect::Any };
            let (keys, class) = (&*self.keys[place], self.classes[place]);
            let (needs, makes) = (self.values.needed_by(operation), self.values.made_by(operation));
            let traits = Traits { effect, keys, class, after: None, needs, makes };
            Task { call, answer, invoked: operation.invoked, end, traits }
        });
        let first = part.operations.len();
        let expiries = self.expiries.iter().enumerate().map(|(number, expiry)| {
            let place = first + number;
            let traits = Traits {
                effect: Effect::Once,
                keys: &self.keys[place],
                after: Some(expiry.of),
                ..Traits::default()
            };
            let answer = expiry.to.map(|_| NO_REPLIES);
            Task { call: &self.calls[place], answer, invoked: expiry.from, end: expiry.to, traits }
        });
        operations.chain(expiries).collect()
    }
}

/// The numbers of the values of a key. There are none if a command makes a value that depends on the
/// one before it, or if an operation has several commands.
struct Values<'a> {
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Values<'a> {
    fn new(part: &Part<'a>) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let is_plain = |operation: &Operation| {
            let depends =
                |command: &Command| matches!(command, Command::Increment { .. } | Command::Append { .. });
            operation.commands.len() == 1 && !depends(&operation.commands[0].1)
        };
        if part.keys.len() == 1 && part.operations.iter().all(|(operation, _)| is_plain(operation)) {
            for (operation, _) in &part.operations {
                if let (_, Command::Set { value, .. }) = &operation.commands[0] {
                    let next = numbers.len();
                    numbers.entry(value).or_insert(next);
                }
            }
        }
        Self { numbers }
    }

    /// The value that an operation must have found, if it is one that others make.
    fn needed_by(&self, operation: &Operation) -> Option<usize> {
        let (command, reply) = (&operation.commands.first()?.1, operation.replies()?.first()?);
        let value = match (command, reply) {
            (Command::Get, Reply::Value(Some(value))) => value,
            (
                Command::Set { when: When::Is(value), .. } | Command::Delete { when: When::Is(value) },
                Reply::Done(true),
            ) => value,
            _ => return None,
        };
        self.numbers.get(&**value).copied()
    }

    /// The value that an operation makes if it takes effect.
    fn made_by(&self, operation: &Operation) -> Option<usize> {
        let Command::Set { value, .. } = &operation.commands.first()?.1 else { return None };
        let reply = operation.replies().and_then(|replies| replies.first());
        self.numbers.get(&**value).copied().filter(|_| reply != Some(&Reply::Done(false)))
    }
}

/// The answer of an expiry that is certain.
const NO_REPLIES: &Vec<Reply> = &Vec::new();

/// The moments between which a key ends, whose time to live was given between `invoked` and
/// `latest`.
fn window(
    invoked: u64,
    latest: Option<u64>,
    ttl: Duration,
    clock_difference: Duration,
) -> (u64, Option<u64>) {
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let shortest = ns(ttl.saturating_sub(clock_difference));
    let longest = ns(ttl.saturating_add(clock_difference));
    (invoked.saturating_add(shortest), latest.map(|latest| latest.max(invoked).saturating_add(longest)))
}
