//! The network inside the process.

use super::*;

#[test]
fn memory_shows_sent_packets_and_delivers_routed_ones() {
    let hub = Hub::new(100);
    let (a, b) = (hub.attach(id(0)), hub.attach(id(1)));
    let destinations = [Address::Peer(id(1)), Address::Client(id(0x10)), Address::Peer(id(7))];
    for to in destinations {
        a.send(to, format!("{to:?}").as_bytes()).expect("sent");
    }
    let packets: Vec<Packet> = hub.sent().try_iter().collect();
    assert_eq!(packets.iter().map(|packet| packet.to).collect::<Vec<_>>(), destinations);
    assert_eq!(hub.route(packets[0].clone()), None);
    assert_eq!(hub.route(packets[1].clone()), Some(packets[1].clone()), "it is for a client");
    assert_eq!(hub.route(packets[2].clone()), None, "a replica that is not there receives nothing");
    assert_eq!(receive(&*b, 100), Ok(packets[0].bytes.clone()));
    assert_eq!(try_receive(&*b), Err(Received::TimedOut));
    hub.deliver(id(0), b"from a client".to_vec());
    assert_eq!(receive(&*a, 5), Err(Received::TooLong));
    assert!(!hub.deliver(id(7), Vec::new()), "no replica has this name");
    assert!(a.send(ANYWHERE, &[b' '; 101]).is_err());
    a.try_send(ANYWHERE, b"not even JSON").expect("sent");
    assert_eq!(hub.sent().recv().map(|packet| packet.to), Ok(ANYWHERE));
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

#[test]
fn memory_wakes_while_it_waits() {
    let hub = Hub::new(100);
    wakes_while_it_waits(hub.attach(id(0)), |bytes| assert!(hub.deliver(id(0), bytes.to_vec())));
}
