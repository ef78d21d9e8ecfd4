//! A store whose keys and values take all the memory that they may, beside a Redis that has none.

use super::real::{self, Client};
use super::world::{World, request, words};

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";
const ABORTED_NOW: &str = "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n";
const OK: &str = "+OK\r\n";
const QUEUED: &str = "+QUEUED\r\n";

/// A request and its reply, or the moment from which on the memory is full or is not.
enum Step {
    Full(bool),
    Says(&'static str, &'static str),
}

use Step::{Full, Says};

const STEPS: &[Step] = &[
    Says("SET a 1", OK),
    Full(true),
    Says("SET a 2", OOM),
    Says("APPEND a 2", OOM),
    Says("INCR a", OOM),
    Says("SETNX a 2", OOM),
    Says("MSET a 2 b 3", OOM),
    Says("SETRANGE a 0 x", OOM),
    Says("GET a", "$1\r\n1\r\n"),
    Says("EXPIRE a 1000", ":1\r\n"),
    Says("GETEX a PERSIST", "$1\r\n1\r\n"),
    Says("DEL b", ":0\r\n"),
    Says("PING", "+PONG\r\n"),
    // Redis lets no command wait for EXEC without memory, whatever the command is.
    Says("MULTI", OK),
    Says("GET a", OOM),
    Says("SET a 2", OOM),
    Says("PING", OOM),
    Says("MULTI", OOM),
    Says("UNWATCH", OOM),
    Says("WATCH a", OOM),
    Says("EXEC", ABORTED),
    Says("MULTI", OK),
    Says("DISCARD", OK),
    Says("MULTI", OK),
    Says("RESET", "+RESET\r\n"),
    Full(false),
    Says("MULTI", OK),
    Says("SET a 2", QUEUED),
    Says("GET a", QUEUED),
    Full(true),
    Says("EXEC", ABORTED_NOW),
    Says("GET a", "$1\r\n1\r\n"),
    Full(false),
    Says("MULTI", OK),
    Says("GET a", QUEUED),
    Says("DEL b", QUEUED),
    Full(true),
    Says("EXEC", "*2\r\n$1\r\n1\r\n:0\r\n"),
    Says("DEL a", ":1\r\n"),
    Full(false),
    Says("SET a 2", OK),
];

#[test]
fn replies_of_a_full_store_are_those_of_redis() {
    let mut world = World::new(Default::default());
    for step in STEPS {
        match step {
            Full(is_full) => (world.is_full, world.surroundings.is_full) = (*is_full, *is_full),
            Says(line, reply) => {
                let output = world.send(1, &request(&words(line)));
                assert_eq!(String::from_utf8_lossy(&output), *reply, "{line}");
            }
        }
    }
}

#[test]
fn redis_without_memory_has_the_same_replies() {
    let Some(mut server) = real::start(None) else { return };
    let (mut client, mut operator) = (Client::connect(&mut server), Client::connect(&mut server));
    let ask = |client: &mut Client, line: &str, reply: &str| {
        client.send(&request(&words(line)));
        assert_eq!(String::from_utf8_lossy(&client.read(reply.len())), reply, "{line}");
    };
    for step in STEPS {
        match step {
            // Redis itself takes more than a byte.
            Full(true) => ask(&mut operator, "CONFIG SET maxmemory 1", OK),
            Full(false) => ask(&mut operator, "CONFIG SET maxmemory 0", OK),
            Says(line, reply) => ask(&mut client, line, reply),
        }
    }
}

#[test]
fn transaction_that_a_replica_lets_wait_is_refused_by_its_leader() {
    let mut world = World::new(Default::default());
    world.is_full = true;
    let output = world.send(1, b"MULTI\r\nSET a 1\r\nEXEC\r\nGET a\r\n");
    assert_eq!(String::from_utf8_lossy(&output), format!("{OK}{QUEUED}{ABORTED_NOW}$-1\r\n"));
}
