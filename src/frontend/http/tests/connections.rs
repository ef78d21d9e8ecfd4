//! Connections: bad bytes, slow clients, limits, and the end of the server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::harness::{Fixture, Mode};
use crate::frontend::http::HttpOptions;
use crate::request::Outcome;

const SOON: Duration = Duration::from_millis(20);

#[test]
fn connection_serves_several_requests_also_sent_in_one_go() {
    let fixture = Fixture::start();
    let mut client = fixture.connect();
    client.send_request("PUT", "/kv/k", &[], b"1");
    client.send_request("GET", "/kv/k", &[], b"");
    client.send_request("GET", "/livez", &[], b"");
    assert_eq!(client.receive(false).status, 201);
    assert_eq!(client.receive(false).body, b"1");
    assert_eq!(client.receive(false).body, b"ok\n");
    assert_eq!(fixture.handle.counters().accepted.load(Ordering::Relaxed), 1);
}

#[test]
fn client_that_ends_its_stream_gets_the_answer_that_it_waits_for() {
    let fixture = Fixture::start();
    *fixture.store.mode.lock() = Mode::Silent;
    let mut client = fixture.connect();
    client.send_request("PUT", "/kv/k", &[], b"1");
    client.stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
    fixture.wait_until(|fixture| fixture.store.asked.lock().len() == 1);
    assert_eq!(fixture.get("/livez").status, 200, "the server has had time to see the end");
    fixture.store.answer_all(&Outcome::Fail);
    assert_eq!(client.receive(false).status, 503);
    assert!(client.is_closed());
}

#[test]
fn garbage_gets_an_error_and_ends_its_own_connection_only() {
    let fixture = Fixture::start();
    let long_head = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let many_headers = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    let mut refused = 0;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"GET\r\n\r\n",
        b"GET /kv/\xff\xfe\x00 HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PUT /kv/k HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT /kv/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        many_headers.as_bytes(),
    ] {
        let mut client = fixture.connect();
        client.send(garbage);
        let status = client.receive(false).status;
        assert!((400..500).contains(&status), "{status}: {}", garbage.escape_ascii());
        assert!(client.is_closed());
        refused += 1;
    }
    // The server closes before it has read all of this, and its answer may be lost.
    let mut client = fixture.connect();
    let _closed = std::io::Write::write_all(&mut client.stream, long_head.as_bytes());
    assert!(client.is_closed());
    assert_eq!(fixture.get("/livez").status, 200);
    assert!(fixture.store.asked.lock().is_empty());
    assert!(fixture.handle.counters().protocol_errors.load(Ordering::Relaxed) >= refused - 1);
}

#[test]
fn client_that_sends_its_head_or_nothing_too_slowly_is_cut_off() {
    let fixture = Fixture::with(|options| HttpOptions { head_limit: SOON, ..options });
    for part in [&b""[..], b"GET /li"] {
        let mut client = fixture.connect();
        let _cut_off_already = std::io::Write::write(&mut client.stream, part);
        assert!(client.is_closed());
    }
    fixture.wait_until(|fixture| fixture.handle.counters().slow_clients.load(Ordering::Relaxed) == 2);
}

#[test]
fn client_that_sends_its_body_too_slowly_is_cut_off() {
    let fixture = Fixture::with(|options| HttpOptions { body_limit: SOON, ..options });
    let mut client = fixture.connect();
    client.send(b"PUT /kv/k HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    assert_eq!(client.receive(false).status, 408);
    assert!(client.is_closed());
    assert!(fixture.store.asked.lock().is_empty(), "a part of a value is no value");
}

#[test]
fn body_that_is_cut_off_is_no_value() {
    let fixture = Fixture::start();
    let mut client = fixture.connect();
    client.send(b"PUT /kv/k HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    client.stream.shutdown(std::net::Shutdown::Write).expect("it closes");
    assert!(client.is_closed());
    assert!(fixture.store.asked.lock().is_empty());
}

#[test]
fn client_that_takes_no_answers_is_cut_off() {
    let fixture = Fixture::with(|options| HttpOptions { write_limit: SOON, ..options });
    let mut client = fixture.connect();
    let request = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n".repeat(100);
    // The answers fill the buffers of both sides; then the server reads no more requests.
    client.stream.set_nonblocking(true).expect("it can be set");
    let counters = fixture.handle.counters();
    fixture.wait_until(|_| {
        let _full = std::io::Write::write(&mut &client.stream, &request);
        counters.slow_clients.load(Ordering::Relaxed) == 1
    });
    client.stream.set_nonblocking(false).expect("it can be set");
    assert!(client.is_closed());
    assert_eq!(fixture.get("/livez").status, 200);
}

#[test]
fn client_beyond_the_limit_of_connections_is_told() {
    let fixture = Fixture::with(|options| HttpOptions { max_connections: 1, ..options });
    let mut first = fixture.connect();
    assert_eq!(first.ask("GET", "/livez", &[], b"").status, 200);
    let mut second = fixture.connect();
    let refused = second.receive(false);
    assert_eq!((refused.status, refused.text()), (503, "too many connections\n"));
    assert!(second.is_closed());
    assert_eq!(first.ask("GET", "/livez", &[], b"").status, 200);
    drop(first);
    fixture.wait_until(|fixture| fixture.handle.counters().connections.load(Ordering::Relaxed) == 0);
    assert_eq!(fixture.handle.counters().refused.load(Ordering::Relaxed), 1);
}

#[test]
fn values_beyond_the_memory_for_them_are_refused() {
    let fixture = Fixture::with(|options| HttpOptions { bodies_bytes: 0, ..options });
    let mut first = fixture.connect();
    // This one takes all of it: there is always enough for one value.
    first.send(b"PUT /kv/k HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(first.receive(false).status, 100);
    let refused = fixture.put("/kv/other", b"v");
    assert_eq!((refused.status, refused.text()), (503, "too many values arrive at once\n"));
    first.send(&[b'v'; 1_000]);
    assert_eq!(first.receive(false).status, 201);
    assert_eq!(fixture.put("/kv/other", b"v").status, 201);
}

#[test]
fn server_that_stops_answers_what_it_owes() {
    let fixture = Fixture::start();
    *fixture.store.mode.lock() = Mode::Silent;
    let (mut idle, mut busy) = (fixture.connect(), fixture.connect());
    assert_eq!(idle.ask("GET", "/livez", &[], b"").status, 200);
    busy.send_request("PUT", "/kv/k", &[], b"v");
    fixture.wait_until(|fixture| fixture.store.asked.lock().len() == 1);
    let Fixture { store, handle, .. } = fixture;
    let address = handle.address();
    let stopper = std::thread::spawn(move || handle.stop(super::harness::PATIENCE));
    assert!(idle.is_closed(), "a connection without a request ends at once");
    store.answer_all(&Outcome::Unknown);
    assert_eq!(busy.receive(false).status, 504);
    assert!(busy.is_closed());
    stopper.join().expect("it stops");
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn server_that_stops_does_not_wait_longer_than_it_may() {
    let fixture = Fixture::start();
    *fixture.store.mode.lock() = Mode::Silent;
    let mut busy = fixture.connect();
    busy.send_request("PUT", "/kv/k", &[], b"v");
    fixture.wait_until(|fixture| fixture.store.asked.lock().len() == 1);
    fixture.handle.stop(SOON);
    assert!(busy.is_closed());
}
