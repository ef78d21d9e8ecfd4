//! The stream dialect: a connection on which each line is a message. Lines arrive joined and split
//! at any byte.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use rustix::net::{SendAncillaryBuffer, SocketType, sendmsg};

use super::socket::{Socket, Unit, Wait, connect_unix};
use super::{Address, Received, Transport, refuse_long};
use crate::clock::BootTime;

/// The longest message of this dialect. With its newline it is no longer than a packet, because old
/// simulators do not join the pieces that they read.
pub const STREAM_MAX_DATAGRAM: usize = 16_383;

/// How many bytes of a line are kept until its newline arrives; a line that is not shorter is lost.
const MAX_LINE_BYTES: usize = 256 * 1024;

/// A connected `SOCK_STREAM` socket.
pub struct Stream {
    socket: Socket,
    lines: Mutex<Lines>, // used by the receiving stage only
    sent: AtomicUsize,   // bytes of the current line that the socket has taken; of the sending stage
}

impl Stream {
    /// Connects to the simulator's socket at this path.
    ///
    /// # Errors
    ///
    /// The error of the operating system, above all that the path has no listener.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Self::new(connect_unix(path, SocketType::STREAM)?)
    }

    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Self::with_limit(fd, MAX_LINE_BYTES)
    }

    fn with_limit(fd: OwnedFd, limit: usize) -> io::Result<Self> {
        let socket = Socket::new(fd, Unit::Byte)?;
        Ok(Self { socket, lines: Mutex::new(Lines::new(limit)), sent: AtomicUsize::new(0) })
    }

    fn transmit(&self, datagram: &[u8], wait: Wait) -> io::Result<()> {
        refuse_long(datagram, STREAM_MAX_DATAGRAM)?;
        let mut sent = self.sent.load(Ordering::Relaxed);
        while sent <= datagram.len() {
            let rest = [IoSlice::new(&datagram[sent..]), IoSlice::new(b"\n")];
            let result = self.socket.send(wait, |flags| {
                sendmsg(self.socket.fd(), &rest, &mut SendAncillaryBuffer::default(), flags)
            });
            match result {
                Ok(length) => sent += length,
                Err(error) => {
                    self.sent.store(sent, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        self.sent.store(0, Ordering::Relaxed);
        Ok(())
    }
}

impl Transport for Stream {
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        let mut lines = self.lines.lock();
        while !self.socket.is_stopped() {
            if let Some(received) = lines.next(buffer) {
                return Ok(received);
            }
            match self.socket.receive(lines.space(), until)? {
                Received::Datagram(0) => return Ok(Received::Closed),
                Received::Datagram(length) => lines.extend(length),
                other => return Ok(other),
            }
            // Parts of a line that never cease to arrive must not keep the caller from its timers.
            if until.is_some_and(|until| until.left().is_zero()) {
                return Ok(lines.next(buffer).unwrap_or(Received::TimedOut));
            }
        }
        Ok(Received::Closed)
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.socket.is_stopped() {
            return Ok(Received::Closed);
        }
        let mut lines = self.lines.lock();
        if let Some(received) = lines.next(buffer) {
            return Ok(received);
        }
        match self.socket.try_receive(lines.space())? {
            Received::Datagram(0) => return Ok(Received::Closed),
            Received::Datagram(length) => lines.extend(length),
            other => return Ok(other),
        }
        Ok(lines.next(buffer).unwrap_or(Received::TimedOut))
    }

    fn send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::Yes)
    }

    fn try_send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::No)
    }

    fn max_datagram(&self) -> usize {
        STREAM_MAX_DATAGRAM
    }

    fn waker(&self) -> Waker {
        self.socket.waker()
    }

    fn stop(&self) {
        self.socket.stop();
    }
}

/// The bytes that were read and not taken yet: some lines and the beginning of another one.
///
/// ```text
/// |  taken  |  no newline here  |  not searched  |  space  |
/// 0       start             searched            end     length
/// ```
pub(super) struct Lines {
    bytes: Box<[u8]>,
    start: usize,
    searched: usize,
    end: usize,
    skips: bool, // the bytes up to the next newline are the rest of a line that was too long
}

