//! Reads and writes of keys. Each write is one entry of the log, and so takes effect whole or not at
//! all.

use hyper::{HeaderMap, StatusCode};

use super::answer::{self, Failed, HttpAnswer};
use super::ask::Asker;
use super::conditions::{self, Condition};
use crate::bytes::Bytes;
use crate::command::{Batch, Command};
use crate::frontend::store::Freshness;
use crate::operation::{self, Deadline, Expiry, Operation, Revision, Set};
use crate::reply::{Refusal, Reply};
use crate::request::{Outcome, RequestId};

/// The answer to a write whose outcome is unknown.
const UNKNOWN: &str = "the outcome is unknown: the write may or may not take effect, now or later. It is not \
                       repeated. A write with an Idempotency-Key can be repeated safely.";

/// GET and HEAD.
pub(super) async fn get(asker: &Asker, key: Bytes, freshness: Freshness, headers: &HeaderMap) -> HttpAnswer {
    match read(asker, key, freshness).await {
        Ok(None) => answer::empty(StatusCode::NOT_FOUND),
        Ok(Some(Found { revision, .. })) if conditions::is_known(headers, revision) => {
            answer::tagged(answer::empty(StatusCode::NOT_MODIFIED), revision)
        }
        Ok(Some(Found { value, revision, left_ms })) => answer::value(value, revision, left_ms),
        Err(failed) => failed.answer(),
    }
}

/// A key at one moment.
struct Found {
    value: Bytes,
    revision: Revision,
    left_ms: Option<u64>, // until its deadline
}

async fn read(asker: &Asker, key: Bytes, freshness: Freshness) -> Result<Option<Found>, Failed> {
    let reply = served(asker.read(Operation::GetWithRevision { key }, freshness).await, freshness)?;
    if reply == Reply::Nil {
        return Ok(None);
    }
    let [Reply::Bytes(value), Reply::Integer(revision), Reply::Integer(left)] = parts(reply)? else {
        return Err(surprise());
    };
    Ok(Some(Found { value, revision: revision as Revision, left_ms: u64::try_from(left).ok() }))
}

/// PUT.
pub(super) async fn put(
    asker: &Asker,
    key: Bytes,
    value: Bytes,
    condition: Condition,
    name: Option<RequestId>,
) -> HttpAnswer {
    let condition = match condition {
        Condition::Always => None,
        Condition::Absent => Some(operation::Condition::Absent),
        Condition::Present => Some(operation::Condition::Present),
        Condition::Revision(revision) => Some(operation::Condition::Revision(revision)),
        Condition::Never => return failed_condition().answer(),
    };
    // The reply to a set tells neither whether the key is new nor its revision.
    let operations = vec![
        Operation::Exists { keys: vec![key.clone()] },
        Operation::Set(Set { condition, ..Set::new(key.clone(), value) }),
        Operation::Revision { key },
    ];
    let batch = Command::Batch(Batch { watches: Vec::new(), operations });
    match done(asker.write(batch, name).await).and_then(parts) {
        Ok([_, Reply::Nil, _]) => failed_condition().answer(),
        Ok([existed, Reply::Ok, Reply::Integer(revision)]) => {
            let is_new = existed == Reply::Integer(0);
            let status = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
            answer::tagged(answer::empty(status), revision as Revision)
        }
        Ok([_, Reply::Error(refusal), _]) => refused(refusal).answer(),
        Ok(_) => surprise().answer(),
        Err(failed) => failed.answer(),
    }
}

/// DELETE.
pub(super) async fn delete(
    asker: &Asker,
    key: Bytes,
    condition: Condition,
    name: Option<RequestId>,
) -> HttpAnswer {
    let operation = match condition {
        Condition::Always | Condition::Present => Operation::Delete { keys: vec![key] },
        Condition::Revision(revision) => delete_at(key, revision),
        Condition::Absent => {
            return answer::line(StatusCode::BAD_REQUEST, "a DELETE takes no If-None-Match");
        }
        Condition::Never => return failed_condition().answer(),
    };
    match done(asker.write(operation.into(), name).await) {
        Ok(Reply::Ok | Reply::Integer(1)) => answer::empty(StatusCode::NO_CONTENT),
        Ok(Reply::Integer(0)) if condition == Condition::Always => answer::empty(StatusCode::NOT_FOUND),
        Ok(Reply::Nil | Reply::Integer(0)) => failed_condition().answer(),
        Ok(Reply::Error(refusal)) => refused(refusal).answer(),
        Ok(_) => surprise().answer(),
        Err(failed) => failed.answer(),
    }
}

/// Deletes a key that has this revision. To set a key with a deadline in the past deletes it, and a
/// set can have this condition.
fn delete_at(key: Bytes, revision: Revision) -> Operation {
    let condition = Some(operation::Condition::Revision(revision));
    let expiry = Expiry::Set(Deadline::At(1));
    Operation::Set(Set { condition, expiry, ..Set::new(key, "") })
}

/// The reply to a read.
fn served(outcome: Outcome, freshness: Freshness) -> Result<Reply, Failed> {
    match (outcome, freshness) {
        (Outcome::Done(Reply::Error(refusal)), _) => Err(refused(refusal)),
        (Outcome::Done(reply), _) => Ok(reply),
        (_, Freshness::Linearizable) => {
            Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, "no leader has served the read"))
        }
        (_, Freshness::Local(_)) => {
            Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, "the state of this replica is too old"))
        }
    }
}

/// The reply to a write.
fn done(outcome: Outcome) -> Result<Reply, Failed> {
    match outcome {
        Outcome::Done(Reply::Error(refusal)) => Err(refused(refusal)),
        Outcome::Done(reply) => Ok(reply),
        Outcome::Unknown => Err(Failed::new(StatusCode::GATEWAY_TIMEOUT, UNKNOWN)),
        Outcome::Fail | Outcome::Redirect => {
            let text = "no leader has taken the write: it takes no effect";
            Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}

/// The replies of a batch.
fn parts<const N: usize>(reply: Reply) -> Result<[Reply; N], Failed> {
    let Reply::Array(parts) = reply else { return Err(surprise()) };
    parts.try_into().map_err(|_| surprise())
}

fn failed_condition() -> Failed {
    Failed::new(StatusCode::PRECONDITION_FAILED, "the key does not meet the condition")
}

/// The answer to a command that the state machine has refused.
fn refused(refusal: Refusal) -> Failed {
    let status = match refusal {
        Refusal::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::OutOfMemory => StatusCode::INSUFFICIENT_STORAGE,
        Refusal::Reused => StatusCode::UNPROCESSABLE_ENTITY,
        _ if refusal.is_by_session() => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let text = refusal.to_string();
    let code = ["ERR ", "OOM "].into_iter().find_map(|code| text.strip_prefix(code));
    Failed::new(status, code.unwrap_or(&text).to_owned())
}

/// The answer if the store replies as it replies to another command.
fn surprise() -> Failed {
    Failed::new(StatusCode::INTERNAL_SERVER_ERROR, "the store gave a reply that makes no sense")
}
