//! The first bytes of a datagram of a mesh: its kind, and the replica or client that it is from or
//! for. A mesh reads no further.
//!
//! ```text
//! kind (1 byte)   ID (2 bytes, little endian)   content
//! ```

use crate::id::Id;

/// How many bytes an envelope has.
pub const ENVELOPE_BYTES: usize = 3;

/// The kind of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the replica of this ID to another one: Raft.
    Peer,
    /// A request of the client of this ID.
    Request,
    /// An answer for the client of this ID.
    Answer,
    /// A read of a client of this replica, which no other replica gets: it is served from this
    /// replica's own state.
    LocalRead,
    /// From the replica of this ID to another one, about reads that a follower serves.
    ReadIndex,
}

/// The beginning of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Its kind.
    pub kind: Kind,
    /// The replica that sent it, or the client that it is from or for.
    pub id: Id,
}

impl Envelope {
    /// Appends the envelope to a buffer.
    pub fn write(self, buffer: &mut Vec<u8>) {
        buffer.push(match self.kind {
            Kind::Peer => 0,
            Kind::Request => 1,
            Kind::Answer => 2,
            Kind::LocalRead => 3,
            Kind::ReadIndex => 4,
        });
        buffer.extend_from_slice(&self.id.number().to_le_bytes());
    }

    /// The envelope of a datagram and its content; `None` for a datagram that has no envelope.
    pub fn read(datagram: &[u8]) -> Option<(Self, &[u8])> {
        let (&[kind, low, high], content) = datagram.split_first_chunk::<ENVELOPE_BYTES>()?;
        let kind = match kind {
            0 => Kind::Peer,
            1 => Kind::Request,
            2 => Kind::Answer,
            3 => Kind::LocalRead,
            4 => Kind::ReadIndex,
            _ => return None,
        };
        Some((Self { kind, id: Id::new(u16::from_le_bytes([low, high]))? }, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelope_is_read_as_it_was_written() {
        for kind in [Kind::Peer, Kind::Request, Kind::Answer, Kind::LocalRead, Kind::ReadIndex] {
            let envelope = Envelope { kind, id: Id::new(0x1234).expect("an ID") };
            let mut buffer = Vec::new();
            envelope.write(&mut buffer);
            buffer.extend(b"content");
            assert_eq!(Envelope::read(&buffer), Some((envelope, &b"content"[..])));
        }
    }

    #[test]
    fn bytes_without_an_envelope_are_refused() {
        for bytes in [&b""[..], &[0, 1], &[5, 1, 0], &[0, 0xFF, 0xFF]] {
            assert_eq!(Envelope::read(bytes), None, "{bytes:?}");
        }
    }
}
