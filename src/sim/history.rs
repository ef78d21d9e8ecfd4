//! The history of the clients in the words of the judge. Requests for keys whose operations the
//! judge does not know (`any-0`, ...) stay out of it, and reads that it does not know.

use std::sync::Arc;
use std::time::Duration;

use linearizability::command as judge;
use linearizability::key_value::{self, Declined, Refusal};

use super::clients::Asked;
use super::operations::Step;
use crate::bytes::Bytes;
use crate::command::Command;
use crate::micros::Micros;
use crate::operation::{Condition, Deadline, Expiry, Operation, Set};
use crate::reply::Reply;
use crate::request::Outcome;

/// The keys whose history is not judged.
const NOT_JUDGED: &[u8] = b"any-";

/// A put or a get. A put without acknowledgement may have taken effect. A get without a value proves
/// nothing.
pub(super) fn of_values(asked: &Asked) -> Option<key_value::Operation> {
    let (key, kind, returned) = match asked.request.command.operations() {
        [Operation::Set(Set { key, value, .. })] => {
            let value = text(value);
            (key, key_value::Kind::Put { value }, asked.returned.filter(|_| asked.is_stored()))
        }
        [Operation::Get { key }] => {
            let value = text(&asked.outcome.as_ref()?.value()?);
            (key, key_value::Kind::Get { value }, asked.returned)
        }
        _ => return None,
    };
    let refusal = match asked.outcome {
        Some(Outcome::Fail | Outcome::Done(Reply::Error(_))) => Some(Refusal::Fail),
        Some(Outcome::Redirect) => Some(Refusal::Redirect),
        _ => None,
    };
    Some(key_value::Operation {
        name: asked.request.id.mid.clone(),
        client: asked.request.id.client.to_string().into(),
        key: text(key),
        kind,
        invoked: nanos(asked.invoked),
        returned: returned.map(nanos),
        declined: refusal.map(|with| Declined { with, at: asked.returned.map(nanos) }),
        retry_of: asked.retry_of.map(name),
    })
}

/// A request and its answer as the judge knows them; none if it has no part that the judge knows.
pub(super) fn of_commands(asked: &Asked) -> Option<judge::Operation> {
    let command = &asked.request.command;
    let operations = command.operations();
    if operations.iter().flat_map(Operation::keys).any(|key| key.starts_with(NOT_JUDGED)) {
        return None;
    }
    let commands: Vec<_> = operations.iter().map(commands).collect::<Option<Vec<_>>>()?.concat();
    let watched = match (command, &asked.step) {
        (Command::Batch(batch), Step::Transact { seen: Some(value) }) => {
            batch.watches.iter().map(|watch| (text(&watch.key), value.as_ref().map(text))).collect()
        }
        (Command::Batch(batch), Step::Lock(super::locks::Step::Work { owner, .. })) => {
            batch.watches.iter().map(|watch| (text(&watch.key), Some(text(owner)))).collect()
        }
        _ => Vec::new(),
    };
    if commands.is_empty() {
        return None;
    }
    let operation = judge::Operation {
        name: asked.request.id.mid.clone(),
        client: asked.request.id.client.to_string().into(),
        commands,
        watched,
        invoked: nanos(asked.invoked),
        outcome: outcome(asked),
        retry_of: asked.retry_of.map(name),
    };
    // A read without an answer says nothing.
    (!operation.is_get() || operation.replies().is_some()).then_some(operation)
}

/// How far apart two replicas may expire a key, as the judge wants it: the difference of their
/// clocks, and a millisecond for each clock that is rounded.
pub(super) fn clock_difference(difference_ms: u64) -> Duration {
    Duration::from_millis(difference_ms + 2)
}

/// The name of a request in the history.
fn name(number: usize) -> Arc<str> {
    format!("{number:x}").into()
}

fn nanos(at: Micros) -> u64 {
    at * 1_000
}

fn text(bytes: &Bytes) -> Arc<str> {
    bytes.to_text().into()
}

