//! KV.DO: a command that takes effect exactly once, however often its client repeats it.
//!
//! `KV.DO client sequence COMMAND ...` names the request: the client is four hexadecimal digits,
//! the sequence a number that the client never uses for another request. The session of that client
//! remembers the reply, so a repetition gets the same one, also on another connection or replica.
//! The IDs of the replicas are taken: under its own ID a replica names the requests of all others.

use super::facts::Member;
use super::failure::Failure;
use super::table::{self, Entry, Run};
use super::translate::Translation;
use crate::bytes::Bytes;
use crate::id::Id;
use crate::request::RequestId;

/// The name of the request, and its command.
pub fn named_request(
    words: &[Bytes],
    members: &[Member],
) -> Result<(RequestId, &'static Entry, Translation), Failure> {
    let [_, client, sequence, words @ ..] = words else { return Err(Failure::arity("kv.do")) };
    let client = client.as_str().and_then(|client| client.to_ascii_uppercase().parse::<Id>().ok());
    let client = client.ok_or(Failure::new("ERR client is not an ID of four hexadecimal digits"))?;
    let digits = client.to_string();
    if members.iter().any(|member| member.id == digits) {
        return Err(Failure::new("ERR client has the ID of a replica: clients need IDs of their own"));
    }
    let sequence = sequence.as_str().and_then(|sequence| sequence.parse::<u64>().ok());
    let sequence = sequence.ok_or(Failure::new("ERR sequence is not a number of 64 bits"))?;
    let entry = table::find(words)?;
    let Run::Store(translate) = entry.run else {
        let name = entry.name;
        return Err(Failure::new(format!("ERR KV.DO takes commands on keys, and not '{name}'")));
    };
    let translation = translate(&table::call(entry, words))?;
    Ok((RequestId { client, mid: sequence.to_string().into() }, entry, translation))
}
