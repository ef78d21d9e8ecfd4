//! Every transport on real sockets or channels, from both sides.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, recv,
    send, socket_with, socketpair, sockopt,
};

use super::*;
use crate::id::Id;

fn id(number: u16) -> Id {
    Id::new(number).expect("not reserved")
}

fn pair() -> (Seqpacket, OwnedFd) {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a pair");
    (Seqpacket::new(ours).expect("a transport"), theirs)
}

fn say(fd: &OwnedFd, bytes: &[u8]) {
    assert_eq!(send(fd, bytes, SendFlags::empty()), Ok(bytes.len()));
}

fn hear(fd: &OwnedFd) -> Vec<u8> {
    let mut buffer = vec![0; 100_000];
    let (length, _) = recv(fd, &mut buffer[..], RecvFlags::empty()).expect("something to hear");
    buffer.truncate(length);
    buffer
}

fn receive(transport: &dyn Transport, room: usize) -> Result<Vec<u8>, Received> {
    receive_until(transport, room, None)
}

fn receive_until(
    transport: &dyn Transport,
    room: usize,
    until: Option<BootTime>,
) -> Result<Vec<u8>, Received> {
    let mut buffer = vec![0; room];
    match transport.receive(&mut buffer, until).expect("no error of the system") {
        Received::Datagram(length) => {
            buffer.truncate(length);
            Ok(buffer)
        }
        other => Err(other),
    }
}

fn stops_while_it_waits(transport: Arc<dyn Transport>) {
    let waiting = Arc::clone(&transport);
    let thread = thread::spawn(move || receive(&*waiting, 100));
    transport.stop();
    assert_eq!(thread.join().expect("no panic"), Err(Received::Closed));
    assert_eq!(receive(&*transport, 100), Err(Received::Closed), "it stays closed");
    assert_eq!(transport.try_receive(&mut []).expect("no error of the system"), Received::Closed);
}

/// Repeats `look`, which does not wait, until it does not find nothing.
fn look_until_something_comes<T>(mut look: impl FnMut() -> Result<T, Received>) -> Result<T, Received> {
    let patience = BootTime::now() + Duration::from_secs(60);
    loop {
        match look() {
            Err(Received::TimedOut) if BootTime::now() < patience => thread::yield_now(),
            found => return found,
        }
    }
}

/// `say` makes a datagram arrive.
fn takes_what_is_there_and_waits_no_longer(transport: &dyn Transport, say: impl Fn(&[u8])) {
    let past = Some(BootTime::now());
    assert_eq!(receive_until(transport, 100, past), Err(Received::TimedOut));
    assert_eq!(receive_until(transport, 100, past), Err(Received::TimedOut), "still nothing");
    assert_eq!(transport.try_receive(&mut []).expect("no error of the system"), Received::TimedOut);
    say(b"one");
    // A busy kernel may deliver a datagram after `say` has returned, and two of them in another order.
    let one = look_until_something_comes(|| receive_until(transport, 100, past));
    assert_eq!(one, Ok(b"one".to_vec()), "although it looked in vain before");
    say(b"two");
    let mut room = [0; 3];
    let two = look_until_something_comes(|| match transport.try_receive(&mut room) {
        Ok(Received::Datagram(length)) => Ok(length),
        Ok(nothing) => Err(nothing),
        Err(error) => panic!("{error}"),
    });
    assert_eq!(two, Ok(3));
    assert_eq!(&room, b"two");
    say(b"three");
    let far = Some(BootTime::now() + Duration::from_secs(1_000_000));
    assert_eq!(receive_until(transport, 100, far), Ok(b"three".to_vec()));
    let soon = Some(BootTime::now() + Duration::from_millis(1));
    assert_eq!(receive_until(transport, 100, soon), Err(Received::TimedOut));
    assert!(soon < Some(BootTime::now()), "it did not wait");
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
    transport.send(b"answer").expect("room");
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
    drop(simulator);
    assert_eq!(receive(&transport, 100), Ok(b"last".to_vec()));
    assert_eq!(receive(&transport, 100), Err(Received::Closed));
    assert_eq!(transport.send(b"x").expect_err("nobody is there").kind(), ErrorKind::BrokenPipe);
}

#[test]
fn seqpacket_is_closed_when_the_simulator_left_unread_words_behind() {
    let (transport, simulator) = pair();
    transport.send(b"never read").expect("room");
    drop(simulator);
    assert_eq!(receive(&transport, 100), Err(Received::Closed));
}

#[test]
fn seqpacket_stops_while_it_waits() {
    let (transport, _simulator) = pair();
    stops_while_it_waits(Arc::new(transport));
}