fn outcome(asked: &Asked) -> judge::Outcome {
    let at = asked.returned.map(nanos);
    let declined = |with| judge::Outcome::Declined(Declined { with, at });
    match (&asked.outcome, at) {
        (Some(Outcome::Redirect), _) => declined(Refusal::Redirect),
        (Some(Outcome::Fail), _) => declined(Refusal::Fail),
        (Some(Outcome::Done(Reply::Error(refusal))), _) if refusal.is_by_session() => declined(Refusal::Fail),
        (Some(Outcome::Done(Reply::Error(refusal))), _) if !is_known(*refusal) => judge::Outcome::Unknown,
        (Some(Outcome::Done(reply)), Some(at)) => done(&asked.request.command, reply, at),
        _ => judge::Outcome::Unknown,
    }
}

/// Whether the judge knows this refusal as a reply.
fn is_known(refusal: crate::reply::Refusal) -> bool {
    use crate::reply::Refusal::{NotAnInteger, Overflow};
    matches!(refusal, NotAnInteger | Overflow)
}

fn done(command: &Command, reply: &Reply, at: u64) -> judge::Outcome {
    let replies = match (command, reply) {
        (Command::Batch(_), Reply::Nil) => return judge::Outcome::Aborted { at },
        (Command::Batch(batch), Reply::Array(replies)) => batch
            .operations
            .iter()
            .zip(replies)
            .flat_map(|(operation, reply)| self::replies(operation, reply))
            .collect(),
        (Command::One(operation), reply) => self::replies(operation, reply),
        (Command::Batch(_), _) => Vec::new(),
    };
    judge::Outcome::Replied { at, replies }
}

/// The judge's commands for one operation; none at all for a read that it does not know. `None` if
/// the judge does not know a write.
fn commands(operation: &Operation) -> Option<Vec<(Arc<str>, judge::Command)>> {
    use judge::{Command as C, When};
    let after = |expiry: &Expiry| match expiry {
        Expiry::Set(Deadline::After(ms)) => u64::try_from(*ms).ok().map(Duration::from_millis),
        _ => None,
    };
    let known = match operation {
        Operation::Get { .. } | Operation::GetWithRevision { .. } => vec![C::Get],
        Operation::Set(set) => {
            let when = match &set.condition {
                None => When::Always,
                Some(Condition::Absent) => When::Absent,
                Some(Condition::Present) => When::Present,
                Some(Condition::Equal(old)) => When::Is(text(old)),
                Some(Condition::Unequal(old)) => When::IsNot(text(old)),
                Some(Condition::Revision(_)) => return None,
            };
            let ttl = match &set.expiry {
                Expiry::Never => judge::Ttl::Unlimited,
                Expiry::Keep => judge::Ttl::Keep,
                expiry => judge::Ttl::After(after(expiry)?),
            };
            let set_it = C::Set { value: text(&set.value), when, ttl };
            if set.get { vec![C::Get, set_it] } else { vec![set_it] }
        }
        Operation::GetDelete { .. } => vec![C::Get, C::delete()],
        Operation::GetExpire { expiry: Expiry::Keep, .. } => vec![C::Get],
        Operation::GetExpire { expiry, .. } => vec![C::Get, C::Expire { ttl: after(expiry)? }],
        Operation::Delete { keys } if keys.len() == 1 => vec![C::delete()],
        Operation::DeleteIfEqual { value, .. } => vec![C::Delete { when: When::Is(text(value)) }],
        Operation::Increment { by, .. } => vec![C::Increment { by: *by }],
        Operation::Append { value, .. } => vec![C::Append { value: text(value) }],
        Operation::Expire { deadline, condition: None, .. } => {
            vec![C::Expire { ttl: after(&Expiry::Set(*deadline))? }]
        }
        Operation::Persist { .. } => vec![C::Persist],
        read if read.is_read() => Vec::new(),
        _ => return None,
    };
    let key = operation.keys().first().map_or_else(|| "".into(), |key| text(key));
    Some(known.into_iter().map(|command| (Arc::clone(&key), command)).collect())
}

