//! Commands about the replica: INFO, CONFIG GET, ROLE, TIME.

use super::arguments::{Call, is};
use super::client::Client;
use super::facts::{Facts, Section};
use super::local::Replied;
use super::value::Value;
use crate::bytes::Bytes;
use crate::state_machine::glob;

/// TIME
pub fn time(_: &Call<'_>, _: &mut Client, facts: &mut dyn Facts) -> Replied {
    let now_us = facts.now_us();
    let parts = [now_us / 1_000_000, now_us % 1_000_000];
    Ok(Value::Array(parts.iter().map(|part| Value::text(part.to_string())).collect()))
}

/// ROLE. The leader is the master, and each other replica follows it.
pub fn role(_: &Call<'_>, _: &mut Client, facts: &mut dyn Facts) -> Replied {
    let members = facts.members();
    let own = members.iter().find(|member| member.is_own).cloned().unwrap_or_default();
    if own.leads {
        let follower = |member: &super::facts::Member| {
            let texts = [member.host.clone(), member.port.to_string(), member.applied.to_string()];
            Value::Array(texts.iter().map(Value::text).collect())
        };
        let followers = members.iter().filter(|member| !member.is_own).map(follower).collect();
        let applied = Value::Integer(own.applied as i64);
        return Ok(Value::Array(vec![Value::text("master"), applied, Value::Array(followers)]));
    }
    let leader = members.iter().find(|member| member.leads);
    let (host, port) = leader.map_or(("", 0), |leader| (&*leader.host, leader.port));
    Ok(Value::Array(vec![
        Value::text("slave"),
        Value::text(host),
        Value::Integer(port.into()),
        Value::text(if leader.is_some() { "connected" } else { "connect" }),
        Value::Integer(own.applied as i64),
    ]))
}

/// INFO
pub fn info(call: &Call<'_>, _: &mut Client, facts: &mut dyn Facts) -> Replied {
    let wanted = call.rest(1);
    let is_all = |word: &Bytes| ["default", "all", "everything"].iter().any(|all| is(word, all));
    let takes_all = wanted.is_empty() || wanted.iter().any(is_all);
    let mut sections = facts.info();
    sections.retain(|section| takes_all || wanted.iter().any(|word| is(word, section.name)));
    Ok(Value::Verbatim(sections.iter().map(text).collect::<Vec<_>>().join("\r\n")))
}

fn text(section: &Section) -> String {
    let lines = section.lines.iter().map(|(key, value)| format!("{key}:{value}\r\n"));
    format!("# {}\r\n{}", section.name, lines.collect::<String>())
}

/// CONFIG GET. A name that is no pattern comes back as the client wrote it.
pub fn config_get(call: &Call<'_>, _: &mut Client, facts: &mut dyn Facts) -> Replied {
    let shown = |name: &str| {
        let found = call.rest(2).iter().find(|pattern| {
            is(pattern, name) || glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes())
        });
        found.map(|word| if is(word, name) { word.clone() } else { name.into() })
    };
    let settings = facts.configuration();
    let settings = settings.iter().filter_map(|(name, value)| Some((shown(name)?, value)));
    Ok(Value::Map(settings.map(|(name, value)| (Value::Bulk(name), Value::text(value))).collect()))
}
