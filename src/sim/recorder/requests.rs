//! Requests and answers with the fields that they have in the JSON of the simulators. A command that
//! the simulators do not know has its text.

use serde_json::{Map, Value};

use crate::bytes::Bytes;
use crate::command::Command;
use crate::operation::{Condition, Expiry, Operation, Set};
use crate::reply::Reply;
use crate::request::Outcome;

/// The type, the key and the arguments of a command.
pub(super) fn fields(command: &Command) -> Map<String, Value> {
    let text = |bytes: &Bytes| Value::from(bytes.to_text());
    let (kind, key, arguments) = match command.operations() {
        [Operation::Get { key }] => ("get", key, vec![]),
        [Operation::Set(set)] if set.is_plain() => ("put", &set.key, vec![("value", text(&set.value))]),
        [
            Operation::Set(Set {
                key,
                value,
                condition: Some(Condition::Equal(from)),
                expiry: Expiry::Never,
                get: false,
            }),
        ] => ("cas", key, vec![("from", text(from)), ("to", text(value))]),
        [Operation::Increment { key, by }] => ("increment", key, vec![("by", (*by).into())]),
        [Operation::Append { key, value }] => ("append", key, vec![("value", text(value))]),
        [Operation::Delete { keys }] if keys.len() == 1 => ("delete", &keys[0], vec![]),
        operations => {
            let keys = operations.iter().flat_map(Operation::keys);
            let key = keys.map(|key| key.to_text()).next().unwrap_or_default();
            let command = serde_json::to_value(command).expect("a command has a JSON form");
            return entries([("type", "command".into()), ("key", key.into()), ("command", command)]);
        }
    };
    entries([("type", kind.into()), ("key", text(key))].into_iter().chain(arguments))
}

/// The word for an outcome, and the answer to a command.
pub(super) fn answer(command: &Command, outcome: &Outcome) -> (&'static str, Map<String, Value>) {
    let reply = match outcome {
        Outcome::Done(Reply::Error(refusal)) => {
            return ("fail", entries([("error", refusal.to_string().into())]));
        }
        Outcome::Done(reply) => reply,
        Outcome::Redirect => return ("redirect", Map::new()),
        Outcome::Unknown => return ("unknown", Map::new()),
        Outcome::Fail => return ("fail", Map::new()),
    };
    let kind = fields(command).remove("type").unwrap_or_default();
    let told = match (kind.as_str().unwrap_or_default(), reply) {
        ("put", _) => Map::new(),
        ("get", Reply::Bytes(value)) => entries([("value", value.to_text().into())]),
        ("get", _) => entries([("value", "".into())]),
        ("cas", reply) => entries([("done", (*reply == Reply::Ok).into())]),
        ("delete", reply) => entries([("done", (*reply != Reply::Integer(0)).into())]),
        ("increment" | "append", Reply::Integer(number)) => entries([("result", (*number).into())]),
        _ => entries([("result", serde_json::to_value(reply).expect("a reply has a JSON form"))]),
    };
    ("ok", told)
}

fn entries<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
