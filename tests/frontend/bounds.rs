//! The order of asks and replies, and the bounds of a connection whose store is slow.

use kvstore::command::Command;
use kvstore::frontend::redis::ask::{Ask, AskLimits};
use kvstore::frontend::redis::connection::{Connection, Ends, Settings};
use kvstore::frontend::redis::request::RequestLimits;
use kvstore::operation::Operation;
use kvstore::reply::Reply;
use kvstore::request::Outcome;

use super::world::{Surroundings, World, request};

fn connection(settings: Settings) -> Connection {
    Connection::new(Ends::default(), settings, 0)
}

fn send(connection: &mut Connection, text: &str) -> Vec<Ask> {
    connection.receive(text.as_bytes(), &mut Surroundings::default());
    connection.take_asks()
}

fn answer(connection: &mut Connection, ask: &Ask, outcome: Outcome) -> Vec<Ask> {
    connection.answer(ask.ticket, outcome, &mut Surroundings::default());
    connection.take_asks()
}

fn output(connection: &mut Connection) -> String {
    let output = String::from_utf8_lossy(connection.output()).into_owned();
    connection.sent(output.len(), &mut Surroundings::default());
    output
}

fn integer(number: i64) -> Outcome {
    Outcome::Done(Reply::Integer(number))
}

#[test]
fn replies_leave_in_the_order_of_requests_whatever_the_order_of_answers() {
    let mut connection = connection(Settings::default());
    let asks = send(&mut connection, "INCR a\r\nINCR b\r\nPING\r\nINCR c\r\n");
    assert_eq!(asks.len(), 3);
    answer(&mut connection, &asks[2], integer(3));
    answer(&mut connection, &asks[1], integer(2));
    assert_eq!(output(&mut connection), "");
    answer(&mut connection, &asks[0], integer(1));
    assert_eq!(output(&mut connection), ":1\r\n:2\r\n+PONG\r\n:3\r\n");
    // The second answer to a ticket, and one to a ticket that was never given.
    answer(&mut connection, &asks[0], integer(9));
    connection.answer(99, integer(9), &mut Surroundings::default());
    assert_eq!(output(&mut connection), "");
}

#[test]
fn read_waits_for_writes_before_it_and_write_for_reads() {
    let mut connection = connection(Settings::default());
    let writes = send(&mut connection, "INCR a\r\nINCR b\r\nGET a\r\nGET b\r\nINCR a\r\n");
    assert_eq!(writes.len(), 2);
    assert!(!connection.wants_input());
    assert!(answer(&mut connection, &writes[0], integer(1)).is_empty());
    let reads = answer(&mut connection, &writes[1], integer(1));
    assert_eq!(reads.len(), 2);
    assert!(reads.iter().all(|ask| ask.command.is_read()));
    assert!(answer(&mut connection, &reads[1], Outcome::Done(Reply::Nil)).is_empty());
    assert_eq!(answer(&mut connection, &reads[0], Outcome::Done(Reply::Nil)).len(), 1);
    assert!(connection.wants_input());
}

#[test]
fn outcome_that_is_unknown_has_an_error_of_its_own() {
    let cases = [
        ("SET a 1\r\n", Outcome::Unknown, "-UNKNOWN "),
        ("SET a 1\r\n", Outcome::Redirect, "-UNKNOWN "),
        ("SET a 1\r\n", Outcome::Fail, "-CLUSTERDOWN "),
        ("GET a\r\n", Outcome::Unknown, "-CLUSTERDOWN "),
        ("GET a\r\n", Outcome::Fail, "-CLUSTERDOWN "),
        ("READONLY\r\nGET a\r\n", Outcome::Fail, "+OK\r\n-MASTERDOWN "),
        ("MULTI\r\nSET a 1\r\nEXEC\r\n", Outcome::Unknown, "+OK\r\n+QUEUED\r\n-UNKNOWN "),
    ];
    for (text, outcome, expected) in cases {
        let mut connection = connection(Settings::default());
        let asks = send(&mut connection, text);
        answer(&mut connection, &asks[0], outcome.clone());
        let output = output(&mut connection);
        assert!(output.starts_with(expected), "{text:?} {outcome:?}: {output:?}");
    }
}

#[test]
fn transaction_does_not_run_if_a_key_could_not_be_watched() {
    let mut connection = connection(Settings::default());
    let asks = send(&mut connection, "WATCH a b\r\nMULTI\r\nSET a 1\r\nEXEC\r\nGET a\r\n");
    assert_eq!(asks.len(), 2, "nothing runs before the revisions are known");
    answer(&mut connection, &asks[0], integer(7));
    let next = answer(&mut connection, &asks[1], Outcome::Fail);
    assert_eq!(next.len(), 1, "the transaction is none");
    assert!(next[0].command.is_read());
    let output = output(&mut connection);
    assert!(output.starts_with("-CLUSTERDOWN ") && output.contains("QUEUED\r\n-EXECABORT "), "{output:?}");
}

