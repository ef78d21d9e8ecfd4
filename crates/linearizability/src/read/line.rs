//! One line of a history as JSON, and the operation that it stands for.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Malformed;
use super::retries::Request;
use crate::command::{Command, Operation, Outcome, Reply, Ttl, When};
use crate::key_value::{self, Declined, Kind, Refusal};
use crate::text::legible;

/// The part of a line that all types have, and the arguments of plain puts and gets. A line with
/// others is parsed again, as a [`Part`] or as a [`Transaction`].
#[derive(Deserialize)]
pub struct Line<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    #[serde(borrow)]
    client: Cow<'a, str>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    invoked: f64,
    returned: Option<f64>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    retry_of: Option<Cow<'a, str>>,
    r#if: Option<IgnoredAny>,
    ttl_ms: Option<IgnoredAny>,
    keep_ttl: Option<IgnoredAny>,
    exists: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    ops: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    watched: Option<Vec<Watched<'a>>>,
    aborted: Option<bool>,
}

/// One command: of a line, or of a transaction.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
    by: Option<i64>,
    create: Option<bool>,
    #[serde(borrow)]
    r#if: Option<Cow<'a, str>>,
    ttl_ms: Option<u64>,
    keep_ttl: Option<bool>,
    exists: Option<bool>,
    done: Option<bool>,
    result: Option<i64>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Watched<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
}

/// The types of lines, and of the operations of a transaction but for the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Get,
    Put,
    Cas,
    Delete,
    Increment,
    Append,
    Expire,
    Persist,
    Transaction,
}

impl Type {
    fn parse(text: &str) -> Result<Self, Malformed> {
        Ok(match text {
            "get" => Self::Get,
            "put" => Self::Put,
            "cas" => Self::Cas,
            "delete" => Self::Delete,
            "increment" => Self::Increment,
            "append" => Self::Append,
            "expire" => Self::Expire,
            "persist" => Self::Persist,
            "transaction" => Self::Transaction,
            _ => return Err(Malformed::UnknownType(legible(text))),
        })
    }
}

/// The texts of a history, each of them once.
#[derive(Default)]
pub struct Texts {
    known: HashSet<Arc<str>>,
}

impl Texts {
    fn once(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.known.insert(Arc::clone(&new));
        new
    }
}

/// The operation of a line.
pub enum AnyOperation {
    /// A put or a get without any of the arguments and results of commands. `None` for a get without
    /// an answer.
    Plain(Option<key_value::Operation>),
    Command(Operation),
}

