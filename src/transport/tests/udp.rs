//! The datagram dialect.

use std::net::{Ipv4Addr, UdpSocket};

use super::*;

#[test]
fn udp_receives_from_the_simulator_only() {
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
        transport.send(ANYWHERE, b"lost").expect("sent, but not received");
        transport.try_send(ANYWHERE, b"lost too").expect("sent, but not received");
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

    transport.send(ANYWHERE, b"answer").expect("sent");
    let (length, _) = simulator.recv_from(&mut buffer).expect("the answer");
    assert_eq!(&buffer[..length], b"answer");
    let long = vec![b'x'; UDP_MAX_DATAGRAM + 1];
    assert_eq!(transport.send(ANYWHERE, &long).expect_err("too long").kind(), ErrorKind::InvalidInput);
}

#[test]
fn udp_carries_its_longest_datagram() {
    let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = simulator.local_addr().expect("an address").port();
    let transport = Udp::open(id(3), port).expect("opens");
    let mut buffer = vec![0; 70_000];
    let (_, replica) = simulator.recv_from(&mut buffer).expect("the hello");
    transport.send(ANYWHERE, &vec![b'x'; UDP_MAX_DATAGRAM]).expect("just fits");
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
fn udp_wakes_while_it_waits() {
    let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = simulator.local_addr().expect("an address").port();
    let transport = Udp::open(id(3), port).expect("opens");
    let (_, replica) = simulator.recv_from(&mut [0; 100]).expect("the hello");
    wakes_while_it_waits(Arc::new(transport), |bytes| {
        assert_eq!(simulator.send_to(bytes, replica).expect("sent"), bytes.len());
    });
}
