//! How long messages are before they are written, so that a backlog can be split
//! and packed without trial and error.

use std::io;

use raft::message::AppendOutcome;
use raft::tuning::Topology;
use raft::types::MAX_NUMBER;

use serde::Serialize;

use super::decode::MAX_ENTRY_MID_BYTES;
use super::encode::reply_text;
use crate::codec;
use crate::command::{Command, Proposal};
use crate::operation::{Operation, UnixMillis};
use crate::replication::{AppendEntries, Body, Entry, Message, Payload};
use crate::reply::Reply;
use crate::request::RequestId;

/// Length of an ID between quotes, as every message has it.
const ID: usize = r#""FFFF""#.len();
/// Most digits that an index, a term or a time has.
const NUMBER: usize = 16;
/// `{` and the keys that every message has before its own, the comma after them included.
const ENVELOPE: usize = r#"{"src":,"dst":,"leader":,"#.len() + 3 * ID;

const REQUEST_VOTE: usize =
    r#"{"type":"request_vote","term":,"pre_vote":false,"campaign":,"last_log_index":,"last_log_term":}"#
        .len()
        + 4 * NUMBER;
const TRANSFER: usize = r#","transfer":true"#.len();
const REQUEST_VOTE_RESPONSE: usize =
    r#"{"type":"request_vote_response","term":,"pre_vote":false,"campaign":,"granted":false}"#.len()
        + 2 * NUMBER;
const APPEND_ENTRIES: usize =
    r#"{"type":"append_entries","term":,"prev_log_index":,"prev_log_term":,"leader_commit":,"sent_at":,"entries":[]}"#
        .len()
        + 5 * NUMBER;
const MATCHED: usize =
    r#"{"type":"append_entries_response","term":,"sent_at":,"match_index":}"#.len() + 3 * NUMBER;
const CONFLICT: usize = r#"{"type":"append_entries_response","term":,"sent_at":,"prev_log_index":,"conflict_term":,"conflict_index":}"#
    .len()
    + 5 * NUMBER;
const LOG_TAIL: usize =
    r#"{"type":"log_tail","term":,"prev_log_index":,"prev_log_term":,"entries":[]}"#.len() + 3 * NUMBER;
const RECEIVING: usize =
    r#"{"type":"append_entries_response","term":,"sent_at":,"snapshot_index":,"snapshot_term":,"chunks":}"#
        .len()
        + 5 * NUMBER;
const INSTALL_SNAPSHOT: usize =
    r#"{"type":"install_snapshot","term":,"sent_at":,"snapshot_index":,"snapshot_term":,"chunk":,"is_last":false,"data":""}"#
        .len()
        + 5 * NUMBER;
const STALE_TERM: usize = r#"{"type":"stale_term","term":}"#.len() + NUMBER;
const TIMEOUT_NOW: usize = r#"{"type":"timeout_now","term":}"#.len() + NUMBER;
const RELAY_ENTRIES_RESPONSE: usize =
    r#"{"type":"relay_entries_response","term":,"sent_at":,"match_index":,"acknowledged":[]}"#.len()
        + 3 * NUMBER;
/// One acknowledgement in an append that goes through several followers, with a comma.
const ACKNOWLEDGEMENT: usize = "[,],".len() + ID + NUMBER;
/// The further keys of an append that goes through several followers, without the items of its two
/// lists.
const RELAY: usize = r#""leader_id":,"way":[],"acknowledged":[],"#.len() + ID;
const RESPONSE: usize = ENVELOPE + r#""type":"redirect","MID":"","value":""}"#.len();

/// How much longer a character can become by JSON escaping: one byte becomes `\u0000`.
const WORST_ESCAPE: usize = 6;

/// The bytes that a datagram takes besides its one message: it is never longer than
/// this and [`message_len_at_most`].
pub const MESSAGE_ENVELOPE_BYTES: usize = ENVELOPE - 2; // neither the `{` nor the comma of the message

/// The most bytes that an `append_entries` message of its own takes besides its
/// entries: its datagram is never longer than this and the sum of [`entry_len`] over the entries.
pub(super) const APPEND_ENVELOPE_BYTES: usize = ENVELOPE + APPEND_ENTRIES;

/// The most bytes that a `bundle` takes besides its messages: its datagram is
/// never longer than this and the sum of [`message_len_at_most`] over the messages.
pub const BUNDLE_ENVELOPE_BYTES: usize = ENVELOPE + r#""type":"bundle","messages":[]}"#.len();