impl<'a> Line<'a> {
    /// The operation of this line, whose text is `json` and whose ID is `name`, and the part of it
    /// that retries must fit.
    pub fn read(
        self,
        json: &'a str,
        number: usize,
        name: Arc<str>,
        texts: &mut Texts,
    ) -> Result<(Request, AnyOperation), Malformed> {
        let invoked = nanoseconds("invoked", self.invoked)?;
        let returned = self.returned.map(|seconds| nanoseconds("returned", seconds)).transpose()?;
        if returned.is_some_and(|returned| returned < invoked) {
            return Err(Malformed::ReturnedTooEarly);
        }
        let end = End::parse(&self.outcome)?;
        if end == End::Ok && returned.is_none() {
            return Err(Malformed::NoReturn);
        }
        let times = Times { invoked, returned, end };
        let of_type = Type::parse(&self.r#type)?;
        let request = Request {
            line: number,
            key: self.key.as_deref().map(|key| texts.once(key)),
            of_type,
            invoked,
            answered: returned,
            retry_of: self.retry_of.as_deref().map(Arc::from),
        };
        let operation = if self.is_plain(of_type) {
            let key = request.key.clone().ok_or(Malformed::Missing("key"))?;
            AnyOperation::Plain(self.put_or_get(of_type == Type::Get, name, key, times, texts)?)
        } else {
            AnyOperation::Command(self.command(json, of_type, name, times, texts)?)
        };
        Ok((request, operation))
    }

    /// Whether it is a put or a get without any of the arguments and results of commands.
    fn is_plain(&self, of_type: Type) -> bool {
        match of_type {
            Type::Get => self.exists.is_none(),
            Type::Put => self.r#if.is_none() && self.ttl_ms.is_none() && self.keep_ttl.is_none(),
            _ => false,
        }
    }

    fn put_or_get(
        self,
        is_get: bool,
        name: Arc<str>,
        key: Arc<str>,
        times: Times,
        texts: &mut Texts,
    ) -> Result<Option<key_value::Operation>, Malformed> {
        let Times { invoked, returned, end } = times;
        if is_get && end != End::Ok {
            return Ok(None);
        }
        let value = texts.once(self.value.as_deref().ok_or(Malformed::Missing("value"))?);
        let declined = match end {
            End::Declined(with) => Some(Declined { with, at: returned }),
            End::Ok | End::Unknown => None,
        };
        Ok(Some(key_value::Operation {
            name,
            client: texts.once(&self.client),
            key,
            kind: if is_get { Kind::Get { value } } else { Kind::Put { value } },
            invoked,
            returned: returned.filter(|_| end == End::Ok),
            declined,
            retry_of: self.retry_of.map(Into::into),
        }))
    }

    fn command(
        self,
        json: &'a str,
        of_type: Type,
        name: Arc<str>,
        times: Times,
        texts: &mut Texts,
    ) -> Result<Operation, Malformed> {
        let Times { invoked, returned, end } = times;
        let mut operation = Operation {
            name,
            client: texts.once(&self.client),
            commands: Vec::new(),
            watched: Vec::new(),
            invoked,
            outcome: Outcome::Unknown,
            retry_of: self.retry_of.map(Into::into),
        };
        let (mut replies, mut is_aborted) = (Vec::new(), false);
        if of_type == Type::Transaction {
            let transaction: Transaction<'_> = parse(json)?;
            is_aborted = end == End::Ok && transaction.aborted == Some(true);
            replies = transaction.read(&mut operation, end == End::Ok && !is_aborted, texts)?;
        } else {
            let (key, command, reply) = parse::<Part<'_>>(json)?.read(end == End::Ok, texts)?;
            operation.commands.push((key, command));
            replies.extend(reply);
        }
        operation.outcome = match (end, returned) {
            (End::Ok, Some(at)) if is_aborted => Outcome::Aborted { at },
            (End::Ok, Some(at)) => Outcome::Replied { at, replies },
            (End::Declined(with), at) => Outcome::Declined(Declined { with, at }),
            (End::Ok | End::Unknown, _) => Outcome::Unknown,
        };
        Ok(operation)
    }
}

/// Parses the whole line as JSON.
pub fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(json).map_err(|error| Malformed::json(&error))
}

impl Transaction<'_> {
    /// Adds the commands and the watched keys to an operation, and returns the replies if there are
    /// some.
    fn read(
        self,
        operation: &mut Operation,
        is_answered: bool,
        texts: &mut Texts,
    ) -> Result<Vec<Reply>, Malformed> {
        let mut replies = Vec::new();
        for (place, part) in self.ops.ok_or(Malformed::Missing("ops"))?.into_iter().enumerate() {
            let in_ops = |reason| Malformed::InOps { place, reason: Box::new(reason) };
            let (key, command, reply) = part.read(is_answered, texts).map_err(in_ops)?;
            operation.commands.push((key, command));
            replies.extend(reply);
        }
        if operation.commands.is_empty() {
            return Err(Malformed::EmptyOps);
        }
        for Watched { key, value } in self.watched.into_iter().flatten() {
            operation.watched.push((texts.once(&key), value.map(|value| texts.once(&value))));
        }
        Ok(replies)
    }
}

