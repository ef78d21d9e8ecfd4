//! Every transport on real sockets or channels, from both sides: the rules that all of them keep,
//! and one file for the rules of each.

mod memory;
mod seqpacket;
mod stdio;
mod stream;
mod tcp;
mod udp;

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, recv,
    send, socket_with,
};

use super::*;
use crate::testkit::id;

/// Only a test that fails waits so long.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Where datagrams go on a network that carries all of them over one connection.
const ANYWHERE: Address = Address::Peer(id(1));

fn say(fd: &OwnedFd, bytes: &[u8]) {
    assert_eq!(send(fd, bytes, SendFlags::empty()), Ok(bytes.len()));
}

fn hear(fd: &OwnedFd) -> Vec<u8> {
    let mut buffer = vec![0; 100_000];
    let (length, _) = recv(fd, &mut buffer[..], RecvFlags::empty()).expect("something to hear");
    buffer.truncate(length);
    buffer
}

/// The simulator goes. The replica still receives the simulator's last words, and then the end.
fn is_closed_after_its_last_words(transport: &dyn Transport, simulator: OwnedFd) {
    drop(simulator);
    assert_eq!(receive(transport, 100), Ok(b"last".to_vec()));
    assert_eq!(receive(transport, 100), Err(Received::Closed));
    assert_eq!(
        transport.send(ANYWHERE, b"x").expect_err("the simulator is gone").kind(),
        ErrorKind::BrokenPipe
    );
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

fn try_receive(transport: &dyn Transport) -> Result<Vec<u8>, Received> {
    let mut buffer = vec![0; 100];
    match transport.try_receive(&mut buffer).expect("no error of the system") {
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

/// A waker is called before and during a wait, and a datagram waits for the next call.
fn wakes_while_it_waits(transport: Arc<dyn Transport>, say: impl Fn(&[u8])) {
    say(b"one");
    let waker = transport.waker();
    waker.wake_by_ref();
    assert_eq!(
        look_until_found(|| try_receive(&*transport)),
        Ok(b"one".to_vec()),
        "this call ignores wakers"
    );
    waker.wake_by_ref();
    assert_eq!(receive(&*transport, 100), Err(Received::Woken), "before the wait");
    let past = Some(BootTime::now());
    assert_eq!(receive_until(&*transport, 100, past), Err(Received::TimedOut), "two calls, one wake-up");

    // The call comes sometimes before the wait and sometimes during it.
    let waiting = Arc::clone(&transport);
    let (woken, wakes) = crossbeam_channel::bounded(0);
    let thread = thread::spawn(move || while woken.send(receive(&*waiting, 100)).is_ok() {});
    for _ in 0..200 {
        waker.wake_by_ref();
        assert_eq!(wakes.recv_timeout(TEST_TIMEOUT), Ok(Err(Received::Woken)));
    }
    drop(wakes);
    waker.wake();
    thread.join().expect("no panic");

    // The last call of a waker is seen although no waker exists any more.
    transport.waker().wake();
    assert_eq!(receive(&*transport, 100), Err(Received::Woken));
    let _waker = transport.waker();
    say(b"two");
    assert_eq!(receive(&*transport, 100), Ok(b"two".to_vec()), "a waker that is not called changes nothing");
    let soon = Some(BootTime::now() + Duration::from_millis(1));
    assert_eq!(receive_until(&*transport, 100, soon), Err(Received::TimedOut));
}

/// Repeats `look`, which does not wait, until it finds something.
fn look_until_found<T>(mut look: impl FnMut() -> Result<T, Received>) -> Result<T, Received> {
    let limit = BootTime::now() + TEST_TIMEOUT;
    loop {
        match look() {
            Err(Received::TimedOut) if BootTime::now() < limit => thread::yield_now(),
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
    // A busy kernel may deliver a datagram after `say` has returned, and two of them in another
    // order.
    let one = look_until_found(|| receive_until(transport, 100, past));
    assert_eq!(one, Ok(b"one".to_vec()), "although it looked in vain before");
    say(b"two");
    let mut room = [0; 3];
    let two = look_until_found(|| match transport.try_receive(&mut room) {
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
fn unix_socket_is_connected_whatever_its_kind() {
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
        let simulator = accept(&listener).expect("the replica came");
        say(&simulator, b"welcome\n");
        assert!(receive(&*transport, 100).expect("a message").starts_with(b"welcome"));
    }
}
