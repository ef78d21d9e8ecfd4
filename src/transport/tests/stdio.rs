//! Lines on two descriptors.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};

use super::*;
use crate::transport::Stdio;

/// A transport on two pipes, and their other ends.
fn joined() -> (Arc<Stdio>, PipeWriter, PipeReader) {
    let (input, to) = pipe().expect("a pipe");
    let (from, output) = pipe().expect("a pipe");
    (Arc::new(Stdio::new(input.into(), output.into()).expect("a transport")), to, from)
}

fn say_to(mut file: impl Write) -> impl FnMut(&[u8]) {
    move |bytes| file.write_all(&[bytes, b"\n"].concat()).expect("room")
}

#[test]
fn lines_arrive_and_leave_whole() {
    let (stdio, mut to, mut from) = joined();
    to.write_all(b"one\ntw").expect("room");
    assert_eq!(receive(&*stdio, 100), Ok(b"one".to_vec()));
    assert_eq!(try_receive(&*stdio), Err(Received::TimedOut), "half a line");
    to.write_all(b"o\n\n").expect("room");
    assert_eq!(receive(&*stdio, 100), Ok(b"two".to_vec()));
    assert_eq!(receive(&*stdio, 100), Ok(Vec::new()));
    stdio.send(ANYWHERE, b"three").expect("sent");
    stdio.try_send(ANYWHERE, b"").expect("sent");
    let mut heard = [0; 7];
    from.read_exact(&mut heard).expect("there");
    assert_eq!(&heard, b"three\n\n");
}

#[test]
fn it_keeps_the_rules_of_all_transports() {
    let (stdio, to, _from) = joined();
    let say = |bytes: &[u8]| say_to(&to)(bytes);
    takes_what_is_there_and_waits_no_longer(&*stdio, say);
    wakes_while_it_waits(Arc::clone(&stdio) as _, say);
    stops_while_it_waits(stdio);
}

#[test]
fn end_of_the_input_comes_after_the_last_line() {
    let (stdio, mut to, from) = joined();
    to.write_all(b"last\nhalf a line").expect("room");
    drop((to, from));
    assert_eq!(receive(&*stdio, 100), Ok(b"last".to_vec()));
    assert_eq!(receive(&*stdio, 100), Err(Received::Closed));
    assert_eq!(receive(&*stdio, 100), Err(Received::Closed), "it stays closed");
    let error = stdio.send(ANYWHERE, b"x").expect_err("no reader is left");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn full_pipe_makes_send_wait_and_try_send_return() {
    let (stdio, _to, mut from) = joined();
    let line = vec![b'x'; 10_000];
    let mut taken = 0;
    while stdio.try_send(ANYWHERE, &line).is_ok() {
        taken += 1;
    }
    let error = stdio.try_send(ANYWHERE, &line).expect_err("full");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let sender = Arc::clone(&stdio);
    let rest = line.clone();
    let thread = thread::spawn(move || sender.send(ANYWHERE, &rest));
    let mut heard = vec![0; (taken + 1) * (line.len() + 1)];
    from.read_exact(&mut heard).expect("all lines");
    thread.join().expect("no panic").expect("sent");
    assert!(heard.split(|&byte| byte == b'\n').take(taken + 1).all(|heard| heard == line));
}

#[test]
fn stop_ends_a_send_that_waits() {
    let (stdio, _to, from) = joined();
    while stdio.try_send(ANYWHERE, &[b'x'; 4_000]).is_ok() {}
    let sender = Arc::clone(&stdio);
    let thread = thread::spawn(move || sender.send(ANYWHERE, &[b'x'; 4_000]));
    stdio.stop();
    let error = thread.join().expect("no panic").expect_err("it was stopped");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    drop(from);
}
