//! The object: keys whose values are texts, and the commands on them.
//!
//! Time is no part of the state. A command that gives its key a time to live has an *expiry*: a
//! call of its own, which removes the key if that command was the last one to give it a time to
//! live. [`parts`](super::parts) says when it comes.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use super::operation::{Command, Reply, Ttl, When};
use crate::Model;

/// Some keys, which are numbered from 0.
pub struct Strings<'a> {
    keys: usize,
    /// The numbers of the values that operations need and make, if there is one key.
    values: HashMap<&'a str, usize>,
    calls: PhantomData<Call<'a>>,
}

impl<'a> Strings<'a> {
    pub fn new(keys: usize, values: HashMap<&'a str, usize>) -> Self {
        Self { keys, values, calls: PhantomData }
    }
}

/// The state of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    pub value: Option<Arc<str>>,
    /// The number of the expiry that would remove the key; 0 if it lives on.
    pub expiry: usize,
}

/// A call that takes effect at one moment.
pub enum Call<'a> {
    Commands {
        steps: Vec<Step<'a>>,
        /// Keys, and the values without which the call has no effect.
        watched: Vec<(usize, Option<&'a str>)>,
    },
    /// Removes the key if it still has this expiry.
    Expire { key: usize, expiry: usize },
}

/// One command of a call.
pub struct Step<'a> {
    pub key: usize,
    pub command: &'a Command,
    /// The number of the expiry that it gives to its key, if it gives one.
    pub expiry: usize,
}

impl<'a> Model for Strings<'a> {
    type Call = Call<'a>;
    type Answer = Vec<Reply>;
    type State = Box<[Entry]>;
    type Key = ();

    fn key(&self, _: &Call<'a>) {}

    fn initial(&self) -> Box<[Entry]> {
        vec![Entry::default(); self.keys].into()
    }

    fn step(
        &self,
        state: &Box<[Entry]>,
        call: &Call<'a>,
        answer: Option<&Vec<Reply>>,
    ) -> Option<Box<[Entry]>> {
        let (steps, watched) = match call {
            Call::Commands { steps, watched } => (steps, watched),
            Call::Expire { key, expiry } => {
                let mut next = state.clone();
                if next[*key].expiry == *expiry {
                    next[*key] = Entry::default();
                }
                return Some(next);
            }
        };
        if answer.is_some_and(|replies| replies.len() != steps.len())
            || watched.iter().any(|&(key, value)| state[key].value.as_deref() != value)
        {
            return None;
        }
        let mut next: Option<Box<[Entry]>> = None;
        for (place, step) in steps.iter().enumerate() {
            let entry = &next.as_ref().unwrap_or(state)[step.key];
            let (reply, changed) = apply(entry, step.command, step.expiry);
            if answer.is_some_and(|replies| !is_told_by(&reply, &replies[place])) {
                return None;
            }
            if let Some(changed) = changed {
                next.get_or_insert_with(|| state.clone())[step.key] = changed;
            }
        }
        Some(next.unwrap_or_else(|| state.clone()))
    }

    fn is_read(&self, call: &Call<'a>, answer: Option<&Vec<Reply>>) -> bool {
        let Call::Commands { steps, .. } = call else { return false };
        let is_idle = |(place, step): (usize, &Step<'_>)| {
            let reply = answer.and_then(|replies| replies.get(place));
            *step.command == Command::Get || matches!(reply, Some(Reply::Done(false) | Reply::Refused))
        };
        steps.iter().enumerate().all(is_idle)
    }

    fn state_bytes(&self, state: &Box<[Entry]>) -> usize {
        let texts = state.iter().filter_map(|entry| entry.value.as_deref());
        size_of_val(&**state) + texts.map(str::len).sum::<usize>()
    }

    fn value(&self, state: &Box<[Entry]>) -> Option<usize> {
        if self.values.is_empty() {
            return None;
        }
        self.values.get(state[0].value.as_deref()?).copied()
    }
}

/// The reply to a command on a key, and the key's new state if the command changes it. `expiry` is
/// the number of the expiry that the command gives to the key.
fn apply(entry: &Entry, command: &Command, expiry: usize) -> (Reply, Option<Entry>) {
    let value = entry.value.as_deref();
    let kept = |value: Arc<str>| Some(Entry { value: Some(value), expiry: entry.expiry });
    match command {
        Command::Get => (Reply::Value(entry.value.clone()), None),
        Command::Set { value: new, when, ttl } if holds(when, value) => {
            let expiry = match ttl {
                Ttl::Unlimited => 0,
                Ttl::Keep => entry.expiry,
                Ttl::After(_) => expiry,
            };
            (Reply::Done(true), Some(Entry { value: Some(Arc::clone(new)), expiry }))
        }
        Command::Delete { when } if value.is_some() && holds(when, value) => {
            (Reply::Done(true), Some(Entry::default()))
        }
        Command::Increment { by } => {
            let number = value.map_or(Some(0), integer).and_then(|number| number.checked_add(*by));
            match number {
                Some(number) => (Reply::Number(number), kept(number.to_string().into())),
                None => (Reply::Refused, None),
            }
        }
        Command::Append { value: end } => {
            let whole = format!("{}{end}", value.unwrap_or_default());
            (Reply::Number(i64::try_from(whole.len()).unwrap_or(i64::MAX)), kept(whole.into()))
        }
        Command::Expire { .. } if value.is_some() => {
            (Reply::Done(true), Some(Entry { expiry, ..entry.clone() }))
        }
        Command::Persist if entry.expiry > 0 => {
            (Reply::Done(true), Some(Entry { expiry: 0, ..entry.clone() }))
        }
        Command::Set { .. } | Command::Delete { .. } | Command::Expire { .. } | Command::Persist => {
            (Reply::Done(false), None)
        }
    }
}

fn holds(when: &When, value: Option<&str>) -> bool {
    match when {
        When::Always => true,
        When::Absent => value.is_none(),
        When::Present => value.is_some(),
        When::Is(other) => value == Some(other),
        When::AbsentOr(other) => value.is_none_or(|value| *value == **other),
        When::IsNot(other) => value != Some(other),
    }
}

/// The number that a text is, if it is written as Redis writes it.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_written_so = text == "0" || !digits.is_empty() && !digits.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_written_so)
}

/// Whether the client may have seen this reply as `seen`.
fn is_told_by(reply: &Reply, seen: &Reply) -> bool {
    match (reply, seen) {
        (Reply::Value(value), Reply::Empty) => value.as_deref().unwrap_or_default().is_empty(),
        _ => reply == seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_is_written_in_one_way() {
        for (text, number) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
        ] {
            assert_eq!(integer(text), number, "{text}");
        }
        for text in ["", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "9223372036854775808", "-+1", "٣"]
        {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
