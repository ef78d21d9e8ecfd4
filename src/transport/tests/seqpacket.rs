//! The seqpacket dialect, and the sockets that all dialects share.

use rustix::net::socketpair;

use super::*;

fn pair() -> (Seqpacket, OwnedFd) {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a pair");
    (Seqpacket::new(ours).expect("a transport"), theirs)
}

#[test]
fn seqpacket_keeps_the_bounds_of_packets() {
    let (transport, simulator) = pair();
    for bytes in [&b"one"[..], b"two and more", b""] {
        say(&simulator, bytes);
    }
    assert_eq!(receive(&transport, 100), Ok(b"one".to_vec()));
    assert_eq!(receive(&transport, 100), Ok(b"two and more".to_vec()));
    assert_eq!(receive(&transport, 100), Ok(Vec::new()), "an empty packet is not the end");
    transport.send(ANYWHERE, b"answer").expect("room");
    assert_eq!(hear(&simulator), b"answer");
}

#[test]
fn seqpacket_reports_what_is_longer_than_the_buffer() {
    let (transport, simulator) = pair();
    say(&simulator, &[b'x'; 101]);
    say(&simulator, &[b'y'; 100]);
    assert_eq!(receive(&transport, 100), Err(Received::TooLong));
    assert_eq!(receive(&transport, 100), Ok(vec![b'y'; 100]));
}

#[test]
fn seqpacket_is_closed_when_the_simulator_is_gone() {
    let (transport, simulator) = pair();
    say(&simulator, b"last");
    is_closed_after_its_last_words(&transport, simulator);
}

#[test]
fn seqpacket_is_closed_when_the_simulator_left_unread_words_behind() {
    let (transport, simulator) = pair();
    transport.send(ANYWHERE, b"never read").expect("room");
    drop(simulator);
    assert_eq!(receive(&transport, 100), Err(Received::Closed));
}

#[test]
fn seqpacket_stops_while_it_waits() {
    let (transport, _simulator) = pair();
    stops_while_it_waits(Arc::new(transport));
}

#[test]
fn stop_is_seen_although_datagrams_wait() {
    let (transport, simulator) = pair();
    say(&simulator, b"late");
    transport.stop();
    assert_eq!(receive(&transport, 100), Err(Received::Closed));
    transport.send(ANYWHERE, b"the answer").expect("there is room, so it is sent");
    assert_eq!(hear(&simulator), b"the answer");
}

#[test]
fn send_waits_for_room_and_loses_nothing() {
    let (transport, simulator) = pair();
    let count = 5_000;
    let thread = thread::spawn(move || {
        for number in 0..count {
            transport.send(ANYWHERE, format!("{number:01000}").as_bytes()).expect("sent in the end");
        }
    });
    for number in 0..count {
        assert_eq!(hear(&simulator), format!("{number:01000}").into_bytes());
    }
    thread.join().expect("no panic");
}

#[test]
fn send_that_waits_for_room_ends_at_the_stop() {
    let (transport, _simulator) = pair();
    let transport = Arc::new(transport);
    let sending = Arc::clone(&transport);
    let thread = thread::spawn(move || {
        loop {
            if let Err(error) = sending.send(ANYWHERE, &[b'x'; 10_000]) {
                return error.kind();
            }
        }
    });
    transport.stop();
    assert_eq!(thread.join().expect("no panic"), ErrorKind::BrokenPipe);
}

#[test]
fn datagram_beyond_the_limit_is_refused() {
    let (transport, simulator) = pair();
    let long = vec![b'x'; SEQPACKET_MAX_DATAGRAM + 1];
    assert_eq!(transport.send(ANYWHERE, &long).expect_err("too long").kind(), ErrorKind::InvalidInput);
    transport.send(ANYWHERE, &long[1..]).expect("just fits");
    assert_eq!(hear(&simulator).len(), SEQPACKET_MAX_DATAGRAM);
}

#[test]
fn seqpacket_waits_until_then_and_no_longer() {
    let (transport, simulator) = pair();
    takes_what_is_there_and_waits_no_longer(&transport, |bytes| say(&simulator, bytes));
}

#[test]
fn send_that_must_not_wait_sends_as_long_as_there_is_room() {
    let (transport, simulator) = pair();
    let bytes = |number: u64| format!("{number:01000}").into_bytes();
    let sent = (0..).take_while(|&number| match transport.try_send(ANYWHERE, &bytes(number)) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    });
    let sent = sent.count() as u64;
    assert!(sent > 0);
    (0..sent).for_each(|number| assert_eq!(hear(&simulator), bytes(number)));
    transport.try_send(ANYWHERE, b"again").expect("there is room again");
    assert_eq!(hear(&simulator), b"again");
}

#[test]
fn seqpacket_connects_to_a_path() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("0001");
    assert_eq!(Seqpacket::connect(&path).err().map(|e| e.kind()), Some(ErrorKind::NotFound));
    let listener =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("fd");
    bind(&listener, &SocketAddrUnix::new(&path).expect("a short path")).expect("a free path");
    assert_eq!(Seqpacket::connect(&path).err().map(|e| e.kind()), Some(ErrorKind::ConnectionRefused));
    listen(&listener, 1).expect("listens");
    let transport = Seqpacket::connect(&path).expect("connects");
    let simulator = accept(&listener).expect("the replica came");
    say(&simulator, b"welcome");
    assert_eq!(receive(&transport, 100), Ok(b"welcome".to_vec()));
}

#[test]
fn seqpacket_wakes_while_it_waits() {
    let (transport, simulator) = pair();
    wakes_while_it_waits(Arc::new(transport), |bytes| say(&simulator, bytes));
}
