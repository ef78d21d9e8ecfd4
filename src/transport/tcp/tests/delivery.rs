//! Datagrams arrive, and links come up again.

use super::*;

#[test]
fn datagrams_arrive_in_order_both_ways_and_are_counted() {
    let (_, nodes) = two();
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
fn datagrams_that_are_gathered_arrive_in_order_after_the_flush() {
    let (_, nodes) = three();
    nodes[0].mesh.gather();
    for peer in [2, 3] {
        for number in 0..100 {
            nodes[0].send(to_peer(peer), &datagram(Kind::Peer, 1, &[number]));
        }
    }
    assert!(nodes[1].received.is_empty() && nodes[2].received.is_empty());
    assert!(nodes[0].mesh.links().iter().all(|link| link.queued_bytes > 0));
    nodes[0].mesh.flush();
    for node in &nodes[1..] {
        for number in 0..100 {
            assert_eq!(node.receive(), datagram(Kind::Peer, 1, &[number]));
        }
    }
}

#[test]
fn links_come_up_in_whichever_order_the_replicas_start() {
    let names = Names::default();
    let third = names.start(options_of_three(3));
    wait_until("attempts have failed", || third.mesh.links().iter().all(|link| link.refusal.is_some()));
    assert_eq!(third.link(1).refusal.as_deref(), Some("its name has no address"));
    let first = names.start(options_of_three(1));
    wait_until("two replicas are there", || first.link(3).is_up && third.link(1).is_up);
    assert_eq!(third.link(1).refusal, None);
    let second = names.start(options_of_three(2));
    for node in [&first, &second, &third] {
        node.wait_until_up();
    }
}

#[test]
fn replica_that_returns_under_a_new_address_is_reached_by_its_name() {
    let (names, [first, second]) = two();
    let old = names.address(2);
    drop(second);
    assert_eq!(first.call(), Call::Lost(id(2)));
    wait_until("the link is down", || !first.link(2).is_up);
    let occupied = TcpListener::bind(old); // its old port is not given to it again
    let second = names.start(options(2, &[1]));
    assert_ne!(names.address(2), old);
    drop(occupied);
    first.wait_until_up();
    second.wait_until_up();
    first.send(to_peer(2), &datagram(Kind::Peer, 1, b"again"));
    assert_eq!(second.receive(), datagram(Kind::Peer, 1, b"again"));
    assert_eq!(first.link(2).reconnects, 1);
}

#[test]
fn second_connection_of_a_replica_replaces_the_first() {
    let names = Names::default();
    let node = names.start(options(1, &[2]));
    let first = dial_as(2, 1, names.address(1));
    say(&first, &framed(&datagram(Kind::Peer, 2, b"first")));
    assert_eq!(node.receive(), datagram(Kind::Peer, 2, b"first"));
    let second = dial_as(2, 1, names.address(1));
    assert_eq!(node.call(), Call::Lost(id(2)), "answers on the first one may be lost");
    assert_eq!(hear_all(&first), b"", "it is closed");
    say(&second, &framed(&datagram(Kind::Peer, 2, b"second")));
    assert_eq!(node.receive(), datagram(Kind::Peer, 2, b"second"));
}

#[test]
fn stopped_mesh_still_writes_what_is_sent_at_once() {
    let (_, nodes) = two();
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
    let names = Names::default();
    let _deaf = names.start_deaf(options(2, &[1]));
    let mut options = options(1, &[2]);
    options.limits.silence = Duration::from_millis(100);
    let node = names.start(options);
    assert_eq!(node.call(), Call::Lost(id(2)));
    wait_until("it is dialled again", || node.link(2).reconnects > 0);
}