impl Lines {
    /// For lines of fewer than `limit` bytes, their newline not counted.
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: vec![0; limit].into(), start: 0, searched: 0, end: 0, skips: false }
    }

    /// Takes the next line into the buffer, without its newline.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Option<Received> {
        while let Some(length) = memchr::memchr(b'\n', &self.bytes[self.searched..self.end]) {
            let line = self.start..self.searched + length;
            self.start = line.end + 1;
            self.searched = self.start;
            if std::mem::take(&mut self.skips) {
                continue; // its loss was reported when it became too long
            }
            let Some(room) = buffer.get_mut(..line.len()) else { return Some(Received::TooLong) };
            room.copy_from_slice(&self.bytes[line]);
            return Some(Received::Datagram(room.len()));
        }
        self.searched = self.end;
        let is_full = self.start == 0 && self.end == self.bytes.len();
        if is_full || self.start == self.end || self.skips {
            (self.start, self.searched, self.end) = (0, 0, 0);
        }
        let is_too_long = is_full && !self.skips;
        self.skips |= is_full;
        is_too_long.then_some(Received::TooLong)
    }

    /// Where to read the next bytes to. Empty only if there is a line to take.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 && self.end > self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.searched -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Takes the news that so many bytes were read into the space.
    pub(super) fn extend(&mut self, length: usize) {
        self.end += length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, send, socketpair};

    use super::*;

    /// Shorter lines than in a replica, so that few bytes reach every case.
    const LIMIT: usize = 16;
    const ROOM: usize = 12;

    /// The output of `Lines` for `bytes` that arrive in pieces of these lengths and then byte by
    /// byte.
    fn lines_of(bytes: &[u8], pieces: &[usize]) -> Vec<Result<Vec<u8>, Received>> {
        let mut lines = Lines::new(LIMIT);
        let mut out = Vec::new();
        let mut buffer = [0; ROOM];
        let mut rest = bytes;
        let mut pieces = pieces.iter();
        while !rest.is_empty() {
            let space = lines.space();
            let length = pieces.next().copied().unwrap_or(1).min(space.len()).min(rest.len());
            assert!(length > 0, "there is always space");
            let (piece, later) = rest.split_at(length);
            space[..length].copy_from_slice(piece);
            lines.extend(length);
            rest = later;
            while let Some(received) = lines.next(&mut buffer) {
                out.push(match received {
                    Received::Datagram(length) => Ok(buffer[..length].to_vec()),
                    other => Err(other),
                });
            }
        }
        out
    }

    proptest! {
        #[test]
        fn lines_arrive_whole_however_they_are_split(
            lengths in prop::collection::vec(0..3 * LIMIT, 0..20),
            pieces in prop::collection::vec(1..3 * LIMIT, 0..40),
        ) {
            let lines: Vec<Vec<u8>> =
                (b'a'..).zip(&lengths).map(|(byte, &length)| vec![byte; length]).collect();
            let bytes: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
            let expected: Vec<_> = lines
                .into_iter()
                .map(|line| if line.len() > ROOM { Err(Received::TooLong) } else { Ok(line) })
                .collect();
            prop_assert_eq!(lines_of(&bytes, &pieces), expected);
        }
    }

    #[test]
    fn wait_that_is_over_reads_once_and_no_more_of_an_endless_line() {
        let (ours, simulator) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair");
        let stream = Stream::with_limit(ours, LIMIT).expect("a transport");
        let bytes = [&[b'x'; 3 * LIMIT][..], b"\nnext\n"].concat();
        assert_eq!(send(&simulator, &bytes, SendFlags::empty()), Ok(bytes.len()));
        let past = Some(BootTime::now());
        let mut buffer = [0; ROOM];
        let expected = [
            Received::TooLong,
            Received::TimedOut,
            Received::TimedOut,
            Received::Datagram(4),
            Received::TimedOut,
        ];
        for expected in expected {
            assert_eq!(stream.receive(&mut buffer, past).expect("no error of the system"), expected);
        }
        assert_eq!(&buffer[..4], b"next");
    }

    #[test]
    fn endless_line_is_reported_once_and_kept_nowhere() {
        let bytes = [&[b'x'; 100 * LIMIT][..], b"\nnext\n"].concat();
        assert_eq!(lines_of(&bytes, &[]), [Err(Received::TooLong), Ok(b"next".to_vec())]);
    }
}