#[test]
fn transaction_is_one_batch_with_the_revisions_that_watch_has_read() {
    let mut connection = connection(Settings::default());
    let asks = send(&mut connection, "READONLY\r\nWATCH a b\r\n");
    assert!(asks.iter().all(|ask| !ask.is_local), "a watched revision is never an old one");
    answer(&mut connection, &asks[0], integer(7));
    answer(&mut connection, &asks[1], integer(8));
    let reads = send(&mut connection, "GET a\r\n");
    assert!(!reads[0].is_local, "nor is a value that is read after it");
    answer(&mut connection, &reads[0], Outcome::Done(Reply::Nil));
    let asks = send(&mut connection, "MULTI\r\nSET a 1\r\nMGET a b\r\nEXEC\r\n");
    let Command::Batch(batch) = &asks[0].command else { panic!("{asks:?}") };
    let watches: Vec<_> = batch.watches.iter().map(|watch| (&*watch.key, watch.unchanged_since)).collect();
    assert_eq!(watches, [(&b"a"[..], 7), (b"b", 8)]);
    let both = Operation::GetMany { keys: vec!["a".into(), "b".into()] };
    let expected = [Operation::set("a", "1"), both];
    assert_eq!(batch.operations, expected);
    answer(&mut connection, &asks[0], Outcome::Done(Reply::Nil));
    assert!(output(&mut connection).ends_with("+QUEUED\r\n+QUEUED\r\n*-1\r\n"));
    assert!(send(&mut connection, "GET a\r\n")[0].is_local);
}

#[test]
fn connection_does_not_ask_or_read_beyond_its_bounds() {
    let settings = Settings { asks: AskLimits { reads: 2, writes: 4, bytes: 100 }, ..Settings::default() };
    let mut many = connection(settings.clone());
    let mut asks = send(&mut many, &"INCR a\r\n".repeat(10));
    assert_eq!(asks.len(), 4);
    assert!(!many.wants_input());
    let mut answered = 0;
    while let Some(ask) = asks.pop() {
        asks.extend(answer(&mut many, &ask, integer(1)));
        answered += 1;
    }
    assert_eq!((answered, output(&mut many)), (10, ":1\r\n".repeat(10)));
    assert!(many.wants_input());
    assert_eq!(send(&mut many, &"GET a\r\n".repeat(10)).len(), 2);
    let mut large = connection(settings);
    let value = "x".repeat(200);
    assert_eq!(send(&mut large, &format!("SET a {value}\r\nSET b {value}\r\n")).len(), 1);
}

#[test]
fn requests_wait_until_the_client_takes_its_replies() {
    let settings = Settings { pause_bytes: 100, ..Settings::default() };
    let mut connection = connection(settings);
    send(&mut connection, &"PING\r\n".repeat(1_000));
    let mut replies = 0;
    while !connection.output().is_empty() {
        assert!(connection.output().len() < 200);
        assert_eq!(connection.wants_input(), connection.output().len() < 100);
        replies += output(&mut connection).len() / 7;
    }
    assert_eq!(replies, 1_000);
}

#[test]
fn client_that_takes_no_replies_is_dropped() {
    let settings = Settings { output_bytes: 1_000, ..Settings::default() };
    let mut connection = connection(settings);
    let asks = send(&mut connection, &"GET a\r\n".repeat(20));
    for ask in asks.iter().rev() {
        answer(&mut connection, ask, Outcome::Done(Reply::Bytes(vec![b'x'; 100].into())));
    }
    assert!(connection.is_dropped() && connection.is_over() && connection.output().is_empty());
    assert!(!connection.wants_input());
    assert!(send(&mut connection, "INCR a\r\n").is_empty());
}

