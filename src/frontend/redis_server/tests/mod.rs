//! Servers over loopback sockets, with a state machine or a slow store behind them.

mod bounds;
mod stop;
mod world;

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ServerOptions;
use crate::bytes::Bytes;
use crate::frontend::redis::connection::Settings;
use crate::frontend::store::Freshness;
use crate::reply::Reply;
use crate::request::Outcome;
use crate::testkit::{id, request_id};
use world::{Client, Questions, request, serve, serve_machine, wait_for};

#[test]
fn replies_of_a_pipeline_come_in_the_order_of_its_commands() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    client.send("SET a 1\r\nGET a\r\nPING\r\nINCR a\r\nGET a\r\nMGET a b\r\nECHO end\r\n");
    client.expect("+OK\r\n$1\r\n1\r\n+PONG\r\n:2\r\n$1\r\n2\r\n*2\r\n$1\r\n2\r\n$-1\r\n$3\r\nend\r\n");
    client.send("MULTI\r\nSET a 5\r\nGET a\r\nEXEC\r\n");
    client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n5\r\n");
}

#[test]
fn client_sends_thousands_of_commands_in_one_write() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    let count = 5_000;
    let requests: Vec<u8> = (0..count).flat_map(|_| request(&[b"INCR", b"n"])).collect();
    client.send(requests);
    let replies: String = (1..=count).map(|number| format!(":{number}\r\n")).collect();
    client.expect(replies);
    let counters = handle.counters();
    assert_eq!(counters.replies(), count);
    let names: Vec<&str> = counters.commands().map(|(name, _)| name).collect();
    assert_eq!(names, ["incr"]);
}

#[test]
fn large_value_comes_in_pieces_and_returns_whole() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    let value: Vec<u8> = (0..1_u32 << 20).map(|place| (place % 251) as u8).collect();
    client.send(request(&[b"SET", b"large", &value]));
    client.expect("+OK\r\n");
    client.send(request(&[b"GET", b"large"]));
    client.expect([b"$1048576\r\n", &value[..], b"\r\n"].concat());
}

#[test]
fn garbage_ends_its_own_connection_alone() {
    let handle = serve_machine(ServerOptions::default());
    let (mut bad, mut good) = (Client::of(&handle), Client::of(&handle));
    bad.ask("*1\r\n:1", "-ERR Protocol error: expected '$', got ':'\r\n");
    bad.expect_end("");
    good.ask("PING", "+PONG\r\n");
    wait_for(|| (handle.counters().protocol_errors.load(Ordering::Relaxed) == 1).then_some(()));
}

#[test]
fn argument_of_a_gigabyte_is_refused_before_it_comes() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    client.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1073741824\r\n");
    client.expect_end("-ERR Protocol error: invalid bulk length\r\n");
}

