//! The dialect of Maelstrom, a workbench that runs a replica as a process and judges the answers of
//! a whole cluster: workload lin-kv, one JSON object per line on stdin and stdout.
//!
//! Every message is `{"src": S, "dest": D, "body": {...}}`. A body has a `type`; a request has a
//! `msg_id`, which its answer repeats as `in_reply_to`.
//!
//! | request of a client | command | answer |
//! |---|---|---|
//! | `read` | a get | `read_ok` with the `value`, or error 20: no such key |
//! | `write` | a plain set | `write_ok` |
//! | `cas` | a batch: a get, a set if the value equals `from`, and with `create_if_not_exists` a set if the key is absent | `cas_ok`, or error 20 or 22: another value |
//!
//! The get of the batch tells an absent key from another value, and reads it at the same moment as
//! the sets. Keys and values are any JSON. The store keeps the text of each in one form, without
//! white space and with sorted keys, so equal values have equal texts.
//!
//! | body between nodes | meaning |
//! |---|---|
//! | `forward` | a client's request for the leader: `client`, `mid` and `command` |
//! | `read_index` | a follower asks the leader for the index of its reads: `life`, `round`, `applied` |
//! | `read_index_ok` | the leader answers: `life`, `round`, `index`, `time` |
//! | any other `type` | Raft: a message of [`wire`](crate::wire), as it is |
//!
//! A client asks any node and follows no redirects. So a node that does not lead serves a `read` by
//! an index of the leader, and forwards any other request, under the client's own name for it, and the leader answers the client. This saves the
//! way back through the first node; a client does not look at the sender of an answer. A node
//! forwards only a request that no node has proposed, and keeps no copy. So one node at most has
//! the request, and if it is lost with a message, its client gets no answer at all.
//!
//! | error | the request |
//! |---|---|
//! | 10, 12 | is unknown or malformed |
//! | 11 | was not proposed: no leader is known, or too many requests wait |
//! | 13 | was proposed and may take effect: the leader stepped down, or the client's session has forgotten it |
//! | 14 | was refused by the state machine |
//!
//! Nodes and clients have IDs as everywhere in this program: a node the number of its place among
//! the sorted names, the client `c7` 4096 + 7. So all nodes know a client by the same ID, which
//! names its session. There are 61,439 clients at most.
//!
//! | file | job |
//! |---|---|
//! | `decode` | lines to messages |
//! | `encode` | messages to lines |
//! | `init` | the first exchange, from which a node learns its name and those of the others |
//! | `names` | names of nodes and clients to IDs and back |

mod decode;
mod encode;
mod init;
mod names;
#[cfg(test)]
mod tests;

use crate::dialect::Dialect;
use decode::LineDecoder;
use encode::LineEncoder;
pub use init::{InitError, join};
pub use names::{Names, NamesError};

/// The values of `type`, spelled once for both directions.
mod kind {
    pub const INIT: &str = "init";
    pub const READ: &str = "read";
    pub const WRITE: &str = "write";
    pub const CAS: &str = "cas";
    pub const FORWARD: &str = "forward";
    pub const READ_INDEX: &str = "read_index";
    pub const READ_INDEX_OK: &str = "read_index_ok";
}

/// The dialect of the node with this name, among these others.
pub fn dialect(names: &Names) -> Dialect {
    let (decoder, encoder) = (LineDecoder::new(names.clone()), LineEncoder::new(names.clone()));
    Dialect { decoder: Box::new(decoder), encoder: Box::new(encoder) }
}
