//! A client as its connection knows it, and the commands of CLIENT.

use super::arguments::{Call, is, whole_number};
use super::facts::{Description, Facts};
use super::failure::Failure;
use super::local::Replied;
use super::subscriptions::Subscriptions;
use super::value::{Protocol, Value};
use crate::bytes::Bytes;

/// A client, as its connection knows it.
#[derive(Debug)]
pub struct Client {
    /// The number of the connection.
    pub id: u64,
    /// The address of the client.
    pub address: String,
    /// The address that it has connected to.
    pub local_address: String,
    /// The password that it must give.
    pub password: Option<Bytes>,
    /// The name under which SENTINEL knows the cluster.
    pub cluster: String,
    /// Whether it has not given the password yet.
    pub is_stranger: bool,
    /// The version of the protocol that it reads.
    pub protocol: Protocol,
    /// Whether it reads this replica's own state.
    pub reads_locally: bool,
    /// The name that it gave itself.
    pub name: Bytes,
    /// Its library.
    pub library: Bytes,
    /// The version of its library.
    pub library_version: Bytes,
    /// When it connected, in microseconds.
    pub since_us: i64,
    /// When it sent its last command, in microseconds.
    pub active_us: i64,
    /// Its last command.
    pub command: &'static str,
    /// Commands that wait for EXEC; `None` without MULTI.
    pub queued: Option<usize>,
    /// The events that it waits for.
    pub subscriptions: Subscriptions,
    /// The connections that it wants to be closed.
    pub kills: Vec<u64>,
    /// Whether its connection closes after the replies that it is owed.
    pub closes: bool,
}

impl Client {
    /// The number of the version of the protocol.
    pub fn protocol_number(&self) -> u8 {
        match self.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }

    /// The state that RESET brings back: as after the connection was opened, but for the library.
    pub fn reset(&mut self) {
        self.is_stranger = self.password.is_some();
        self.protocol = Protocol::Resp2;
        self.reads_locally = false;
        self.name = Bytes::default();
        self.subscriptions = Subscriptions::default();
    }

    /// The client for CLIENT LIST.
    pub fn describe(&self, now_us: i64) -> Description {
        Description {
            id: self.id,
            address: self.address.clone(),
            local_address: self.local_address.clone(),
            name: self.name.clone(),
            library: self.library.clone(),
            library_version: self.library_version.clone(),
            age_s: (now_us - self.since_us).max(0) / 1_000_000,
            idle_s: (now_us - self.active_us).max(0) / 1_000_000,
            queued: self.queued,
            command: self.command,
            protocol: self.protocol_number(),
            reads_locally: self.reads_locally,
            closes: self.closes,
            channels: self.subscriptions.channels.len(),
            patterns: self.subscriptions.patterns.len(),
            ..Description::default()
        }
    }

    /// All connections in the order of their IDs.
    fn all(&self, facts: &dyn Facts) -> Vec<Description> {
        let mut all = facts.others();
        all.push(self.describe(facts.now_us()));
        all.sort_by_key(|client| client.id);
        all
    }
}

/// A name that has no spaces or control characters.
pub fn check_name(name: &Bytes, what: &str) -> Result<Bytes, Failure> {
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(name.clone());
    }
    Err(Failure::new(format!("ERR {what} cannot contain spaces, newlines or special characters.")))
}

/// CLIENT ID
pub fn id(_: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    Ok(Value::Integer(client.id as i64))
}

/// CLIENT GETNAME
pub fn get_name(_: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    Ok(if client.name.is_empty() { Value::Null } else { Value::Bulk(client.name.clone()) })
}

/// CLIENT SETNAME
pub fn set_name(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    client.name = check_name(&call.word(2), "Client names")?;
    Ok(Value::OK)
}

