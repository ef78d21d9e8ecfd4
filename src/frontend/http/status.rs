//! `/status`: the replica and its cluster as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sources::Sources;
use crate::clock::BootTime;
use crate::micros::Micros;
use crate::view::{DiskView, QueuesView, View};

/// The contents of `/status`. Times are seconds, and ages are counted to the moment of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The ID of the replica.
    pub id: String,
    /// The version of the program.
    pub version: String,
    /// How long the server has run.
    pub uptime_seconds: f64,
    /// `leader`, `follower` of a known leader, or `searching` without one.
    pub role: String,
    /// The current term.
    pub term: u64,
    /// The leader that it knows.
    pub leader: Option<String>,
    /// The age of the last message of that leader; none at the leader itself.
    pub leader_contact_age_seconds: Option<f64>,
    /// The age of these facts. More than some seconds mean that the replica hangs.
    pub view_age_seconds: f64,
    /// Its log.
    pub log: LogStatus,
    /// How many keys it has.
    pub keys: u64,
    /// How much memory its keys and values take, by the account of the state machine.
    pub data_bytes: u64,
    /// How much they may take before writes are refused, if there is a limit.
    pub max_data_bytes: Option<u64>,
    /// How many sessions it has.
    pub sessions: u64,
    /// How many requests wait for an answer.
    pub pending_requests: u64,
    /// Its elections and leaders since it started.
    pub elections: ElectionStatus,
    /// The others, if it leads.
    pub followers: Vec<FollowerStatus>,
    /// All replicas, this one included.
    pub members: Vec<MemberStatus>,
    /// Its links to the others.
    pub links: Vec<LinkStatus>,
    /// Its disk; none for a replica that is in memory only.
    pub disk: Option<DiskStatus>,
    /// The work that waits in the replica.
    pub queues: QueuesView,
    /// Settings and limits, by their names in the configuration file.
    pub configuration: Vec<(String, String)>,
}

/// The log of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// The first index that it still has.
    pub first: u64,
    /// The last index.
    pub last: u64,
    /// The last index that is known to be committed.
    pub committed: u64,
    /// The last index that is applied.
    pub applied: u64,
    /// The last index of the latest snapshot.
    pub snapshot: u64,
    /// How many snapshots were saved.
    pub snapshots_saved: u64,
    /// How many snapshots of a leader were installed.
    pub snapshots_installed: u64,
}

/// The elections of a replica since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectionStatus {
    /// How often it asked for votes.
    pub started: u64,
    /// How often it was elected.
    pub won: u64,
    /// How often it stopped leading.
    pub lost_leads: u64,
    /// How often it came to know another leader.
    pub leader_changes: u64,
}

/// A follower as its leader knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowerStatus {
    /// Its ID.
    pub id: String,
    /// The last index that it is known to have.
    pub match_index: u64,
    /// How many entries it is behind the leader's log, as far as the leader knows.
    pub lag: u64,
    /// The age of the latest append that it has answered.
    pub contact_age_seconds: Option<f64>,
}

/// A replica of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its ID.
    pub id: String,
    /// Where Redis clients reach it: `HOST:PORT`.
    pub redis: String,
    /// Where HTTP clients reach it.
    pub http: String,
    /// Whether there is a connection to it.
    pub is_up: bool,
    /// The latest round trip to it.
    pub round_trip_seconds: Option<f64>,
}

/// The link to another replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The other replica.
    pub id: String,
    /// Its address as it was configured.
    pub address: String,
    /// Whether the connections in both directions are there.
    pub is_up: bool,
    /// Since when that is so.
    pub state_age_seconds: f64,
    /// The smoothed round trip to it.
    pub round_trip_seconds: Option<f64>,
    /// Bytes that wait to be written to it.
    pub queued_bytes: u64,
    /// Messages from it.
    pub messages_in: u64,
    /// Bytes from it.
    pub bytes_in: u64,
    /// Messages to it.
    pub messages_out: u64,
    /// Bytes to it.
    pub bytes_out: u64,
    /// Messages to it that were dropped.
    pub dropped: u64,
    /// How often the connection to it was made again.
    pub reconnects: u64,
    /// Why the latest attempt to reach it failed.
    pub refusal: Option<String>,
}

