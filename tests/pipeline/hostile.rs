//! A replica under fire: it counts and drops messages that make no sense, and goes on.

use kvstore::transport::Packet;
use kvstore::wire;
use serde_json::Value;

use crate::cluster::{Cluster, PATIENCE, client};
use crate::testkit::id;

/// Messages such as a replica gets; the test spoils them.
const SAMPLES: [&str; 8] = [
    r#"{"src":"0015","dst":"0000","leader":"FFFF","type":"put","MID":"m","key":"k","value":"v"}"#,
    r#"{"src":"0015","dst":"0000","leader":"FFFF","type":"get","MID":"m","key":"k"}"#,
    r#"{"src":"0001","dst":"0000","leader":"0001","type":"append_entries","term":1,"prev_log_index":0,"prev_log_term":0,"leader_commit":0,"sent_at":5,"entries":[[1,1],[2,1,"0015","x","k","v"]]}"#,
    r#"{"src":"0002","dst":"0000","leader":"0001","type":"append_entries_response","term":1,"sent_at":5,"match_index":2}"#,
    r#"{"src":"0002","dst":"0000","leader":"FFFF","type":"append_entries_response","term":1,"sent_at":5,"prev_log_index":3,"conflict_term":0,"conflict_index":2}"#,
    r#"{"src":"0002","dst":"FFFF","leader":"FFFF","type":"request_vote","term":1,"pre_vote":true,"campaign":1,"last_log_index":0,"last_log_term":0}"#,
    r#"{"src":"0001","dst":"0000","leader":"FFFF","type":"request_vote_response","term":1,"pre_vote":true,"campaign":1,"granted":true}"#,
    r#"{"src":"0001","dst":"0000","leader":"0001","type":"bundle","messages":[{"type":"append_entries_response","term":1,"sent_at":5,"match_index":2}]}"#,
];

/// Pieces that mean something in JSON or to a replica, so that spoiled messages are often still
/// JSON.
const PIECES: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "-1",
    "9007199254740992",
    "1e400",
    "null",
    "true",
    "0001",
    "FFFF",
    "\\u0000",
    "\u{FFFD}",
];

fn spoil(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = SAMPLES[rng.usize(..SAMPLES.len())].as_bytes().to_vec();
    for _ in 0..rng.usize(1..4) {
        let from = rng.usize(..=bytes.len());
        let to = (from + rng.usize(..6)).min(bytes.len());
        match rng.u8(..4) {
            0 => bytes.truncate(from),
            1 => drop(bytes.drain(from..to)),
            2 => drop(bytes.splice(from..to, PIECES[rng.usize(..PIECES.len())].bytes())),
            _ => bytes.iter_mut().skip(from).take(1).for_each(|byte| *byte = rng.u8(..)),
        }
    }
    // With the checksum of the spoiled text, or the replica would look no further.
    wire::seal(&mut bytes);
    bytes
}

/// A message of a replica that the test plays.
fn sealed(message: &Value) -> Vec<u8> {
    let mut bytes = message.to_string().into_bytes();
    wire::seal(&mut bytes);
    bytes
}

/// The seed that the environment names, or always the same one; the test prints it.
fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    seed
}

/// The replica still answers, exactly once.
fn assert_alive(cluster: &Cluster, mid: &str) {
    cluster.ask(id(0), "get", mid, "k", "");
    while cluster.next_answer(|packet| packet.to == client())["MID"] != mid {}
}

#[test]
fn replica_answers_after_a_hundred_thousand_spoiled_messages() {
    const MESSAGES: u64 = 100_000;
    const ALIVE_EVERY: u64 = 10_000;
    let mut rng = fastrand::Rng::with_seed(seed());
    let cluster = Cluster::start(3, 1);
    for n in 1..=MESSAGES {
        assert!(cluster.hub.deliver(id(0), spoil(&mut rng)));
        if n % ALIVE_EVERY == 0 {
            assert_alive(&cluster, &format!("alive-{n}"));
        }
    }
    let counts = &cluster.stop()[&id(0)];
    let malformed: u64 = counts.malformed.values().sum();
    assert_eq!(counts.received + malformed, MESSAGES + MESSAGES / ALIVE_EVERY);
    assert!(malformed > MESSAGES / 4, "{counts:?}");
    assert!(counts.received > MESSAGES / 100, "{counts:?}");
}