#[test]
fn a_stop_is_seen_although_datagrams_are_waiting() {
    let (transport, simulator) = pair();
    say(&simulator, b"late");
    transport.stop();
    assert_eq!(receive(&transport, 100), Err(Received::Closed));
    transport.send(b"what is owed").expect("there is room, so it is sent");
    assert_eq!(hear(&simulator), b"what is owed");
}

#[test]
fn a_send_waits_for_room_and_loses_nothing() {
    let (transport, simulator) = pair();
    let count = 5_000;
    let thread = thread::spawn(move || {
        for number in 0..count {
            transport.send(format!("{number:01000}").as_bytes()).expect("sent in the end");
        }
    });
    for number in 0..count {
        assert_eq!(hear(&simulator), format!("{number:01000}").into_bytes());
    }
    thread.join().expect("no panic");
}

#[test]
fn a_send_that_waits_gives_up_at_the_stop() {
    let (transport, _simulator) = pair();
    let transport = Arc::new(transport);
    let sending = Arc::clone(&transport);
    let thread = thread::spawn(move || {
        loop {
            if let Err(error) = sending.send(&[b'x'; 10_000]) {
                return error.kind();
            }
        }
    });
    transport.stop();
    assert_eq!(thread.join().expect("no panic"), ErrorKind::BrokenPipe);
}

#[test]
fn nothing_longer_than_the_limit_is_sent() {
    let (transport, simulator) = pair();
    let long = vec![b'x'; SEQPACKET_MAX_DATAGRAM + 1];
    assert_eq!(transport.send(&long).expect_err("too long").kind(), ErrorKind::InvalidInput);
    transport.send(&long[1..]).expect("just fits");
    assert_eq!(hear(&simulator).len(), SEQPACKET_MAX_DATAGRAM);
}

#[test]
fn seqpacket_waits_until_then_and_no_longer() {
    let (transport, simulator) = pair();
    takes_what_is_there_and_waits_no_longer(&transport, |bytes| say(&simulator, bytes));
}

#[test]
fn a_send_that_must_not_wait_sends_what_there_is_room_for() {
    let (transport, simulator) = pair();
    let bytes = |number: u64| format!("{number:01000}").into_bytes();
    let sent = (0..).take_while(|&number| match transport.try_send(&bytes(number)) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    });
    let sent = sent.count() as u64;
    assert!(sent > 0);
    (0..sent).for_each(|number| assert_eq!(hear(&simulator), bytes(number)));
    transport.try_send(b"again").expect("there is room again");
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
    let simulator = accept(&listener).expect("somebody came");
    say(&simulator, b"welcome");
    assert_eq!(receive(&transport, 100), Ok(b"welcome".to_vec()));
}

fn stream_pair() -> (Stream, OwnedFd) {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair");
    (Stream::new(ours).expect("a transport"), theirs)
}

#[test]
fn stream_takes_lines_that_arrive_joined_and_split() {
    let (transport, simulator) = stream_pair();
    say(&simulator, b"one\ntwo\n\nthr");
    assert_eq!(receive(&transport, 100), Ok(b"one".to_vec()));
    assert_eq!(receive(&transport, 100), Ok(b"two".to_vec()));
    assert_eq!(receive(&transport, 100), Ok(Vec::new()));
    assert_eq!(receive_until(&transport, 100, Some(BootTime::now())), Err(Received::TimedOut));
    say(&simulator, b"ee");
    assert_eq!(transport.try_receive(&mut [0; 100]).expect("no error"), Received::TimedOut);
    say(&simulator, b"\n");
    assert_eq!(receive(&transport, 100), Ok(b"three".to_vec()));
    transport.send(b"answer").expect("room");
    transport.try_send(b"another").expect("room");
    assert_eq!(hear(&simulator), b"answer\nanother\n");
}

#[test]
fn stream_reports_a_line_that_is_longer_than_the_buffer() {
    let (transport, simulator) = stream_pair();
    say(&simulator, &[&[b'x'; 101][..], b"\n", &[b'y'; 100], b"\n"].concat());
    assert_eq!(receive(&transport, 100), Err(Received::TooLong));
    assert_eq!(receive(&transport, 100), Ok(vec![b'y'; 100]));
}

#[test]
fn stream_is_closed_when_the_simulator_is_gone() {
    let (transport, simulator) = stream_pair();
    say(&simulator, b"last\nnever ended");
    drop(simulator);
    assert_eq!(receive(&transport, 100), Ok(b"last".to_vec()));
    assert_eq!(receive(&transport, 100), Err(Received::Closed));
    assert_eq!(transport.send(b"x").expect_err("nobody is there").kind(), ErrorKind::BrokenPipe);
}