/// The most bytes that a `relay_entries` takes besides those of an `append_entries`, in a cluster
/// of so many replicas.
pub(super) const fn relay_extra_bytes(replicas: usize) -> usize {
    RELAY + replicas * ACKNOWLEDGEMENT
}

/// The exact number of bytes that an entry takes in a message, with the comma that
/// separates it from the next one.
pub fn entry_len(entry: &Entry) -> usize {
    let numbers = digits(entry.index) + digits(entry.term);
    match &entry.payload {
        Payload::Noop => "[,],".len() + numbers,
        Payload::Command(proposal) => numbers + proposal_len(proposal),
    }
}

/// The bytes that the entry of a proposal takes besides the digits of its index and term.
fn proposal_len(proposal: &Proposal) -> usize {
    let request = |request: &RequestId| r#",,"""#.len() + ID + escaped_len(&request.mid);
    let command = match plain_set(proposal) {
        Some((key, value)) => r#""","""#.len() + escaped_len(key) + escaped_len(value),
        None => json_len(&proposal.command),
    };
    let numbers = "[,,,],".len() + digits(clamp_time(proposal.at));
    numbers + proposal.request.as_ref().map_or(0, request) + command
}

/// Key and value of a set of texts without further options, which is written as its two texts. All
/// other commands are written as objects.
pub(super) fn plain_set(proposal: &Proposal) -> Option<(&str, &str)> {
    match &proposal.command {
        Command::One(Operation::Set(set)) if set.is_plain() && proposal.request.is_some() => {
            Some((set.key.as_str()?, set.value.as_str()?))
        }
        _ => None,
    }
}

/// The time of a proposal as it is written: within what every JSON implementation keeps exact.
pub(super) fn clamp_time(at: UnixMillis) -> u64 {
    u64::try_from(at).unwrap_or(0).min(MAX_NUMBER)
}

/// The length of a value's JSON.
fn json_len(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("counting never fails");
    count.0
}

/// The most bytes that a message takes inside a `bundle`, with its separating comma.
/// Numbers are counted as if they were the longest, entries exactly.
pub fn message_len_at_most(message: &Message) -> usize {
    let body = match &message.body {
        Body::RequestVote(vote) => REQUEST_VOTE + if vote.transfer { TRANSFER } else { 0 },
        Body::RequestVoteResponse(_) => REQUEST_VOTE_RESPONSE,
        Body::AppendEntries(append) => append_len(append),
        Body::RelayEntries(relay) => {
            append_len(&relay.append) + relay_extra_bytes(relay.way.len() + relay.acknowledged.len())
        }
        Body::RelayEntriesResponse(answer) => {
            RELAY_ENTRIES_RESPONSE + answer.acknowledged.len() * ACKNOWLEDGEMENT
        }
        Body::InstallSnapshot(install) => INSTALL_SNAPSHOT + base64_len(install.data.len()),
        Body::StaleTerm => STALE_TERM,
        Body::TimeoutNow => TIMEOUT_NOW,
        Body::LogTail(tail) => LOG_TAIL + tail.entries.iter().map(entry_len).sum::<usize>(),
        Body::AppendEntriesResponse(answer) => match answer.outcome {
            AppendOutcome::Matched { .. } => MATCHED,
            AppendOutcome::Conflict { .. } => CONFLICT,
            AppendOutcome::Receiving { .. } => RECEIVING,
        },
    };
    body + 1
}

fn append_len(append: &AppendEntries) -> usize {
    APPEND_ENTRIES + append.entries.iter().map(entry_len).sum::<usize>()
}

/// The form in which a dialect writes messages. It decides how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// That of [`wire`](crate::wire).
    Json,
    /// That of [`codec`], whose envelopes are shorter than those of JSON.
    Binary,
}

impl Form {
    /// The function that counts the bytes of an entry in a message.
    pub fn entry_len(self) -> fn(&Entry) -> usize {
        match self {
            Self::Json => entry_len,
            Self::Binary => codec::entry_len_at_most,
        }
    }

    /// The most bytes that a message takes within a datagram.
    pub fn message_len_at_most(self, message: &Message) -> usize {
        match self {
            Self::Json => message_len_at_most(message),
            Self::Binary => codec::message_len_at_most(message),
        }
    }

