//! How long values are before they are written. The bounds are close, and cost no look at the texts
//! themselves, of which a value may have a megabyte.

use crate::command::{Command, Proposal};
use crate::operation::Operation;
use crate::replication::{Body, Entry, Message, Payload};
use crate::reply::Reply;

/// The most bytes of a number of 64 bits, and so of the length of a text or of a list.
const NUMBER: usize = 10;
/// An ID.
const ID: usize = 2;
/// The most bytes of an operation without its texts: three numbers, and the kinds of the operation,
/// its condition, its expiry and its deadline, and a flag.
const OPERATION: usize = 3 * NUMBER + 5;
/// The most bytes of an entry of a client without its MID and its command: version, index, term,
/// kind, time, client, and the length of the MID.
const ENTRY: usize = 1 + 2 * NUMBER + 1 + NUMBER + ID + NUMBER;
/// The most bytes of a message without its entries, its lists of replicas and its part of a
/// snapshot: a relay has a kind, a leader, three lengths, and five numbers.
const MESSAGE: usize = 1 + ID + 8 * NUMBER + 1;

/// The most bytes that an entry takes.
pub(crate) fn entry_len_at_most(entry: &Entry) -> usize {
    match &entry.payload {
        Payload::Noop => ENTRY,
        Payload::Command(proposal) => proposal_len_at_most(proposal),
    }
}

/// The most bytes that the entry of a proposal takes.
pub(crate) fn proposal_len_at_most(proposal: &Proposal) -> usize {
    let mid = proposal.request.as_ref().map_or(0, |request| request.mid.len());
    ENTRY + mid + command_len_at_most(&proposal.command)
}

fn command_len_at_most(command: &Command) -> usize {
    match command {
        Command::One(operation) => operation_len_at_most(operation),
        Command::Batch(batch) => {
            let watches = batch.watches.iter().map(|watch| watch.key.len() + 2 * NUMBER);
            let operations = batch.operations.iter().map(operation_len_at_most);
            1 + 2 * NUMBER + watches.chain(operations).sum::<usize>()
        }
    }
}

fn operation_len_at_most(operation: &Operation) -> usize {
    let texts = match operation {
        Operation::Set(set) if set.is_plain() => set.key.len() + set.value.len() + 2 * NUMBER,
        _ => {
            let (keys, values) = (operation.keys(), operation.values());
            keys.iter().chain(&values).map(|text| text.len() + NUMBER).sum()
        }
    };
    OPERATION + texts
}

/// The most bytes that a message takes.
pub(crate) fn message_len_at_most(message: &Message) -> usize {
    let entries = |entries: &[Entry]| entries.iter().map(entry_len_at_most).sum::<usize>();
    let rest = match &message.body {
        Body::AppendEntries(append) => entries(&append.entries),
        Body::LogTail(tail) => entries(&tail.entries),
        Body::RelayEntries(relay) => {
            let replicas = relay.way.len() + relay.acknowledged.len();
            replicas * (ID + NUMBER) + entries(&relay.append.entries)
        }
        Body::RelayEntriesResponse(response) => response.acknowledged.len() * (ID + NUMBER),
        Body::InstallSnapshot(install) => install.data.len(),
        Body::RequestVote(_)
        | Body::RequestVoteResponse(_)
        | Body::AppendEntriesResponse(_)
        | Body::StaleTerm
        | Body::TimeoutNow => 0,
    };
    MESSAGE + rest
}

/// The most bytes that a reply takes.
pub(crate) fn reply_len_at_most(reply: &Reply) -> usize {
    let rest = match reply {
        Reply::Bytes(bytes) => bytes.len(),
        Reply::Array(replies) => replies.iter().map(reply_len_at_most).sum(),
        Reply::Ok | Reply::Nil | Reply::Integer(_) | Reply::Error(_) => 0,
    };
    1 + NUMBER + rest
}