#[test]
fn stream_waits_until_then_and_no_longer() {
    let (transport, simulator) = stream_pair();
    takes_what_is_there_and_waits_no_longer(&transport, |bytes| say(&simulator, &[bytes, b"\n"].concat()));
}

#[test]
fn stream_stops_while_it_waits() {
    let (transport, _simulator) = stream_pair();
    stops_while_it_waits(Arc::new(transport));
}

#[test]
fn stream_that_is_full_goes_on_in_the_middle_of_a_line() {
    let (ours, simulator) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair");
    let transport = Stream::new(ours.try_clone().expect("one more")).expect("a transport");
    // The smallest buffer there is takes only a part of the longest line.
    sockopt::set_socket_send_buffer_size(&ours, 1).expect("a socket has one");
    let line = vec![b'x'; STREAM_MAX_DATAGRAM];
    let mut heard = Vec::new();
    let mut refused = 0;
    for _ in 0..10 {
        while let Err(error) = transport.try_send(&line) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            refused += 1;
            heard.extend(hear(&simulator));
        }
    }
    drop((transport, ours));
    while heard.len() < 10 * (STREAM_MAX_DATAGRAM + 1) {
        heard.extend(hear(&simulator));
    }
    assert!(refused > 0);
    let lines: Vec<&[u8]> = heard.strip_suffix(b"\n").expect("whole").split(|&byte| byte == b'\n').collect();
    assert_eq!(lines, [&line[..]; 10]);
    assert_eq!(
        refuse_long(&[b'x'; STREAM_MAX_DATAGRAM + 1], STREAM_MAX_DATAGRAM).map_err(|e| e.kind()),
        Err(ErrorKind::InvalidInput)
    );
}

#[test]
fn kind_of_a_unix_socket_is_found_out() {
    for (kind, longest) in
        [(SocketType::SEQPACKET, SEQPACKET_MAX_DATAGRAM), (SocketType::STREAM, STREAM_MAX_DATAGRAM)]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("0001");
        let kind_of_error = || connect_unix(&path).err().map(|error| error.kind());
        assert_eq!(kind_of_error(), Some(ErrorKind::NotFound));
        let listener = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("fd");
        bind(&listener, &SocketAddrUnix::new(&path).expect("a short path")).expect("a free path");
        assert_eq!(kind_of_error(), Some(ErrorKind::ConnectionRefused));
        listen(&listener, 1).expect("listens");
        let transport = connect_unix(&path).expect("connects");
        assert_eq!(transport.max_datagram(), longest);
        let simulator = accept(&listener).expect("it came");
        say(&simulator, b"welcome\n");
        assert!(receive(&*transport, 100).expect("a message").starts_with(b"welcome"));
    }
}

#[test]
fn udp_hears_only_the_simulator() {
    let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let replica = socket.local_addr().expect("an address");
    stranger.send_to(b"before it has joined", replica).expect("sent");
    let port = simulator.local_addr().expect("an address").port();
    let transport = Udp::join(socket, id(3), port).expect("joins");
    stranger.send_to(b"after it has joined", replica).expect("sent");
    simulator.send_to(b"from the simulator", replica).expect("sent");
    assert_eq!(receive(&transport, 100), Ok(b"from the simulator".to_vec()));
    assert_eq!(transport.try_receive(&mut [0; 100]).expect("no error"), Received::TimedOut);
}

#[test]
fn udp_goes_on_while_the_simulator_is_away() {
    let port_holder = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = port_holder.local_addr().expect("an address").port();
    // Connected to itself, the socket hears no other, and no other test can be given its port.
    port_holder.connect((Ipv4Addr::LOCALHOST, port)).expect("a loopback address");
    let transport = Udp::open(id(3), port).expect("opens");
    for _ in 0..3 {
        transport.send(b"lost").expect("sent, but not received");
        transport.try_send(b"lost too").expect("sent, but not received");
        assert_eq!(transport.try_receive(&mut [0; 100]).expect("no error"), Received::TimedOut);
    }
}

