//! A peer that does not read.

use super::*;

/// Mesh 1, mesh 2 that receives, and mesh 3 that does not.
fn with_a_deaf_third(change: impl FnOnce(&mut MeshOptions)) -> [Node; 3] {
    let names = Names::default();
    let mut first = options_of_three(1);
    change(&mut first);
    let nodes = [names.start(first), names.start(options_of_three(2)), names.start_deaf(options_of_three(3))];
    wait_until("the links are up", || nodes[0].link(2).is_up && nodes[0].link(3).is_up);
    nodes
}

/// Sends to the third mesh until its queue is full.
fn fill(node: &Node) {
    let datagram = datagram(Kind::Peer, 1, &vec![0; 1024 * 1024]);
    let mut sends = 0..200; // far more than the buffers of the system and the queue
    let is_full = sends.any(|_| {
        node.send(to_peer(3), &datagram);
        node.link(3).dropped > 0
    });
    assert!(is_full, "the queue has no bound");
}

#[test]
fn peer_that_does_not_read_slows_no_other() {
    let nodes = with_a_deaf_third(|_| {});
    fill(&nodes[0]);
    for number in 0..100 {
        let datagram = datagram(Kind::Peer, 1, &[number]);
        nodes[0].send(to_peer(2), &datagram);
        assert_eq!(nodes[1].receive(), datagram);
    }
    let queued = nodes[0].link(3).queued_bytes;
    assert!(queued <= MeshLimits::default().queued_bytes as u64, "{queued}");
}

#[test]
fn request_that_finds_no_room_is_refused() {
    let nodes = with_a_deaf_third(|options| options.limits.queued = 3);
    fill(&nodes[0]);
    let question = datagram(Kind::Request, 1, b"question");
    assert!(nodes[0].mesh.submit(question.clone()));
    nodes[0].send(to_peer(3), &question);
    assert_eq!(nodes[0].call(), Call::Refused(question));
}

#[test]
fn answer_that_finds_no_room_ends_the_connection() {
    let nodes = with_a_deaf_third(|options| options.limits.queued_bytes = 1024 * 1024);
    assert!(nodes[2].mesh.submit(datagram(Kind::Request, 3, b"question")));
    nodes[2].send(to_peer(1), &datagram(Kind::Request, 3, b"question"));
    assert_eq!(nodes[0].receive(), datagram(Kind::Request, 3, b"question"));
    fill(&nodes[0]);
    nodes[0].send(Address::Client(id(3)), &datagram(Kind::Answer, 3, b"answer"));
    assert_eq!(nodes[0].call(), Call::Lost(id(3)), "the connection to it");
    wait_until("it is dialled again", || nodes[0].link(3).reconnects > 0);
}

#[test]
fn queue_is_written_whole_when_the_peer_reads_again_although_the_mesh_was_stopped() {
    for is_stopped in [false, true] {
        let [first, _second, third] = with_a_deaf_third(|options| options.limits.linger = TEST_TIMEOUT);
        let datagrams: Vec<_> =
            (0..12).map(|number| datagram(Kind::Peer, 1, &vec![number; 1_000_000])).collect();
        for datagram in &datagrams {
            first.send(to_peer(3), datagram);
        }
        if is_stopped {
            first.mesh.stop();
        }
        let mut buffer = vec![0; MAX_DATAGRAM];
        for datagram in &datagrams {
            let limit = Some(BootTime::now() + TEST_TIMEOUT);
            let received = third.mesh.receive(&mut buffer, limit);
            assert_eq!(received.ok(), Some(Received::Datagram(datagram.len())));
            assert!(buffer[..datagram.len()] == datagram[..]);
        }
        assert_eq!(first.link(3).dropped, 0);
        drop(third); // it would not read the end of the connection, for which the first one waits
    }
}
