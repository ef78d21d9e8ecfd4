//! The queue to one other replica: bytes that its connection has not taken yet.
//!
//! ```text
//!   push --> gathered, one call of the system for many --flush--> connection
//!                                                     \--------> waiting, what it does not take
//! ```
//!
//! A call of the system for each datagram costs more than the datagram: with it, a follower that
//! forwarded 40,000 writes made 40,000 calls, and so did the leader with the answers.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::frame::HEADER_BYTES;
use super::mesh::MeshLimits;

/// How many waiting pieces one call writes at most.
const MAX_SLICES: usize = 64;

/// So many gathered bytes leave at once, before their row ends.
const GATHERED_BYTES: usize = 32 << 10;

/// A longer frame is written from where it is: a copy would cost more than it saves.
const SHORT_BYTES: usize = 4 << 10;

/// The connection to a replica, and the bytes that it has not taken yet.
#[derive(Default)]
pub(super) struct Queue {
    stream: Option<Arc<TcpStream>>,
    gathers: bool,
    gathered: Vec<u8>,      // whole frames; empty without a connection, and unless it gathers
    gathered_frames: usize, // how many of them
    waiting: VecDeque<Piece>, // the connection did not take them; empty without a connection
    written: usize,         // how much of the first one is written
    bytes: usize,           // of all of them
    frames: usize,          // in all of them
    is_closing: bool,       // it takes no more
}

/// Frames that wait.
struct Piece {
    bytes: Vec<u8>,
    frames: usize,
}

impl Queue {
    /// The queue of a new connection.
    pub(super) fn of(stream: &Arc<TcpStream>) -> Self {
        Self { stream: Some(Arc::clone(stream)), ..Self::default() }
    }

    pub(super) fn stream(&self) -> Option<Arc<TcpStream>> {
        self.stream.clone()
    }

    /// From now on it takes no more.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether the connection does not take all.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many frames are not written.
    pub(super) fn frames(&self) -> usize {
        self.gathered_frames + self.frames
    }

    /// How many bytes are not written.
    pub(super) fn bytes(&self) -> usize {
        self.gathered.len() + self.bytes
    }

    /// Whether a frame of this length may wait, too.
    pub(super) fn has_room(&self, limits: &MeshLimits, length: usize) -> bool {
        self.waiting.is_empty()
            || (self.frames() < limits.queued && self.bytes() + length <= limits.queued_bytes)
    }

    /// From now on, short frames are kept until [`flush`](Self::flush).
    pub(super) fn gather(&mut self) {
        self.gathers = true;
    }

    /// Writes what was gathered, or keeps what the connection does not take.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.gathers = false;
        self.write_gathered()
    }

    /// Writes a frame, or keeps what the connection does not take. It may be kept until a flush.
    pub(super) fn push(&mut self, header: &[u8; HEADER_BYTES], content: &[u8]) -> io::Result<()> {
        if self.stream.is_none() {
            return Ok(());
        }
        if !self.gathers || content.len() > SHORT_BYTES {
            self.write_gathered()?;
            return self.put([header, content], 1);
        }
        self.gathered.extend_from_slice(header);
        self.gathered.extend_from_slice(content);
        self.gathered_frames += 1;
        if self.gathered.len() < GATHERED_BYTES { Ok(()) } else { self.write_gathered() }
    }

    fn write_gathered(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        let frames = std::mem::take(&mut self.gathered_frames);
        let result = self.put([&gathered, &[]], frames);
        gathered.clear();
        self.gathered = gathered; // with its room
        result
    }

    /// Writes frames, which have two parts, or keeps what the connection does not take.
    fn put(&mut self, parts: [&[u8]; 2], frames: usize) -> io::Result<()> {
        let Some(stream) = &self.stream else { return Ok(()) };
        let length = parts[0].len() + parts[1].len();
        let written = match self.waiting.is_empty() {
            true => write_once(stream, &parts.map(IoSlice::new))?,
            false => 0,
        };
        if written < length {
            self.written = if self.waiting.is_empty() { written } else { self.written };
            self.waiting.push_back(Piece { bytes: parts.concat(), frames });
            self.bytes += length;
            self.frames += frames;
        }
        Ok(())
    }

    /// Writes once, and returns whether to go on: something is left, and the connection took a part.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        self.write_gathered()?;
        let Some(stream) = self.stream.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return Ok(false);
        };
        let parts: Vec<IoSlice<'_>> = (self.waiting.iter().take(MAX_SLICES).enumerate())
            .map(|(at, piece)| {
                IoSlice::new(if at == 0 { &piece.bytes[self.written..] } else { &piece.bytes })
            })
            .collect();
        let written = write_once(stream, &parts)?;
        self.written += written;
        let is_written = |queue: &Self| {
            let first = queue.waiting.front();
            first.is_some_and(|piece| queue.written >= piece.bytes.len())
        };
        while is_written(self)
            && let Some(piece) = self.waiting.pop_front()
        {
            self.written -= piece.bytes.len();
            self.bytes -= piece.bytes.len();
            self.frames -= piece.frames;
        }
        Ok(written > 0 && !self.waiting.is_empty())
    }
}