impl Part<'_> {
    /// The key, the command and, if there is one, its reply.
    fn read(self, is_ok: bool, texts: &mut Texts) -> Result<(Arc<str>, Command, Option<Reply>), Malformed> {
        let of_type = Type::parse(&self.r#type)?;
        let key = texts.once(self.key.as_deref().ok_or(Malformed::Missing("key"))?);
        let mut text = |name, text: &Option<Cow<'_, str>>| {
            text.as_deref().map(|text| texts.once(text)).ok_or(Malformed::Missing(name))
        };
        let command = match of_type {
            Type::Get => Command::Get,
            Type::Put => {
                Command::Set { value: text("value", &self.value)?, when: self.condition()?, ttl: self.ttl()? }
            }
            Type::Cas => {
                let from = text("from", &self.from).ok();
                let when = match (from, self.create) {
                    (None, _) => When::Absent,
                    (Some(from), Some(true)) => When::AbsentOr(from),
                    (Some(from), _) => When::Is(from),
                };
                Command::Set { value: text("to", &self.to)?, when, ttl: self.ttl()? }
            }
            Type::Delete => Command::Delete { when: text("from", &self.from).map_or(When::Always, When::Is) },
            Type::Increment => Command::Increment { by: self.by.unwrap_or(1) },
            Type::Append => Command::Append { value: text("value", &self.value)? },
            Type::Expire => match self.ttl()? {
                Ttl::After(ttl) => Command::Expire { ttl },
                Ttl::Unlimited | Ttl::Keep => return Err(Malformed::Missing("ttl_ms")),
            },
            Type::Persist => Command::Persist,
            Type::Transaction => return Err(Malformed::Nested),
        };
        let reply = if is_ok { Some(self.reply(of_type, texts)?) } else { None };
        Ok((key, command, reply))
    }

    fn condition(&self) -> Result<When, Malformed> {
        match self.r#if.as_deref() {
            None => Ok(When::Always),
            Some("absent") => Ok(When::Absent),
            Some("present") => Ok(When::Present),
            Some(other) => Err(Malformed::UnknownCondition(legible(other))),
        }
    }

    fn ttl(&self) -> Result<Ttl, Malformed> {
        match (self.ttl_ms, self.keep_ttl == Some(true)) {
            (None, false) => Ok(Ttl::Unlimited),
            (None, true) => Ok(Ttl::Keep),
            (Some(0), false) => Err(Malformed::NoTime),
            (Some(ms), false) => Ok(Ttl::After(Duration::from_millis(ms))),
            (Some(_), true) => Err(Malformed::TwoTimes),
        }
    }

    fn reply(&self, of_type: Type, texts: &mut Texts) -> Result<Reply, Malformed> {
        let number = || self.result.map(Reply::Number).ok_or(Malformed::Missing("result"));
        let done = || self.done.map(Reply::Done).ok_or(Malformed::Missing("done"));
        match of_type {
            Type::Get => match (self.value.as_deref(), self.exists) {
                (None, Some(false)) => Ok(Reply::Value(None)),
                (Some(value), Some(false)) if !value.is_empty() => Err(Malformed::ValueOfAbsent),
                (Some(_), Some(false)) => Ok(Reply::Value(None)),
                (None, _) => Err(Malformed::Missing("value")),
                (Some(""), None) => Ok(Reply::Empty),
                (Some(value), _) => Ok(Reply::Value(Some(texts.once(value)))),
            },
            Type::Put if self.r#if.is_none() => Ok(Reply::Done(true)),
            Type::Increment if self.error.is_some() => Ok(Reply::Refused),
            Type::Increment | Type::Append => number(),
            _ => done(),
        }
    }
}

/// When a request was sent and answered, and how.
#[derive(Clone, Copy)]
struct Times {
    invoked: u64,
    returned: Option<u64>,
    end: End,
}

/// The text under `outcome`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ok,
    Declined(Refusal),
    Unknown,
}

impl End {
    fn parse(text: &str) -> Result<Self, Malformed> {
        match text {
            "ok" => Ok(Self::Ok),
            "fail" => Ok(Self::Declined(Refusal::Fail)),
            "redirect" => Ok(Self::Declined(Refusal::Redirect)),
            "unknown" => Ok(Self::Unknown),
            _ => Err(Malformed::UnknownOutcome(legible(text))),
        }
    }
}

/// Rounding keeps the order of times. Times that it makes equal count as concurrent.
fn nanoseconds(key: &'static str, seconds: f64) -> Result<u64, Malformed> {
    let ns = seconds * 1e9;
    if (0.0..u64::MAX as f64).contains(&ns) { Ok(ns.round() as u64) } else { Err(Malformed::BadTime(key)) }
}
