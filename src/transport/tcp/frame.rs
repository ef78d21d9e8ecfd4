//! The frames of an established connection.
//!
//! ```text
//! length of the content (4 bytes, little endian)   type (1 byte)   content
//! ```
//!
//! | type | content |
//! |---|---|
//! | 0, 1, 2 | a datagram; an answer was relayed so many times |
//! | 16 | a ping: 8 bytes that the receiver sends back |
//! | 17 | a pong: those bytes |
//! | 18 | a request that its sender wanted to be forwarded, and that was not |
//! | 19 | nothing: the listener is about to leave, and the dialer is to send no more |

use std::io::{self, Read};

/// How many bytes stand in front of the content.
pub(super) const HEADER_BYTES: usize = 5;

/// How often an answer is relayed at most. A request reaches the leader in two steps, or in three
/// when the leader changes meanwhile.
pub(super) const MAX_RELAYS: u8 = 2;

/// The length of a ping or pong.
pub(super) const PING_BYTES: usize = 8;

const PING: u8 = 16;
const PONG: u8 = 17;

/// The type of a request that comes back.
pub(super) const RETURNED: u8 = 18;

const LEAVING: u8 = 19;

/// How much one call reads at most, unless a frame is longer.
const READ_BYTES: usize = 64 * 1024;

/// A frame that was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Datagram { relays: u8, bytes: &'a [u8] },
    Ping(u64),
    Pong(u64),
    Returned(&'a [u8]),
    Leaving,
}

/// The bytes in front of a datagram: the type is the number of relays, or [`RETURNED`].
pub(super) fn header(kind: u8, datagram: &[u8]) -> [u8; HEADER_BYTES] {
    head(kind, datagram.len())
}

/// A whole ping.
pub(super) fn ping(stamp: u64) -> [u8; HEADER_BYTES + PING_BYTES] {
    stamped(PING, stamp)
}

/// A whole pong.
pub(super) fn pong(stamp: u64) -> [u8; HEADER_BYTES + PING_BYTES] {
    stamped(PONG, stamp)
}

/// A whole notice that a listener is about to leave.
pub(super) fn leaving() -> [u8; HEADER_BYTES] {
    head(LEAVING, 0)
}

fn stamped(kind: u8, stamp: u64) -> [u8; HEADER_BYTES + PING_BYTES] {
    let mut frame = [0; HEADER_BYTES + PING_BYTES];
    frame[..HEADER_BYTES].copy_from_slice(&head(kind, PING_BYTES));
    frame[HEADER_BYTES..].copy_from_slice(&stamp.to_le_bytes());
    frame
}

fn head(kind: u8, length: usize) -> [u8; HEADER_BYTES] {
    // A longer datagram was refused before.
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    [a, b, c, d, kind]
}

/// Why a connection that sent a frame is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFrame {
    #[error("it sent a frame of {0} bytes")]
    TooLong(u32),
    #[error("it sent a frame of the unknown type {0}")]
    Kind(u8),
}

/// Cuts the bytes of a connection into frames.
pub(super) struct FrameReader {
    bytes: Vec<u8>,
    start: usize, // bytes[start..end] were read and not taken; start <= end <= bytes.len()
    end: usize,
    max: usize,
}