#[test]
fn udp_says_hello_first_and_reports_what_is_too_long() {
    let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = simulator.local_addr().expect("an address").port();
    let transport = Udp::open(id(3), port).expect("opens");
    let mut buffer = [0; 100];
    let (length, replica) = simulator.recv_from(&mut buffer).expect("the hello");
    let expected = r#"{"src":"0003","dst":"FFFF","leader":"FFFF","type":"hello"}"#;
    assert_eq!(&buffer[..length], expected.as_bytes());

    simulator.send_to(b"from the simulator", replica).expect("sent");
    assert_eq!(receive(&transport, 100), Ok(b"from the simulator".to_vec()));
    simulator.send_to(&[b'x'; 101], replica).expect("sent");
    assert_eq!(receive(&transport, 100), Err(Received::TooLong));
    simulator.send_to(b"", replica).expect("sent");
    assert_eq!(receive(&transport, 100), Ok(Vec::new()));

    transport.send(b"answer").expect("sent");
    let (length, _) = simulator.recv_from(&mut buffer).expect("the answer");
    assert_eq!(&buffer[..length], b"answer");
    let long = vec![b'x'; UDP_MAX_DATAGRAM + 1];
    assert_eq!(transport.send(&long).expect_err("too long").kind(), ErrorKind::InvalidInput);
}

#[test]
fn udp_carries_its_longest_datagram() {
    let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = simulator.local_addr().expect("an address").port();
    let transport = Udp::open(id(3), port).expect("opens");
    let mut buffer = vec![0; 70_000];
    let (_, replica) = simulator.recv_from(&mut buffer).expect("the hello");
    transport.send(&vec![b'x'; UDP_MAX_DATAGRAM]).expect("just fits");
    assert_eq!(simulator.recv_from(&mut buffer).expect("it arrives").0, UDP_MAX_DATAGRAM);
    simulator.send_to(&vec![b'y'; UDP_MAX_DATAGRAM], replica).expect("just fits");
    assert_eq!(receive(&transport, 70_000).map(|bytes| bytes.len()), Ok(UDP_MAX_DATAGRAM));
}

#[test]
fn udp_waits_until_then_and_no_longer() {
    let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = simulator.local_addr().expect("an address").port();
    let transport = Udp::open(id(3), port).expect("opens");
    let (_, replica) = simulator.recv_from(&mut [0; 100]).expect("the hello");
    takes_what_is_there_and_waits_no_longer(&transport, |bytes| {
        assert_eq!(simulator.send_to(bytes, replica).expect("sent"), bytes.len());
    });
}

#[test]
fn udp_stops_while_it_waits() {
    stops_while_it_waits(Arc::new(Udp::open(id(3), 9).expect("opens")));
}

#[test]
fn memory_shows_what_is_sent_and_delivers_what_is_routed() {
    let hub = Hub::new(100);
    let (a, b, c) = (hub.attach(id(0)), hub.attach(id(1)), hub.attach(id(2)));
    a.send(br#"{"dst":"0001"}"#).expect("sent");
    a.send(br#"{"dst":"0010"}"#).expect("sent");
    a.send(br#"{"dst":"FFFF"}"#).expect("sent");
    let packets: Vec<Packet> = hub.sent().try_iter().collect();
    assert_eq!(packets.iter().map(|p| p.to).collect::<Vec<_>>(), [Some(id(1)), Some(id(0x10)), None]);
    assert_eq!(hub.route(packets[0].clone()), None);
    assert_eq!(hub.route(packets[1].clone()), Some(packets[1].clone()), "it is for a client");
    assert_eq!(hub.route(packets[2].clone()), None);
    assert_eq!(receive(&*b, 100), Ok(packets[0].bytes.clone()));
    assert_eq!(receive(&*b, 100), Ok(packets[2].bytes.clone()));
    assert_eq!(receive(&*c, 100), Ok(packets[2].bytes.clone()));
    hub.deliver(id(0), b"from a client".to_vec());
    assert_eq!(receive(&*a, 5), Err(Received::TooLong));
    assert!(!hub.deliver(id(7), Vec::new()), "nobody has this name");
    assert!(a.send(&[b' '; 101]).is_err());
    a.try_send(b"not even JSON").expect("sent");
    assert_eq!(hub.sent().recv().expect("a packet").to, None);
}

#[test]
fn memory_waits_until_then_and_no_longer() {
    let hub = Hub::new(100);
    let transport = hub.attach(id(0));
    takes_what_is_there_and_waits_no_longer(&*transport, |bytes| {
        assert!(hub.deliver(id(0), bytes.to_vec()));
    });
}

#[test]
fn memory_stops_while_it_waits() {
    let hub = Hub::new(100);
    let transport = hub.attach(id(0));
    hub.deliver(id(0), Vec::new());
    assert_eq!(receive(&*transport, 100), Ok(Vec::new()));
    stops_while_it_waits(transport);
}