/// The work of a disk since the replica started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Syncs that acknowledgements waited for.
    pub syncs: u64,
    /// The mean time of a write with its sync.
    pub mean_write_seconds: f64,
    /// Records of the log.
    pub records: u64,
    /// Bytes of these records.
    pub log_bytes: u64,
    /// Other bytes: new segments of the log, and snapshots.
    pub other_bytes: u64,
}

impl Status {
    /// The status now, of a server that has run for so long.
    pub(super) fn now(sources: &Sources, uptime: Duration) -> Self {
        let (facts, now) = (&sources.facts, BootTime::now().as_micros());
        let view = facts.view();
        let age = |at: Micros| seconds(now.saturating_sub(at));
        let members = facts.members().into_iter().map(|member| MemberStatus {
            id: member.id.to_string(),
            redis: member.redis.to_string(),
            http: member.http.to_string(),
            is_up: member.is_up,
            round_trip_seconds: member.round_trip_us.map(seconds),
        });
        let links = (sources.network)().links.into_iter().map(|link| LinkStatus {
            id: link.id.to_string(),
            address: link.address,
            is_up: link.is_up,
            state_age_seconds: age(link.since),
            round_trip_seconds: link.round_trip_us.map(seconds),
            queued_bytes: link.queued_bytes,
            messages_in: link.messages_in,
            bytes_in: link.bytes_in,
            messages_out: link.messages_out,
            bytes_out: link.bytes_out,
            dropped: link.dropped,
            reconnects: link.reconnects,
            refusal: link.refusal,
        });
        let followers = view.followers.iter().map(|follower| FollowerStatus {
            id: follower.id.to_string(),
            match_index: follower.match_index,
            lag: view.last_index.saturating_sub(follower.match_index),
            contact_age_seconds: follower.contact.map(age),
        });
        Self {
            id: facts.own().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: uptime.as_secs_f64(),
            role: role(&view).to_owned(),
            term: view.term,
            leader: view.leader.map(|leader| leader.to_string()),
            leader_contact_age_seconds: view.leader_contact.map(age),
            view_age_seconds: age(view.at),
            log: log(&view),
            keys: view.keys,
            data_bytes: view.data_bytes,
            max_data_bytes: view.max_data_bytes,
            sessions: view.sessions,
            pending_requests: view.pending,
            elections: elections(&view),
            followers: followers.collect(),
            members: members.collect(),
            links: links.collect(),
            disk: view.disk.as_ref().map(disk),
            queues: view.queues.clone(),
            configuration: facts.configuration(),
        }
    }
}

/// The role of a replica, in a word.
pub(super) fn role(view: &View) -> &'static str {
    match (view.leads, view.leader) {
        (true, _) => "leader",
        (false, Some(_)) => "follower",
        (false, None) => "searching",
    }
}

fn log(view: &View) -> LogStatus {
    LogStatus {
        first: view.first_index,
        last: view.last_index,
        committed: view.commit_index,
        applied: view.applied,
        snapshot: view.snapshot_index,
        snapshots_saved: view.snapshots_saved,
        snapshots_installed: view.snapshots_installed,
    }
}

fn elections(view: &View) -> ElectionStatus {
    ElectionStatus {
        started: view.elections_started,
        won: view.elections_won,
        lost_leads: view.lost_leads,
        leader_changes: view.leader_changes,
    }
}

fn disk(disk: &DiskView) -> DiskStatus {
    DiskStatus {
        syncs: disk.syncs,
        mean_write_seconds: disk.writes.sum_us as f64 / disk.writes.total().max(1) as f64 / 1e6,
        records: disk.records,
        log_bytes: disk.log_bytes,
        other_bytes: disk.other_bytes,
    }
}

/// A span in seconds.
pub(super) fn seconds(span: Micros) -> f64 {
    span as f64 / 1e6
}
