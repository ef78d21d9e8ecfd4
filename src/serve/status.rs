//! `kvstore status`: the replicas of a cluster as a table.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use kvstore::frontend::http::{MemberStatus, Status};
use kvstore::id::Id;

use super::http;
use crate::{EXIT_UNREACHABLE, Failure, say};

/// How long a replica may take to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Where to ask.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct StatusOptions {
    /// HTTP addresses of replicas; the first that answers names the others.
    #[arg(value_name = "HOST:PORT", env = "KVSTORE_HTTP", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:8379")]
    pub addresses: Vec<String>,
}

const AFTER_HELP: &str = "\
The round trip is the one that the leader measures, and so is the lag, in entries.

Exit codes: 0 there is a leader, 1 there is none.";

/// A replica in the table.
struct Row {
    id: String,
    address: String,
    status: Result<Box<Status>, String>,
}

/// Prints the table.
pub fn run(options: &StatusOptions) -> Result<ExitCode, Failure> {
    let rows = rows(&options.addresses);
    let leader = leader_of(&rows);
    say(&table(&rows, leader))?;
    match leader {
        Some(_) => Ok(ExitCode::SUCCESS),
        None => {
            say("no leader")?;
            Ok(ExitCode::from(EXIT_UNREACHABLE))
        }
    }
}

/// The leader, if the replica at this address leads.
pub fn leader(address: &str) -> Option<Id> {
    let status = ask(address).ok()?;
    if status.role == "leader" { status.id.parse().ok() } else { None }
}

fn ask(address: &str) -> Result<Box<Status>, String> {
    let body = http::get(address, "/status", LIMIT).map_err(|error| error.to_string())?;
    serde_json::from_slice(&body).map(Box::new).map_err(|_| "this is no replica of kvstore".to_owned())
}

/// Asks the given addresses, and all members that the first answer names. Those that are asked are
/// asked at once: one that hangs delays no other.
fn rows(addresses: &[String]) -> Vec<Row> {
    let mut rows = BTreeMap::new();
    let mut members: Vec<MemberStatus> = Vec::new();
    for (address, status) in ask_all(addresses) {
        let id = status.as_ref().map_or_else(|_| String::new(), |status| status.id.clone());
        if let (Ok(status), true) = (&status, members.is_empty()) {
            members.clone_from(&status.members);
        }
        rows.insert((id.clone(), address.clone()), Row { id, address, status });
    }
    let is_known =
        |member: &MemberStatus| rows.iter().any(|((id, at), _)| *id == member.id || *at == member.http);
    let unknown: Vec<_> = members.iter().filter(|member| !is_known(member)).collect();
    let addresses: Vec<_> = unknown.iter().map(|member| member.http.clone()).collect();
    for (member, (address, status)) in unknown.into_iter().zip(ask_all(&addresses)) {
        let id = member.id.clone();
        rows.insert((id.clone(), address.clone()), Row { id, address, status });
    }
    // A given address that does not answer may be that of a member.
    let name = |mut row: Row| {
        if let Some(member) = members.iter().find(|member| member.http == row.address) {
            row.id.clone_from(&member.id);
        }
        row
    };
    let mut rows: Vec<Row> = rows.into_values().map(name).collect();
    rows.sort_by(|one, other| (&one.id, &one.address).cmp(&(&other.id, &other.address)));
    rows
}

fn ask_all(addresses: &[String]) -> Vec<(String, Result<Box<Status>, String>)> {
    thread::scope(|scope| {
        let asked: Vec<_> =
            addresses.iter().map(|address| (address, scope.spawn(move || ask(address)))).collect();
        let answer = |(address, asked): (&String, thread::ScopedJoinHandle<'_, _>)| {
            (address.clone(), asked.join().unwrap_or_else(|_| Err("the question failed".to_owned())))
        };
        asked.into_iter().map(answer).collect()
    })
}

/// The leader of the highest term: one that was cut off may not know of its successor.
fn leader_of(rows: &[Row]) -> Option<&Status> {
    let statuses = rows.iter().filter_map(|row| row.status.as_deref().ok());
    statuses.filter(|status| status.role == "leader").max_by_key(|status| status.term)
}

const HEAD: [&str; 12] =
    ["ID", "ROLE", "TERM", "COMMIT", "APPLIED", "LAG", "RTT", "KEYS", "DATA", "DISK", "UP", "VERSION"];

/// The table, with a line for each replica.
fn table(rows: &[Row], leader: Option<&Status>) -> String {
    let mut lines: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).into()];
    lines.extend(rows.iter().filter_map(|row| Some(line(row.status.as_deref().ok()?, leader))));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0))
        .collect();
    let format = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = lines.iter();
    let mut text: Vec<String> = lines.next().map(format).into_iter().collect();
    for row in rows {
        text.push(match &row.status {
            Ok(_) => lines.next().map(format).unwrap_or_default(),
            Err(error) => {
                let id = if row.id.is_empty() { "?" } else { &row.id };
                format!("{id:4}  {} does not answer: {error}", row.address)
            }
        });
    }
    text.join("\n")
}

fn line(status: &Status, leader: Option<&Status>) -> Vec<String> {
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    let follower = leader.and_then(|leader| leader.followers.iter().find(|other| other.id == status.id));
    let round_trip = leader.and_then(|leader| {
        let member = leader.members.iter().find(|member| member.id == status.id)?;
        member.round_trip_seconds.map(millis)
    });
    let disk = status.disk.as_ref();
    vec![
        status.id.clone(),
        status.role.clone(),
        status.term.to_string(),
        status.log.committed.to_string(),
        status.log.applied.to_string(),
        or_dash(follower.map(|follower| follower.lag.to_string())),
        or_dash(round_trip),
        status.keys.to_string(),
        data(status),
        or_dash(disk.map(|disk| format!("{}/sync", millis(disk.mean_write_seconds)))),
        span(status.uptime_seconds),
        status.version.clone(),
    ]
}

/// The memory of keys and values, with its limit if there is one.
fn data(status: &Status) -> String {
    let limit = status.max_data_bytes.map_or_else(String::new, |most| format!(" of {}", most >> 20));
    format!("{:.1}{limit} MB", status.data_bytes as f64 / f64::from(1 << 20))
}

fn millis(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

/// A time since a start, in the largest unit of which there is a whole one.
fn span(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1.0, "s"));
    format!("{:.0} {}", (seconds / unit.0).floor(), unit.1)
}
