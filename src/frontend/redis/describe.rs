//! The commands of COMMAND: what the table says of each command.

use super::arguments::Call;
use super::client::Client;
use super::facts::Facts;
use super::local::Replied;
use super::table::{self, Entry};
use super::value::Value;
use crate::bytes::Bytes;

/// COMMAND
pub fn all(_: &Call<'_>, _: &mut Client, _: &mut dyn Facts) -> Replied {
    Ok(Value::Array(outer().map(information).collect()))
}

/// COMMAND COUNT
pub fn count(_: &Call<'_>, _: &mut Client, _: &mut dyn Facts) -> Replied {
    Ok(Value::Integer(outer().count() as i64))
}

/// COMMAND INFO
pub fn info(call: &Call<'_>, _: &mut Client, _: &mut dyn Facts) -> Replied {
    Ok(Value::Array(match call.rest(2) {
        [] => outer().map(information).collect(),
        names => names.iter().map(|name| any(name).map_or(Value::Null, information)).collect(),
    }))
}

/// COMMAND DOCS
pub fn docs(call: &Call<'_>, _: &mut Client, _: &mut dyn Facts) -> Replied {
    Ok(Value::Map(match call.rest(2) {
        [] => outer().map(documentation).collect(),
        names => names.iter().filter_map(|name| any(name)).map(documentation).collect(),
    }))
}

/// The commands that are no commands of a command.
fn outer() -> impl Iterator<Item = &'static Entry> {
    table::all().filter(|entry| !entry.name.contains('|'))
}

fn any(name: &Bytes) -> Option<&'static Entry> {
    table::all().find(|entry| entry.name.as_bytes().eq_ignore_ascii_case(name))
}

fn inner(of: &'static Entry) -> impl Iterator<Item = &'static Entry> {
    let is_inner = |name: &str| name.split_once('|').is_some_and(|(outer, _)| outer == of.name);
    table::all().filter(move |entry| is_inner(entry.name))
}

/// One command as COMMAND INFO shows it. Tips and specifications of keys are empty.
fn information(entry: &'static Entry) -> Value {
    let words = |text: &str, before: &str| {
        let words = text.split(' ').filter(|word| !word.is_empty());
        Value::Set(words.map(|word| Value::Status(format!("{before}{word}").into())).collect())
    };
    let [first, last, step] = entry.keys.map(Value::Integer);
    Value::Array(vec![
        Value::text(entry.name),
        Value::Integer(entry.arity),
        words(entry.flags, ""),
        first,
        last,
        step,
        words(entry.categories, "@"),
        Value::Array(Vec::new()),
        Value::Array(Vec::new()),
        Value::Array(inner(entry).map(information).collect()),
    ])
}

fn documentation(entry: &'static Entry) -> (Value, Value) {
    let texts = [("summary", entry.summary), ("since", entry.since), ("group", entry.group)];
    (Value::text(entry.name), Value::texts(texts))
}
