//! Bounds: no client hurts another.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::super::{Handle, ServerOptions};
use super::world::{Client, Questions, request, serve, serve_machine, wait_for};
use crate::frontend::redis::connection::Settings;
use crate::reply::Reply;
use crate::request::Outcome;

fn wait_until_is_1(handle: &Handle, counter: impl Fn(&super::super::ServerCounters) -> &AtomicU64) {
    let counters = handle.counters();
    wait_for(|| (counter(&counters).load(Ordering::Relaxed) == 1).then_some(()));
}

#[test]
fn client_that_takes_no_replies_is_dropped_and_others_are_served() {
    let connection = Settings { output_bytes: 100_000, ..Settings::default() };
    let handle = serve_machine(ServerOptions { connection, ..ServerOptions::default() });
    let (mut slow, mut good) = (Client::of(&handle), Client::of(&handle));
    good.send(request(&[b"SET", b"a", &[b'a'; 10_000]]));
    good.expect("+OK\r\n");
    slow.send("GET a\r\n".repeat(50));
    wait_until_is_1(&handle, |counters| &counters.slow_clients);
    good.ask("STRLEN a", ":10000\r\n");
}

#[test]
fn client_that_takes_no_replies_is_not_read_any_more() {
    let handle = serve_machine(ServerOptions::default());
    let (mut slow, mut good) = (Client::of(&handle), Client::of(&handle));
    good.send(request(&[b"SET", b"a", &[b'a'; 100_000]]));
    good.expect("+OK\r\n");
    slow.0.set_nonblocking(true).expect("a socket");
    // The sockets hold some megabytes on the way, the server a few more.
    let flood = "GET a\r\n".repeat(1_000);
    loop {
        match slow.0.write(flood.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    good.ask("STRLEN a", ":100000\r\n");
    let held = handle.counters().held_bytes.load(Ordering::Relaxed);
    assert!(held < 16 << 20, "{held}");
}

#[test]
fn client_that_floods_does_not_keep_others_from_being_served() {
    let handle = serve_machine(ServerOptions::default());
    let mut flooding = Client::of(&handle).0;
    let mut taking = flooding.try_clone().expect("a second handle");
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let writer = thread::spawn(move || {
        let flood = "INCR n\r\n".repeat(4_000);
        while !ends.load(Ordering::SeqCst) && flooding.write_all(flood.as_bytes()).is_ok() {}
    });
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        while taking.read(&mut buffer).is_ok_and(|length| length > 0) {}
    });
    let mut good = Client::of(&handle);
    for _ in 0..100 {
        good.ask("PING", "+PONG\r\n");
    }
    is_over.store(true, Ordering::SeqCst);
    drop(handle);
    writer.join().expect("it ends");
    reader.join().expect("it ends");
}

#[test]
fn client_beyond_the_most_is_refused_until_another_one_leaves() {
    let handle = serve_machine(ServerOptions { max_connections: 2, ..ServerOptions::default() });
    let (mut first, mut second) = (Client::of(&handle), Client::of(&handle));
    first.ask("PING", "+PONG\r\n");
    second.ask("PING", "+PONG\r\n");
    Client::of(&handle).expect_end("-ERR max number of clients reached\r\n");
    assert_eq!(handle.counters().refused.load(Ordering::Relaxed), 1);
    first.ask("QUIT", "+OK\r\n");
    first.expect_end("");
    Client::of(&handle).ask("PING", "+PONG\r\n");
}

#[test]
fn connection_that_holds_the_most_is_dropped_when_all_hold_too_much() {
    let handle = serve_machine(ServerOptions { memory_bytes: 400_000, ..ServerOptions::default() });
    let (mut large, mut small) = (Client::of(&handle), Client::of(&handle));
    small.send("MULTI\r\nSET a 1\r\n");
    small.expect("+OK\r\n+QUEUED\r\n");
    // The argument never ends.
    large.send(format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\n{}", "a".repeat(600_000)));
    large.expect_end("");
    wait_until_is_1(&handle, |counters| &counters.evicted);
    small.ask("EXEC", "*1\r\n+OK\r\n");
}

#[test]
fn connection_that_holds_more_than_its_share_is_refused_when_memory_is_short() {
    let handle = serve_machine(ServerOptions { memory_bytes: 1_000_000, ..ServerOptions::default() });
    let (mut large, mut small) = (Client::of(&handle), Client::of(&handle));
    large.ask("MULTI", "+OK\r\n");
    let set = request(&[b"SET", b"a", &[b'a'; 10_000]]);
    for _ in 0..75 {
        large.send(&set);
        large.expect("+QUEUED\r\n");
    }
    small.ask("SET b 1", "+OK\r\n");
    let refusal = "OOM command not allowed when used memory > 'maxmemory'.";
    large.ask("PING", "+QUEUED\r\n");
    large.ask("SET a 1", &format!("-{refusal}\r\n"));
    large.ask("EXEC", &format!("-EXECABORT Transaction discarded because of: {refusal}\r\n"));
    large.ask("SET a 1", "+OK\r\n");
    assert_eq!(handle.counters().evicted.load(Ordering::Relaxed), 0);
}

#[test]
fn idle_connections_hold_next_to_nothing() {
    let handle = serve_machine(ServerOptions::default());
    let mut clients: Vec<Client> = (0..100).map(|_| Client::of(&handle)).collect();
    let value = [b'a'; 100_000];
    for client in &mut clients {
        client.send(request(&[b"SET", b"a", &value]));
        client.expect("+OK\r\n");
        client.send("GET a\r\n".repeat(20));
        for _ in 0..20 {
            client.expect([b"$100000\r\n", &value[..], b"\r\n"].concat());
        }
        client.ask("PING", "+PONG\r\n");
    }
    let held = handle.counters().held_bytes.load(Ordering::Relaxed);
    assert!(held / 100 <= 2_048, "{held} bytes: 5,000 would hold 10 MiB or more");
}

#[test]
fn idle_client_is_closed_if_the_operator_wants_that() {
    let idle_timeout = Some(Duration::from_secs(1));
    let handle = serve_machine(ServerOptions { idle_timeout, ..ServerOptions::default() });
    let mut idle = Client::of(&handle);
    idle.expect_end("");
    wait_until_is_1(&handle, |counters| &counters.idle_clients);
}

#[test]
fn client_that_waits_for_a_reply_is_not_idle() {
    let store = Arc::new(Questions::default());
    let idle_timeout = Some(Duration::from_secs(1));
    let options = ServerOptions { idle_timeout, ..ServerOptions::default() };
    let handle = serve(options, Arc::clone(&store) as _);
    let mut waiting = Client::of(&handle);
    waiting.send("GET a\r\n");
    let (_, answer) = store.next();
    Client::of(&handle).expect_end("");
    answer(Outcome::Done(Reply::Nil));
    waiting.expect("$-1\r\n");
}
