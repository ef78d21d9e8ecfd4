//! Connections that do not belong here.

use super::hello::HelloError;
use super::*;

/// A port of the loopback interface and its address.
fn port() -> (TcpListener, SocketAddr) {
    let listener = listener();
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// Both sides of a hello, and how each ends.
fn hello_between(
    dialer: Identity,
    to: u16,
    listener: Identity,
) -> (Result<(), HelloError>, Result<Id, HelloError>) {
    let (listen, address) = port();
    let until = BootTime::now() + TEST_TIMEOUT;
    let listening = thread::spawn(move || {
        let (stream, _) = listen.accept().expect("the dialer comes");
        hello::listen(&listener, &stream, until, || true)
    });
    let stream = TcpStream::connect(address).expect("it listens");
    let dialled = hello::dial(&dialer, id(to), &stream, until);
    drop(stream);
    (dialled, listening.join().expect("no panic"))
}

#[track_caller]
fn is_refused(dialer: Identity, to: u16, listener: Identity, lines: [&str; 2]) {
    let (dialled, listened) = hello_between(dialer, to, listener);
    let dialled = dialled.expect_err("refused").to_string();
    let listened = listened.expect_err("refused").to_string();
    assert_eq!([&*dialled, &*listened], lines);
}

#[test]
fn members_of_a_cluster_greet_each_other() {
    let (dialled, listened) = hello_between(identity(2, &[1]), 1, identity(1, &[2, 3]));
    assert!(dialled.is_ok(), "{dialled:?}");
    assert_eq!(listened.ok(), Some(id(2)));
    let bare = |own, other: u16| Identity { secret: Vec::new(), ..identity(own, &[other]) };
    let (dialled, listened) = hello_between(bare(2, 1), 1, bare(1, 2));
    assert!(dialled.is_ok() && listened.is_ok(), "a cluster without a secret: {dialled:?} {listened:?}");
}

#[test]
fn replica_with_another_secret_is_refused_on_both_sides() {
    let other = Identity { secret: b"another".to_vec(), ..identity(2, &[1]) };
    let none = Identity { secret: Vec::new(), ..identity(2, &[1]) };
    for dialer in [other, none] {
        let lines = [
            "it closed the connection at the proof: perhaps the secrets differ",
            "its secret is not that of this cluster",
        ];
        is_refused(dialer, 1, identity(1, &[2]), lines);
    }
}

#[test]
fn replica_of_another_cluster_is_refused_on_both_sides() {
    let dialer = Identity { cluster: "other".to_owned(), ..identity(2, &[1]) };
    let lines = [
        "it is in another cluster",
        "it is 0002 of the cluster \"other\", and this replica is in another one",
    ];
    is_refused(dialer, 1, identity(1, &[2]), lines);
}

#[test]
fn replica_that_is_no_member_is_refused_on_both_sides() {
    for own in [3, 1] {
        let known = format!("it calls itself 000{own}, which is no other member of this cluster");
        let lines = ["this replica is no other member of its cluster", &known];
        is_refused(identity(own, &[1]), 1, identity(1, &[2]), lines);
    }
}

#[test]
fn replica_that_means_another_one_is_refused_on_both_sides() {
    let lines =
        ["it is 0001, another replica", "it is 0002 and means to reach 0003, which this replica is not"];
    is_refused(identity(2, &[3]), 3, identity(1, &[2]), lines);
}

#[test]
fn listener_must_prove_the_secret_too() {
    let (listen, address) = port();
    let until = BootTime::now() + TEST_TIMEOUT;
    let impostor = thread::spawn(move || {
        let (mut stream, _) = listen.accept().expect("the dialer comes");
        let mut hello = [0; 40];
        stream.read_exact(&mut hello).expect("a greeting");
        stream.write_all(&hello).expect("it takes a greeting");
        let mut proof = [0; 5 + 4 + 32];
        stream.read_exact(&mut proof).expect("an introduction");
        // Its own proof is sent back to the dialer as that of the listener.
        stream.write_all(&[0, 1, 0]).and_then(|()| stream.write_all(&proof[9..])).expect("it reads");
    });
    let stream = TcpStream::connect(address).expect("it listens");
    let refused = hello::dial(&identity(2, &[1]), id(1), &stream, until);
    assert!(matches!(refused, Err(HelloError::Secret)), "{refused:?}");
    impostor.join().expect("no panic");
}

#[test]
fn other_version_is_refused_on_both_sides() {
    let names = Names::default();
    let node = names.start(options(1, &[2]));
    let address = names.address(1);
    let stream = TcpStream::connect(address).expect("it listens");
    let mut greeting = b"KVMESH\x03\x00".to_vec();
    greeting.extend([0; 32]);
    say(&stream, &greeting);
    let answer = hear_all(&stream);
    assert_eq!(&answer[..8], b"KVMESH\x02\x00", "the version is the reason");
    assert_eq!(answer.len(), 40);
    drop(node);

    let (listen, address) = port();
    let later = thread::spawn(move || {
        let (stream, _) = listen.accept().expect("the dialer comes");
        say(&stream, &greeting);
        hear_all(&stream)
    });
    let stream = TcpStream::connect(address).expect("it listens");
    let refused = hello::dial(&identity(2, &[1]), id(1), &stream, BootTime::now() + TEST_TIMEOUT);
    drop(stream);
    assert_eq!(
        refused.expect_err("refused").to_string(),
        "it speaks version 3 of the protocol of replicas, and this replica speaks 2"
    );
    assert_eq!(later.join().expect("no panic").len(), 40, "nothing but a greeting was sent");
}

#[test]
fn refusal_is_shown_at_the_link_until_the_replica_is_reached() {
    let names = Names::default();
    let mut wrong = options(1, &[2]);
    wrong.cluster = "other".to_owned();
    let first = names.start(wrong);
    let second = names.start(options(2, &[1]));
    let refusal = Some("it is in another cluster".to_owned());
    wait_until("both sides show it", || {
        first.link(2).refusal == refusal && second.link(1).refusal == refusal
    });
    assert!(!first.link(2).is_up && !second.link(1).is_up);
    drop(first);
    let first = names.start(options(1, &[2]));
    first.wait_until_up();
    second.wait_until_up();
    assert_eq!(second.link(1).refusal, None);
}

#[test]
fn garbage_gets_nothing_and_leaves_the_mesh_as_it_was() {
    let (names, nodes) = two();
    let address = names.address(2);
    let long = vec![0xFF; 100_000];
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"\x16\x03\x01\x02\x00", &long] {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("no error of the system");
        let _reset = stream.write_all(garbage); // it may be closed before all of it is written
        assert_eq!(hear_all(&stream), b"");
    }
    nodes[0].send(to_peer(2), &datagram(Kind::Peer, 1, b"still there"));
    assert_eq!(nodes[1].receive(), datagram(Kind::Peer, 1, b"still there"));
}

