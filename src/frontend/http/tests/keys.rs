//! Requests for keys: status codes, conditions, names, and bodies.

use super::harness::{Fixture, MAX_VALUE_BYTES, Mode, bytes, is_linearizable};
use crate::frontend::store::Freshness;
use crate::operation::Operation;
use crate::reply::{Refusal, Reply};
use crate::request::Outcome;
use crate::testkit::{id, request_id};

#[test]
fn value_that_was_put_is_read_with_its_revision_as_the_tag() {
    let fixture = Fixture::start();
    let created = fixture.put("/kv/greeting", b"hello\0\xff");
    assert_eq!((created.status, created.text(), created.tag()), (201, "", "\"1\""));
    let read = fixture.get("/kv/greeting");
    assert_eq!((read.status, &read.body[..], read.tag()), (200, &b"hello\0\xff"[..], "\"1\""));
    assert_eq!(read.header("content-type"), Some("application/octet-stream"));
    assert_eq!(read.header("cache-control"), Some("no-cache"));
    let replaced = fixture.put("/kv/greeting", b"");
    assert_eq!((replaced.status, replaced.tag()), (204, "\"2\""));
    let read = fixture.get("/kv/greeting");
    assert_eq!((read.status, read.text(), read.tag()), (200, "", "\"2\""));
    let deleted = fixture.ask("DELETE", "/kv/greeting", &[], b"");
    assert_eq!((deleted.status, deleted.text()), (204, ""));
    let read = fixture.get("/kv/greeting");
    assert_eq!((read.status, read.text(), read.header("etag")), (404, "", None));
    assert_eq!(fixture.ask("DELETE", "/kv/greeting", &[], b"").status, 404);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let fixture = Fixture::start();
    fixture.put("/kv/k", b"12345");
    let mut client = fixture.connect();
    let head = client.ask("HEAD", "/kv/k", &[], b"");
    assert_eq!((head.status, head.tag(), head.header("content-length")), (200, "\"1\"", Some("5")));
    assert_eq!(client.ask("HEAD", "/kv/other", &[], b"").status, 404);
    assert_eq!(client.ask("GET", "/kv/k", &[], b"").body, b"12345", "the connection is in step");
}

#[test]
fn key_is_any_bytes() {
    let fixture = Fixture::start();
    for (written, read) in [("/kv/", "/kv/"), ("/kv/a/b", "/kv/a%2Fb"), ("/kv/%00%FF", "/kv/%00%ff")] {
        assert_eq!(fixture.put(written, written.as_bytes()).status, 201, "{written}");
        assert_eq!(fixture.get(read).text(), written, "{read}");
    }
    assert_eq!(fixture.get("/kv/%zz").status, 400);
    assert_eq!(fixture.get("/kv").status, 404);
}

#[test]
fn write_under_a_condition_takes_effect_only_if_it_holds() {
    let fixture = Fixture::start();
    let put = |name, value, body: &[u8]| fixture.ask("PUT", "/kv/k", &[(name, value)], body).status;
    assert_eq!(put("If-Match", "*", b"0"), 412, "there is no such key");
    assert_eq!(put("If-Match", "\"1\"", b"0"), 412);
    assert_eq!(put("If-None-Match", "*", b"1"), 201);
    assert_eq!(put("If-None-Match", "*", b"2"), 412);
    let tag = fixture.get("/kv/k").tag().to_owned();
    assert_eq!(put("If-Match", "\"999\"", b"3"), 412, "a later revision is another one");
    assert_eq!(put("If-Match", "\"x\"", b"3"), 412);
    assert_eq!(fixture.get("/kv/k").text(), "1");
    assert_eq!(put("If-Match", &tag, b"4"), 204);
    assert_eq!(put("If-Match", &tag, b"5"), 412, "the key has changed");
    assert_eq!(put("If-Match", "*", b"6"), 204);
    assert_eq!(put("If-Match", "1, 2", b"7"), 400);
    assert_eq!(fixture.get("/kv/k").text(), "6");
}

#[test]
fn delete_under_a_condition_deletes_that_revision_only() {
    let fixture = Fixture::start();
    let delete = |name, value| fixture.ask("DELETE", "/kv/k", &[(name, value)], b"").status;
    assert_eq!([delete("If-Match", "*"), delete("If-Match", "1")], [412, 412], "there is no such key");
    fixture.put("/kv/k", b"1");
    let tag = fixture.put("/kv/k", b"2").tag().to_owned();
    for other in ["1", "999999", "x"] {
        assert_eq!(delete("If-Match", other), 412, "{other}");
    }
    assert_eq!(delete("If-None-Match", "*"), 400);
    assert_eq!(fixture.get("/kv/k").text(), "2");
    assert_eq!(delete("If-Match", &tag), 204);
    assert_eq!(fixture.get("/kv/k").status, 404);
    fixture.put("/kv/k", b"3");
    assert_eq!(delete("If-Match", "*"), 204);
    assert_eq!(fixture.get("/kv/k").status, 404);
}

