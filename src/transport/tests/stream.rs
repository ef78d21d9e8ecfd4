//! The stream dialect.

use rustix::net::{socketpair, sockopt};

use super::*;

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
    transport.send(ANYWHERE, b"answer").expect("room");
    transport.try_send(ANYWHERE, b"another").expect("room");
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
    is_closed_after_its_last_words(&transport, simulator);
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
        while let Err(error) = transport.try_send(ANYWHERE, &line) {
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
fn stream_wakes_while_it_waits() {
    let (transport, simulator) = stream_pair();
    wakes_while_it_waits(Arc::new(transport), |bytes| say(&simulator, &[bytes, b"\n"].concat()));
}