#[test]
fn client_without_the_password_is_refused() {
    let connection = Settings { password: Some("secret".into()), ..Settings::default() };
    let handle = serve_machine(ServerOptions { connection, ..ServerOptions::default() });
    let mut client = Client::of(&handle);
    client.ask("GET a", "-NOAUTH Authentication required.\r\n");
    client.ask("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    client.ask("AUTH secret", "+OK\r\n");
    client.ask("GET a", "$-1\r\n");
}

#[test]
fn answer_from_another_thread_wakes_the_server_and_keeps_its_place() {
    let store = Arc::new(Questions::default());
    let handle = serve(ServerOptions::default(), Arc::clone(&store) as _);
    let mut client = Client::of(&handle);
    client.send("GET a\r\nGET b\r\nPING\r\n");
    let ((_, first), (_, second)) = (store.next(), store.next());
    second(Outcome::Done(Reply::Bytes("2".into())));
    first(Outcome::Done(Reply::Bytes("1".into())));
    client.expect("$1\r\n1\r\n$1\r\n2\r\n+PONG\r\n");
}

#[test]
fn answer_for_a_client_that_is_gone_is_ignored() {
    let store = Arc::new(Questions::default());
    let handle = serve(ServerOptions::default(), Arc::clone(&store) as _);
    let mut gone = Client::of(&handle);
    gone.send("GET a\r\n");
    let (_, answer) = store.next();
    let mut killer = Client::of(&handle);
    killer.ask("CLIENT KILL ID 1", ":1\r\n");
    gone.expect_end("");
    answer(Outcome::Done(Reply::Nil));
    killer.ask("PING", "+PONG\r\n");
}

#[test]
fn outcome_of_a_write_that_the_store_forgets_is_unknown() {
    let store = Arc::new(Questions::default());
    let handle = serve(ServerOptions::default(), Arc::clone(&store) as _);
    let mut client = Client::of(&handle);
    client.send("SET a 1\r\n");
    drop(store.next());
    client.expect("-UNKNOWN ");
    assert_eq!(handle.counters().unknown.load(Ordering::Relaxed), 1);
}

#[test]
fn question_has_the_name_and_the_freshness_that_the_client_chose() {
    let store = Arc::new(Questions::default());
    let options = ServerOptions { max_stale_us: 7, ..ServerOptions::default() };
    let handle = serve(options, Arc::clone(&store) as _);
    let mut client = Client::of(&handle);
    client.send("GET a\r\n");
    let (question, answer) = store.next();
    assert_eq!((question.name, question.freshness), (None, Freshness::Linearizable));
    answer(Outcome::Done(Reply::Nil));
    client.send("KV.DO 00AB 9 INCR n\r\n");
    let (question, answer) = store.next();
    assert_eq!(question.name, Some(request_id(id(0xAB), "9")));
    answer(Outcome::Fail);
    client.send("READONLY\r\nGET a\r\n");
    let (question, answer) = store.next();
    assert_eq!(question.freshness, Freshness::Local(7));
    answer(Outcome::Fail);
    client.expect("$-1\r\n-CLUSTERDOWN The cluster cannot serve the command: nothing was changed\r\n+OK\r\n-MASTERDOWN ");
    assert_eq!(handle.counters().failed.load(Ordering::Relaxed), 2);
}

#[test]
fn client_that_ends_its_stream_gets_all_replies() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    let requests: String = (0..2_000).map(|number| format!("SET k {number}\r\nGET k\r\n")).collect();
    client.send(requests);
    client.0.shutdown(Shutdown::Write).expect("it is open");
    let replies: String = (0..2_000)
        .map(|number| number.to_string())
        .map(|text| format!("+OK\r\n${}\r\n{text}\r\n", text.len()))
        .collect();
    client.expect_end(replies);
}

#[test]
fn clients_are_listed_and_killed_across_connections() {
    let handle = serve_machine(ServerOptions::default());
    let (mut first, mut second) = (Client::of(&handle), Client::of(&handle));
    first.ask("CLIENT SETNAME first", "+OK\r\n");
    second.ask("CLIENT ID", ":2\r\n");
    let list = second.ask_bulk("CLIENT LIST");
    let address = first.0.local_addr().expect("it is connected").to_string();
    assert!(list.contains(&format!("id=1 addr={address}")) && list.contains("name=first"), "{list}");
    second.ask(&format!("CLIENT KILL {address}"), "+OK\r\n");
    first.expect_end("");
    second.ask("QUIT", "+OK\r\n");
    second.expect_end("");
    wait_for(|| (handle.counters().connections.load(Ordering::Relaxed) == 0).then_some(()));
}

#[test]
fn server_shows_the_facts_of_the_cluster() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    client
        .ask("ROLE", "*3\r\n$6\r\nmaster\r\n:42\r\n*2\r\n*3\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n$2\r\n41\r\n");
    client.expect("*3\r\n$8\r\n10.0.0.2\r\n$4\r\n6379\r\n$1\r\n0\r\n");
    let info = client.ask_bulk("INFO");
    for line in [
        "# Server\r\nredis_version:7.2.0\r\n",
        "role:master\r\nconnected_slaves:2\r\n",
        "slave1:ip=10.0.0.2,port=6379,state=offline,offset=0,lag=0\r\n",
        "# Raft\r\nid:0000\r\nraft_role:leader\r\nterm:7\r\nleader:0000\r\n",
        "member_0001:host=10.0.0.1,port=6379,state=up,match_index=41\r\n",
        "connected_clients:1\r\n",
        "db0:keys=5,expires=0,avg_ttl=0\r\n",
    ] {
        assert!(info.contains(line), "{line} is not in\n{info}");
    }
    client.ask("CONFIG GET maxclients", "*2\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n");
    client.ask("CONFIG GET kv.r*", "*2\r\n$8\r\nkv.reads\r\n$5\r\nlease\r\n");
    client
        .ask("KV.DO 0002 1 INCR n", "-ERR client has the ID of a replica: clients need IDs of their own\r\n");
}

#[test]
fn bytes_are_kept_whatever_they_are() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    let all: Bytes = (0..=255).collect::<Vec<u8>>().into();
    client.send(request(&[b"SET", &all, &all]));
    client.send(request(&[b"GET", &all]));
    client.expect([b"+OK\r\n$256\r\n", &all[..], b"\r\n"].concat());
}