#[test]
fn silent_stranger_is_closed_at_the_deadline() {
    let names = Names::default();
    let mut options = options(1, &[2]);
    options.limits.hello = Duration::from_millis(50);
    let _node = names.start(options);
    let address = names.address(1);
    let silent = TcpStream::connect(address).expect("it listens");
    let half = TcpStream::connect(address).expect("it listens");
    say(&half, b"KVMESH\x02");
    let late = TcpStream::connect(address).expect("it listens");
    say(&late, b"KVMESH\x02\x00");
    say(&late, &[0; 32]);
    assert_eq!(hear_all(&silent), b"");
    assert_eq!(hear_all(&half), b"");
    assert_eq!(hear_all(&late).len(), 40, "a version and a nonce");
}

/// A stranger that says how it is greeted at the door, and no more.
fn stranger_at(address: SocketAddr) -> TcpStream {
    let stranger = TcpStream::connect(address).expect("it listens");
    say(&stranger, b"KVMESH\x02\x00");
    say(&stranger, &[0; 32]);
    let mut greeting = [0; 40];
    (&stranger).read_exact(&mut greeting).expect("it is welcome at the door");
    stranger
}

#[test]
fn stranger_that_came_first_makes_room_for_a_replica() {
    let names = Names::default();
    let mut options = options(1, &[2]);
    // A stranger that is not sent away stays for longer than the test waits.
    (options.limits.strangers, options.limits.hello) = (3, 2 * TEST_TIMEOUT);
    let node = names.start(options);
    let address = names.address(1);
    let strangers = [(); 3].map(|()| stranger_at(address));
    let replica = dial_as(2, 1, address); // no stranger has to run into its deadline before
    assert_eq!(hear_all(&strangers[0]), b"", "it has made room");
    let last = stranger_at(address);
    for stranger in strangers[1..].iter().chain([&last]) {
        say(stranger, &[0; 5 + 32]);
        assert_eq!(hear_all(stranger), b"", "its proof is wrong, and was read");
    }
    say(&replica, &framed(&datagram(Kind::Peer, 2, b"still there")));
    assert_eq!(node.receive(), datagram(Kind::Peer, 2, b"still there"));
}

#[test]
fn connection_of_a_replica_outlives_the_strangers_that_follow_it() {
    let names = Names::default();
    let mut options = options(1, &[2]);
    (options.limits.strangers, options.limits.hello) = (1, TEST_TIMEOUT);
    let node = names.start(options);
    let address = names.address(1);
    let replica = dial_as(2, 1, address);
    for _ in 0..10 {
        let mut stranger = TcpStream::connect(address).expect("it listens");
        // It is greeted, or closed because the threads of those before have not ended.
        let _closed = stranger.write_all(&[&b"KVMESH\x02\x00"[..], &[0; 32]].concat());
        let _seen = stranger.read_exact(&mut [0; 40]);
    }
    say(&replica, &framed(&datagram(Kind::Peer, 2, b"still there")));
    assert_eq!(node.receive(), datagram(Kind::Peer, 2, b"still there"));
}

#[test]
fn replica_that_breaks_the_rules_of_a_connection_is_closed() {
    let names = Names::default();
    let node = names.start(options(1, &[2]));
    let address = names.address(1);
    let too_long = u32::try_from(MAX_DATAGRAM + 1).expect("it fits").to_le_bytes();
    let rules = [
        [&too_long[..], &[0]].concat(),
        [0, 0, 0, 0, 99].to_vec(), // a type that does not exist
        frame::pong(1).to_vec(),   // only a listener sends these
        [frame::header(frame::RETURNED, b""), frame::header(0, b"")].concat(), // no request
        framed(b""),               // no envelope
        framed(&datagram(Kind::Peer, 3, b"x")), // not from replica 3
        framed(&datagram(Kind::ReadIndex, 3, b"x")), // the same
        framed(&datagram(Kind::LocalRead, 2, b"")), // only for the own front ends
    ];
    for bytes in rules {
        let stream = dial_as(2, 1, address);
        say(&stream, &framed(&datagram(Kind::Peer, 2, b"good")));
        assert_eq!(node.receive(), datagram(Kind::Peer, 2, b"good"));
        say(&stream, &bytes);
        assert_eq!(hear_all(&stream), b"", "closed after {bytes:?}");
        assert_eq!(node.call(), Call::Lost(id(2)));
    }
    assert!(node.received.try_recv().is_err());
}