/// Writes what a socket takes at once; nothing if it takes nothing.
fn write_once(mut stream: &TcpStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    match stream.write_vectored(parts) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(length) => Ok(length),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::frame::header;
    use super::super::guarantees::connection;
    use super::*;

    /// A queue, the other end of its connection, which does not wait, and a way to push.
    fn queue() -> (Queue, TcpStream) {
        let (own, other) = connection();
        own.set_nonblocking(true).and_then(|()| other.set_nonblocking(true)).expect("sockets");
        (Queue::of(&Arc::new(own)), other)
    }

    fn push(queue: &mut Queue, content: &[u8]) {
        queue.push(&header(0, content), content).expect("the connection lives");
    }

    fn framed(contents: &[&[u8]]) -> Vec<u8> {
        contents.iter().flat_map(|content| [&header(0, content)[..], content].concat()).collect()
    }

    /// All that has arrived.
    fn heard(mut other: &TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let nothing_more = other.read_to_end(&mut bytes).expect_err("the connection lives");
        assert_eq!(nothing_more.kind(), io::ErrorKind::WouldBlock);
        bytes
    }

    #[test]
    fn frame_leaves_at_once_unless_the_queue_gathers() {
        let (mut queue, other) = queue();
        push(&mut queue, b"one");
        assert_eq!(heard(&other), framed(&[b"one"]));
        queue.gather();
        push(&mut queue, b"two");
        push(&mut queue, b"three");
        assert_eq!((heard(&other).len(), queue.frames(), queue.bytes()), (0, 2, 18));
        queue.flush().expect("the connection lives");
        assert_eq!(heard(&other), framed(&[b"two", b"three"]));
        assert_eq!((queue.frames(), queue.bytes(), queue.waits()), (0, 0, false));
        push(&mut queue, b"four");
        assert_eq!(heard(&other), framed(&[b"four"]));
        queue.gather();
        push(&mut queue, b"five");
        queue.write().expect("the connection lives");
        assert_eq!(heard(&other), framed(&[b"five"]), "a dialer that writes all leaves nothing behind");
    }

    #[test]
    fn long_frame_and_a_long_row_leave_before_the_flush_and_in_order() {
        let (mut queue, other) = queue();
        let long = vec![7; SHORT_BYTES + 1];
        queue.gather();
        push(&mut queue, b"short");
        push(&mut queue, &long);
        assert_eq!(heard(&other), framed(&[b"short", &long]));
        let rows = GATHERED_BYTES / SHORT_BYTES;
        (0..rows).for_each(|_| push(&mut queue, &long[1..]));
        assert_eq!(heard(&other), framed(&vec![&long[1..]; rows]));
    }

    #[test]
    fn frames_that_the_connection_does_not_take_wait_and_are_counted() {
        let (mut queue, other) = queue();
        let content = [7; 1_000];
        queue.gather();
        let mut pushed = 0;
        while !queue.waits() {
            push(&mut queue, &content);
            pushed += 1;
        }
        push(&mut queue, b"more");
        queue.flush().expect("the connection lives");
        push(&mut queue, b"last");
        let limits = MeshLimits { queued: queue.frames(), ..MeshLimits::default() };
        assert!(!queue.has_room(&limits, 1), "{} frames wait", queue.frames());
        let mut bytes = heard(&other);
        while queue.waits() {
            queue.write().expect("the connection lives");
            bytes.extend(heard(&other));
        }
        assert_eq!((queue.frames(), queue.bytes()), (0, 0));
        assert!(bytes == framed(&[&vec![&content[..]; pushed][..], &[b"more", b"last"]].concat()));
    }
}
