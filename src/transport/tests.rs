//! Every transport on real sockets or channels, from both sides.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, recv,
    send, socket_with, socketpair,
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

/// `say` makes a datagram arrive.
fn takes_what_is_there_and_waits_no_longer(transport: &dyn Transport, say: impl Fn(&[u8])) {
    let past = Some(BootTime::now());
    assert_eq!(receive_until(transport, 100, past), Err(Received::TimedOut));
    assert_eq!(receive_until(transport, 100, past), Err(Received::TimedOut), "still nothing");
    assert_eq!(transport.try_receive(&mut []).expect("no error of the system"), Received::TimedOut);
    say(b"one");
    say(b"two");
    say(b"three");
    assert_eq!(receive_until(transport, 100, past), Ok(b"one".to_vec()), "although it looked in vain before");
    let mut room = [0; 3];
    assert_eq!(transport.try_receive(&mut room).expect("no error of the system"), Received::Datagram(3));
    assert_eq!(&room, b"two");
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

#[test]
fn udp_says_hello_first_and_hears_every_local_source() {
    let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = simulator.local_addr().expect("an address").port();
    let transport = Udp::open(id(3), port).expect("opens");
    let mut buffer = [0; 100];
    let (length, replica) = simulator.recv_from(&mut buffer).expect("the hello");
    let expected = r#"{"src":"0003","dst":"FFFF","leader":"FFFF","type":"hello"}"#;
    assert_eq!(&buffer[..length], expected.as_bytes());

    simulator.send_to(b"from the simulator", replica).expect("sent");
    assert_eq!(receive(&transport, 100), Ok(b"from the simulator".to_vec()));
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    other.send_to(&[b'x'; 101], replica).expect("sent");
    assert_eq!(receive(&transport, 100), Err(Received::TooLong));
    other.send_to(b"", replica).expect("sent");
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