/// The judge's replies to its commands for one operation.
fn replies(operation: &Operation, reply: &Reply) -> Vec<judge::Reply> {
    use judge::Reply as R;
    let old = || match reply {
        Reply::Bytes(value) => Some(value),
        Reply::Array(parts) => match parts.first() {
            Some(Reply::Bytes(value)) => Some(value), // with its revision
            _ => None,
        },
        _ => None,
    };
    let value = || R::Value(old().map(text));
    match (operation, reply) {
        (Operation::Set(Set { get: true, condition, .. }), _) => {
            vec![value(), R::Done(is_met(condition.as_ref(), old()))]
        }
        (Operation::GetDelete { .. }, _) => vec![value(), R::Done(old().is_some())],
        (
            Operation::GetExpire { expiry: Expiry::Keep, .. }
            | Operation::Get { .. }
            | Operation::GetWithRevision { .. },
            _,
        ) => vec![value()],
        (Operation::GetExpire { .. }, _) => vec![value(), R::Done(old().is_some())],
        (Operation::Set(_), reply) => vec![R::Done(*reply == Reply::Ok)],
        (Operation::Increment { .. } | Operation::Append { .. }, Reply::Integer(n)) => vec![R::Number(*n)],
        (Operation::Increment { .. } | Operation::Append { .. }, _) => vec![R::Refused],
        (read, _) if read.is_read() => Vec::new(),
        (_, reply) => vec![R::Done(*reply == Reply::Integer(1))],
    }
}

fn is_met(condition: Option<&Condition>, old: Option<&Bytes>) -> bool {
    match condition {
        None => true,
        Some(Condition::Absent) => old.is_none(),
        Some(Condition::Present) => old.is_some(),
        Some(Condition::Equal(value)) => old == Some(value),
        Some(Condition::Unequal(value)) => old != Some(value),
        Some(Condition::Revision(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use judge::{Command as C, Reply as R, When};

    #[test]
    fn operation_with_a_value_and_a_change_is_two_commands() {
        let known = |operation: &Operation| {
            let commands = commands(operation).expect("the judge knows it");
            commands.into_iter().map(|(_, command)| command).collect::<Vec<_>>()
        };
        let take = Operation::GetDelete { key: "k".into() };
        assert_eq!(known(&take), [C::Get, C::delete()]);
        assert_eq!(replies(&take, &Reply::Nil), [R::Value(None), R::Done(false)]);
        let condition = Some(Condition::Equal("a".into()));
        let set = Operation::Set(Set { condition, get: true, ..Set::new("k", "b") });
        let set_it = C::Set { value: "b".into(), when: When::Is("a".into()), ttl: judge::Ttl::Unlimited };
        assert_eq!(known(&set), [C::Get, set_it]);
        let done = |old: &str| replies(&set, &Reply::Bytes(old.into()));
        assert_eq!(done("a"), [R::Value(Some("a".into())), R::Done(true)]);
        assert_eq!(done("c"), [R::Value(Some("c".into())), R::Done(false)]);
    }

    #[test]
    fn read_that_the_judge_does_not_know_is_left_out_and_a_write_makes_all_of_it_unknown() {
        assert_eq!(commands(&Operation::Revision { key: "k".into() }), Some(Vec::new()));
        assert_eq!(commands(&Operation::SetRange { key: "k".into(), offset: 1, value: "x".into() }), None);
        let dated = Operation::Expire { key: "k".into(), deadline: Deadline::At(7), condition: None };
        assert_eq!(commands(&dated), None);
    }

    #[test]
    fn read_with_a_revision_is_a_get() {
        let read = Operation::GetWithRevision { key: "k".into() };
        assert_eq!(commands(&read), Some(vec![("k".into(), C::Get)]));
        let found = Reply::Array(vec![Reply::Bytes("v".into()), Reply::Integer(7), Reply::Integer(-1)]);
        assert_eq!(replies(&read, &found), [R::Value(Some("v".into()))]);
        assert_eq!(replies(&read, &Reply::Nil), [R::Value(None)]);
    }

    #[test]
    fn increment_of_a_text_is_refused_and_a_batch_without_effect_is_aborted() {
        let increment = Operation::Increment { key: "k".into(), by: 1 };
        assert_eq!(replies(&increment, &Reply::Error(crate::reply::Refusal::NotAnInteger)), [R::Refused]);
        let batch = crate::command::Batch { watches: Vec::new(), operations: vec![increment] };
        let aborted = done(&Command::Batch(batch), &Reply::Nil, 9);
        assert_eq!(aborted, judge::Outcome::Aborted { at: 9 });
    }
}
