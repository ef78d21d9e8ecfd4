//! The pages for operators.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raft::types::EntryId;

use super::harness::{Fixture, Mode, view};
use crate::frontend::http::{HttpOptions, Status};
use crate::replica::Snapshot;
use crate::request::Outcome;
use crate::state_machine::snapshot::Decoder;
use crate::state_machine::{Settings, StateMachine};
use crate::storage::{Directory, Reason, read_backup};
use crate::view::View;

#[test]
fn replica_is_alive_while_its_store_is_not() {
    let fixture = Fixture::start();
    *fixture.store.mode.lock() = Mode::Silent;
    let alive = fixture.get("/livez");
    assert_eq!((alive.status, alive.text()), (200, "ok\n"));
    assert!(fixture.store.asked.lock().is_empty());
}

#[test]
fn replica_is_ready_if_a_linearizable_read_works_now() {
    let fixture = Fixture::with(|mut options| {
        options.ready_limit = Duration::from_millis(5);
        options
    });
    let silent = "no leader has served a read in time\n";
    for (mode, status, text) in [
        (Mode::Silent, 503, silent),
        (Mode::Says(Outcome::Unknown), 503, silent),
        (Mode::Says(Outcome::Redirect), 503, "no leader is known\n"),
        (Mode::Says(Outcome::Fail), 503, "the replica refuses reads\n"),
    ] {
        *fixture.store.mode.lock() = mode;
        let ready = fixture.get("/readyz");
        assert_eq!((ready.status, ready.text()), (status, text));
    }
    let fixture = Fixture::start();
    let ready = fixture.get("/readyz");
    assert_eq!((ready.status, ready.text()), (200, "ready\n"));
    let asked = fixture.store.asked.lock();
    assert!(asked[0].command.is_read() && super::harness::is_linearizable(&asked[0]));
}

#[test]
fn replica_that_is_to_stop_is_not_ready() {
    let fixture = Fixture::start();
    fixture.board.retire();
    let ready = fixture.get("/readyz");
    assert_eq!((ready.status, ready.text()), (503, "the replica stops\n"));
}

#[test]
fn status_shows_the_replica_and_its_cluster() {
    let fixture = Fixture::start();
    let page = fixture.get("/status");
    assert_eq!((page.status, page.header("content-type")), (200, Some("application/json")));
    let status: Status = serde_json::from_slice(&page.body).expect("a status");
    assert_eq!((&*status.id, &*status.role, status.term), ("0001", "leader", 7));
    assert_eq!((status.log.last, status.log.committed, status.log.applied), (100, 98, 97));
    assert_eq!((status.leader.as_deref(), status.leader_contact_age_seconds), (Some("0001"), None));
    assert_eq!((status.followers[0].lag, &*status.followers[0].id), (2, "0002"));
    assert_eq!((status.members.len(), status.members[2].is_up), (3, false));
    let addresses = (&*status.members[2].redis, &*status.members[2].http);
    assert_eq!(addresses, ("host-3:6379", "[fe80::3]:8080"), "each port has a host of its own");
    assert_eq!(status.members[1].round_trip_seconds, Some(0.000_15));
    assert_eq!((status.links[0].bytes_out, status.links[0].reconnects), (1_200, 2));
    assert_eq!(status.disk.map(|disk| (disk.syncs, disk.mean_write_seconds)), Some((3, 0.000_2)));
    assert_eq!(status.configuration, [("max-value-bytes".to_owned(), "1000".to_owned())]);
}

#[test]
fn role_is_that_of_the_latest_view() {
    let fixture = Fixture::start();
    let role = || serde_json::from_slice::<Status>(&fixture.get("/status").body).expect("a status").role;
    fixture.board.publish(View { leads: false, ..view() });
    assert_eq!(role(), "follower");
    fixture.board.publish(View { leads: false, leader: None, ..view() });
    assert_eq!(role(), "searching");
    let metrics = fixture.get("/metrics");
    assert!(metrics.text().contains("kvstore_role{role=\"searching\"} 1"), "{}", metrics.text());
    assert!(metrics.text().contains("kvstore_role{role=\"leader\"} 0"));
}

