//! Requests and answers find their way.

use super::*;

fn to_client(client: u16) -> Address {
    Address::Client(id(client))
}

#[test]
fn answer_goes_where_the_request_came_from() {
    let (_, nodes) = three();
    let (question, answer) = (datagram(Kind::Request, 1, b"question"), datagram(Kind::Answer, 1, b"answer"));
    assert!(nodes[0].mesh.submit(question.clone()));
    assert_eq!(nodes[0].receive(), question);
    nodes[0].send(to_peer(2), &question);
    assert_eq!(nodes[0].call(), Call::Forwarded(id(2), question.clone()));
    assert_eq!(nodes[1].receive(), question);
    nodes[1].send(to_client(1), &answer);
    assert_eq!(nodes[0].call(), Call::Deliver(answer.clone()));
    nodes[0].send(to_client(1), &answer);
    assert_eq!(nodes[0].call(), Call::Deliver(answer.clone()), "an answer of its own");
    nodes[2].send(to_client(1), &answer);
    assert_eq!(nodes[2].mesh.unroutable(), 1, "it has seen no request of this client");
    for node in &nodes {
        assert!(node.calls.try_recv().is_err());
    }
}

#[test]
fn answer_to_a_request_that_was_forwarded_twice_is_relayed() {
    let (_, nodes) = three();
    let (question, answer) =
        (datagram(Kind::Request, 0x99, b"question"), datagram(Kind::Answer, 0x99, b"answer"));
    assert!(nodes[0].mesh.submit(question.clone()));
    nodes[0].send(to_peer(2), &question);
    assert_eq!(nodes[1].receive(), question);
    nodes[1].send(to_peer(3), &question);
    assert_eq!(nodes[2].receive(), question);
    nodes[2].send(to_client(0x99), &answer);
    assert_eq!(nodes[0].call(), Call::Forwarded(id(2), question));
    assert_eq!(nodes[0].call(), Call::Deliver(answer));
    assert!(nodes[1].calls.try_recv().is_err(), "the client is not one of its own");
}

#[test]
fn answer_that_runs_in_circles_is_dropped() {
    let (_, nodes) = three();
    let (question, answer) =
        (datagram(Kind::Request, 0x99, b"question"), datagram(Kind::Answer, 0x99, b"answer"));
    for (from, to) in [(0, 2), (1, 3), (2, 1)] {
        nodes[from].send(to_peer(to), &question);
        assert_eq!(nodes[usize::from(to) - 1].receive(), question);
    }
    nodes[0].send(to_client(0x99), &answer);
    wait_until("it went round once", || nodes[1].link(3).messages_in == 1);
    // Messages of one connection are in order, so a late relay would be there before these.
    for (from, to) in [(1, 3), (3, 2), (2, 1)] {
        let marker = datagram(Kind::Peer, from, b"marker");
        nodes[usize::from(from) - 1].send(to_peer(to), &marker);
        assert_eq!(nodes[usize::from(to) - 1].receive(), marker);
    }
    let answers: u64 = nodes.iter().flat_map(|node| node.mesh.links()).map(|link| link.messages_in).sum();
    assert_eq!(answers, 3 + 3 + 3, "questions, markers, and one answer on three connections");
}

#[test]
fn answer_never_returns_to_the_replica_that_it_came_from() {
    let (_, [first, second]) = two();
    let question = datagram(Kind::Request, 0x99, b"question");
    first.send(to_peer(2), &question);
    second.send(to_peer(1), &question);
    assert_eq!(first.receive(), question);
    assert_eq!(second.receive(), question);
    first.send(to_client(0x99), &datagram(Kind::Answer, 0x99, b"answer"));
    first.send(to_peer(2), &datagram(Kind::Peer, 1, b"marker"));
    assert_eq!(second.receive(), datagram(Kind::Peer, 1, b"marker"), "it is behind the answer");
    assert_eq!(second.link(1).messages_out, 1, "the question");
}

#[test]
fn request_that_cannot_be_sent_is_refused_at_once() {
    let node = Names::default().start(options(1, &[2]));
    let question = datagram(Kind::Request, 1, b"question");
    node.send(to_peer(2), &question);
    assert!(node.mesh.submit(question.clone()));
    node.send(to_peer(2), &question);
    assert_eq!(node.call(), Call::Refused(question));
    assert!(node.calls.try_recv().is_err(), "the first one was not of an own client");
    assert_eq!(node.link(2).dropped, 2);
}

#[test]
fn request_that_cannot_be_forwarded_again_comes_back_to_its_client() {
    let names = Names::default();
    let nodes = [names.start(options(1, &[2])), names.start(options_of_three(2))];
    wait_until("the link is up", || nodes[0].link(2).is_up && nodes[1].link(1).is_up);
    let question = datagram(Kind::Request, 1, b"question");
    assert!(nodes[0].mesh.submit(question.clone()));
    nodes[0].send(to_peer(2), &question);
    assert_eq!(nodes[0].call(), Call::Forwarded(id(2), question.clone()));
    assert_eq!(nodes[1].receive(), question);
    nodes[1].send(to_peer(3), &question); // which does not run
    assert_eq!(nodes[0].call(), Call::Refused(question.clone()));

    // Now this client asks through replica 2, too: a request of its name may be under way.
    assert!(nodes[1].mesh.submit(question.clone()));
    nodes[1].send(to_peer(3), &question);
    nodes[1].send(to_peer(1), &datagram(Kind::Peer, 2, b"marker"));
    assert_eq!(nodes[0].receive(), question, "its own, from the inbox");
    assert_eq!(nodes[0].receive(), datagram(Kind::Peer, 2, b"marker"));
    assert!(nodes[0].calls.try_recv().is_err() && nodes[1].calls.try_recv().is_err());
}

