//! How a server ends.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::super::ServerOptions;
use super::world::{Client, PATIENCE, Questions, serve, serve_machine, wait_for};
use crate::reply::Reply;
use crate::request::Outcome;

#[test]
fn server_that_stops_answers_what_it_owes_and_takes_no_more() {
    let store = Arc::new(Questions::default());
    let handle = serve(ServerOptions::default(), Arc::clone(&store) as _);
    let address = handle.address();
    let (mut owed, mut idle) = (Client::of(&handle), Client::of(&handle));
    idle.ask("PING", "+PONG\r\n");
    owed.send("SET a 1\r\n");
    let (_, answer) = store.next();
    let stopping = thread::spawn(move || handle.stop(PATIENCE));
    idle.expect_end("");
    wait_for(|| TcpStream::connect(address).is_err().then_some(()));
    owed.send("SET b 2\r\n");
    answer(Outcome::Done(Reply::Ok));
    owed.expect_end("+OK\r\n");
    stopping.join().expect("it stops");
}

#[test]
fn server_that_stops_waits_for_no_answer_beyond_its_limit() {
    let store = Arc::new(Questions::default());
    let handle = serve(ServerOptions::default(), Arc::clone(&store) as _);
    let mut client = Client::of(&handle);
    client.send("SET a 1\r\n");
    let (_, answer) = store.next();
    handle.stop(Duration::from_millis(1));
    client.expect_end("");
    answer(Outcome::Done(Reply::Ok));
}

#[test]
fn server_ends_with_its_handle() {
    let handle = serve_machine(ServerOptions::default());
    let mut client = Client::of(&handle);
    client.ask("PING", "+PONG\r\n");
    let counters = handle.counters();
    drop(handle);
    client.expect_end("");
    assert_eq!(counters.replies(), 1);
}