#[test]
fn client_that_has_the_value_gets_none() {
    let fixture = Fixture::start();
    let tag = fixture.put("/kv/k", b"v").tag().to_owned();
    let get = |tag| fixture.ask("GET", "/kv/k", &[("If-None-Match", tag)], b"");
    let known = get(&tag);
    assert_eq!((known.status, known.tag(), known.text()), (304, &*tag, ""));
    assert_eq!((get("\"77\"").status, get("\"77\"").text()), (200, "v"));
}

#[test]
fn write_with_a_name_takes_effect_once() {
    let fixture = Fixture::start();
    let put = |key, body| fixture.ask("PUT", "/kv/k", &[("Idempotency-Key", key)], body);
    let first = put("00C1-1", b"1");
    assert_eq!((first.status, first.tag()), (201, "\"1\""));
    assert_eq!(put("00C1-2", b"2").status, 204);
    let again = put("00c1-1", b"1");
    assert_eq!((again.status, again.tag()), (201, "\"1\""), "the answer to the first one");
    assert_eq!(fixture.get("/kv/k").text(), "2");
    let reused = put("00C1-1", b"other");
    assert_eq!(reused.status, 422, "{}", reused.text());
    let delete = || fixture.ask("DELETE", "/kv/k", &[("Idempotency-Key", "00C1-3")], b"").status;
    assert_eq!([delete(), delete()], [204, 204]);
    let asked = fixture.store.asked.lock();
    let names: Vec<_> = asked.iter().filter_map(|question| question.name.clone()).collect();
    assert_eq!(names[0], request_id(id(0xC1), "1"));
}

#[test]
fn name_that_is_none_or_a_replicas_own_is_refused() {
    let fixture = Fixture::start();
    for key in ["", "x", "00C1", "FFFF-1", "0002-1"] {
        let refused = fixture.ask("PUT", "/kv/k", &[("Idempotency-Key", key)], b"v");
        assert_eq!(refused.status, 400, "{key}: {}", refused.text());
    }
    assert!(fixture.store.asked.lock().is_empty());
}

#[test]
fn outcomes_of_the_store_have_status_codes() {
    let fixture = Fixture::start();
    let refusal = |refusal| Outcome::Done(Reply::Error(refusal));
    for (outcome, read, write) in [
        (Outcome::Unknown, 503, 504),
        (Outcome::Fail, 503, 503),
        (Outcome::Redirect, 503, 503),
        (refusal(Refusal::Forgotten), 409, 409),
        (refusal(Refusal::SessionExpired), 409, 409),
        (refusal(Refusal::ReplyTooLong), 500, 500),
        (Outcome::Done(Reply::Ok), 500, 500),
    ] {
        *fixture.store.mode.lock() = Mode::Says(outcome.clone());
        assert_eq!(fixture.get("/kv/k").status, read, "{outcome:?}");
        assert_eq!(fixture.put("/kv/k", b"v").status, write, "{outcome:?}");
    }
}

#[test]
fn write_of_unknown_outcome_says_so_and_is_not_repeated() {
    let fixture = Fixture::start();
    *fixture.store.mode.lock() = Mode::Says(Outcome::Unknown);
    for method in ["PUT", "DELETE"] {
        let unknown = fixture.ask(method, "/kv/k", &[], b"");
        assert_eq!(unknown.status, 504);
        assert!(unknown.text().contains("may or may not take effect"), "{}", unknown.text());
        assert!(unknown.text().contains("not repeated"));
    }
    assert_eq!(fixture.store.asked.lock().len(), 2);
}

#[test]
fn store_that_never_answers_makes_a_write_unknown() {
    let fixture = Fixture::with(|mut options| {
        options.store_limit = std::time::Duration::from_millis(5);
        options
    });
    *fixture.store.mode.lock() = Mode::Silent;
    assert_eq!(fixture.put("/kv/k", b"v").status, 504);
    assert_eq!(fixture.get("/kv/k").status, 503);
}