#[test]
fn transaction_and_its_watches_are_bounded() {
    let mut world = World::new(Settings::default());
    world.send(1, b"MULTI\r\n");
    world.send(1, &b"SET a 1\r\n".repeat(1_024));
    let refused = world.send(1, b"SET a 1\r\nEXEC\r\n");
    assert_eq!(
        String::from_utf8_lossy(&refused),
        "-ERR a transaction has at most 1024 commands\r\n\
         -EXECABORT Transaction discarded because of previous errors.\r\n"
    );
    let keys: Vec<String> = (0..1_025).map(|key| key.to_string()).collect();
    let words: Vec<&str> = ["WATCH"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    assert_eq!(world.send(1, &request(&words)), b"-ERR a transaction watches at most 1024 keys\r\n");
    assert_eq!(
        String::from_utf8_lossy(&world.send(1, b"MULTI\r\nSET b 1\r\nEXEC\r\nGET b\r\n")),
        "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n",
        "no key was watched"
    );
    let requests = RequestLimits { request_bytes: 1_000, ..RequestLimits::default() };
    let mut world = World::new(Settings { requests, ..Settings::default() });
    world.send(1, b"MULTI\r\n");
    world.send(1, &b"SET a 0123456789\r\n".repeat(90));
    let refused = world.send(1, b"ECHO 0123456789\r\n");
    assert_eq!(refused, b"-ERR a transaction has at most 1000 bytes\r\n");
}

#[test]
fn transaction_whose_watch_found_no_memory_is_refused() {
    let mut world = World::new(Settings::default());
    world.surroundings.lacks_memory = true;
    assert!(world.send(1, b"WATCH a\r\n").starts_with(b"-OOM "));
    world.surroundings.lacks_memory = false;
    assert_eq!(
        String::from_utf8_lossy(&world.send(1, b"MULTI\r\nSET b 1\r\nEXEC\r\nGET b\r\n")),
        "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n"
    );
}

#[test]
fn keys_and_random_key_see_every_key() {
    let mut world = World::new(Settings::default());
    for key in 0..5_000 {
        world.send(1, format!("SET key:{key} 1\r\n").as_bytes());
    }
    assert!(world.send(1, b"KEYS *\r\n").starts_with(b"*5000\r\n"));
    assert!(world.send(1, b"KEYS key:123?\r\n").starts_with(b"*10\r\n"));
    let mut found = std::collections::BTreeSet::new();
    for random in 0..200_u64 {
        world.surroundings.random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        found.insert(world.send(1, b"RANDOMKEY\r\n"));
    }
    assert!(found.len() > 150, "{}", found.len());
    world.surroundings.random = u64::MAX;
    assert!(world.send(1, b"RANDOMKEY\r\n").starts_with(b"$"), "the scan begins at the first key again");
    world.send(1, b"FLUSHALL\r\n");
    assert_eq!(world.send(1, b"RANDOMKEY\r\n"), b"$-1\r\n");
}

#[test]
fn client_kill_names_the_connections_that_close() {
    let mut world = World::new(Settings::default());
    let mut other = connection(Settings::default());
    send(&mut other, "CLIENT SETNAME other\r\n");
    let description = other.describe(0);
    world.surroundings.others = vec![description];
    assert_eq!(world.send(5, b"CLIENT KILL TYPE normal\r\n"), b":1\r\n");
    assert_eq!(world.connection(5).take_kills(), [0]);
    assert!(!world.connection(5).is_over());
    let list = world.send(5, b"CLIENT LIST\r\n");
    let list = String::from_utf8_lossy(&list);
    assert!(list.contains("id=0 ") && list.contains("name=other") && list.contains("id=5 "), "{list}");
    assert_eq!(world.send(5, b"CLIENT KILL ID 5 SKIPME no\r\nPING\r\n"), b":1\r\n");
    assert!(world.connection(5).is_over());
}

#[test]
fn subscriptions_of_a_client_are_bounded() {
    let mut connection = connection(Settings::default());
    let long = "x".repeat(40_000);
    send(&mut connection, &format!("SUBSCRIBE {long}\r\nUNSUBSCRIBE\r\nSUBSCRIBE {long}\r\n"));
    assert!(!output(&mut connection).contains("ERR"));
    send(&mut connection, &format!("PSUBSCRIBE {long}\r\nPSUBSCRIBE y\r\n"));
    let refused = "-ERR too many subscriptions\r\n";
    assert_eq!(output(&mut connection), format!("{refused}*3\r\n$10\r\npsubscribe\r\n$1\r\ny\r\n:2\r\n"));
    send(&mut connection, &format!("UNSUBSCRIBE {}\r\n", "a ".repeat(1_025)));
    assert_eq!(output(&mut connection), refused);
}

#[test]
fn argument_and_reads_follow_the_length_of_values() {
    let settings = Settings::default().for_values(4 << 20);
    let reads = "GET a\r\n".repeat(60);
    assert_eq!(send(&mut connection(Settings::default().for_values(1 << 20)), &reads).len(), 60);
    let mut slow = connection(settings.clone());
    let asks = send(&mut slow, &reads);
    assert_eq!(asks.len(), 15, "60 values of 4 MiB are more than a client's output takes");
    let value = Outcome::Done(Reply::Bytes(vec![b'v'; 4 << 20].into()));
    asks.iter().for_each(|ask| drop(answer(&mut slow, ask, value.clone())));
    assert!(!slow.is_dropped());
    for (length, is_refused) in [(4 << 20, false), ((4 << 20) + 1, true)] {
        let mut connection = connection(settings.clone());
        send(&mut connection, &format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n${length}\r\n"));
        assert_eq!(connection.is_malformed(), is_refused, "{length}");
    }
}
