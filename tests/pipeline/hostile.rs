//! A replica under fire: whatever arrives, it counts, drops and goes on.

use crate::cluster::{CLIENT, Cluster, id};

/// Messages such as a replica gets, to be spoiled.
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

/// What stands for something in JSON or here, so that spoiled messages are often still JSON.
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
    bytes
}

/// The replica still answers, exactly once.
fn assert_alive(cluster: &Cluster, mid: &str) {
    cluster.ask(id(0), "get", mid, "k", "");
    while cluster.next_answer(|packet| packet.to == CLIENT.parse().ok())["MID"] != mid {}
}

#[test]
fn a_hundred_thousand_spoiled_messages_do_no_harm() {
    const MESSAGES: u64 = 100_000;
    const ALIVE_EVERY: u64 = 10_000;
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
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
fn what_is_no_message_at_all_is_dropped() {
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
