//! The first exchange: Maelstrom tells a node its name and those of all nodes.

use std::io;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tracing::debug;

use super::decode::{Envelope, Head, parse};
use super::kind;
use super::names::{Names, NamesError};
use crate::transport::{Address, Received, Transport};
use crate::wire::MAX_RECEIVED_BYTES;

/// How long a node waits before it answers. Maelstrom starts all nodes at about the same time, and
/// ends the output of a node that sends to one which it has not started. Its clients begin when all
/// nodes have answered.
const ANSWER_AFTER: Duration = Duration::from_secs(1);

/// Why a node could not join.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The input ended before an `init` came.
    #[error("stdin ended before an init message came")]
    Ended,
    /// The names make no cluster.
    #[error("the init message makes no sense: {0}")]
    Names(#[from] NamesError),
    /// The transport failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

#[derive(Deserialize)]
struct Init {
    node_id: String,
    node_ids: Vec<String>,
}

/// Waits for `init` and answers it. All that comes before it is lost, as any message between
/// replicas may be.
///
/// # Errors
///
/// [`InitError`], after which the process can only end.
pub fn join(transport: &dyn Transport) -> Result<Names, InitError> {
    let mut buffer = vec![0; MAX_RECEIVED_BYTES];
    loop {
        let length = match transport.receive(&mut buffer, None)? {
            Received::Datagram(length) => length,
            Received::Closed => return Err(InitError::Ended),
            Received::TooLong | Received::TimedOut | Received::Woken => continue,
        };
        let Some((client, msg_id, Init { node_id, node_ids })) = read(&buffer[..length]) else {
            debug!("dropped a message before init");
            continue;
        };
        let names = Names::new(&node_id, node_ids)?;
        thread::sleep(ANSWER_AFTER);
        let body = serde_json::json!({"type": "init_ok", "in_reply_to": msg_id});
        let answer = serde_json::json!({"src": node_id, "dest": client, "body": body});
        transport.send(Address::Client(names.own()), answer.to_string().as_bytes())?;
        return Ok(names);
    }
}

/// The sender of an `init`, its `msg_id` and its names; `None` for any other message.
fn read(line: &[u8]) -> Option<(String, i64, Init)> {
    let envelope: Envelope<'_> = serde_json::from_slice(line).ok()?;
    let head: Head<'_> = parse(envelope.body)?;
    let init = (head.r#type == kind::INIT).then(|| parse::<Init>(envelope.body))??;
    Some((envelope.src.into_owned(), head.msg_id?, init))
}