#[test]
fn datagrams_that_are_no_messages_are_dropped() {
    let cluster = Cluster::start(3, 1);
    let nested = |open: &str| open.repeat(65_536 / open.len()).into_bytes();
    let garbage: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"{".to_vec(),
        b"hello".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        vec![0xFF; 100],
        vec![b' '; 200_000],
        vec![b'1'; 1_000_000],
        nested("["),
        nested(r#"{"a":"#),
        nested(r#"[{"entries":"#),
        [br#"{"src":"0001","dst":"0000","leader":"FFFF","type":"bundle","messages":"#.to_vec(), nested("[")]
            .concat(),
    ];
    let count = garbage.len() as u64;
    for bytes in garbage {
        assert!(cluster.hub.deliver(id(0), bytes));
    }
    assert_alive(&cluster, "alive");
    let counts = &cluster.stop()[&id(0)];
    assert_eq!(counts.malformed.values().sum::<u64>(), count, "{counts:?}");
    assert_eq!(counts.received, 1);
}

/// The two followers of replica 0000, played by the test: they vote for it and acknowledge all its
/// entries.
struct Followers<'a>(&'a Cluster);

impl Followers<'_> {
    /// The answers of both followers to this packet of replica 0000.
    fn replies(packet: &Packet) -> Vec<Value> {
        let message: Value = serde_json::from_slice(&packet.bytes).expect("replicas speak JSON");
        let followers = ["0001", "0002"].into_iter();
        let addressed = followers.filter(|id| message["dst"] == "FFFF" || message["dst"] == *id);
        let parts = match message["messages"].as_array() {
            Some(parts) => parts.clone(),
            None => vec![message.clone()],
        };
        let reply = |from| {
            let parts = parts.iter().filter_map(move |part| Self::reply(from, part));
            parts.collect::<Vec<_>>()
        };
        addressed.flat_map(reply).collect()
    }

    fn reply(from: &str, message: &Value) -> Option<Value> {
        let mut reply = match message["type"].as_str()? {
            "request_vote" => serde_json::json!({
                "type": "request_vote_response", "pre_vote": message["pre_vote"],
                "campaign": message["campaign"], "granted": true, "leader": "FFFF",
            }),
            "append_entries" => serde_json::json!({
                "type": "append_entries_response", "sent_at": message["sent_at"], "leader": "0000",
                "match_index": message["prev_log_index"].as_u64()? + message["entries"].as_array()?.len() as u64,
            }),
            _ => return None,
        };
        reply["src"] = from.into();
        reply["dst"] = "0000".into();
        reply["term"] = message["term"].clone();
        Some(reply)
    }

    /// Puts a value and answers truthfully until the put is acknowledged.
    fn put(&self, mid: &str) {
        for attempt in 0.. {
            let mid = format!("{mid}-{attempt}");
            self.0.ask(id(0), "put", &mid, "k", "v");
            let answer = loop {
                let packet = self.0.hub.sent().recv_timeout(PATIENCE).expect("the replica says something");
                if packet.to == client() {
                    let answer: Value = serde_json::from_slice(&packet.bytes).expect("JSON");
                    if answer["MID"] == mid {
                        break answer;
                    }
                } else {
                    for reply in Self::replies(&packet) {
                        assert!(self.0.hub.deliver(id(0), sealed(&reply)));
                    }
                }
            };
            if answer["type"] == "ok" {
                return;
            }
        }
    }
}

/// Another number to take the place of this one.
fn mad_number(rng: &mut fastrand::Rng, number: u64) -> Value {
    const MAX: u64 = (1 << 53) - 1;
    match rng.u8(..10) {
        0 => 0.into(),
        1 => 1.into(),
        2 => number.saturating_sub(1).into(),
        3 => number.saturating_add(1).into(),
        4 => number.saturating_mul(2).into(),
        5 => MAX.into(),
        6 => (MAX - rng.u64(..1_000)).into(),
        7 => (MAX + 1).into(),
        8 => (-1).into(),
        _ => rng.u64(..=number.saturating_add(10)).into(),
    }
}

#[test]
fn leader_serves_again_after_messages_with_mad_numbers() {
    const ROUNDS: usize = 12;
    const REPLIES_PER_ROUND: usize = 500;
    let mut rng = fastrand::Rng::with_seed(seed());
    let cluster = Cluster::start(3, 1);
    let followers = Followers(&cluster);
    let requests = [
        serde_json::json!({"type": "request_vote", "term": 1, "pre_vote": true, "campaign": 1,
            "last_log_index": 0, "last_log_term": 0, "src": "0001", "dst": "0000", "leader": "FFFF"}),
        serde_json::json!({"type": "append_entries_response", "term": 1, "sent_at": 1, "prev_log_index": 3,
            "conflict_term": 1, "conflict_index": 2, "src": "0001", "dst": "0000", "leader": "0000"}),
        serde_json::json!({"type": "append_entries", "term": 1, "prev_log_index": 0, "prev_log_term": 0,
            "leader_commit": 0, "sent_at": 5, "entries": [], "src": "0001", "dst": "0000", "leader": "0001"}),
        serde_json::json!({"type": "append_entries_response", "term": 1, "sent_at": 1, "match_index": 1,
            "src": "0002", "dst": "0000", "leader": "0000"}),
        serde_json::json!({"type": "request_vote_response", "term": 1, "pre_vote": false, "campaign": 1,
            "granted": true, "src": "0002", "dst": "0000", "leader": "0000"}),
    ];
    for round in 0..ROUNDS {
        followers.put(&format!("put-{round}"));
        for _ in 0..REPLIES_PER_ROUND {
            let mut message = requests[rng.usize(..requests.len())].clone();
            for value in message.as_object_mut().expect("an object").values_mut() {
                if let (Some(number), true) = (value.as_u64(), rng.bool()) {
                    *value = mad_number(&mut rng, number);
                } else if value.is_u64() {
                    *value = (round + 1).into(); // a term or an index near those of the replica
                }
            }
            assert!(cluster.hub.deliver(id(0), sealed(&message)));
        }
    }
    followers.put("last");
    println!("{:?}", cluster.stop());
}
