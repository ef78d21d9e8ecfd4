//! Datagrams arrive, and links come up again.

use std::net::SocketAddr;

use parking_lot::Mutex;

use super::*;

#[test]
fn datagrams_arrive_in_order_both_ways_and_are_counted() {
    let nodes = cluster(2);
    let long = datagram(Kind::Peer, 1, &vec![7; MAX_DATAGRAM - ENVELOPE_BYTES]);
    for number in 0..100 {
        nodes[0].send(to_peer(2), &datagram(Kind::Peer, 1, &[number]));
    }
    nodes[0].send(to_peer(2), &long);
    nodes[0].send(to_peer(2), &datagram(Kind::Peer, 1, b"last"));
    nodes[1].send(to_peer(1), &datagram(Kind::Peer, 2, b"back"));
    for number in 0..100 {
        assert_eq!(nodes[1].receive(), datagram(Kind::Peer, 1, &[number]));
    }
    assert!(nodes[1].receive() == long, "the longest datagram is whole");
    assert_eq!(nodes[1].receive(), datagram(Kind::Peer, 1, b"last"));
    assert_eq!(nodes[0].receive(), datagram(Kind::Peer, 2, b"back"));
    let (there, back) = (nodes[0].link(2), nodes[1].link(1));
    let bytes = (100 * (ENVELOPE_BYTES + 1) + MAX_DATAGRAM + ENVELOPE_BYTES + 4) as u64;
    assert_eq!((there.messages_out, there.bytes_out), (102, bytes));
    assert_eq!((back.messages_in, back.bytes_in), (102, bytes));
    assert_eq!((there.dropped, there.reconnects, there.refusal), (0, 0, None));
    wait_until("a ping came back", || nodes[0].link(2).round_trip_us.is_some());
}

#[test]
fn links_come_up_in_whichever_order_the_replicas_start() {
    let ports = [port(), port(), port()];
    let addresses = ports.each_ref().map(|port| port.1.clone());
    let addresses = addresses.each_ref().map(String::as_str);
    let [(one, _), (two, _), (three, _)] = ports;
    drop((one, two)); // they listen later, on the same port
    let third = Node::start(options(3, three, &[(1, addresses[0]), (2, addresses[1])]));
    wait_until("an attempt has failed", || {
        third.link(1).refusal.is_some() && third.link(2).refusal.is_some()
    });
    let listen = |address: &str| TcpListener::bind(address).expect("the port is free again");
    let first = Node::start(options(1, listen(addresses[0]), &[(2, addresses[1]), (3, addresses[2])]));
    wait_until("two replicas are there", || first.link(3).is_up && third.link(1).is_up);
    assert_eq!(third.link(1).refusal, None);
    let second = Node::start(options(2, listen(addresses[1]), &[(1, addresses[0]), (3, addresses[2])]));
    for node in [&first, &second, &third] {
        node.wait_until_up();
    }
}

/// The address of the replica that moves, behind its name.
static MOVED: Mutex<Option<SocketAddr>> = Mutex::new(None);

#[test]
fn replica_that_returns_under_a_new_address_is_reached_by_its_name() {
    let (listen, address) = port();
    let (moving, old_address) = port();
    *MOVED.lock() = old_address.parse().ok();
    let (sender, calls) = unbounded();
    let resolve = |name: &str| {
        assert_eq!(name, "two.example:7000");
        Ok(MOVED.lock().iter().copied().collect())
    };
    let options_of_first = options(1, listen, &[(2, "two.example:7000")]);
    let mesh = Mesh::start_with(options_of_first, Arc::new(Clients(sender)), resolve).expect("it starts");
    let first = Node::receiving(mesh, calls);
    let second = Node::start(options(2, moving, &[(1, &address)]));
    first.wait_until_up();
    drop(second);
    assert_eq!(first.call(), Call::Lost(id(2)));
    wait_until("the link is down", || !first.link(2).is_up);
    let (moved, new_address) = port();
    *MOVED.lock() = new_address.parse().ok();
    let second = Node::start(options(2, moved, &[(1, &address)]));
    first.wait_until_up();
    second.wait_until_up();
    first.send(to_peer(2), &datagram(Kind::Peer, 1, b"again"));
    assert_eq!(second.receive(), datagram(Kind::Peer, 1, b"again"));
    assert_eq!(first.link(2).reconnects, 1);
}

#[test]
fn second_connection_of_a_replica_replaces_the_first() {
    let (listen, address) = port();
    let node = Node::start(options(1, listen, &[(2, "127.0.0.1:1")]));
    let first = dial_as(2, 1, &address);
    say(&first, &framed(&datagram(Kind::Peer, 2, b"first")));
    assert_eq!(node.receive(), datagram(Kind::Peer, 2, b"first"));
    let second = dial_as(2, 1, &address);
    assert_eq!(node.call(), Call::Lost(id(2)), "answers on the first one may be lost");
    assert_eq!(hear_all(&first), b"", "it is closed");
    say(&second, &framed(&datagram(Kind::Peer, 2, b"second")));
    assert_eq!(node.receive(), datagram(Kind::Peer, 2, b"second"));
}

#[test]
fn stopped_mesh_still_writes_what_is_sent_at_once() {
    let nodes = cluster(2);
    nodes[0].mesh.stop();
    nodes[0].send(to_peer(2), &datagram(Kind::Peer, 1, b"last words"));
    nodes[0].mesh.finish();
    assert_eq!(nodes[1].receive(), datagram(Kind::Peer, 1, b"last words"));
    assert_eq!(nodes[1].call(), Call::Lost(id(1)));
    nodes[0].send(to_peer(2), &datagram(Kind::Peer, 1, b"too late"));
    assert_eq!(nodes[0].link(2).dropped, 1);
}

#[test]
fn replica_that_answers_no_ping_is_given_up() {
    let (listen, address) = port();
    let (deaf, deaf_address) = port();
    let _deaf = Node::start_deaf(options(2, deaf, &[(1, &address)]));
    let mut options = options(1, listen, &[(2, &deaf_address)]);
    options.limits.silence = Duration::from_millis(100);
    let node = Node::start(options);
    assert_eq!(node.call(), Call::Lost(id(2)));
    wait_until("it is dialled again", || node.link(2).reconnects > 0);
}
