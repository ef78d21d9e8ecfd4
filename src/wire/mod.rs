//! JSON on one side, typed messages on the other: the gateway that validates every message from
//! outside. A message that has passed [`Decoder::decode`] is well formed, so the code behind it
//! never needs to distrust a field.
//!
//! Every message is one JSON object in one datagram. All of them carry `src`, `dst`, `leader` and
//! `type`; the further keys depend on the type:
//!
//! | type | further keys |
//! |---|---|
//! | `get`, `put` | `MID`, `key`, and for a put `value` |
//! | `cas`, `increment`, `append`, `delete` | `MID`, `key`, and `from` and `to`, `by`, or `value` |
//! | `ok`, `fail`, `redirect` | `MID`, `value` if the reply has one, and `error` if a command is refused |
//! | `request_vote` | `term`, `pre_vote`, `campaign`, `last_log_index`, `last_log_term`, and `transfer` if it is true |
//! | `request_vote_response` | `term`, `pre_vote`, `campaign`, `granted` |
//! | `append_entries` | `term`, `prev_log_index`, `prev_log_term`, `leader_commit`, `sent_at`, `entries` |
//! | `append_entries_response` | `term`, `sent_at`, and one of `match_index`; `prev_log_index`, `conflict_term`, `conflict_index`; `snapshot_index`, `snapshot_term`, `chunks` |
//! | `stale_term`, `timeout_now` | `term` |
//! | `install_snapshot` | `term`, `sent_at`, `snapshot_index`, `snapshot_term`, `chunk`, `is_last`, and `data` in base64 |
//! | `log_tail` | `term`, `prev_log_index`, `prev_log_term`, `entries` |
//! | `relay_entries` | those of `append_entries`, and `leader_id`, `way`, `acknowledged`: an ID, a list of IDs, and a list of lists of an ID and a `sent_at` |
//! | `relay_entries_response` | `term`, `sent_at`, `match_index`, `acknowledged` |
//! | `bundle` | `messages`: several of the ten above, each without `src`, `dst` and `leader` |
//!
//! Under the simulators the messages of replicas end with a checksum, the key `crc`.
//!
//! | file | job |
//! |---|---|
//! | `decode` | from JSON to typed messages |
//! | `encode` | from typed messages to JSON |
//! | `checksum` | the checksum at the end of a replica's message |
//! | `size` | how long messages are before they are written |
//! | `guarantees` | the guarantees of the decoder for any bytes |
//!
//! An entry is a list, because there are many of them: `[index, term]` when it is a no-op,
//! `[index, term, at, client, MID, key, value]` when it sets a key, and
//! `[index, term, at, client, MID, command]` when it is any other command. A command that a leader
//! proposes of its own accord has neither client nor `MID`. `at` is the leader's wall clock in
//! milliseconds. The entry states its index, although that follows from `prev_log_index`: so the
//! receiver notices when a sender has joined entries that do not belong together.

mod checksum;
mod decode;
mod encode;
#[cfg(any(test, feature = "fuzz"))]
pub mod guarantees;
mod size;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use checksum::{CHECKSUM_BYTES, seal};
pub(crate) use decode::is_answerable;
pub use decode::{Decoder, MAX_ENTRY_MID_BYTES, MAX_MID_BYTES, MAX_NESTING, MAX_RECEIVED_BYTES, Malformed};
pub use encode::{encode_hello, encode_peer, encode_response, encode_sealed, kind_of};
pub use size::{BUNDLE_ENVELOPE_BYTES, Form, Limits, MESSAGE_ENVELOPE_BYTES, entry_len, message_len_at_most};

/// The values of `type`, spelled once for both directions.
mod kind {
    pub const GET: &str = "get";
    pub const PUT: &str = "put";
    pub const CAS: &str = "cas";
    pub const INCREMENT: &str = "increment";
    pub const APPEND: &str = "append";
    pub const DELETE: &str = "delete";
    pub const OF_CLIENTS: [&str; 6] = [GET, PUT, CAS, INCREMENT, APPEND, DELETE];
    pub const OK: &str = "ok";
    pub const FAIL: &str = "fail";
    pub const REDIRECT: &str = "redirect";
    pub const HELLO: &str = "hello";
    pub const BUNDLE: &str = "bundle";
    pub const REQUEST_VOTE: &str = "request_vote";
    pub const REQUEST_VOTE_RESPONSE: &str = "request_vote_response";
    pub const APPEND_ENTRIES: &str = "append_entries";
    pub const APPEND_ENTRIES_RESPONSE: &str = "append_entries_response";
    pub const INSTALL_SNAPSHOT: &str = "install_snapshot";
    pub const LOG_TAIL: &str = "log_tail";
    pub const STALE_TERM: &str = "stale_term";
    pub const TIMEOUT_NOW: &str = "timeout_now";
    pub const RELAY_ENTRIES: &str = "relay_entries";
    pub const RELAY_ENTRIES_RESPONSE: &str = "relay_entries_response";
}