#[test]
fn stale_read_asks_for_this_replicas_own_state() {
    let fixture = Fixture::start();
    fixture.put("/kv/k", b"v");
    fixture.store.asked.lock().clear();
    assert_eq!(fixture.get("/kv/k?stale=2.5").text(), "v");
    let asked = std::mem::take(&mut *fixture.store.asked.lock());
    assert!(asked.iter().all(|question| question.freshness == Freshness::Local(2_500_000)), "{asked:?}");
    assert_eq!(fixture.get("/kv/k").text(), "v");
    assert!(std::mem::take(&mut *fixture.store.asked.lock()).iter().all(is_linearizable));
    *fixture.store.mode.lock() = Mode::Says(Outcome::Fail);
    let old = fixture.get("/kv/k?stale=1");
    assert_eq!((old.status, old.text()), (503, "the state of this replica is too old\n"));
    for target in ["/kv/k?stale=x", "/kv/k?fresh=1"] {
        assert_eq!(fixture.get(target).status, 400, "{target}");
    }
    assert_eq!(fixture.put("/kv/k?stale=1", b"v").status, 400);
}

#[test]
fn read_is_one_question_for_value_revision_and_time_to_live() {
    let fixture = Fixture::start();
    fixture.put("/kv/k", b"v");
    assert_eq!(fixture.get("/kv/k").header("kv-time-to-live"), None);
    fixture.store.asked.lock().clear();
    assert_eq!(fixture.get("/kv/k").text(), "v");
    let asked = std::mem::take(&mut *fixture.store.asked.lock());
    let commands: Vec<_> = asked.into_iter().map(|question| question.command).collect();
    assert_eq!(commands, [Operation::GetWithRevision { key: bytes("k") }.into()]);
    let found = [Reply::Bytes("w".into()), Reply::Integer(9), Reply::Integer(1_500)];
    *fixture.store.mode.lock() = Mode::Says(Outcome::Done(Reply::Array(found.into())));
    let read = fixture.get("/kv/k");
    assert_eq!((read.text(), read.tag(), read.header("kv-time-to-live")), ("w", "\"9\"", Some("1500")));
}

#[test]
fn value_beyond_the_limit_is_refused() {
    let fixture = Fixture::start();
    assert_eq!(fixture.put("/kv/k", &[b'v'; MAX_VALUE_BYTES]).status, 201);
    for beyond in [1, 1 << 20] {
        let refused = fixture.put("/kv/k", &vec![b'v'; MAX_VALUE_BYTES + beyond]);
        assert_eq!((refused.status, refused.text()), (413, "a value has at most 1000 bytes\n"));
        assert_eq!(refused.header("connection"), Some("close"));
    }
    // A body whose length the head does not say.
    let chunked = |length: usize| {
        let mut client = fixture.connect();
        client.send(b"PUT /kv/c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(format!("{length:x}\r\n{}\r\n0\r\n\r\n", "v".repeat(length)).as_bytes());
        client.receive(false)
    };
    assert_eq!(chunked(MAX_VALUE_BYTES).status, 201);
    let asked = fixture.store.asked.lock().len();
    assert_eq!(chunked(MAX_VALUE_BYTES + 1).status, 413);
    assert_eq!(fixture.store.asked.lock().len(), asked, "the store does not see it");
    assert_eq!(fixture.get("/kv/k").body.len(), MAX_VALUE_BYTES);
}

#[test]
fn state_machine_with_a_lower_limit_refuses_a_value_as_too_long() {
    let fixture = Fixture::with(|mut options| {
        options.max_value_bytes = 2 * MAX_VALUE_BYTES;
        options
    });
    assert_eq!(fixture.put("/kv/k", &[b'v'; MAX_VALUE_BYTES + 1]).status, 413);
    assert_eq!(fixture.get("/kv/k").status, 404);
}

#[test]
fn keys_need_the_password_and_pages_do_not() {
    let fixture = Fixture::with(|mut options| {
        options.password = Some("secret".into());
        options
    });
    let asks = |target, headers: &[(&str, &str)]| fixture.ask("GET", target, headers, b"").status;
    for headers in [&[][..], &[("Authorization", "Bearer wrong")], &[("Authorization", "Basic OndyZW5n")]] {
        assert_eq!(asks("/kv/k", headers), 401, "{headers:?}");
    }
    let refused = fixture.put("/kv/k", b"v");
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"kvstore\""));
    assert!(fixture.store.asked.lock().is_empty(), "a stranger costs the store nothing");
    for right in ["Bearer secret", "Basic bWU6c2VjcmV0"] {
        assert_eq!(asks("/kv/k", &[("Authorization", right)]), 404, "{right}");
    }
    for page in ["/livez", "/readyz", "/status", "/metrics"] {
        assert_eq!(asks(page, &[]), 200, "{page}");
    }
}

#[test]
fn other_methods_are_refused_with_those_that_there_are() {
    let fixture = Fixture::start();
    for (target, allowed) in
        [("/kv/k", "GET, HEAD, PUT, DELETE"), ("/status", "GET, HEAD"), ("/readyz", "GET, HEAD")]
    {
        let refused = fixture.ask("POST", target, &[], b"");
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allowed)), "{target}");
    }
    assert_eq!(fixture.get("/other").status, 404);
}