impl FrameReader {
    /// For datagrams up to this length.
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, max }
    }

    /// Reads once. False at the end of the connection. Call it only while
    /// [`has_frame`](Self::has_frame) is false: otherwise there may be no room.
    pub(super) fn fill(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        self.make_room();
        loop {
            match stream.read(&mut self.bytes[self.end..]) {
                Ok(length) => {
                    self.end += length;
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next frame, if it is there whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, BadFrame> {
        let Some((length, kind)) = self.head()? else { return Ok(None) };
        let content = self.start + HEADER_BYTES..self.start + HEADER_BYTES + length;
        if content.end > self.end {
            return Ok(None);
        }
        self.start = content.end;
        let bytes = &self.bytes[content];
        match kind {
            RETURNED => return Ok(Some(Frame::Returned(bytes))),
            LEAVING => return Ok(Some(Frame::Leaving)),
            relays if relays <= MAX_RELAYS => return Ok(Some(Frame::Datagram { relays, bytes })),
            _ => {}
        }
        let stamp = bytes.try_into().map(u64::from_le_bytes).map_err(|_| BadFrame::Kind(kind))?;
        Ok(Some(if kind == PING { Frame::Ping(stamp) } else { Frame::Pong(stamp) }))
    }

    /// Whether [`next`](Self::next) has something to say without another read.
    pub(super) fn has_frame(&self) -> bool {
        match self.head() {
            Ok(Some((length, _))) => self.start + HEADER_BYTES + length <= self.end,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The length and type of the next frame, checked. Nothing is reserved for it before.
    fn head(&self) -> Result<Option<(usize, u8)>, BadFrame> {
        let Some((&[a, b, c, d, kind], _)) =
            self.bytes[self.start..self.end].split_first_chunk::<HEADER_BYTES>()
        else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([a, b, c, d]);
        let (max, is_known) = match kind {
            PING | PONG => (PING_BYTES, true),
            LEAVING => (0, true),
            _ => (self.max, kind <= MAX_RELAYS || kind == RETURNED),
        };
        match usize::try_from(length) {
            _ if !is_known => Err(BadFrame::Kind(kind)),
            Ok(bytes) if bytes <= max => Ok(Some((bytes, kind))),
            _ => Err(BadFrame::TooLong(length)),
        }
    }

    /// Makes room for the rest of a frame that has begun, or for some frames.
    fn make_room(&mut self) {
        let begun = self.head().ok().flatten().map_or(0, |(length, _)| HEADER_BYTES + length);
        let wanted = begun.max(READ_BYTES);
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == 0 && self.bytes.len() > wanted {
            self.bytes = Vec::new(); // the room of a long frame is given back
        }
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_refused_and_never_too_much_is_reserved(
            bytes in vec(prop_oneof![2 => 0..4_u8, 1 => 16..20_u8, 1 => any::<u8>()], 0..200),
        ) {
            let mut rest = &bytes[..];
            let mut reader = FrameReader::new(20);
            let mut frames = 0;
            'connection: while reader.fill(&mut (&mut rest).take(7)).expect("memory does not fail") {
                loop {
                    let has_frame = reader.has_frame();
                    match reader.next() {
                        Ok(Some(_)) => frames += 1,
                        Ok(None) => break,
                        Err(_) => break 'connection,
                    }
                    prop_assert!(has_frame);
                }
                prop_assert!(!reader.has_frame() && reader.bytes.len() <= READ_BYTES);
            }
            prop_assert!(frames * HEADER_BYTES <= bytes.len());
        }
    }

    fn reader_of(mut bytes: &[u8]) -> FrameReader {
        let mut reader = FrameReader::new(100_000);
        assert_eq!(reader.fill(&mut bytes).ok(), Some(true));
        reader
    }

    #[test]
    fn frames_are_cut_at_every_split_of_the_bytes() {
        let datagram = b"a datagram";
        let mut bytes = header(1, datagram).to_vec();
        bytes.extend(datagram);
        bytes.extend(ping(7));
        bytes.extend(pong(u64::MAX));
        bytes.extend(header(0, b""));
        bytes.extend(header(RETURNED, datagram));
        bytes.extend(datagram);
        for split in 0..bytes.len() {
            let mut reader = FrameReader::new(100);
            let mut seen = Vec::new();
            for mut part in [&bytes[..split], &bytes[split..]] {
                reader.fill(&mut part).expect("memory does not fail");
                while let Some(frame) = reader.next().expect("good frames") {
                    seen.push(format!("{frame:?}"));
                }
            }
            let frames = [
                Frame::Datagram { relays: 1, bytes: datagram },
                Frame::Ping(7),
                Frame::Pong(u64::MAX),
                Frame::Datagram { relays: 0, bytes: b"" },
                Frame::Returned(datagram),
            ];
            assert_eq!(seen, frames.map(|frame| format!("{frame:?}")), "split at {split}");
        }
    }

    #[test]
    fn long_frame_is_read_whole_and_its_room_is_given_back() {
        let long = vec![7; 90_000];
        let mut bytes = header(0, &long).to_vec();
        bytes.extend(&long);
        let mut rest = &bytes[..];
        let mut reader = FrameReader::new(100_000);
        assert!(reader.fill(&mut rest).expect("memory does not fail"));
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.fill(&mut rest).expect("memory does not fail"));
        assert_eq!(reader.next(), Ok(Some(Frame::Datagram { relays: 0, bytes: &long })));
        assert!(!reader.fill(&mut rest).expect("memory does not fail"), "the end");
        assert_eq!(reader.bytes.len(), READ_BYTES);
    }

    #[test]
    fn bad_frame_is_refused_by_its_header_and_nothing_is_reserved_for_it() {
        let mut reader = reader_of(&head(0, 100_001));
        assert_eq!(reader.next(), Err(BadFrame::TooLong(100_001)));
        reader.make_room();
        assert_eq!(reader.bytes.len(), READ_BYTES);
        assert_eq!(reader_of(&head(PING, 9)).next(), Err(BadFrame::TooLong(9)));
        assert_eq!(reader_of(&head(PONG, 7)).next(), Ok(None), "its content is not there yet");
        assert_eq!(reader_of(&stamped(PING, 1)[..12]).next(), Ok(None));
        assert_eq!(reader_of(&head(PING, 0)).next(), Err(BadFrame::Kind(PING)), "too short");
        assert_eq!(reader_of(&leaving()).next(), Ok(Some(Frame::Leaving)));
        assert_eq!(reader_of(&head(LEAVING, 1)).next(), Err(BadFrame::TooLong(1)));
        assert_eq!(reader_of(&head(MAX_RELAYS + 1, 1)).next(), Err(BadFrame::Kind(MAX_RELAYS + 1)));
    }
}
