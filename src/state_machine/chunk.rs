//! Some requests that one client made in a row. A session writes only to its last chunk, so a copy
//! of the session shares all others.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::digest::digest;
use crate::reply::Reply;

/// The bytes that a request takes, with the tables' spare room and without the bytes of its reply.
pub(super) const REQUEST_BYTES: usize = 112;

/// Requests in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub base: u64,          // the first request
    pub reply_bytes: usize, // of all replies
    places: Places,         // by the digest of its MID, the place of each request in `requests`
    requests: Vec<Remembered>,
}

/// A request that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub mid: u64,             // the digest of its MID
    pub content: u64,         // the digest of its command
    pub number: Option<u64>,  // the number that its MID is
    pub reply: Option<Reply>, // `None` if it is forgotten
}

type Places = HashMap<u64, u32, BuildHasherDefault<Digested>>;

/// The hash of a digest: the digest. A client that looks for MIDs with similar digests slows its own
/// requests down, by no more than the length of a chunk.
#[derive(Clone, Default)]
struct Digested(u64);

impl Hasher for Digested {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = digest(&[bytes]);
    }
}

impl Remembered {
    pub fn reply_bytes(&self) -> usize {
        self.reply.as_ref().map_or(0, reply_bytes)
    }
}

impl Chunk {
    pub fn new(base: u64) -> Self {
        Self { base, reply_bytes: 0, places: Places::default(), requests: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// The request after the last one.
    pub fn end(&self) -> u64 {
        self.base + self.requests.len() as u64
    }

    /// The latest request with this MID, and its number in the order of all.
    pub fn find(&self, mid: u64) -> Option<(u64, &Remembered)> {
        let place = *self.places.get(&mid)?;
        Some((self.base + u64::from(place), &self.requests[place as usize]))
    }

    /// This request, which is in the chunk.
    pub fn request(&self, n: u64) -> &Remembered {
        &self.requests[(n - self.base) as usize]
    }

    /// The requests from this one on, or all if it comes before them.
    pub fn requests(&self, from: u64) -> &[Remembered] {
        self.requests.get(from.saturating_sub(self.base) as usize..).unwrap_or_default()
    }

    /// Adds a request.
    pub fn push(&mut self, request: Remembered) {
        self.places.insert(request.mid, self.requests.len() as u32);
        self.reply_bytes += request.reply_bytes();
        self.requests.push(request);
    }

    /// Forgets the reply to a request, and returns how many bytes it had.
    pub fn drop_reply(&mut self, n: u64) -> usize {
        let request = &mut self.requests[(n - self.base) as usize];
        let bytes = request.reply_bytes();
        request.reply = None;
        self.reply_bytes -= bytes;
        bytes
    }
}

/// How many bytes a reply takes beside its own place.
pub(super) fn reply_bytes(reply: &Reply) -> usize {
    match reply {
        Reply::Ok | Reply::Nil | Reply::Integer(_) | Reply::Error(_) => 0,
        Reply::Bytes(bytes) => 2 * size_of::<usize>() + bytes.len(),
        Reply::Array(replies) => size_of_val(&**replies) + replies.iter().map(reply_bytes).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_covers_a_request_and_its_place() {
        // An entry of a hash table has a byte beside it, and the table is at least 7/16 full.
        let table = (size_of::<(u64, u32)>() + 1) * 16 / 7;
        assert!(REQUEST_BYTES >= size_of::<Remembered>() + table, "{} + {table}", size_of::<Remembered>());
    }

    #[test]
    fn bytes_of_a_reply_count_those_inside() {
        let bytes = Reply::Bytes("0123456789".into());
        assert_eq!(reply_bytes(&Reply::Integer(7)), 0);
        assert_eq!(reply_bytes(&bytes), 26);
        assert_eq!(reply_bytes(&Reply::Array(vec![bytes, Reply::Ok])), 26 + 2 * size_of::<Reply>());
    }
}