#[test]
fn metrics_have_the_numbers_of_the_replica_its_links_and_the_server() {
    let fixture = Fixture::start();
    fixture.put("/kv/k", b"v");
    let page = fixture.get("/metrics");
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = page.text();
    for line in [
        "kvstore_term 7",
        "kvstore_commit_lag_entries 2",
        "kvstore_apply_lag_entries 1",
        "kvstore_elections_won_total 2",
        "kvstore_follower_lag_entries{peer=\"0002\"} 2",
        "kvstore_peer_bytes_total{peer=\"0002\",direction=\"out\"} 1200",
        "kvstore_peer_round_trip_seconds{peer=\"0002\"} 0.00015",
        "kvstore_stage_seconds_bucket{stage=\"disk\",le=\"0.0002\"} 2",
        "kvstore_stage_seconds_bucket{stage=\"disk\",le=\"+Inf\"} 3",
        "kvstore_stage_seconds_sum{stage=\"disk\"} 0.0006",
        "kvstore_peer_messages_total{peer=\"0002\",direction=\"out\",kind=\"append\"} 9",
        "kvstore_queue_length{queue=\"front_ends\"} 3",
        "kvstore_http_answers_total{code=\"201\"} 1",
        "kvstore_redis_bytes_total{direction=\"in\"} 0",
        "kvstore_redis_dropped_total{why=\"slow\"} 0",
        "kvstore_http_key_seconds_count{method=\"PUT\"} 1",
    ] {
        let line = line.to_owned();
        assert!(text.lines().any(|other| other == line || other == format!("{line}.0")), "{line}\n{text}");
    }
    fixture.board.publish(View { disk: None, ..view() });
    assert!(!fixture.get("/metrics").text().contains("disk_sync_seconds"));
}

#[test]
fn metrics_have_the_form_that_prometheus_reads() {
    let fixture = Fixture::start();
    fixture.put("/kv/k", b"v");
    let page = fixture.get("/metrics");
    let mut described = BTreeSet::new();
    let mut lines = BTreeSet::new();
    for line in page.text().lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            assert!(words.len() == 3 && ["HELP", "TYPE"].contains(&words[0]), "{line}");
            described.insert(words[1].to_owned());
            continue;
        }
        let (name_and_labels, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(lines.insert(name_and_labels.to_owned()), "twice: {line}");
        let name = name_and_labels.split('{').next().expect("a name");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let is_described =
            described.contains(name) || family.is_some_and(|family| described.contains(family));
        assert!(is_described && name.starts_with("kvstore_"), "{line}");
    }
    assert!(lines.len() > 60, "{} lines", lines.len());
}

#[test]
#[ignore = "needs promtool of Debian's package prometheus"]
fn promtool_finds_no_fault_in_the_metrics() {
    let fixture = Fixture::start();
    fixture.put("/kv/k", b"v");
    let page = fixture.get("/metrics");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    promtool.stdin.take().expect("a pipe").write_all(&page.body).expect("it reads");
    let checked = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.is_empty(), "{said}");
}

#[test]
fn backup_is_the_state_of_the_copy_that_the_replica_hands_out() {
    let fixture = Fixture::start();
    let id = EntryId { index: 7, term: 3 };
    let mut client = fixture.connect();
    client.send(b"GET /backup HTTP/1.0\r\n\r\n");
    let handed_out = AtomicBool::new(false);
    fixture.wait_until(|fixture| {
        fixture.board.hand_out(|| {
            handed_out.store(true, Ordering::Relaxed);
            Some(Snapshot { id, state: StateMachine::default() })
        });
        handed_out.load(Ordering::Relaxed)
    });
    let reply = client.receive_all();
    assert_eq!(reply.status, 200);
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("backup"), &reply.body).expect("writable");
    let files = Directory::open(place.path()).expect("it exists");
    let mut decoder = Decoder::new(Settings::default());
    let take = |chunk: &[u8]| decoder.push(chunk).map_err(|_| Reason::Contents);
    assert_eq!(read_backup(&files, "backup", take).expect("undamaged"), id);
    assert_eq!(decoder.finish().expect("complete"), StateMachine::default());
}

#[test]
fn backup_needs_the_password_and_one_runs_at_a_time() {
    let fixture = Fixture::with(|options| HttpOptions { password: Some("sesame".into()), ..options });
    assert_eq!(fixture.get("/backup").status, 401);
    let authorization = ("Authorization", "Bearer sesame");
    assert_eq!(fixture.ask("PUT", "/backup", &[authorization], b"").status, 405);
    let mut first = fixture.connect();
    first.send_request("GET", "/backup", &[authorization], b"");
    fixture.wait_until(|fixture| {
        let second = fixture.ask("GET", "/backup", &[authorization], b"");
        second.status == 503 && second.text().starts_with("another backup")
    });
}