#[test]
fn mesh_that_leaves_gets_all_that_was_sent_and_returns_what_it_would_forward() {
    let (_, [first, leaves, _third]) = three();
    let question = datagram(Kind::Request, 1, b"question");
    assert!(first.mesh.submit(question.clone()));
    assert_eq!(first.receive(), question);
    leaves.mesh.retire();
    let leaving = Arc::clone(&leaves.mesh);
    let left = thread::spawn(move || leaving.leave(TEST_TIMEOUT));
    let mut sent = 0;
    loop {
        first.send(to_peer(2), &question);
        match first.call() {
            Call::Forwarded(_, _) => sent += 1,
            Call::Refused(_) => break,
            call => panic!("{call:?}"),
        }
    }
    left.join().expect("it leaves");
    for _ in 0..sent {
        assert_eq!(leaves.receive(), question);
        leaves.send(to_peer(3), &question);
        assert_eq!(first.call(), Call::Refused(question.clone()), "it comes back");
    }
    leaves.mesh.finish();
    assert_eq!(first.call(), Call::Lost(id(2)));
}

#[test]
fn answers_for_a_connection_that_ended_are_not_sent_to_the_next_one() {
    let (names, [first, second]) = two();
    let question = datagram(Kind::Request, 2, b"question");
    second.send(to_peer(1), &question);
    assert_eq!(first.receive(), question);
    drop(second);
    assert_eq!(first.call(), Call::Lost(id(2)));
    assert_eq!(first.call(), Call::Lost(id(2)), "the connections to it and from it");
    let _second = names.start(options(2, &[1]));
    first.wait_until_up();
    first.send(to_client(2), &datagram(Kind::Answer, 2, b"answer"));
    assert_eq!(first.mesh.unroutable(), 1, "the client knows that its question was lost");
}

#[test]
fn lost_connection_is_reported_after_what_was_forwarded() {
    let (_, [first, second]) = two();
    let question = datagram(Kind::Request, 1, b"question");
    assert!(first.mesh.submit(question.clone()));
    first.send(to_peer(2), &question);
    drop(second);
    assert_eq!(first.call(), Call::Forwarded(id(2), question));
    assert_eq!(first.call(), Call::Lost(id(2)));
}

#[test]
fn own_clients_that_never_cease_to_ask_do_not_silence_the_others() {
    let names = Names::default();
    let (busy, other) = (names.start_deaf(options(1, &[2])), names.start(options(2, &[1])));
    let mut buffer = [0; 100];
    wait_until("the links are up", || {
        busy.mesh.try_receive(&mut buffer).expect("no error of the system");
        busy.link(2).is_up && other.link(1).is_up
    });
    other.send(to_peer(1), &datagram(Kind::Peer, 2, b"from the other"));
    let question = datagram(Kind::Request, 1, b"question");
    wait_until("the other is heard", || {
        assert!(busy.mesh.submit(question.clone()) && busy.mesh.submit(question.clone()));
        let received = busy.mesh.try_receive(&mut buffer).expect("no error of the system");
        received != Received::Datagram(question.len())
    });
    assert_eq!(buffer[..17], datagram(Kind::Peer, 2, b"from the other"));
}

#[test]
fn only_requests_and_local_reads_are_taken_from_own_clients() {
    let mut options = options(1, &[]);
    (options.limits.submitted, options.limits.submitted_bytes) = (2, 2 * ENVELOPE_BYTES + 5);
    let node = Names::default().start_deaf(options);
    assert!(!node.mesh.submit(datagram(Kind::Peer, 1, b"")));
    assert!(!node.mesh.submit(datagram(Kind::Answer, 1, b"")));
    assert!(!node.mesh.submit(Vec::new()));
    let read = datagram(Kind::LocalRead, 1, b"12345");
    assert!(node.mesh.submit(read.clone()));
    assert!(!node.mesh.submit(datagram(Kind::Request, 1, b"6")), "too many bytes");
    assert!(node.mesh.submit(datagram(Kind::Request, 1, b"")));
    assert!(!node.mesh.submit(datagram(Kind::Request, 1, b"")), "too many datagrams");
    let mut buffer = [0; 100];
    assert_eq!(node.mesh.receive(&mut buffer, None).ok(), Some(Received::Datagram(read.len())));
    assert!(node.mesh.submit(datagram(Kind::Request, 1, b"")), "there is room again");
    node.mesh.stop();
    assert!(!node.mesh.submit(datagram(Kind::Request, 1, b"")));
}
