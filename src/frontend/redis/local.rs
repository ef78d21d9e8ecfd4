//! Commands whose reply the connection knows: greeting, password, ping.

use super::arguments::{Call, is, whole_number};
use super::client::{Client, check_name};
use super::facts::{Facts, REDIS_VERSION};
use super::failure::Failure;
use super::value::{Protocol, Value};
use crate::frontend::password::is_equal;

/// A command that needs no store.
pub type Local = fn(&Call<'_>, &mut Client, &mut dyn Facts) -> Replied;

/// Its reply.
pub type Replied = Result<Value, Failure>;

/// The only user.
const USER: &[u8] = b"default";

/// PING. A client that waits for messages gets its reply in their form.
pub fn ping(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    let waits = client.protocol == Protocol::Resp2 && !client.subscriptions.is_empty();
    match call.rest(1) {
        [] if waits => Ok(Value::Array(vec![Value::text("pong"), Value::text("")])),
        [message] if waits => Ok(Value::Array(vec![Value::text("pong"), Value::Bulk(message.clone())])),
        [] => Ok(Value::Status("PONG".into())),
        [message] => Ok(Value::Bulk(message.clone())),
        _ => Err(Failure::arity(call.name)),
    }
}

/// ECHO
pub fn echo(call: &Call<'_>, _: &mut Client, _: &mut dyn Facts) -> Replied {
    Ok(Value::Bulk(call.word(1)))
}

/// SELECT. There is one database.
pub fn select(call: &Call<'_>, _: &mut Client, _: &mut dyn Facts) -> Replied {
    match i32::try_from(call.integer(1)?) {
        Ok(0) => Ok(Value::OK),
        Ok(_) => Err(Failure::new("ERR DB index is out of range")),
        Err(_) => {
            Err(Failure::new("ERR value is out of range, value must between -2147483648 and 2147483647"))
        }
    }
}

/// READONLY: from now on the client reads this replica's own state.
pub fn read_only(_: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    client.reads_locally = true;
    Ok(Value::OK)
}

/// READWRITE: from now on reads are linearizable again.
pub fn read_write(_: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    client.reads_locally = false;
    Ok(Value::OK)
}

/// AUTH
pub fn auth(call: &Call<'_>, client: &mut Client, _: &mut dyn Facts) -> Replied {
    match call.rest(1) {
        [_] if client.password.is_none() => Err(Failure::new(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        [password] => login(client, USER, password),
        [user, password] => login(client, user, password),
        _ => Err(Failure::SYNTAX),
    }
}

fn login(client: &mut Client, user: &[u8], password: &[u8]) -> Replied {
    let is_right = client.password.as_ref().is_none_or(|right| is_equal(right, password));
    if !is_right || user != USER {
        return Err(Failure::WRONG_PASSWORD);
    }
    client.is_stranger = false;
    Ok(Value::OK)
}

/// HELLO
pub fn hello(call: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    let protocol = match call.words.get(1).map(|version| whole_number(version)) {
        None => client.protocol,
        Some(Some(2)) => Protocol::Resp2,
        Some(Some(3)) => Protocol::Resp3,
        Some(Some(_)) => return Err(Failure::new("NOPROTO unsupported protocol version")),
        Some(None) => {
            return Err(Failure::new("ERR Protocol version is not an integer or out of range"));
        }
    };
    let (mut credentials, mut name) = (None, None);
    let mut rest = call.rest(2);
    while let [option, after @ ..] = rest {
        rest = match after {
            [user, password, after @ ..] if is(option, "AUTH") => {
                credentials = Some((user, password));
                after
            }
            [given, after @ ..] if is(option, "SETNAME") => {
                name = Some(check_name(given, "Client names")?);
                after
            }
            _ => {
                return Err(Failure::about("Syntax error in HELLO option '", option, "'"));
            }
        };
    }
    if let Some((user, password)) = credentials {
        login(client, user, password)?;
    }
    if client.is_stranger {
        return Err(Failure::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
             AUTH <user> <pass> option can be used to authenticate the client and select the RESP \
             protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        client.name = name;
    }
    client.protocol = protocol;
    Ok(greeting(client, facts))
}

fn greeting(client: &Client, facts: &dyn Facts) -> Value {
    let leads = facts.members().iter().any(|member| member.is_own && member.leads);
    let pair = |key: &str, value: Value| (Value::text(key), value);
    Value::Map(vec![
        pair("server", Value::text("redis")),
        pair("version", Value::text(REDIS_VERSION)),
        pair("proto", Value::Integer(client.protocol_number().into())),
        pair("id", Value::Integer(client.id as i64)),
        pair("mode", Value::text("standalone")),
        pair("role", Value::text(if leads { "master" } else { "replica" })),
        pair("modules", Value::Array(Vec::new())),
    ])
}
