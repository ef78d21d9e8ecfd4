//! SUBSCRIBE and its like. Libraries that look for the master subscribe to events of their sentinels
//! and give up if that is refused. A replica publishes nothing, and there is no PUBLISH: a library
//! finds a new leader by asking again, once its connection ends.

use std::collections::BTreeSet;

use super::arguments::Call;
use super::client::Client;
use super::facts::Facts;
use super::failure::Failure;
use super::local::Replied;
use super::value::{Protocol, Value};
use crate::bytes::Bytes;

/// The most bytes that the subscriptions of one client take.
const MAX_BYTES: usize = 64 << 10;

/// A subscription takes so many bytes besides its name.
const OVERHEAD_BYTES: usize = 64;

/// The most channels of one command.
const MAX_NAMES: usize = 1_024;

/// The commands that a client of RESP2 may use while it is subscribed, since all else that it reads
/// would be messages.
const ALLOWED: [&str; 7] =
    ["ping", "psubscribe", "punsubscribe", "quit", "reset", "subscribe", "unsubscribe"];

/// The subscriptions of one client.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// Channels.
    pub channels: BTreeSet<Bytes>,
    /// Patterns of channels.
    pub patterns: BTreeSet<Bytes>,
}

impl Subscriptions {
    /// Whether there is one.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    fn bytes(&self) -> usize {
        self.channels.iter().chain(&self.patterns).map(|name| name.len() + OVERHEAD_BYTES).sum()
    }
}

/// Refuses commands of a client that waits for messages alone.
pub fn check(name: &str, client: &Client) -> Result<(), Failure> {
    let waits = client.protocol == Protocol::Resp2 && !client.subscriptions.is_empty();
    if !waits || ALLOWED.contains(&name) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
         allowed in this context"
    )))
}

/// SUBSCRIBE
pub fn subscribe(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    add(call, client, |own| &mut own.channels)
}

/// PSUBSCRIBE
pub fn subscribe_patterns(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    add(call, client, |own| &mut own.patterns)
}

/// UNSUBSCRIBE
pub fn unsubscribe(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    remove(call, client, |own| &mut own.channels)
}

/// PUNSUBSCRIBE
pub fn unsubscribe_patterns(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    remove(call, client, |own| &mut own.patterns)
}

/// Channels or patterns.
type Kind = fn(&mut Subscriptions) -> &mut BTreeSet<Bytes>;

fn add(call: &Call<'_>, client: &mut Client, kind: Kind) -> Replied {
    let own = &mut client.subscriptions;
    let added: usize = call.rest(1).iter().map(|name| name.len() + OVERHEAD_BYTES).sum();
    if own.bytes() + added > MAX_BYTES {
        return Err(Failure::TOO_MANY_SUBSCRIPTIONS);
    }
    let replies = call.rest(1).iter().map(|name| {
        kind(own).insert(name.clone());
        reply(call.name, Value::Bulk(name.clone()), own)
    });
    Ok(Value::Several(replies.collect()))
}

/// All of a kind, if the client names none.
fn remove(call: &Call<'_>, client: &mut Client, kind: Kind) -> Replied {
    let own = &mut client.subscriptions;
    let names = match call.rest(1) {
        [] => kind(own).iter().cloned().collect(),
        names if names.len() > MAX_NAMES => return Err(Failure::TOO_MANY_SUBSCRIPTIONS),
        names => names.to_vec(),
    };
    if names.is_empty() {
        return Ok(reply(call.name, Value::Null, own));
    }
    let replies = names.into_iter().map(|name| {
        kind(own).remove(&name);
        reply(call.name, Value::Bulk(name), own)
    });
    Ok(Value::Several(replies.collect()))
}

fn reply(command: &str, name: Value, own: &Subscriptions) -> Value {
    Value::Push(vec![Value::text(command), name, Value::Integer(own.count() as i64)])
}
