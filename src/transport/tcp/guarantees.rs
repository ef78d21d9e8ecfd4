//! The guarantees of a mesh for any bytes of a stranger, written down once for two users: the test
//! below draws bytes at random, and the fuzz target `mesh` looks for those that lead to new places.
//!
//! * Nothing panics.
//! * Frames that come in pieces are those that come at once.
//! * A stranger without the secret is no replica, and gets nothing but a greeting, after the magic.
//! * A dialer that knows the secret is welcome if its introduction is right, and gets a verdict if it
//!   is not.
//! * A listener without the secret is no replica.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use hmac::Mac;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::frame::{BadFrame, FrameReader};
use super::hello::{self, GREETING_BYTES, Identity, MAGIC, PROOF_BYTES, greeting, proof};
use crate::clock::BootTime;
use crate::id::Id;

/// The longest datagram.
const MAX: usize = 300;

/// So much is in the buffer of a socket at once.
const MAX_INPUT: usize = 32 << 10;

/// A verdict and the ID of the listener.
const VERDICT_BYTES: usize = 3;

/// If one of them breaks a guarantee. The first byte chooses the guarantee.
pub fn check(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first().filter(|(_, bytes)| bytes.len() <= MAX_INPUT) else {
        return;
    };
    match choice % 4 {
        0 => check_frames(bytes),
        1 => check_stranger(bytes),
        2 => check_introduction(bytes),
        _ => check_listener(bytes),
    }
}

fn check_frames(bytes: &[u8]) {
    let Some((&size, bytes)) = bytes.split_first() else { return };
    assert_eq!(frames(bytes, usize::from(size).max(1)), frames(bytes, bytes.len().max(1)));
}

/// The frames in bytes that come in pieces of this length, and the fault that ends them.
fn frames(mut bytes: &[u8], size: usize) -> (Vec<String>, Option<BadFrame>) {
    let mut reader = FrameReader::new(MAX);
    let mut frames = Vec::new();
    while reader.fill(&mut (&mut bytes).take(size as u64)).expect("memory does not fail") {
        while reader.has_frame() {
            match reader.next() {
                Ok(frame) => frames.push(format!("{:?}", frame.expect("it is there"))),
                Err(fault) => return (frames, Some(fault)),
            }
        }
        assert_eq!(reader.next(), Ok(None));
    }
    (frames, None)
}

fn id(number: u16) -> Id {
    Id::new(number).expect("it is not reserved")
}

fn identity() -> Identity {
    let cluster = "cluster".to_owned();
    Identity { own: id(1), cluster, secret: b"secret".to_vec(), members: vec![id(2), id(3)] }
}

/// Both ends of a connection.
pub(super) fn connection() -> (TcpStream, TcpStream) {
    let ends = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let (one, other) = ends.expect("a pair of sockets");
    (one.into(), other.into())
}

fn soon() -> BootTime {
    BootTime::now() + Duration::from_secs(60)
}

fn send(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("its buffer has room");
    stream.shutdown(Shutdown::Write).expect("it is connected");
}

fn check_stranger(bytes: &[u8]) {
    let (mut stranger, own) = connection();
    send(&mut stranger, bytes);
    let heard = hello::listen(&identity(), &own, soon(), || panic!("a proof without the secret"));
    assert!(heard.is_err(), "{heard:?}");
    drop(own);
    let mut said = Vec::new();
    // Bytes that the listener did not read end the connection with an error, behind all that was sent on it.
    let _reset = stranger.read_to_end(&mut said);
    let is_greeted = bytes.len() >= GREETING_BYTES && bytes.starts_with(&MAGIC);
    assert_eq!(said.len(), if is_greeted { GREETING_BYTES } else { 0 });
}

fn check_introduction(bytes: &[u8]) {
    let Some((&[own_low, own_high, to_low, to_high], cluster)) = bytes.split_first_chunk() else { return };
    let Ok(length) = u8::try_from(cluster.len()) else { return };
    let identity = identity();
    let from = Id::new(u16::from_le_bytes([own_low, own_high]));
    let to = Id::new(u16::from_le_bytes([to_low, to_high]));
    let is_right = to == Some(identity.own)
        && from.is_some_and(|from| identity.members.contains(&from))
        && cluster == identity.cluster.as_bytes();
    let (mut dialer, own) = connection();
    let mut hello = greeting().expect("random bytes").to_vec();
    let (heard, verdict) = thread::scope(|scope| {
        let listener = scope.spawn(|| hello::listen(&identity, &own, soon(), || true));
        dialer.write_all(&hello).expect("its buffer has room");
        let mut theirs = [0; GREETING_BYTES];
        dialer.read_exact(&mut theirs).expect("a greeting");
        hello.extend(theirs);
        let introduction = [&bytes[..4], &[length], cluster].concat();
        hello.extend(&introduction);
        let proof = proof(&identity, b"dialer", &hello).finalize().into_bytes();
        send(&mut dialer, &[&introduction[..], &proof].concat());
        let heard = listener.join().expect("no panic");
        own.shutdown(Shutdown::Both).expect("it is connected");
        let mut verdict = Vec::new();
        dialer.read_to_end(&mut verdict).expect("all was read");
        (heard, verdict)
    });
    assert_eq!(heard.is_ok(), is_right, "{heard:?}");
    let has_ids = from.is_some() && to.is_some();
    assert_eq!(verdict.len(), if has_ids { VERDICT_BYTES + PROOF_BYTES } else { 0 });
}

fn check_listener(bytes: &[u8]) {
    let (mut stranger, own) = connection();
    send(&mut stranger, bytes);
    let said = hello::dial(&identity(), id(2), &own, soon());
    assert!(said.is_err());
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_of_strangers_break_no_guarantee(
            choice in 0..4_u8,
            beginning in prop_oneof![
                Just(Vec::new()),
                Just([&MAGIC[..], &[1, 0]].concat()),
                Just(b"\x02\0\x01\0cluster".to_vec()),
                Just(b"\x07\x05\0\0\0\x01hello".to_vec()),
            ],
            bytes in vec(any::<u8>(), 0..100),
        ) {
            check(&[&[choice], &beginning[..], &bytes].concat());
        }
    }

    #[test]
    fn right_introduction_is_among_those_that_are_checked() {
        check(b"\x02\x02\0\x01\0cluster");
        check(b"\x02\x02\0\x01\0another");
        check(b"\x02\x09\0\x01\0cluster");
        check(b"\x02\x02\0\x03\0cluster");
    }
}
