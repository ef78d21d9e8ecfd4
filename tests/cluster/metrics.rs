//! `/metrics` of a real cluster beside its documentation.

use std::collections::{BTreeMap, BTreeSet};

use crate::http;
use crate::processes::{Cluster, wait_for};
use crate::resp::Reply;
use crate::service::served;

const DOCUMENTATION: &str = include_str!("../../docs/http.md");

/// A page: the type of each metric, and the value of each line by its name and labels.
struct Page {
    types: BTreeMap<String, String>,
    values: BTreeMap<String, f64>,
}

impl Page {
    fn of(cluster: &Cluster, replica: usize) -> Self {
        let answer = http::ask(&cluster.http(replica), "GET", "/metrics", b"").expect("it listens");
        let (mut types, mut values) = (BTreeMap::new(), BTreeMap::new());
        for line in answer.text().lines() {
            if let Some(described) = line.strip_prefix("# TYPE ") {
                let (name, kind) = described.split_once(' ').expect("a name and a type");
                let end = if kind == "counter" && !name.ends_with("_total") { "_total" } else { "" };
                types.insert(format!("{name}{end}"), kind.to_owned());
            } else if !line.starts_with('#') {
                let (place, value) = line.rsplit_once(' ').expect("a value");
                let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
                assert!(values.insert(place.to_owned(), value).is_none(), "twice: {line}");
            }
        }
        let page = Self { types, values };
        page.values.keys().for_each(|place| page.is_described(place));
        page
    }

    /// The line belongs to a metric of the page, and a histogram has all its parts.
    fn is_described(&self, place: &str) {
        let name = place.split('{').next().unwrap_or_default();
        let is = |name: &str, kind: &str| self.types.get(name).is_some_and(|other| other == kind);
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let is_part = part.is_some_and(|family| is(family, "histogram"));
        assert!(is(name, "gauge") || is(name, "counter") && name.ends_with("_total") || is_part, "{place}");
        if let Some(family) = part.filter(|_| name.ends_with("_count")) {
            let labels = place.strip_prefix(name).unwrap_or_default();
            let inner = labels.trim_start_matches('{').trim_end_matches('}');
            let comma = if inner.is_empty() { "" } else { "," };
            let of_all = format!("{family}_bucket{{{inner}{comma}le=\"+Inf\"}}");
            assert_eq!(self.values.get(&of_all), Some(&self.values[place]), "{of_all}");
        }
    }

    /// The sum of the lines that begin so and have these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let is_of = |place: &str| {
            place.split('{').next() == Some(name) && labels.iter().all(|label| place.contains(label))
        };
        self.values.iter().filter(|(place, _)| is_of(place)).map(|(_, value)| value).sum()
    }
}

/// The names in the documentation.
fn documented() -> BTreeSet<String> {
    let words = DOCUMENTATION.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
    words
        .filter(|word| word.starts_with("kvstore_") && word.len() > "kvstore_".len())
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_metric_is_documented_and_each_documented_one_is_there() {
    let mut cluster = Cluster::of_three(&[("max-memory", "64")]);
    (0..3).for_each(|replica| cluster.start_one(replica));
    for replica in 0..3 {
        assert_eq!(served(&mut cluster.client(replica), &["SET", "key", "value"]), Reply::ok());
    }
    let names = || {
        let of = |replica| Page::of(&cluster, replica).types.into_keys();
        (0..3).flat_map(of).collect::<BTreeSet<_>>()
    };
    // A follower shows its leader a while after it has heard it.
    wait_for("all documented metrics", || (names() == documented()).then_some(()));
}

#[test]
fn metrics_show_the_way_of_a_request_through_a_follower() {
    let cluster = Cluster::start();
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    let mut client = cluster.client(follower);
    (0..20).for_each(|number| drop(served(&mut client, &["SET", "key", &number.to_string()])));
    wait_for("the followers' messages, times and commands", || {
        let (at, leads) = (Page::of(&cluster, follower), Page::of(&cluster, leader));
        let to = format!("peer=\"{:04X}\"", leader + 1);
        let from = format!("peer=\"{:04X}\"", follower + 1);
        let messages = "kvstore_peer_messages_total";
        let counts = [
            at.sum(messages, &[&to, "direction=\"out\"", "kind=\"request\""]),
            at.sum(messages, &[&to, "direction=\"in\"", "kind=\"answer\""]),
            leads.sum(messages, &[&from, "direction=\"in\"", "kind=\"request\""]),
            leads.sum(messages, &[&from, "direction=\"out\"", "kind=\"append\""]),
            leads.sum(messages, &[&from, "direction=\"in\"", "kind=\"append_response\""]),
            leads.sum("kvstore_peer_message_bytes_total", &[&from, "kind=\"append\""]),
            at.sum("kvstore_redis_command_seconds_count", &["command=\"set\""]),
            leads.sum("kvstore_disk_sync_seconds_count", &[]),
        ];
        let stages = ["receive", "consensus", "apply", "disk", "send"]
            .map(|stage| leads.sum("kvstore_stage_seconds_count", &[&format!("stage=\"{stage}\"")]));
        counts.iter().chain(&stages).all(|count| *count > 0.0).then_some(())
    });
}

#[test]
fn followers_serve_reads_by_an_index_of_the_leader() {
    let cluster = Cluster::start();
    let mut clients: Vec<_> = (0..3).map(|replica| cluster.client(replica)).collect();
    let messages = "kvstore_peer_messages_total";
    wait_for("reads at followers", || {
        assert_eq!(served(&mut clients[0], &["SET", "key", "value"]), Reply::ok());
        for client in &mut clients {
            assert_eq!(served(client, &["GET", "key"]), Reply::bulk("value"));
        }
        let pages = [0, 1, 2].map(|replica| Page::of(&cluster, replica));
        let sum = |name, labels: &[&str]| pages.iter().map(|page| page.sum(name, labels)).sum::<f64>();
        let asked = sum(messages, &["direction=\"out\"", "kind=\"read_index\""]);
        (sum("kvstore_follower_reads_total", &[]) > 0.0 && asked > 0.0).then_some(())
    });
}
