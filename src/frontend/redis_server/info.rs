//! The sections of INFO, under the names that Redis gives their lines where it has one, and the
//! settings for CONFIG GET.

use std::fs;
use std::process;

use super::super::redis::facts::{Facts, Member, REDIS_VERSION, Section};
use super::counters::get;
use super::surroundings::{Surroundings, wall_clock_us};
use crate::clock::BootTime;

type Lines = Vec<(String, String)>;

/// The size of a page of memory, in which Linux counts that of a process.
const PAGE_BYTES: u64 = 4_096;

/// All sections.
pub(super) fn sections(around: &Surroundings<'_>) -> Vec<Section> {
    vec![
        Section { name: "Server", lines: server(around) },
        Section { name: "Clients", lines: clients(around) },
        Section { name: "Memory", lines: memory(around) },
        Section { name: "Stats", lines: stats(around) },
        Section { name: "Replication", lines: replication(around) },
        Section { name: "Raft", lines: raft(around) },
        Section { name: "Keyspace", lines: keyspace(around) },
    ]
}

fn line(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

fn server(around: &Surroundings<'_>) -> Lines {
    let uptime_us = BootTime::now().as_micros() - around.started.as_micros();
    vec![
        line("redis_version", REDIS_VERSION),
        line("redis_mode", "standalone"),
        line("kvstore_version", env!("CARGO_PKG_VERSION")),
        line("os", "Linux"),
        line("arch_bits", usize::BITS),
        line("process_id", process::id()),
        line("run_id", around.cluster.own()),
        line("tcp_port", around.port),
        line("server_time_usec", wall_clock_us()),
        line("uptime_in_seconds", uptime_us / 1_000_000),
        line("uptime_in_days", uptime_us / 86_400_000_000),
    ]
}

fn clients(around: &Surroundings<'_>) -> Lines {
    vec![
        line("connected_clients", get(&around.counters.connections)),
        line("maxclients", around.options.max_connections),
    ]
}

fn memory(around: &Surroundings<'_>) -> Lines {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let bytes = pages.unwrap_or_default() * PAGE_BYTES;
    let view = around.cluster.view();
    vec![
        line("used_memory", bytes),
        line("used_memory_rss", bytes),
        line("used_memory_dataset", view.data_bytes),
        line("mem_clients_normal", get(&around.counters.held_bytes)),
        line("maxmemory", view.max_data_bytes.unwrap_or(0)),
        line("maxmemory_clients", around.options.memory_bytes),
        line("maxmemory_policy", "noeviction"),
    ]
}

fn stats(around: &Surroundings<'_>) -> Lines {
    let counters = around.counters;
    vec![
        line("total_connections_received", get(&counters.accepted)),
        line("total_commands_processed", counters.replies()),
        line("total_net_input_bytes", get(&counters.bytes_in)),
        line("total_net_output_bytes", get(&counters.bytes_out)),
        line("rejected_connections", get(&counters.refused)),
        line("evicted_clients", get(&counters.evicted)),
        line("client_output_buffer_limit_disconnections", get(&counters.slow_clients)),
        line("idle_clients_closed", get(&counters.idle_clients)),
        line("protocol_errors", get(&counters.protocol_errors)),
        line("outcomes_unknown", get(&counters.unknown)),
        line("commands_failed", get(&counters.failed)),
    ]
}

fn replication(around: &Surroundings<'_>) -> Lines {
    let members = around.members();
    let view = around.cluster.view();
    let leader = members.iter().find(|member| member.leads);
    let mut lines = Lines::new();
    if view.leads {
        let others: Vec<&Member> = members.iter().filter(|member| !member.is_own).collect();
        lines.extend([line("role", "master"), line("connected_slaves", others.len())]);
        for (number, Member { host, port, applied, is_up, .. }) in others.into_iter().enumerate() {
            let state = if *is_up { "online" } else { "offline" };
            let text = format!("ip={host},port={port},state={state},offset={applied},lag=0");
            lines.push(line(&format!("slave{number}"), text));
        }
    } else {
        let (host, port) = leader.map_or(("", 0), |leader| (&leader.host, leader.port));
        lines.extend([
            line("role", "slave"),
            line("master_host", host),
            line("master_port", port),
            line("master_link_status", if leader.is_some() { "up" } else { "down" }),
            line("slave_repl_offset", view.applied),
            line("slave_read_only", 0),
            line("connected_slaves", 0),
        ]);
    }
    lines.push(line("master_repl_offset", view.applied));
    lines
}

fn raft(around: &Surroundings<'_>) -> Lines {
    let view = around.cluster.view();
    let leader = if view.leads { Some(around.cluster.own()) } else { view.leader };
    let mut lines = vec![
        line("id", around.cluster.own()),
        // Libraries read INFO without its sections, and `role` is a line of Replication.
        line("raft_role", if view.leads { "leader" } else { "follower" }),
        line("term", view.term),
        line("leader", leader.map_or_else(String::new, |leader| leader.to_string())),
        line("first_index", view.first_index),
        line("last_index", view.last_index),
        line("commit_index", view.commit_index),
        line("applied_index", view.applied),
        line("snapshot_index", view.snapshot_index),
        line("pending_requests", view.pending),
        line("sessions", view.sessions),
        line("lost_leads", view.lost_leads),
    ];
    for member in around.cluster.members() {
        let follower = view.followers.iter().find(|follower| follower.id == member.id);
        let matched =
            follower.map_or_else(String::new, |follower| format!(",match_index={}", follower.match_index));
        let state = if member.is_up || member.id == around.cluster.own() { "up" } else { "down" };
        let text = format!("host={},port={},state={state}{matched}", member.redis.host, member.redis.port);
        lines.push(line(&format!("member_{}", member.id), text));
    }
    lines
}

/// How many keys have a deadline is not known, so it shows as 0.
fn keyspace(around: &Surroundings<'_>) -> Lines {
    match around.cluster.view().keys {
        0 => Lines::new(),
        keys => vec![line("db0", format!("keys={keys},expires=0,avg_ttl=0"))],
    }
}

/// The settings, by the names that Redis gives them where it has one.
pub(super) fn configuration(around: &Surroundings<'_>) -> Lines {
    let options = around.options;
    let settings = &options.connection;
    let mut lines = vec![
        line("appendfsync", "always"),
        line("appendonly", "yes"),
        line("databases", 1),
        line("maxclients", options.max_connections),
        line("maxmemory", around.cluster.view().max_data_bytes.unwrap_or(0)),
        line("maxmemory-clients", options.memory_bytes),
        line("maxmemory-policy", "noeviction"),
        line("port", around.port),
        line("proto-max-bulk-len", settings.requests.argument_bytes),
        line("save", ""),
        line("tcp-keepalive", super::server::KEEPALIVE.as_secs()),
        line("timeout", options.idle_timeout.map_or(0, |limit| limit.as_secs())),
        line("kv.max-output-bytes", settings.output_bytes),
        line("kv.max-request-bytes", settings.requests.request_bytes),
        line("kv.max-stale-ms", options.max_stale_us / 1_000),
    ];
    lines.extend(around.cluster.configuration());
    lines
}
