//! Floods over real sockets: too many, too long or endless messages. The replica keeps its memory
//! bounded, and answers as soon as it gets a request that makes sense.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::process::{Dialect, Process, Voice};

/// More than a replica needs when all its queues are full.
const FULL_QUEUES: u64 = 80 * 1024 * 1024;

/// More than a replica needs when its queues are empty.
const EMPTY_QUEUES: u64 = 20 * 1024 * 1024;

fn start(dialect: Dialect) -> Process {
    Process::start(dialect, 0, 3, &[], |_| ())
}

fn stop(mut replica: Process) {
    replica.signal("TERM");
    assert_eq!(replica.wait().code(), Some(0));
}

fn heartbeat(sent_at: usize) -> Vec<u8> {
    let heartbeat = serde_json::json!({
        "src": "0001", "dst": "0000", "leader": "0001", "type": "append_entries", "term": 1, "prev_log_index": 0,
        "prev_log_term": 0, "leader_commit": 0, "sent_at": sent_at, "entries": [],
    });
    let mut heartbeat = heartbeat.to_string().into_bytes();
    kvstore::wire::seal(&mut heartbeat);
    heartbeat
}

/// Sends so many gets, each of another client, so that the replica redirects each of them at once.
fn ask_much(voice: &Voice, requests: usize, said: &AtomicUsize) {
    const FIRST_CLIENT: usize = 0x15;
    let long = "m".repeat(14_000);
    for n in 0..requests {
        if n % 100 == 0 {
            voice.say(&heartbeat(n + 1));
        }
        // Formatted, because serde_json without optimisation takes most of the time of the test.
        let client = FIRST_CLIENT + n;
        let request = format!(
            r#"{{"src":"{client:04X}","dst":"0000","leader":"FFFF","type":"get","MID":"{n}-{long}","key":"k"}}"#
        );
        voice.say(request.as_bytes());
        said.fetch_add(1, Ordering::Relaxed);
    }
}

/// The number at the beginning of the MID. To parse all of these long messages would take most of
/// the time of the test.
fn number_of_answer(message: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(message).expect("replicas speak UTF-8");
    Some(text.split_once(r#""MID":""#)?.1.split_once('-')?.0)
}

fn replica_whose_answers_are_not_read_pushes_back(dialect: Dialect) {
    const REQUESTS: usize = 7_000;
    let mut replica = start(dialect);
    let voice = replica.voice();
    let said = AtomicUsize::new(0);
    let mut answers: HashMap<String, u32> = HashMap::new();
    thread::scope(|scope| {
        scope.spawn(|| ask_much(&voice, REQUESTS, &said));
        // The loop ends when the replica takes no more, or has taken all.
        let mut before = usize::MAX;
        while before != said.load(Ordering::Relaxed) {
            before = said.load(Ordering::Relaxed);
            thread::sleep(Duration::from_millis(500));
        }
        while answers.len() < REQUESTS {
            let message = replica.hear();
            if let Some(number) = number_of_answer(&message) {
                *answers.entry(number.to_owned()).or_default() += 1;
            }
        }
    });
    assert!(answers.values().all(|&count| count == 1));
    let peak = replica.peak_memory();
    assert!(peak < FULL_QUEUES, "{peak} bytes");
    stop(replica);
}

#[test]
fn seqpacket_replica_whose_answers_are_not_read_pushes_back_and_loses_none() {
    replica_whose_answers_are_not_read_pushes_back(Dialect::Seqpacket);
}

#[test]
fn stream_replica_whose_answers_are_not_read_pushes_back_and_loses_none() {
    replica_whose_answers_are_not_read_pushes_back(Dialect::Stream);
}

#[test]
fn replica_ends_at_sigterm_although_its_answers_are_not_read() {
    for dialect in [Dialect::Seqpacket, Dialect::Stream] {
        let mut replica = start(dialect);
        let voice = replica.voice();
        let said = AtomicUsize::new(0);
        thread::scope(|scope| {
            // The replica's end ends the flood too, with a failed assertion of that thread.
            let flood = scope.spawn(|| ask_much(&voice, 60_000, &said));
            while said.load(Ordering::Relaxed) < 1_000 {
                thread::yield_now();
            }
            replica.signal("TERM");
            assert_eq!(replica.wait().code(), Some(0));
            assert!(flood.join().is_err(), "{} requests were taken", said.load(Ordering::Relaxed));
        });
    }
}

#[test]
fn endless_line_needs_no_memory_and_the_next_message_is_answered() {
    let mut replica = start(Dialect::Stream);
    let voice = replica.voice();
    for (byte, chunks) in [(b'x', 320), (b'\n', 4)] {
        for _ in 0..chunks {
            voice.write(&[byte; 65_536]);
        }
        voice.write(b"\n");
        replica.assert_answers(&format!("after-{byte}"));
    }
    let peak = replica.peak_memory();
    assert!(peak < EMPTY_QUEUES, "{peak} bytes");
    stop(replica);
}

#[test]
fn stream_takes_messages_byte_by_byte_and_many_at_once() {
    let mut replica = start(Dialect::Stream);
    let voice = replica.voice();
    let messages: Vec<u8> = (0..50)
        .flat_map(|n| {
            [crate::process::request(replica.own, "get", &n.to_string(), "k", ""), b"\n".to_vec()].concat()
        })
        .collect();
    for at in 0..messages.len() {
        voice.write(&messages[at..=at]);
    }
    (0..50).for_each(|_| drop(replica.hear_answer()));
    voice.write(&messages);
    (0..50).for_each(|_| drop(replica.hear_answer()));
    stop(replica);
}

#[test]
fn oversized_messages_are_dropped_in_each_dialect() {
    for dialect in Dialect::ALL {
        let mut replica = start(dialect);
        let most = if dialect == Dialect::Udp { 30_000 } else { 150_000 };
        for kind in ["put", "get"] {
            for length in [16_000, 16_384, 17_000, most] {
                let long = "x".repeat(length);
                for n in 0..20 {
                    replica.ask(kind, &format!("{kind}-{length}-{n}"), &long, &long[..length.min(30_000)]);
                    replica.ask(kind, &format!("{kind}-{length}-{n}-value"), "k", &long);
                    replica.say(long.as_bytes());
                }
            }
        }
        replica.assert_answers("after-the-flood");
        let peak = replica.peak_memory();
        assert!(peak < FULL_QUEUES, "{dialect:?}: {peak} bytes");
        stop(replica);
    }
}

#[test]
fn replica_whose_connection_is_closed_half_way_ends() {
    for dialect in [Dialect::Seqpacket, Dialect::Stream] {
        for how in [None, Some(rustix::net::Shutdown::Read), Some(rustix::net::Shutdown::Write)] {
            let mut replica = start(dialect);
            for n in 0..500 {
                replica.ask("get", &n.to_string(), "k", "");
            }
            replica.hang_up(how);
            assert_eq!(replica.wait().code(), Some(0), "{dialect:?} {how:?}");
        }
    }
}
