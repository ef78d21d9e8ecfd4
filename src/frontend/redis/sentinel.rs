//! The commands of SENTINEL that client libraries need to find the master. Every replica answers
//! as a sentinel of its own cluster, so their list of sentinels is the list of replicas.

use super::arguments::Call;
use super::client::Client;
use super::facts::{Facts, Member};
use super::failure::Failure;
use super::local::Replied;
use super::value::Value;

/// SENTINEL MASTERS
pub fn masters(_: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    Ok(Value::Array(vec![Value::texts(master_state(client, &facts.members()))]))
}

/// SENTINEL MASTER
pub fn master(call: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    check(call, client)?;
    Ok(Value::texts(master_state(client, &facts.members())))
}

/// SENTINEL GET-MASTER-ADDR-BY-NAME; nil while no leader is known.
pub fn address(call: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    let members = facts.members();
    let leader = members.iter().find(|member| member.leads);
    Ok(match leader.filter(|_| check(call, client).is_ok()) {
        Some(Member { host, port, .. }) => {
            Value::Array(vec![Value::text(host), Value::text(port.to_string())])
        }
        None => Value::NullArray,
    })
}

/// SENTINEL REPLICAS, SENTINEL SLAVES
pub fn replicas(call: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    check(call, client)?;
    let members = facts.members();
    let leader = members.iter().find(|member| member.leads).cloned().unwrap_or_default();
    let followers = members.iter().filter(|member| !member.leads);
    let state = followers.map(|member| {
        let mut state = state(&format!("{}:{}", member.host, member.port), member, "slave");
        state.extend([
            ("master-link-status", if leader.is_up { "ok".into() } else { "err".into() }),
            ("master-host", leader.host.clone()),
            ("master-port", leader.port.to_string()),
            ("slave-priority", "100".into()),
            ("slave-repl-offset", member.applied.to_string()),
        ]);
        Value::texts(state)
    });
    Ok(Value::Array(state.collect()))
}

/// SENTINEL SENTINELS
pub fn sentinels(call: &Call<'_>, client: &mut Client, facts: &mut dyn Facts) -> Replied {
    check(call, client)?;
    let members = facts.members();
    let others = members.iter().filter(|member| !member.is_own);
    Ok(Value::Array(others.map(|member| Value::texts(state(&member.id, member, "sentinel"))).collect()))
}

fn check(call: &Call<'_>, client: &Client) -> Result<(), Failure> {
    let is_own = *call.word(2) == *client.cluster.as_bytes();
    is_own.then_some(()).ok_or(Failure::new("ERR No such master with that name"))
}

type State = Vec<(&'static str, String)>;

fn master_state(client: &Client, members: &[Member]) -> State {
    let leader = members.iter().find(|member| member.leads).cloned().unwrap_or_default();
    let others = members.len().saturating_sub(1).to_string();
    let mut state = state(&client.cluster, &leader, "master");
    state.extend([
        ("num-slaves", others.clone()),
        ("num-other-sentinels", others),
        ("quorum", (members.len() / 2 + 1).to_string()),
    ]);
    state
}

/// A replica. One that does not answer is down, as client libraries understand it.
fn state(name: &str, member: &Member, kind: &str) -> State {
    let flags = if member.is_up { kind.into() } else { format!("{kind},s_down,o_down,disconnected") };
    vec![
        ("name", name.into()),
        ("ip", member.host.clone()),
        ("port", member.port.to_string()),
        ("runid", member.id.clone()),
        ("flags", flags),
    ]
}