/// CLIENT SETINFO
pub fn set_info(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    let option = call.word(2);
    if is(&option, "LIB-NAME") {
        client.library = check_name(&call.word(3), "lib-name")?;
    } else if is(&option, "LIB-VER") {
        client.library_version = check_name(&call.word(3), "lib-ver")?;
    } else {
        return Err(Failure::about("Unrecognized option '", &option, "'"));
    }
    Ok(Value::OK)
}

/// CLIENT NO-EVICT. A replica evicts no client for its memory, so there is nothing to switch.
pub fn no_evict(call: &Call<'_>, _: &mut Client, _: &mut dyn Facts) -> Replied {
    let switch = call.word(2);
    if is(&switch, "ON") || is(&switch, "OFF") { Ok(Value::OK) } else { Err(Failure::SYNTAX) }
}

/// CLIENT INFO
pub fn info(_: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    Ok(Value::Verbatim(client.describe(facts.now_us()).line()))
}

/// CLIENT LIST
pub fn list(call: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    let all = client.all(facts);
    let lines: String = match call.rest(2) {
        [] => all.iter().map(Description::line).collect(),
        [option, kind] if is(option, "TYPE") => {
            let shown = is_normal(kind)?;
            all.iter().filter(|_| shown).map(Description::line).collect()
        }
        [option, ids @ ..] if is(option, "ID") && !ids.is_empty() => {
            let id = |word: &Bytes| whole_number(word).filter(|id| *id > 0);
            let ids: Option<Vec<i64>> = ids.iter().map(id).collect();
            let ids = ids.ok_or(Failure::new("ERR Invalid client ID"))?;
            let found = ids.iter().filter_map(|id| all.iter().find(|client| client.id as i64 == *id));
            found.map(Description::line).collect()
        }
        _ => return Err(Failure::SYNTAX),
    };
    Ok(Value::Verbatim(lines))
}

/// Whether this type of clients is the one that all of ours have.
fn is_normal(kind: &Bytes) -> Result<bool, Failure> {
    let others = ["master", "replica", "slave", "pubsub"];
    match is(kind, "normal") {
        false if !others.iter().any(|other| is(kind, other)) => {
            Err(Failure::about("Unknown client type '", kind, "'"))
        }
        is_normal => Ok(is_normal),
    }
}

/// CLIENT KILL
pub fn kill(call: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    if let [address] = call.rest(2) {
        let found = client.all(facts).into_iter().find(|other| *other.address.as_bytes() == **address);
        close(client, found.ok_or(Failure::new("ERR No such client"))?.id);
        return Ok(Value::OK);
    }
    let (pairs, []) = call.rest(2).as_chunks::<2>() else { return Err(Failure::SYNTAX) };
    let mut found = client.all(facts);
    let mut spares_own = true;
    for [option, value] in pairs {
        if is(option, "ID") {
            let id = whole_number(value).filter(|id| *id > 0);
            let id = id.ok_or(Failure::new("ERR client-id should be greater than 0"))?;
            found.retain(|client| client.id as i64 == id);
        } else if is(option, "TYPE") {
            let kept = is_normal(value)?;
            found.retain(|_| kept);
        } else if is(option, "ADDR") {
            found.retain(|client| *client.address.as_bytes() == **value);
        } else if is(option, "LADDR") {
            found.retain(|client| *client.local_address.as_bytes() == **value);
        } else if is(option, "USER") {
            if **value != *b"default" {
                return Err(Failure::about("No such user '", value, "'"));
            }
        } else if is(option, "SKIPME") && (is(value, "yes") || is(value, "no")) {
            spares_own = is(value, "yes");
        } else {
            return Err(Failure::SYNTAX);
        }
    }
    found.retain(|other| !spares_own || other.id != client.id);
    found.iter().for_each(|other| close(client, other.id));
    Ok(Value::Integer(found.len() as i64))
}

fn close(client: &mut Client, id: u64) {
    if id == client.id {
        client.closes = true;
    } else {
        client.kills.push(id);
    }
}