    /// The most bytes that a proposal takes in a message, and that the answer with its longest value
    /// takes.
    fn proposal_and_value_len(self, proposal: &Proposal) -> (usize, usize) {
        let values = || proposal.command.operations().iter().flat_map(Operation::values);
        if self == Self::Binary {
            let longest = values().map(|value| value.len()).max().unwrap_or(0) + self.reply_len(&Reply::Nil);
            return (codec::proposal_len_at_most(proposal), longest);
        }
        let longest = match plain_set(proposal) {
            Some((_, value)) => escaped_len(value),
            None => values().map(|value| escaped_len(&value.to_text())).max().unwrap_or(0),
        };
        (2 * digits(MAX_NUMBER) + proposal_len(proposal), longest)
    }

    /// The bytes of a reply; those of nil count what a value takes besides its own bytes.
    fn reply_len(self, reply: &Reply) -> usize {
        match self {
            Self::Json => escaped_len(&reply_text(reply)),
            Self::Binary => codec::reply_len_at_most(reply),
        }
    }
}

/// The room in a replica's messages. The replica asks for it, and does not know how messages are
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    max_datagram: usize,
    relay_bytes: usize, // further bytes of an append that goes through several followers
    form: Form,
}

impl Limits {
    /// Limits for datagrams of at most `max_datagram` bytes between a replica and so many `peers`.
    /// An entry that fits into an append fits on every way that this topology has.
    pub fn new(max_datagram: usize, topology: Topology, peers: usize) -> Self {
        let relay_bytes = match topology {
            Topology::Star => 0,
            Topology::Relay | Topology::Adaptive => relay_extra_bytes(peers),
        };
        Self { max_datagram, relay_bytes, form: Form::Json }
    }

    /// The same for messages in this form.
    pub fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// How many bytes of entries, by [`entry_len`](Self::entry_len), go into one append.
    pub fn max_append_bytes(&self) -> usize {
        self.max_datagram.saturating_sub(APPEND_ENVELOPE_BYTES + self.relay_bytes)
    }

    /// How many bytes of a snapshot go into one message.
    pub fn max_chunk_bytes(&self) -> usize {
        self.max_datagram.saturating_sub(ENVELOPE + INSTALL_SNAPSHOT) / BASE64_DIGITS * BASE64_BYTES
    }

    /// The function that counts the bytes of an entry in a message.
    pub fn entry_len(&self) -> fn(&Entry) -> usize {
        self.form.entry_len()
    }

    /// Whether a proposal can be replicated, and the values that it sets can be read again. A
    /// proposal that is not storable must be refused: in the log, it would be an entry that no append
    /// can carry.
    pub fn is_storable(&self, proposal: &Proposal) -> bool {
        let (entry, longest) = self.form.proposal_and_value_len(proposal);
        let append = APPEND_ENVELOPE_BYTES + self.relay_bytes + entry;
        let read = RESPONSE + MAX_ENTRY_MID_BYTES * WORST_ESCAPE + longest;
        let mid = proposal.request.as_ref().map_or(0, |request| request.mid.len());
        mid <= MAX_ENTRY_MID_BYTES && append.max(read) <= self.max_datagram
    }

    /// The length of the longest value without characters that JSON escapes that a client can read.
    /// The state machine lets no operation make a value longer.
    pub fn max_value_bytes(&self) -> usize {
        let without = RESPONSE + MAX_ENTRY_MID_BYTES * WORST_ESCAPE + self.form.reply_len(&Reply::Nil);
        self.max_datagram.saturating_sub(without)
    }

    /// Whether this reply fits into the answer to a request with this `MID`. Every storable value fits
    /// if the `MID` has no more than [`MAX_ENTRY_MID_BYTES`].
    pub fn is_readable(&self, mid: &str, reply: &Reply) -> bool {
        RESPONSE + escaped_len(mid) + self.form.reply_len(reply) <= self.max_datagram
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// So many bytes become so many digits in base64 (RFC 4648, 4).
const BASE64_BYTES: usize = 3;
const BASE64_DIGITS: usize = 4;

/// The length of so many bytes in base64, padded.
pub(super) fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(BASE64_BYTES) * BASE64_DIGITS
}

/// Length of a text between its quotes, escaped as `serde_json` does it.
pub(super) fn escaped_len(text: &str) -> usize {
    if !has_escapes(text) {
        return text.len();
    }
    let extra = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 1,
        0x00..0x20 => WORST_ESCAPE - 1,
        _ => 0,
    };
    text.len() + text.bytes().map(extra).sum::<usize>()
}

/// Whether a text becomes longer by JSON escaping. Hardly any does, and a loop without a branch per
/// byte finds that out at once.
pub(super) fn has_escapes(text: &str) -> bool {
    let is_escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    text.bytes().fold(false, |found, byte| found | is_escaped(byte))
}
